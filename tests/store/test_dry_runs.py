"""What would be done is counted as it would be done, and nothing is changed."""

from __future__ import annotations

import polars as pl
import pytest

from metaxy_core.errors import FallbackDeleteError
from metaxy_core.errors import StoreNotOpenError as NotOpen
from tests.builders import edge, expansion, feature, graph, rows, settle

CHAIN = graph(feature("a"), feature("b", "a"))
SETS = graph(feature("a"), feature("c", edge("a", lineage=expansion("id")), ids=["id", "n"]))
WHERE = ["id = 'x'", "id <> 'x'", "true", "false"]


@pytest.mark.parametrize("soft", [True, False])
@pytest.mark.parametrize("where", WHERE)
def test_a_delete_does_what_its_dry_run_says(make_store, soft, where):
    store = make_store(CHAIN)
    with store:
        settle(store, "a", samples=rows({"id": ["x", "y", "z"]}))
        settle(store, "a", samples=rows({"id": ["x"]}, "2"))
        store.delete("a", "id = 'y'")
        would = store.delete("a", where, soft=soft, dry_run=True)
        assert store.inventory("a").samples == 2
        assert store.delete("a", where, soft=soft) == would
        assert store.delete("a", where, soft=soft, dry_run=True) == 0


def test_children_are_counted_as_samples(make_store):
    store = make_store(SETS)
    with store:
        settle(store, "a", samples=rows({"id": ["x", "y"]}))
        todo = store.resolve_update("c").todo()
        children = [{"id": "x", "n": 1}, {"id": "x", "n": 2}]
        made = pl.DataFrame(children).join(todo.to_native(), on="id")
        empty = todo.to_native().filter(pl.col("id") == "y")
        store.write("c", made, empty_parents=empty)
        assert store.delete("c", "n > 1", dry_run=True) == 1
        found = store.inventory("c")
        assert (found.samples, found.rows, found.tombstones, found.open) == (2, 3, 0, 0)


def test_ids_are_counted_once(make_store):
    store = make_store(CHAIN)
    with store:
        settle(store, "a", samples=rows({"id": ["x", "y"]}))
        twice = rows({"id": ["x", "x"]}).select("id")
        assert store.delete("a", samples=twice, dry_run=True) == 1


def test_a_dry_run_needs_an_open_store_and_not_a_writable_one(make_store):
    store = make_store(CHAIN)
    with pytest.raises(NotOpen):
        store.delete("a", "true", dry_run=True)
    with store:
        settle(store, "a", samples=rows({"id": ["x"]}))
        store.push()
    if store.backend.describe()["uri"].endswith("memory://"):
        return
    with store.open("r"):
        assert store.delete("a", "true", dry_run=True) == 1
        assert not store.push(dry_run=True)


def test_what_a_fallback_store_has_is_not_counted_as_to_be_deleted(make_store):
    other = make_store(CHAIN)
    with other:
        settle(other, "a", samples=rows({"id": ["x"]}))
    store = make_store(CHAIN, fallback_stores=[other], name="own")
    with store:
        with pytest.raises(FallbackDeleteError):
            store.delete("a", "true", dry_run=True)
        assert store.inventory("a").store == other.display()
        assert store.inventory("a", allow_fallback=False) is None
        assert store.inventory("b") is None


def test_a_copy_does_what_its_dry_run_says(make_store):
    source, target = make_store(CHAIN), make_store(CHAIN)
    with source:
        settle(source, "a", samples=rows({"id": ["x", "y"]}))
        settle(source, "b")
    with target:
        would = target.copy_metadata(source, dry_run=True)
        assert target.inventory("a") is None
        assert target.copy_metadata(source) == would == {"a": 2, "b": 2}


def test_rows_of_the_current_version_are_told_apart(make_store):
    store = make_store(CHAIN)
    with store:
        settle(store, "a", samples=rows({"id": ["x", "y"]}))
        bumped = store.using(graph(feature("a", fields=[("f", 2)]), feature("b", "a")))
        settle(bumped, "a", samples=rows({"id": ["x"]}))
        found = bumped.inventory("a")
    assert (found.samples, found.current, found.rows) == (2, 1, 3)
    assert found.written_at is not None
