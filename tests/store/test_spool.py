"""What was computed and cannot be stored is kept in a file and stored later."""

from __future__ import annotations

import os
import stat

import duckdb
import pytest

from metaxy_core import DuckDBMetadataStore
from metaxy_core.errors import MetadataSchemaError, NotStoredError, SpoolFileError
from tests.builders import NOTHING, edge, expansion, feature, graph, rows, said, settle

FEATURES = graph(
    feature("a"),
    feature("b", "a"),
    feature("c", edge("a", lineage=expansion("id")), ids=["id", "n"]),
)


@pytest.fixture
def store(tmp_path):
    store = DuckDBMetadataStore(
        tmp_path / "a.duckdb", graph=FEATURES, spool_dir=tmp_path / "kept", project="p"
    )
    with store:
        settle(store, "a", samples=rows({"id": ["x", "y"]}))
    return store


def breaks(store, monkeypatch):
    def full(*_):
        raise duckdb.IOException("No space left on device\nsecond line")

    monkeypatch.setattr(store.backend, "append", full)


def test_rows_of_a_failed_write_are_kept_and_replayed_once(store, monkeypatch):
    with store, monkeypatch.context() as broken:
        breaks(store, broken)
        todo = store.resolve_update("b").todo()
        with pytest.raises(NotStoredError, match="IOException: No space left on device") as error:
            store.write("b", todo, materialization_id="run-1")
    path = error.value.path
    assert path is not None
    assert path.parent.name == "kept"
    assert f"metaxy metadata replay {path}" in str(error.value)
    assert stat.S_IMODE(os.stat(path.parent).st_mode) == 0o700
    with store:
        assert store.replay(path) == {"b": 2}
        assert store.replay(path) == {"b": 0}
        assert said(store.resolve_update("b")) == NOTHING
        runs = store.read("b", columns=["metaxy_materialization_id"]).collect("polars")
        assert runs.rows() == [("run-1",), ("run-1",)]


def test_sets_and_their_childless_parents_are_kept_together(store, monkeypatch):
    with store, monkeypatch.context() as broken:
        breaks(store, broken)
        todo = store.resolve_update("c").todo().to_native()
        with pytest.raises(NotStoredError) as error:
            store.write("c", todo.head(1).with_columns(n=1), empty_parents=todo.tail(1))
    with store:
        assert store.replay(error.value.path) == {"c": 2}
        assert said(store.resolve_update("c")) == NOTHING


def test_rows_are_kept_when_the_store_cannot_be_opened(store, tmp_path):
    with store:
        todo = store.resolve_update("b").todo()
    (tmp_path / "no").write_text("a file")
    nowhere = DuckDBMetadataStore(
        tmp_path / "no" / "a.duckdb", graph=FEATURES, spool_dir=tmp_path / "kept"
    )
    with pytest.raises(NotStoredError, match="StoreUnavailableError") as error:
        nowhere.deliver("b", todo, materialization_id="run-1")
    with store:
        assert store.replay(error.value.path) == {"b": 2}
        assert said(store.resolve_update("b")) == NOTHING


def test_they_are_stored_under_the_graph_they_were_computed_for(store, monkeypatch):
    with store, monkeypatch.context() as broken:
        breaks(store, broken)
        with pytest.raises(NotStoredError) as error:
            store.write("b", store.resolve_update("b").todo())
    bumped = graph(feature("a"), feature("b", "a", fields=[("f", "2")]))
    with store.using(bumped) as later:
        later.replay(error.value.path)
        assert said(later.resolve_update("b"))["stale"] == ["x", "y"]
    with store:
        assert said(store.resolve_update("b")) == NOTHING


def test_rows_that_do_not_fit_are_refused_and_not_kept(store, tmp_path):
    with store, pytest.raises(MetadataSchemaError):
        store.write("b", rows({"id": ["x"]}))
    assert not (tmp_path / "kept").exists()


def test_where_no_file_can_be_written_either_the_error_says_so(store, tmp_path, monkeypatch):
    (tmp_path / "kept").write_text("a file where the folder should be")
    with store:
        breaks(store, monkeypatch)
        with pytest.raises(NotStoredError, match="could not be kept in a file either") as error:
            store.write("b", store.resolve_update("b").todo())
    assert error.value.path is None


def test_a_damaged_or_foreign_file_is_refused(store, tmp_path):
    other = tmp_path / "notes.txt"
    other.write_text("hello")
    with store:
        with pytest.raises(SpoolFileError, match="is not a file of rows"):
            store.replay(other)
        with pytest.raises(SpoolFileError, match="There is no file"):
            store.replay(tmp_path / "none")
