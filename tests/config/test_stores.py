"""Stores by name: their types, their options, what they fall back to."""

from __future__ import annotations

import pickle

import pytest

import metaxy_core
from metaxy_core import ConfigError, Graph, HashAlgorithm
from metaxy_core.config.stores import TYPES


def refused(config, name: str | None = None) -> str:
    with pytest.raises(ConfigError) as error:
        config.make_store(name)
    return str(error.value)


def test_there_is_a_short_name_for_every_store(root):
    stores = {name for name in metaxy_core.__all__ if name.endswith("MetadataStore")}
    assert set(TYPES.values()) == stores - {"MetadataStore"}


@pytest.mark.parametrize(
    ("type", "options", "uri"),
    [
        ("duckdb", 'path = "m.duckdb"', "duckdb://{root}/m.duckdb"),
        ("duckdb", "", "duckdb://:memory:"),
        ("sqlite", 'path = "m.db"', "sqlite://{root}/m.db"),
        ("memory", "", "memory://"),
        ("postgres", 'host = "h"\nuser = "u"\ndatabase = "d"', "postgresql://u@h:5432/d"),
        ("clickhouse", 'host = "h"\ndatabase = "d"', "clickhouse://"),
        ("delta", 'uri = "tables"', "{root}/tables"),
        ("delta", 'uri = "s3://bucket/tables"', "s3://bucket/tables"),
        ("iceberg", 'warehouse = "tables"', "{root}/tables"),
        ("lancedb", 'uri = "tables"', "{root}/tables"),
        ("ducklake", 'catalog = "sqlite:c.db"\ndata_path = "files"', "c.db"),
        ("ibis", 'connection = "duckdb://"', "ibis"),
    ],
)  # fmt: skip
def test_a_store_is_made_by_its_short_type_name(root, type, options, uri):
    config = root.load(f'[stores.dev]\ntype = "{type}"\n{options}')
    store = config.make_store("dev")
    assert type_name(store) == TYPES[type]
    assert uri.format(root=root.path) in store.display()


def type_name(store) -> str:
    return type(store).__name__


def test_options_stand_beside_the_type_or_under_config(root):
    config = root.load("""
        [stores.a]
        type = "duckdb"
        path = "a.duckdb"
        lock_timeout = 2
        settings = {threads = 1}
        [stores.b]
        type = "duckdb"
        [stores.b.config]
        path = "a.duckdb"
        lock_timeout = 2
        config = {threads = 1}
    """)
    a, b = (config.make_store(name).backend for name in "ab")
    assert (a.path, a.lock_timeout, a.config) == (b.path, b.lock_timeout, b.config)


def test_what_all_stores_have_is_said_once_and_a_store_may_differ(root):
    config = root.load("""
        project = "vision"
        hash_algorithm = "sha256"
        auto_create_tables = false
        spool_dir = "spool"
        [stores.a]
        type = "memory"
        [stores.b]
        type = "memory"
        hash_algorithm = "md5"
        auto_create_tables = true
        project = "other"
        versioning_engine = "polars"
    """)
    a, b = config.make_store("a"), config.make_store("b")
    assert (a.project, a.scheme.algorithm, a.auto_create_tables) == (
        "vision", HashAlgorithm.SHA256, False,
    )  # fmt: skip
    assert a.spool_dir == root.path / "spool"
    assert (b.project, b.scheme.algorithm, b.auto_create_tables) == (
        "other", HashAlgorithm.MD5, True,
    )  # fmt: skip
    assert b.versioning_engine == "polars"
    # What is said on the spot wins over all.
    assert root.load(project="now").make_store("b").project == "now"


def test_the_default_store_is_the_one_named_or_the_only_one_or_a_file(root):
    two = '[stores.a]\ntype = "memory"\n[stores.b]\ntype = "memory"'
    assert root.load('[stores.a]\ntype = "memory"').make_store().name == "a"
    assert root.load(f'store = "b"\n{two}').make_store().name == "b"
    assert "Which store? There are: a, b. Give --store" in refused(root.load(two))
    store = root.load('store = "sub/m.duckdb"').make_store()
    assert (store.name, store.display()) == (None, f"duckdb://{root.path}/sub/m.duckdb")
    assert root.load("").make_store("x.duckdb").display() == f"duckdb://{root.path}/x.duckdb"


def test_a_store_gets_the_graph_and_pickles(root):
    config = root.load('[stores.dev]\ntype = "duckdb"\npath = "m.duckdb"')
    store = pickle.loads(pickle.dumps(config.make_store(graph=Graph())))
    assert (store.name, len(store.graph)) == ("dev", 0)


def test_an_ibis_connection_is_opened_from_its_address_and_pickles(root):
    config = root.load('[stores.dev]\ntype = "ibis"\nconnection = "duckdb://"')
    config.make_store()
    with config.make_store().open("w") as store:
        assert store.list_features() == []


def test_fallback_stores_are_named_and_chained(root):
    config = root.load("""
        store = "dev"
        [stores.dev]
        type = "memory"
        fallback_stores = ["staging"]
        [stores.staging]
        type = "memory"
        fallback_stores = ["prod"]
        [stores.prod]
        type = "memory"
    """)
    store = config.make_store()
    names = []
    while store.fallback_stores:
        (store,) = store.fallback_stores
        names.append(store.name)
    assert names == ["staging", "prod"]


@pytest.mark.parametrize(
    ("store", "told"),
    [
        ('type = "duckdb"\npth = "x"', "of type 'duckdb'. Did you mean 'path'?"),
        ('type = "memory"\nname = "x"', "'stores.dev.name' is no option"),
        ('type = "dukdb"', "no store type 'dukdb'. Did you mean 'duckdb'?"),
        ('type = "duckdb"\nlock_timeout = "long"', "'stores.dev.lock_timeout': Input should be"),
        ('type = "delta"', "'stores.dev.uri': Field required"),
        ('type = "memory"\nhash_algorithm = "crc"', "hash_algorithm': Input should be 'md5' or"),
        (
            'type = "memory"\nfallback_stores = ["prd"]',
            "there is no store 'prd'. Did you mean 'prod'?",
        ),
        ('type = "memory"\nfallback_stores = ["ring"]', "in a ring: dev -> ring -> dev"),
        ('type = "postgres"\ndsn = "no dsn"', "'stores.dev': The DSN is neither"),
        ('type = "ibis"\nconnection = 3', "'stores.dev.connection' should be an address"),
        ('type = "ibis"\nconnection = "nope://h"', "Ibis cannot connect to nope://h"),
        ('type = "os:path"', "'os:path' is not allowed. Write it into allow_classes"),
    ],
)
def test_a_mistake_in_a_store_is_told_with_the_file_and_the_key(root, store, told):
    config = root.load(f"""
[stores.dev]
{store}
[stores.prod]
type = "memory"
[stores.ring]
type = "memory"
fallback_stores = ["dev"]
""")
    said = refused(config, "dev")
    assert told in said
    assert said.startswith(f"{root.path}/metaxy.toml: ")


def test_a_store_that_there_is_not_is_told_with_the_nearest(root):
    config = root.load('store = "dve"\n[stores.dev]\ntype = "memory"')
    assert "metaxy.toml: 'store': There is no store 'dve'. Did you mean 'dev'?" in refused(config)
    assert refused(config, "prod").startswith("There is no store 'prod'. There are: dev.")


def test_a_mistake_in_the_environment_is_told_with_the_variable(root, monkeypatch):
    monkeypatch.setenv("METAXY_STORES__DEV__TYPE", "duckdb")
    monkeypatch.setenv("METAXY_STORES__DEV__LOCK_TIMEOUT", "long")
    assert "METAXY_STORES__DEV__LOCK_TIMEOUT: Input should be" in refused(root.load(), "dev")


CLASS = """
from metaxy_core import DuckDBMetadataStore
class Mine(DuckDBMetadataStore):
    '''One of the user's.'''
class NoStore: ...
"""


@pytest.mark.parametrize("allowed", ["my_stores:Mine", "my_stores:*"])
def test_a_class_is_taken_where_it_is_allowed(root, allowed):
    root.write(CLASS, "my_stores.py")
    config = root.load(f"""
        allow_classes = ["{allowed}"]
        [stores.dev]
        type = "my_stores:Mine"
        path = "m.duckdb"
    """)
    assert type_name(config.make_store()) == "Mine"


@pytest.mark.parametrize(
    ("named", "told"),
    [
        ("my_stores:NoStore", "'my_stores' has no subclass 'NoStore' of MetadataStore"),
        ("my_stores:Nothing", "'my_stores' has no subclass 'Nothing' of MetadataStore"),
        ("my_nothing:Mine", "There is no module 'my_nothing'"),
    ],
)
def test_an_allowed_class_that_is_no_store_is_refused(root, named, told):
    root.write(CLASS, "my_stores.py")
    config = root.load(f'allow_classes = ["*"]\n[stores.dev]\ntype = "{named}"')
    said = refused(config)
    assert told in said
    assert "metaxy.toml: 'stores.dev.type'" in said


def test_a_missing_package_is_told_with_the_extra(root, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "metaxy_core.backends.sqlite", None)
    config = root.load('[stores.dev]\ntype = "sqlite"')
    with pytest.raises(metaxy_core.MetaxyError, match=r"metaxy-dagster\[sqlite\]"):
        config.make_store()
