"""Other writers come before a commit or after it, not between its looking and its doing."""

from __future__ import annotations

import polars as pl
import pytest

from metaxy_core.errors import MetadataSchemaError, SetClosedError
from tests.builders import edge, expansion, feature, graph, rows, settle

FEATURES = graph(
    feature("a"), feature("chunk", edge("a", lineage=expansion("id")), ids=["id", "k"])
)


def first(monkeypatch, store, act):
    """Let somebody act just before the next commit begins."""
    commit = store.backend.commit

    def later(work, numbers=1):
        monkeypatch.setattr(store.backend, "commit", commit)
        act()
        return commit(work, numbers)

    monkeypatch.setattr(store.backend, "commit", later)


def numbered(**n):
    return rows({"id": list(n)}).with_columns(n=pl.Series(list(n.values())))


def ids(store, key="a", **read):
    return sorted(store.read(key, **read).collect("polars")["id"].to_list())


def test_a_delete_spares_what_was_just_replaced(make_store, monkeypatch):
    for soft in (True, False):
        with make_store(FEATURES) as store:
            store.write("a", numbered(x=1, y=1, z=2))
            first(monkeypatch, store, lambda: store.write("a", numbered(x=2)))
            assert store.delete("a", "n = 1", soft=soft) == 1
            assert ids(store) == ["x", "z"]


def test_deleting_a_child_keeps_the_set_that_was_just_written(make_store, monkeypatch):
    with make_store(FEATURES) as store:
        settle(store, "a", samples=rows({"id": ["x"]}))
        todo = store.resolve_update("chunk").todo().to_native()
        children = pl.concat([todo.with_columns(k=pl.lit(k, pl.Int64)) for k in range(3)])
        store.write("chunk", children)
        other = store.using(FEATURES)
        renewed = children.with_columns(size=pl.lit(9)).filter(pl.col("k") < 2)
        first(monkeypatch, store, lambda: other.write("chunk", renewed, write_id="another:1"))
        assert store.delete("chunk", "k = 0") == 1
        found = store.read("chunk").collect("polars").to_native()
        assert found.select("k", "size").rows() == [(1, 9)]


def test_an_undelete_spares_what_was_just_written(make_store, monkeypatch):
    with make_store(FEATURES) as store:
        for n in (1, 2):
            store.write("a", numbered(x=n, y=n))
        store.delete("a", "true")
        first(monkeypatch, store, lambda: store.write("a", numbered(x=3)))
        assert store.undelete("a") == 1
        found = store.read("a").collect("polars").to_native().sort("id")
        assert found.select("id", "n").rows() == [("x", 3), ("y", 2)]


def of_a_set(store, *k):
    """Children of all parents, as the increment wants them."""
    todo = store.resolve_update("chunk").todo().to_native()
    return pl.concat([todo.with_columns(k=pl.lit(number, pl.Int64)) for number in k])


def test_a_column_that_was_just_added_with_another_type_is_refused(make_store, monkeypatch):
    with make_store(FEATURES) as store:
        store.write("a", rows({"id": ["x"]}))
        texts = rows({"id": ["y"], "size": ["big"]})
        first(monkeypatch, store, lambda: store.write("a", texts))
        with pytest.raises(MetadataSchemaError, match="'size' is stored as String.*Int64"):
            store.write("a", rows({"id": ["z"], "size": [1]}))
        assert ids(store) == ["x", "y"]


def test_ids_of_another_type_than_those_of_the_table_just_made_are_refused(make_store, monkeypatch):
    with make_store(FEATURES) as store:
        first(monkeypatch, store, lambda: store.write("a", rows({"id": [1]})))
        with pytest.raises(MetadataSchemaError, match="id column 'id' is String.*Int64"):
            store.write("a", rows({"id": ["x"]}))
        assert ids(store) == [1]


def test_a_set_that_the_same_run_just_closed_is_not_replaced(make_store, monkeypatch):
    with make_store(FEATURES) as store:
        settle(store, "a", samples=rows({"id": ["x"]}))
        children = of_a_set(store, 0, 1, 2)
        run = {"materialization_id": "run"}
        one_part = children.filter(pl.col("k") == 0)
        first(
            monkeypatch, store, lambda: store.write("chunk", one_part, write_id="another:1", **run)
        )
        with pytest.raises(SetClosedError, match="already written by this writer or run"):
            store.write("chunk", children.filter(pl.col("k") > 0), **run)
        assert store.read("chunk").collect("polars")["k"].to_list() == [0]


def test_a_write_of_several_features_is_whole_though_one_does_not_fit_any_more(
    make_store, monkeypatch
):
    with make_store(graph(feature("a"), feature("b"))) as store:
        store.write("b", rows({"id": ["x"]}))
        texts = rows({"id": ["y"], "size": ["big"]})
        first(monkeypatch, store, lambda: store.write("b", texts))
        with pytest.raises(MetadataSchemaError):
            store.write_multi({"a": rows({"id": ["z"]}), "b": rows({"id": ["z"], "size": [1]})})
        assert not store.has_feature("a")
        assert ids(store, "b") == ["x", "y"]


def test_rows_that_somebody_else_just_copied_are_not_copied_again(make_store, monkeypatch):
    source = make_store(FEATURES)
    with source, make_store(FEATURES) as store:
        for n in (1, 2):
            source.write("a", numbered(x=n))
        first(monkeypatch, store, lambda: store.copy_metadata(source))
        assert store.copy_metadata(source) == {"a": 0}
        found = store.read("a", with_sample_history=True).collect("polars")
        assert sorted(found["n"].to_list()) == [1, 2]
