"""Which file is read, what wins, and what a mistake in it is told as."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest

from metaxy_core import ConfigError, HashAlgorithm, MetaxyConfig


def refused(root, text: str | None = None, **said: object) -> str:
    with pytest.raises(ConfigError) as error:
        root.load(text, **said)
    return str(error.value)


def test_without_a_file_there_are_the_defaults(root):
    config = root.load()
    assert (config.project, config.store, config.stores, config.files) == ("default", None, {}, ())


def test_the_nearest_file_upwards_is_read(root, monkeypatch):
    root.write('project = "outer"')
    (root.path / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(root.path / "a" / "b")
    assert root.load().project == "outer"
    assert root.load().root == root.path


@pytest.mark.parametrize("marker", [".git", "pyproject.toml", "metaxy.toml"])
def test_the_search_ends_at_the_root_of_the_project(root, monkeypatch, marker):
    root.write('project = "outer"')
    root.write("", f"inner/{marker}")
    (root.path / "inner" / "deep").mkdir()
    monkeypatch.chdir(root.path / "inner" / "deep")
    assert root.load().project == "default"


def test_a_worktree_whose_git_is_a_directory_ends_the_search(root, monkeypatch):
    root.write('project = "outer"')
    (root.path / "inner" / ".git").mkdir(parents=True)
    monkeypatch.chdir(root.path / "inner")
    assert root.load().project == "default"


def test_pyproject_has_it_under_tool_metaxy_and_metaxy_toml_comes_first(root):
    root.write('[tool.metaxy]\nproject = "py"', "pyproject.toml")
    assert root.load().project == "py"
    root.write('project = "own"')
    assert root.load().project == "own"


def test_a_file_can_be_named(root, monkeypatch):
    path = root.write('project = "named"', "elsewhere/settings.toml")
    assert root.load(path=path).project == "named"
    monkeypatch.setenv("METAXY_CONFIG", str(path))
    assert root.load().project == "named"
    assert root.load().root == path.parent
    assert "no configuration file" in refused(root, path="none.toml")


def test_arguments_win_over_the_environment_and_that_over_the_file(root, monkeypatch):
    root.write('project = "file"\nstore = "file.duckdb"\nhash_algorithm = "sha256"')
    monkeypatch.setenv("METAXY_PROJECT", "environment")
    monkeypatch.setenv("METAXY_STORE", "environment.duckdb")
    config = root.load(project="argument")
    assert (config.project, config.store) == ("argument", "environment.duckdb")
    assert config.hash_algorithm is HashAlgorithm.SHA256


def test_an_empty_variable_says_nothing(root, monkeypatch):
    monkeypatch.setenv("METAXY_PROJECT", "")
    assert root.load('project = "file"').project == "file"


def test_the_environment_reaches_into_stores(root, monkeypatch):
    root.write("""
        [stores.My-Dev]
        type = "duckdb"
        path = "file.duckdb"
        [stores.My-Dev.config]
        lock_timeout = 1
    """)
    monkeypatch.setenv("METAXY_STORES__MY_DEV__PATH", "here.duckdb")
    monkeypatch.setenv("METAXY_STORES__MY_DEV__CONFIG__LOCK_TIMEOUT", "7")
    monkeypatch.setenv("METAXY_STORES__NEW__TYPE", "memory")
    config = root.load()
    assert list(config.stores) == ["My-Dev", "new"]
    assert config.make_store("My-Dev").backend.lock_timeout == 7
    assert config.make_store("My-Dev").backend.path == str(root.path / "here.duckdb")
    assert config.make_store("new").backend.describe()["type"] == "memory"


def test_lists_in_the_environment_are_words_or_json(root, monkeypatch):
    monkeypatch.setenv("METAXY_ENTRYPOINTS", "a.b, c:graph")
    assert root.load().entrypoints == ("a.b", "c:graph")
    monkeypatch.setenv("METAXY_ENTRYPOINTS", '["a.b"]')
    assert root.load().entrypoints == ("a.b",)
    monkeypatch.setenv("METAXY_STORES", '{"dev": {"type": "memory"}}')
    assert root.load().make_store().name == "dev"


def test_a_password_of_digits_in_the_environment_stays_a_text(root, monkeypatch):
    monkeypatch.setenv("METAXY_STORES__DB__TYPE", "clickhouse")
    monkeypatch.setenv("METAXY_STORES__DB__PASSWORD", "0123")
    password = root.load().stores["db"].options["password"]
    assert password.get_secret_value() == "0123"


def test_a_part_of_what_is_said_whole_is_refused(root, monkeypatch):
    monkeypatch.setenv("METAXY_STORES__DEV", "x")
    assert "METAXY_STORES__DEV should be a table" in refused(root)
    monkeypatch.setenv("METAXY_STORES__DEV__PATH", "y")
    assert "METAXY_STORES__DEV__PATH says a part" in refused(root)


def test_variables_are_replaced_in_texts_of_files(root, monkeypatch):
    monkeypatch.setenv("WHERE", "data")
    config = root.load("""
        project = "$${NOT} ${UNSET:-none} ${UNSET:-}."
        entrypoints = ["my.${WHERE}"]
        [stores.dev]
        type = "duckdb"
        path = "${WHERE}/${NAME:-meta}.duckdb"
    """)
    assert (config.project, config.entrypoints) == ("${NOT} none .", ("my.data",))
    assert config.make_store().backend.path == str(root.path / "data" / "meta.duckdb")


def test_variables_are_not_replaced_in_what_the_environment_says(root, monkeypatch):
    monkeypatch.setenv("METAXY_PROJECT", "${HOME}")
    assert root.load().project == "${HOME}"


@pytest.mark.parametrize("empty", [False, True])
def test_a_variable_that_is_not_set_is_named_with_its_key(root, monkeypatch, empty):
    if empty:
        monkeypatch.setenv("NOWHERE", "")
    told = refused(root, 'project = "${NOWHERE}"')
    assert "metaxy.toml: 'project' needs the environment variable NOWHERE" in told


def test_variables_of_a_store_that_is_not_used_are_not_asked_for(root):
    config = root.load("""
        store = "dev"
        [stores.dev]
        type = "memory"
        [stores.prod]
        type = "postgres"
        dsn = "${PROD_DSN}"
    """)
    assert config.make_store().name == "dev"
    with pytest.raises(ConfigError, match="'stores.prod.dsn' needs the environment variable"):
        config.make_store("prod")


def test_variables_of_the_stores_fallen_back_to_are_asked_for(root):
    config = root.load("""
        store = "dev"
        [stores.dev]
        type = "memory"
        fallback_stores = ["prod"]
        [stores.prod]
        type = "postgres"
        dsn = "${PROD_DSN}"
    """)
    with pytest.raises(ConfigError, match="PROD_DSN"):
        config.make_store()


@pytest.mark.parametrize("text", ["${1}", "${A:?no}", "${unclosed", "${}"])
def test_what_looks_like_a_variable_and_is_none_is_refused(root, text):
    assert "that is no variable" in refused(root, f"project = '{text}'")


def test_a_file_extends_others_and_wins(root):
    root.write(
        'project = "base"\nstore = "base.duckdb"\nentrypoints = ["base"]', "shared/base.toml"
    )
    root.write('extend = "base.toml"\nstore = "middle.duckdb"', "shared/middle.toml")
    config = root.load('extend = "shared/middle.toml"\nentrypoints = ["own"]')
    assert (config.project, config.store, config.entrypoints) == ("base", "middle.duckdb", ("own",))
    assert [path.name for path in config.files] == ["metaxy.toml", "middle.toml", "base.toml"]
    # A path is relative to the file that says it.
    assert config.make_store().backend.path == str(root.path / "shared" / "middle.duckdb")


def test_tables_of_extended_files_are_merged_and_another_type_is_another_store(root):
    root.write(
        """
        [stores.dev]
        type = "duckdb"
        path = "base.duckdb"
        lock_timeout = 5
        [stores.prod]
        type = "postgres"
        dsn = "host=h"
        """,
        "base.toml",
    )
    config = root.load("""
        extend = "base.toml"
        [stores.dev]
        path = "own.duckdb"
        [stores.prod]
        type = "memory"
    """)
    dev = config.make_store("dev").backend
    assert (dev.path, dev.lock_timeout) == (str(root.path / "own.duckdb"), 5)
    assert config.stores["prod"].options == {}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('extend = "metaxy.toml"', "extend each other in a ring"),
        ('extend = "two.toml"', "extend each other in a ring"),
        ('extend = "none.toml"', "'extend': there is no file"),
        ("extend = 3", "'extend' should be the path of a file"),
        ("project = ", ":1: this is not TOML"),
        ("project = 'a'\nproject = 'b'\n", ":2: this is not TOML: Cannot overwrite a value"),
        ("\n\nstore == 2\n", ":3: this is not TOML"),
        ("proejct = 'x'", "'proejct' is no setting. Did you mean 'project'?"),
        ("quux = 1", "'quux' is no setting. There are: allow_classes, auto_create_tables"),
        ("project = 3", "'project': Input should be a valid string"),
        ("hash_algorithm = 'crc'", "'hash_algorithm': There is no hash 'crc'. There are: md5"),
        ("stores = 3", "'stores' should be a table of stores"),
        ("[stores]\ndev = 'x'", "'stores.dev' should be a table"),
        ("[stores.dev]\npath = 'x'", "'stores.dev.type': Field required"),
        (
            "[stores.dev]\ntype = 'duckdb'\npath = 'x'\nconfig = {path = 'y'}",
            "'stores.dev': 'path' is given twice",
        ),
        ("[stores.dev]\ntype = 'duckdb'\nconfig = 3", "'config' should be a table of options"),
        ("[stores.dev]\ntype = 'duckdb'\nfallback_stores = 3", "'stores.dev.fallback_stores'"),
        ("project = '\udcff'", ":1: this is not TOML: it is not UTF-8"),
        ("a = " + "[" * 1000, "nested more than 32 deep"),
        ("a = " + "[" * 1000 + "]" * 1000, "nested more than 32 deep"),
        ("[" + ".".join("a" * 200) + "]", "nested more than 32 deep"),
        ("#" * 10_000_000, "is larger than 1,000,000 bytes"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_the_file_and_the_key(root, text, told):
    root.write('extend = "metaxy.toml"', "two.toml")
    (root.path / "metaxy.toml").write_bytes(text.encode("utf-8", "surrogateescape"))
    said = refused(root)
    assert told in said
    assert "metaxy.toml" in said
    assert len(said) < 600


def test_a_pyproject_with_something_else_under_tool_metaxy_is_refused(root):
    root.write("[tool]\nmetaxy = 3", "pyproject.toml")
    assert "'tool.metaxy' should be a table" in refused(root)
    assert "has no table [tool.metaxy]" in refused(root, path=root.write("", "x/pyproject.toml"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_refused(root):
    root.write("").chmod(0)
    assert "Cannot read" in refused(root)


def test_a_directory_of_the_files_name_is_no_file(root):
    (root.path / "metaxy.toml").mkdir()
    assert root.load().files == ()


def test_a_byte_order_mark_is_not_in_the_way(root):
    (root.path / "metaxy.toml").write_bytes(b"\xef\xbb\xbfproject = 'p'")
    assert root.load().project == "p"


def test_a_configuration_is_made_in_python_and_pickles(root):
    config = MetaxyConfig(store="dev", stores={"dev": {"type": "duckdb", "path": "x.duckdb"}})
    again = pickle.loads(pickle.dumps(config))
    assert again == config
    assert again.make_store().backend.path == str(Path.cwd() / "x.duckdb")
