"""What is DuckDB's own: files, locks, processes, nothing downloaded."""

from __future__ import annotations

import multiprocessing
import pickle

import duckdb
import narwhals as nw
import polars as pl
import pytest

from metaxy_core import DuckDBMetadataStore
from metaxy_core.backends import duckdb as backend
from metaxy_core.errors import (
    HashSchemeMismatchError,
    MetadataSchemaError,
    StoreError,
    StoreUnavailableError,
)
from tests.builders import NOTHING, feature, graph, rows, said, settle

FEATURES = graph(feature("a"), feature("b", "a"))


def test_a_corrupt_file_is_a_typed_error(tmp_path):
    path = tmp_path / "corrupt.duckdb"
    path.write_bytes(b"this is no database" * 1000)
    for mode in ("r", "w"):
        with pytest.raises(StoreUnavailableError, match=r"corrupt\.duckdb") as error:
            with DuckDBMetadataStore(path, graph=FEATURES).open(mode):
                pass
        assert error.value.reason == "corrupt"


def _hold(path, started, done):
    with duckdb.connect(str(path)):
        started.set()
        done.wait(20)


@pytest.mark.slow
def test_a_lock_is_waited_for_and_then_named(tmp_path):
    path = tmp_path / "shared.duckdb"
    context = multiprocessing.get_context("spawn")
    started, done = context.Event(), context.Event()
    holder = context.Process(target=_hold, args=(path, started, done))
    holder.start()
    started.wait(20)
    try:
        with pytest.raises(StoreUnavailableError, match="lock") as error:
            with DuckDBMetadataStore(path, graph=FEATURES, lock_timeout=0.2).open("w"):
                pass
        assert error.value.reason == "locked"
    finally:
        done.set()
        holder.join()
    with DuckDBMetadataStore(path, graph=FEATURES, lock_timeout=0.2).open("w") as store:
        settle(store, "a", samples=rows({"id": ["x"]}))


def test_reading_opens_the_file_read_only(tmp_path):
    path = tmp_path / "a.duckdb"
    store = DuckDBMetadataStore(path, graph=FEATURES)
    with store.open("w"):
        settle(store, "a", samples=rows({"id": ["x"]}))
    with store.open("r"):
        assert len(store.resolve_update("b").new) == 1
        with duckdb.connect(str(path), read_only=True, config=_offline()) as other:
            assert other.execute('SELECT count(*) FROM "a"').fetchone() == (1,)


def test_a_process_that_has_the_file_open_otherwise_shares_it(tmp_path):
    path = tmp_path / "a.duckdb"
    store = DuckDBMetadataStore(path, graph=FEATURES)
    with store.open("w"):
        settle(store, "a", samples=rows({"id": ["x"]}))
        with DuckDBMetadataStore(path, graph=FEATURES).open("r") as reader:
            assert len(reader.resolve_update("b").new) == 1


def test_another_hash_algorithm_is_refused(tmp_path):
    path = tmp_path / "a.duckdb"
    with DuckDBMetadataStore(path, graph=FEATURES).open("w"):
        pass
    other = DuckDBMetadataStore(path, graph=FEATURES, hash_algorithm="sha256")
    with pytest.raises(HashSchemeMismatchError, match=r"md5/1.*sha256/1"):
        with other.open("r"):
            pass


def test_sha256_works_from_end_to_end(tmp_path):
    store = DuckDBMetadataStore(tmp_path / "a.duckdb", graph=FEATURES, hash_algorithm="sha256")
    with store.open("w"):
        settle(store, "a", samples=rows({"id": ["x"]}))
        assert len(settle(store, "b").new) == 1
        assert store.resolve_update("b").is_empty


def test_an_unopened_store_pickles_and_an_open_one_does_not(tmp_path):
    store = DuckDBMetadataStore(tmp_path / "a.duckdb", graph=FEATURES)
    with store.open("w"):
        settle(store, "a", samples=rows({"id": ["x"]}))
        with pytest.raises(TypeError, match="open store cannot be pickled"):
            pickle.dumps(store)
    with pickle.loads(pickle.dumps(store)).open("r") as copy:
        assert len(copy.read("a").collect()) == 1


def test_a_comparison_compiled_once_follows_new_columns_and_a_reopened_file(tmp_path):
    store = DuckDBMetadataStore(tmp_path / "a.duckdb", graph=FEATURES)
    for version in "123":
        with store.open("w"):
            samples = rows({"id": ["x"], f"column{version}": [1]}, version)
            assert not settle(store, "a", samples=samples).is_empty
            increment = settle(store, "b")
            assert f"column{version}" in increment.todo().columns
            assert store.resolve_update("b").is_empty


def _offline():
    return {"autoinstall_known_extensions": False, "autoload_known_extensions": False}


def test_an_increment_that_is_let_go_of_leaves_nothing_in_the_database(tmp_path):
    with DuckDBMetadataStore(tmp_path / "a.duckdb", graph=FEATURES).open("w") as store:
        settle(store, "a", samples=rows({"id": ["x", "y"]}))
        settle(store, "b")
        store.delete("a", "id = 'x'")
        settle(store, "a", samples=rows({"id": ["y"]}, "2"))
        kept = "SELECT table_name FROM duckdb_tables() WHERE temporary AND estimated_size > 0"
        before = set(store.backend.fetch(kept))
        increment = store.resolve_update("b", lazy=True)
        found = increment.stale.collect("polars"), increment.orphaned.collect("polars")
        assert [frame["id"].to_list() for frame in found] == [["y"], ["x"]]
        assert set(store.backend.fetch(kept)) > before
        increment.release()
        assert set(store.backend.fetch(kept)) == before
        for use in (lambda: increment.stale, increment.todo, lambda: increment.counts):
            with pytest.raises(StoreError, match="of 'b' was released"):
                use()


@pytest.mark.parametrize("part", [20_000, 1_000])
def test_the_last_round_of_a_deep_history_is_known(tmp_path, part):
    with DuckDBMetadataStore(tmp_path / "a.duckdb", graph=FEATURES).open("w") as store:

        def write(version):
            ids = pl.select(id=pl.format("sample-{}", pl.int_range(20_000)))
            for start in range(0, 20_000, part):
                texts = {"f": pl.lit(version)}
                told = ids[start : start + part].with_columns(
                    metaxy_provenance_by_field=pl.struct(**texts)
                )
                store.write("a", told)

        write("0")
        assert store.backend.last_rounds({"a": ["id"]}) == {}
        for version in range(1, 16):
            write(str(version))
        after = store.backend.last_rounds({"a": ["id"], "b": ["id"]})
        later = store.backend.scan("a").filter(nw.col("metaxy_commit") > after["a"])
        found = later.select("id").collect("polars")
        assert after.keys() == {"a"}
        assert found["id"].n_unique() == 20_000
        assert len(found) <= 30_000


def test_samples_with_two_ids_are_no_deep_history(tmp_path, monkeypatch):
    monkeypatch.setattr(backend, "_MANY", 1)
    pairs = {"id": [f"x{n // 10}" for n in range(1_000)], "part": [n % 10 for n in range(1_000)]}
    features = graph(feature("a", ids=["id", "part"]))
    with DuckDBMetadataStore(tmp_path / "a.duckdb", graph=features).open("w") as store:
        settle(store, "a", samples=rows(pairs))
        assert store.backend.last_rounds({"a": ["id", "part"]}) == {}


def test_a_history_in_one_commit_has_no_last_round(tmp_path, monkeypatch):
    monkeypatch.setattr(backend, "_MANY", 1)
    with DuckDBMetadataStore(tmp_path / "a.duckdb", graph=FEATURES).open("w") as store:
        settle(store, "a", samples=rows({"id": ["x"]}))
        store.backend.run("INSERT INTO a SELECT a.* FROM a, range(1000)")
        assert store.backend.last_rounds({"a": ["id"]}) == {}


def test_an_emptied_table_has_no_last_round(tmp_path, monkeypatch):
    monkeypatch.setattr(backend, "_MANY", 1)
    with DuckDBMetadataStore(tmp_path / "a.duckdb", graph=FEATURES).open("w") as store:
        settle(store, "a", samples=rows({"id": ["x", "y"]}))
        settle(store, "b")
        store.delete("a", filters="true", soft=False)
        assert said(store.resolve_update("b")) == NOTHING | {"orphaned": ["x", "y"]}


def test_a_table_of_somebody_else_has_no_last_round(tmp_path, monkeypatch):
    monkeypatch.setattr(backend, "_MANY", 1)
    path = tmp_path / "a.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE a AS SELECT 'x' AS id FROM range(9)")
        connection.execute("CREATE TABLE b AS SELECT 1 AS metaxy_commit FROM range(9)")
    with DuckDBMetadataStore(path, graph=FEATURES).open("r") as store:
        assert store.backend.last_rounds({"a": ["id"], "b": ["id"]}) == {}
        with pytest.raises(MetadataSchemaError, match="was not made by this library"):
            store.resolve_update("b")
