"""How long a store is open, who may use it, and what it leaves behind."""

from __future__ import annotations

import pickle
import threading

import pytest

from metaxy_core import DuckDBMetadataStore
from metaxy_core.errors import StoreError, StoreNotOpenError, StoreUnavailableError
from tests.builders import edge, expansion, feature, graph, rows, said, settle

FEATURES = graph(feature("a"), feature("b", "a"))


def test_nested_openings_are_counted(make_store):
    store = make_store(FEATURES)
    with store:
        with store, store.open("r"):
            settle(store, "a", samples=rows({"id": ["x"]}))
        with store.using(FEATURES).open("r") as other:
            assert said(other.resolve_update("b"))["new"] == ["x"]
        settle(store, "b")
    with pytest.raises(StoreNotOpenError):
        store.read("a")


def test_an_opening_for_reading_is_not_widened(make_store):
    store = make_store(FEATURES)
    with store:
        pass
    with store.open("r"), pytest.raises(StoreError, match="open for reading only"):
        with store.open("w"):
            pass


def test_a_store_pickles_after_it_was_entered(tmp_path):
    store = DuckDBMetadataStore(tmp_path / "a.duckdb", graph=FEATURES)
    with store:
        settle(store, "a", samples=rows({"id": ["x"]}))
        settle(store, "b")
    text = pickle.dumps(store)
    assert len(text) < 20_000
    with pickle.loads(text).open("r") as copy:
        assert len(copy.read("a").collect()) == 1


def test_another_thread_is_refused_while_a_duckdb_store_is_open(tmp_path):
    store = DuckDBMetadataStore(tmp_path / "a.duckdb", graph=FEATURES)
    refused = []

    def use():
        try:
            with store.open("r"):
                pass
        except StoreError as error:
            refused.append(str(error))

    with store:
        thread = threading.Thread(target=use)
        thread.start()
        thread.join()
        settle(store, "a", samples=rows({"id": ["x"]}))
    assert len(refused) == 1
    assert "make a store for each thread" in refused[0]


def test_a_writer_beside_a_reader_of_its_own_process_waits_and_is_told(tmp_path):
    path = tmp_path / "a.duckdb"
    with DuckDBMetadataStore(path, graph=FEATURES):
        pass
    writer = DuckDBMetadataStore(path, graph=FEATURES, lock_timeout=0.1)
    with DuckDBMetadataStore(path, graph=FEATURES).open("r"):
        with pytest.raises(StoreUnavailableError, match="somebody else had it open") as error:
            with writer.open("w"):
                pass
        assert error.value.reason == "locked"
    pickle.dumps(writer)
    with writer:
        settle(writer, "a", samples=rows({"id": ["x"]}))


def test_temporary_tables_do_not_pile_up():
    with DuckDBMetadataStore(graph=FEATURES) as store:
        held = []
        for version in range(6):
            settle(store, "a", samples=rows({"id": ["x"]}, str(version)))
            settle(store, "b")
            held.append(len(store.backend._held))
        assert held[-1] - held[-2] <= 4
    assert store.backend._held == set()


def test_a_token_in_an_address_is_never_shown():
    store = DuckDBMetadataStore("md:db?motherduck_token=SECRET", graph=FEATURES)
    assert "SECRET" not in f"{store!r} {store.display()} {store.get_store_metadata('a')}"


def test_questions_asked_in_turn_do_not_answer_for_each_other(make_store):
    with make_store(FEATURES) as store:
        settle(store, "a", samples=rows({"id": ["x", "y"], "size": [1, 9]}))
        todo = store.resolve_update("b").todo()
        store.write("b", todo)
        assert store.resolve_update("b", global_filters=["size > 5"]).is_empty
        stale = store.resolve_update("b", staleness_predicates=["size > 5"])
        assert said(stale)["stale"] == ["y"]
        assert store.resolve_update("b", global_filters=["size > 5"]).is_empty


def test_a_grandparents_new_id_columns_are_seen_by_a_compiled_comparison(make_store):
    def features(ids):
        part = feature("p", edge("g", lineage=expansion()), ids=["a", "b", "c"])
        return graph(feature("g", ids=ids), part, feature("d", "p", ids=["a", "b", "c"]))

    store = make_store(features(["a"]))
    with store:
        settle(store, "g", samples=rows({"a": ["x"], "b": ["y"]}))
        todo = store.resolve_update("p").todo().to_native()
        store.write("p", todo.with_columns(c=1))
        assert len(store.resolve_update("d").new) == 1
        wider = store.using(features(["a", "b"]))
        assert (
            wider.resolve_update("d").counts
            == wider.resolve_update("d", versioning_engine="polars").counts
        )


def test_a_set_is_rewritten_when_its_parent_changed_in_one_opening(make_store):
    chunk = feature("c", edge("a", lineage=expansion()), ids=["id", "n"])
    with make_store(graph(feature("a"), chunk)) as store:
        for version, numbers in (("1", [1, 2]), ("2", [1])):
            settle(store, "a", samples=rows({"id": ["x"]}, version))
            todo = store.resolve_update("c").todo().to_native()
            store.write("c", todo.join(_numbers(numbers), how="cross"))
            assert store.resolve_update("c").is_empty
        store.delete("c", "n = 1")
        again = store.resolve_update("c").todo().to_native()
        store.write("c", again.join(_numbers([7]), how="cross"))
        assert store.read("c").collect()["n"].to_list() == [7]


def test_an_empty_own_table_stays_the_features_table_beside_a_fallback(make_store):
    store = make_store(FEATURES, fallback_stores=[make_store(FEATURES)])
    for other in store.fallback_stores:
        with other:
            pass
    with store:
        settle(store, "a", samples=rows({"id": ["x"]}))
        store.delete("a", "true", soft=False)
        assert len(store.read("a").collect()) == 0
        assert store.has_feature("a", allow_fallback=True)


def _numbers(numbers):
    import polars as pl

    return pl.DataFrame({"n": numbers})
