"""The background writer stores everything that was put, once, and loses nothing."""

from __future__ import annotations

import threading

import pytest

from metaxy_core import BufferedMetadataWriter, DuckDBMetadataStore, InMemoryMetadataStore
from metaxy_core.errors import NotStoredError, StoreUnavailableError
from tests.builders import feature, graph, rows

FEATURES = graph(feature("a"), feature("b"))


@pytest.fixture
def store(tmp_path):
    return DuckDBMetadataStore(
        tmp_path / "a.duckdb", graph=FEATURES, spool_dir=tmp_path / "kept", lock_timeout=0.05
    )


def ids(store, key):
    with store.open("r"):
        return sorted(store.read(key, columns=["id"]).collect("polars")["id"].to_list())


def test_what_was_put_is_stored_when_it_stops(store):
    writer = BufferedMetadataWriter(store, flush_interval=60)
    writer.start()
    for n in range(20):
        writer.put({"a": rows({"id": [f"{n:02}"]}), "b": rows({"id": [n]})})
    assert writer.stop() == {"a": 20, "b": 20}
    assert ids(store, "a") == [f"{n:02}" for n in range(20)]


def test_flush_waits_until_everything_is_stored(store):
    with BufferedMetadataWriter(store, flush_interval=60, materialization_id="run-1") as writer:
        writer.put({"a": rows({"id": ["x"]})})
        writer.flush()
        assert ids(store, "a") == ["x"]
        assert writer.num_written == {"a": 1}
    with store.open("r"):
        assert store.read("a").collect("polars")["metaxy_materialization_id"][0] == "run-1"


def test_a_full_batch_is_stored_at_once_and_a_late_one_by_time():
    stored, store = threading.Event(), InMemoryMetadataStore(graph=FEATURES)

    class Told(BufferedMetadataWriter):
        def _write(self, rows):
            found = super()._write(rows)
            stored.set()
            return found

    with Told(store, flush_batch_size=2, flush_interval=60) as writer:
        writer.put({"a": rows({"id": ["x", "y"]})})
        assert stored.wait(20)
    stored.clear()
    with Told(store, flush_interval=0.01) as writer:
        writer.put({"a": rows({"id": ["z"]})})
        assert stored.wait(20)
    assert ids(store, "a") == ["x", "y", "z"]


def test_a_flush_is_one_commit_of_all_features(store):
    with BufferedMetadataWriter(store, flush_interval=60) as writer:
        for n in range(3):
            writer.put({"a": rows({"id": [n]}), "b": rows({"id": [n]})})
    with store.open("r"):
        commits = [store.backend.scan(key).collect("polars")["metaxy_commit"] for key in "ab"]
        assert {n for found in commits for n in found.to_list()} == {commits[0][0]}


def test_of_a_sample_put_twice_the_later_row_is_stored(store):
    with BufferedMetadataWriter(store, flush_interval=60) as writer:
        writer.put({"a": rows({"id": ["x"], "size": [1]})})
        writer.put({"a": rows({"id": ["x"], "size": [2]})})
    with store.open("r"):
        assert store.read("a").collect("polars")["size"].to_list() == [2]


def test_a_full_queue_makes_put_wait_and_loses_nothing():
    store, go = InMemoryMetadataStore(graph=FEATURES), threading.Event()

    class Slow(BufferedMetadataWriter):
        def _write(self, rows):
            assert go.wait(20)
            return super()._write(rows)

    writer = Slow(store, flush_batch_size=1, flush_interval=60, max_queue_size=2)
    writer.start()
    feeding = threading.Thread(
        target=lambda: [writer.put({"a": rows({"id": [n]})}) for n in range(8)]
    )
    feeding.start()
    feeding.join(0.3)
    assert feeding.is_alive()
    go.set()
    feeding.join(20)
    assert writer.stop() == {"a": 8}


def test_rows_of_a_failed_flush_are_kept_in_a_file(store, tmp_path, monkeypatch):
    def locked(*_):
        raise StoreUnavailableError("here", "locked", "somebody has it")

    writer = BufferedMetadataWriter(store, flush_interval=60)
    writer.start()
    with monkeypatch.context() as broken:
        broken.setattr(store, "open", locked)
        writer.put({"a": rows({"id": ["x"]})})
        with pytest.raises(RuntimeError, match="background failed.*metaxy metadata replay"):
            writer.flush()
    assert writer.has_error
    with pytest.raises(RuntimeError, match="background failed"):
        writer.put({"a": rows({"id": ["y"]})})
    with pytest.raises(RuntimeError, match="background failed") as error:
        writer.stop()
    kept = error.value.__cause__
    assert isinstance(kept, NotStoredError)
    with store:
        assert store.replay(kept.path) == {"a": 1}
    assert ids(store, "a") == ["x"]


def test_rows_that_do_not_fit_are_kept_as_well(store):
    with pytest.raises(RuntimeError, match="MetadataSchemaError.*They are kept in"):
        with BufferedMetadataWriter(store, flush_interval=60) as writer:
            writer.put({"a": rows({"id": [None]})})


def test_batches_whose_columns_differ_in_type_are_stored_one_by_one(store):
    writer = BufferedMetadataWriter(store, flush_interval=60)
    writer.start()
    writer.put({"a": rows({"id": ["x"], "size": [1]})})
    writer.put({"a": rows({"id": ["y"], "size": ["big"]})})
    with pytest.raises(RuntimeError, match="'size' is stored as Int64"):
        writer.stop()
    assert ids(store, "a") == ["x"]


def test_a_store_that_comes_back_is_tried_again(store, monkeypatch):
    opening, calls = store.open, []

    def sometimes(mode):
        calls.append(mode)
        if len(calls) == 1:
            raise StoreUnavailableError("here", "locked", "somebody has it")
        return opening(mode)

    monkeypatch.setattr(store, "open", sometimes)
    with BufferedMetadataWriter(store, flush_interval=60) as writer:
        writer.put({"a": rows({"id": ["x"]})})
    assert writer.num_written == {"a": 1}


def test_wrong_moments_are_errors(store):
    writer = BufferedMetadataWriter(store)
    for use in (lambda: writer.put({"a": rows({"id": ["x"]})}), writer.flush):
        with pytest.raises(RuntimeError, match="not started"):
            use()
    with pytest.raises(RuntimeError, match="never started"):
        writer.stop()
    writer.start()
    with pytest.raises(RuntimeError, match="started before"):
        writer.start()
    assert writer.stop() == {}
    with pytest.raises(RuntimeError, match="was stopped"):
        writer.put({"a": rows({"id": ["x"]})})
    with pytest.raises(ValueError, match="at least 1; given: 0"):
        BufferedMetadataWriter(store, flush_batch_size=0)


def test_the_users_own_error_is_the_one_to_see(store):
    def work():
        with BufferedMetadataWriter(store, flush_interval=60) as writer:
            writer.put({"a": rows({"id": ["x"]})})
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        work()
    assert ids(store, "a") == ["x"]
