"""Comparisons that begin where the last one ended say what full ones say."""

from __future__ import annotations

from dataclasses import replace

import narwhals as nw
import polars as pl
import pytest

from metaxy_core import DuckDBMetadataStore, InMemoryMetadataStore
from metaxy_core.columns import COMMIT
from metaxy_core.errors import StoreError
from metaxy_core.store import settling
from metaxy_core.system import marks
from tests.builders import (
    NOTHING,
    aggregation,
    edge,
    expansion,
    feature,
    graph,
    rows,
    said,
    settle,
)

CHAIN = graph(feature("a", fields=["f", "g"]), feature("b", "a", fields=["f"]))
GROUPS = graph(
    feature("take", fields=["f"]),
    feature("voice", edge("take", lineage=aggregation("who")), ids="who", fields=["f"]),
)


@pytest.fixture(autouse=True)
def looked(monkeypatch):
    """Marks for the smallest tables; whether each comparison began from one."""
    monkeypatch.setattr(settling, "FROM_ROWS", 1)
    monkeypatch.setattr(settling, "LARGEST_PART", 1)
    look, found = settling.look, []

    def noted(*arguments):
        moved = look(*arguments)
        found.append(moved.units is not None)
        return moved

    monkeypatch.setattr(settling, "look", noted)
    return found


def samples(**texts):
    return rows({"id": list(texts)}, [{"f": text, "g": "1"} for text in texts.values()])


def settled(store):
    """Three samples, all done, and a mark."""
    settle(store, "a", samples=samples(x="1", y="1", z="1"))
    settle(store, "b")
    assert store.settle(store.resolve_update("b"))


def resolved(store, looked, key="b", **options):
    """What an increment says, and whether it began from the mark."""
    looked.clear()
    found = said(store.resolve_update(key, **options), *(["who"] if key == "voice" else []))
    return found, looked[-1]


def test_what_was_written_since_is_found_and_only_that_is_looked_at(make_store, looked):
    with make_store(CHAIN) as store:
        settled(store)
        assert resolved(store, looked) == (NOTHING, True)
        settle(store, "a", samples=samples(x="2", w="1"))
        store.delete("a", "id = 'y'")
        expected = {"new": ["w"], "stale": ["x"], "orphaned": ["y"]}
        assert resolved(store, looked) == (expected, True)
        assert resolved(store, looked, full=True) == (expected, False)


def test_what_was_pending_stays_pending(make_store, looked):
    with make_store(CHAIN) as store:
        settled(store)
        settle(store, "a", samples=samples(x="2", y="2"))
        assert store.settle(store.resolve_update("b"))
        assert resolved(store, looked) == (NOTHING | {"stale": ["x", "y"]}, True)
        store.write("b", store.resolve_update("b").todo().filter(nw.col("id") == "x"))
        assert resolved(store, looked) == (NOTHING | {"stale": ["y"]}, True)
        assert not store.settle(store.resolve_update("a", samples=samples(x="2")))


def test_a_mark_that_says_nothing_new_is_not_written(make_store):
    with make_store(CHAIN) as store:
        settled(store)
        assert not store.settle(store.resolve_update("b"))


def test_a_commit_that_came_late_is_found(looked):
    with InMemoryMetadataStore(graph=CHAIN) as store:
        settled(store)
        row = store.backend.scan("a").filter(nw.col("id") == "x").with_columns(id=nw.lit("late"))
        store.backend.commit(lambda _: store.backend.append("a", row))
        assert resolved(store, looked) == (NOTHING | {"new": ["late"]}, False)


def test_as_many_that_came_late_as_were_deleted_for_good_are_found(looked):
    with InMemoryMetadataStore(graph=CHAIN) as store:
        settled(store)
        row = store.backend.scan("a").filter(nw.col("id") == "x").with_columns(id=nw.lit("late"))
        store.backend.commit(lambda _: store.backend.append("a", row))
        store.delete("a", "id = 'y'", soft=False)
        expected = NOTHING | {"new": ["late"], "orphaned": ["y"]}
        assert resolved(store, looked) == (expected, False)


def test_rows_that_were_removed_are_noticed(make_store, looked):
    with make_store(CHAIN) as store:
        settled(store)
        gone = nw.from_native(pl.LazyFrame({"id": ["y"]}))
        store.backend.commit(lambda _: store.backend.delete("a", gone))
        assert resolved(store, looked) == (NOTHING | {"orphaned": ["y"]}, False)


def test_other_code_and_other_edges_are_compared_in_full(make_store, looked):
    with make_store(CHAIN) as store:
        settled(store)
        for changed in (
            graph(CHAIN["a"], feature("b", "a", fields=[("f", 2)])),
            graph(CHAIN["a"], feature("b", edge("a", filters=["id <> 'x'"]), fields=["f"])),
            graph(feature("a", fields=[("f", 2), "g"]), CHAIN["b"]),
        ):
            found = resolved(store.using(changed), looked)
            assert found == (said(store.using(changed).resolve_update("b", full=True)), False)


def test_a_table_that_was_made_anew_is_compared_in_full(make_store, looked):
    with make_store(CHAIN) as store:
        settled(store)
        store.drop("a")
        settle(store, "a", samples=samples(x="2", y="1", z="1"))
        assert resolved(store, looked) == (NOTHING | {"stale": ["x"]}, False)


def test_compacted_history_is_compared_in_full_once(make_store, looked):
    with make_store(CHAIN) as store:
        settled(store)
        settle(store, "a", samples=samples(x="2"))
        settle(store, "b")
        assert store.settle(store.resolve_update("b"))
        store.compact()
        increment = store.resolve_update("b")
        assert (said(increment), looked[-1]) == (NOTHING, False)
        assert store.settle(increment)
        assert resolved(store, looked) == (NOTHING, True)


def test_a_member_that_goes_to_another_group_touches_both(make_store, looked):
    def takes(**who):
        return rows({"id": list(who), "who": list(who.values())})

    with make_store(GROUPS) as store:
        settle(store, "take", samples=takes(a="ann", b="ann", c="bob", d="cy"))
        settle(store, "voice")
        assert store.settle(store.resolve_update("voice"))
        moved = takes(b="bob").with_columns(metaxy_provenance_by_field=pl.struct(f=pl.lit("2")))
        settle(store, "take", samples=moved)
        expected = {"new": [], "stale": ["ann", "bob"], "orphaned": []}
        assert resolved(store, looked, "voice") == (expected, True)


def test_units_that_an_optional_parent_does_not_tell_are_found(make_store, looked):
    pairs = graph(
        feature("a", ids=["i", "j"]),
        feature("b", ids=["j", "k"]),
        feature("c", ids=["i", "j", "k"]),
        feature("d", "a", "b", edge("c", optional=True), ids=["i", "j", "k"]),
    )
    with make_store(pairs) as store:
        settle(store, "a", samples=rows({"i": ["1"], "j": ["1"]}))
        settle(store, "b", samples=rows({"j": ["1"], "k": ["1"]}))
        settle(store, "c", samples=rows({"i": ["1"], "j": ["1"], "k": ["1"]}))
        settle(store, "d")
        store.settle(store.resolve_update("d"))
        settle(store, "a", samples=rows({"i": ["2"], "j": ["1"]}))
        assert said(store.resolve_update("d"), "i", "j", "k")["new"] == [("2", "1", "1")]


def test_other_units_of_a_parent_are_compared_in_full(make_store, looked):
    def declared(*ids):
        return graph(
            feature("g", ids=list(ids)),
            feature("p", edge("g", lineage=expansion(list(ids))), ids=["a", "b", "c"]),
            feature("d", "p", ids=["a", "b", "c"]),
        )

    with make_store(declared("a")) as store:
        settle(store, "g", samples=rows({"a": ["1"]}))
        todo = store.resolve_update("p").todo().to_native()
        store.write("p", todo.with_columns(b=pl.lit("x"), c=pl.lit("1")))
        settle(store, "d")
        assert store.settle(store.resolve_update("d"))
        other = store.using(declared("a", "b"))
        full = said(other.resolve_update("d", full=True), "a", "b", "c")
        assert said(other.resolve_update("d"), "a", "b", "c") == full
        assert looked[-1] is False


def test_a_mark_of_another_store_is_refused(tmp_path):
    one, other = (DuckDBMetadataStore(tmp_path / f"{n}.duckdb", graph=CHAIN) for n in "ab")
    with one:
        settle(one, "a", samples=samples(x="1"))
        increment = one.resolve_update("b")
    with other, pytest.raises(StoreError, match="says nothing of"):
        other.settle(increment)


def test_pending_units_are_remembered_in_order(make_store):
    with make_store(CHAIN) as store:
        settle(store, "a", samples=samples(**{f"x{n:03}": "1" for n in range(300)}))
        assert store.settle(store.resolve_update("b"))
        assert not store.settle(store.resolve_update("b"))


def test_failures_are_seen_from_a_mark(make_store, looked):
    with make_store(CHAIN) as store:
        settled(store)
        settle(store, "a", samples=samples(x="2", y="2"))
        todo = store.resolve_update("b").todo()
        store.record_failures("b", todo.filter(nw.col("id") == "x"), "no")
        assert store.settle(store.resolve_update("b"))
        assert resolved(store, looked) == (NOTHING | {"stale": ["y"]}, True)
        store.retry_failures("b")
        assert resolved(store, looked) == (NOTHING | {"stale": ["x", "y"]}, True)


@pytest.mark.parametrize(
    "options",
    [
        {"skip_comparison": True},
        {"global_filters": ["id = 'x'"]},
        {"staleness_predicates": ["id = 'x'"]},
        {"units": {"id": ["x"]}},
    ],
)
def test_what_asks_for_more_or_less_than_what_there_is_to_do_needs_no_mark(
    make_store, looked, options
):
    with make_store(CHAIN) as store:
        settled(store)
        looked.clear()
        assert store.resolve_update("b", **options).mark is None
        assert looked == [False]


def test_what_is_left_of_very_much_is_found_when_it_is_done(make_store, monkeypatch, looked):
    monkeypatch.setattr(settling, "MOST_PENDING", 2)
    with make_store(CHAIN) as store:
        settle(store, "a", samples=samples(x="1", y="1", z="1"))
        backlog = store.resolve_update("b")
        assert not store.settle(backlog)
        todo = backlog.todo().sort("id")
        store.write("b", todo.head(2))
        assert store.settle(backlog)
        looked.clear()
        assert said(store.resolve_update("b")) == NOTHING | {"new": ["z"]}
        assert looked == [True]


def test_old_marks_are_removed(make_store):
    with make_store(CHAIN) as store:
        settled(store)
        for text in range(40):
            settle(store, "a", samples=samples(x=str(text + 2)))
            assert store.settle(store.resolve_update("b", lazy=True))
        assert len(store.backend.scan(marks.MARKS).select(COMMIT).collect("polars")) <= 16


def test_small_tables_have_no_marks(make_store, monkeypatch):
    monkeypatch.setattr(settling, "FROM_ROWS", 1_000)
    with make_store(CHAIN) as store:
        settle(store, "a", samples=samples(x="1"))
        assert store.resolve_update("b").mark is None


def test_features_of_one_parent_have_units_of_their_own(make_store, looked):
    features = graph(
        feature("take", fields=["f"]),
        feature("cut", "take", fields=["f"]),
        feature("voice", edge("take", lineage=aggregation("who")), ids="who", fields=["f"]),
    )
    with make_store(features) as store:
        takes = rows({"id": ["1", "2"], "who": ["ann", "bob"]})
        store.write("take", takes)
        for key in ("cut", "voice"):
            settle(store, key)
            assert store.settle(store.resolve_update(key))
        store.write("take", rows({"id": ["2"], "who": ["bob"]}, "2"))
        assert resolved(store, looked, "cut") == (NOTHING | {"stale": ["2"]}, True)
        assert resolved(store, looked, "voice") == (NOTHING | {"stale": ["bob"]}, True)


def test_what_was_deleted_or_came_back_since_is_found(make_store, looked):
    """Rows since the mark decide alone only where no older row could count."""
    with make_store(CHAIN) as store:
        settled(store)
        settle(store, "a", samples=samples(x="2", y="2"))
        store.delete("a", "id = 'x'")
        store.delete("a", "id = 'z'")
        store.undelete("a", "id = 'z'")
        expected = NOTHING | {"stale": ["y"], "orphaned": ["x"]}
        assert resolved(store, looked) == (expected, True)
        assert resolved(store, looked, full=True) == (expected, False)


def test_verify_tells_a_mark_that_is_wrong(make_store, looked):
    with make_store(CHAIN) as store:
        settled(store)
        settle(store, "a", samples=samples(x="2"))
        increment = store.resolve_update("b")
        assert store.settle(increment)
        assert store.verify() == []
        marks.record(store.backend, replace(increment.mark, pending=[]))
        assert resolved(store, looked) == (NOTHING, True)
        (finding,) = store.verify()
        assert (finding.feature, finding.rows, finding.examples) == ("b", 1, ({"id": "x"},))


def test_a_column_with_the_name_of_an_engines_row_numbers_is_one_like_any_other(make_store, looked):
    with make_store(CHAIN) as store:
        given = samples(x="1", y="1").with_columns(RowId=pl.Series(["x", None]))
        settle(store, "a", samples=given)
        settle(store, "b")
        assert store.settle(store.resolve_update("b"))
        settle(store, "a", samples=samples(x="2", y="2"))
        assert resolved(store, looked) == (NOTHING | {"stale": ["x", "y"]}, True)
