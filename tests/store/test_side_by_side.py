"""Other writers come before a commit or after it, not between its looking and its doing."""

from __future__ import annotations

import polars as pl

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
