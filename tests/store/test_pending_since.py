"""Since when the unit that is pending for longest has been."""

from __future__ import annotations

from datetime import UTC, datetime

import narwhals as nw
import pytest

from metaxy_core import InMemoryMetadataStore
from metaxy_core.store import deletion, writing
from tests.builders import aggregation, edge, expansion, feature, graph, rows, settle

CHAIN = graph(feature("a", fields=["f", "g"]), feature("b", "a", fields=["f", "g"]))


@pytest.fixture
def clock(monkeypatch):
    """Rows are written on the day of January that is set."""

    class Clock:
        day = 1

        @classmethod
        def now(cls, zone):
            return at(cls.day)

    monkeypatch.setattr(writing, "datetime", Clock)
    monkeypatch.setattr(deletion, "datetime", Clock)
    return Clock


def at(day):
    return datetime(2030, 1, day, tzinfo=UTC)


def samples(**texts):
    return rows({"id": list(texts)}, [{"f": text, "g": "1"} for text in texts.values()])


def since(store, key="b", **how):
    return store.resolve_update(key, lazy=True, **how).pending_since


def test_what_is_new_or_changed_is_pending_since_its_parent_was_written(make_store, clock):
    with make_store(CHAIN) as store:
        settle(store, "a", samples=samples(x="1", y="1"))
        assert since(store) == at(1)
        clock.day = 2
        settle(store, "b")
        assert since(store) is None
        clock.day = 3
        settle(store, "a", samples=samples(x="2", y="1"))
        clock.day = 4
        settle(store, "a", samples=samples(x="2", y="2", z="1"))
        assert since(store) == at(3)
        settle(store, "b", global_filters=[nw.col("id") == "x"])
        assert since(store) == at(4)


def test_since_when_code_changed_or_rows_were_deleted_is_not_known(make_store, clock):
    changed = graph(feature("a", fields=["f", "g"]), feature("b", "a", fields=["f", ("g", "2")]))
    with make_store(CHAIN) as store:
        settle(store, "a", samples=samples(x="1", y="1"))
        clock.day = 2
        settle(store, "b")
        later = store.using(changed)
        assert later.resolve_update("b").counts["stale"] == 2
        assert since(later) is None
        clock.day = 3
        store.delete("b", "id = 'x'")
        assert store.resolve_update("b").counts["new"] == 1
        assert since(store) is None
        clock.day = 4
        settle(store, "a", samples=samples(x="2", y="1"))
        assert since(store) == at(4)


def test_the_last_of_several_inputs_counts(make_store, clock):
    wide = graph(
        feature("a", ids=["id", "n"], fields=["f"]),
        feature("c", ids="id", fields=["f"]),
        feature("sum", edge("a", lineage=aggregation("id")), "c", fields=["f"]),
    )
    members = rows({"id": ["x", "x", "y"], "n": [1, 2, 1]})
    with make_store(wide) as store:
        settle(store, "a", samples=members)
        clock.day = 2
        settle(store, "c", samples=rows({"id": ["x"]}))
        assert since(store, "sum") == at(2)
        clock.day = 3
        settle(store, "a", samples=rows({"id": ["x", "x", "y"], "n": [1, 3, 1]}))
        assert since(store, "sum") == at(3)


def test_a_set_of_children_is_pending_since_its_parent(make_store, clock):
    cuts = graph(feature("a"), feature("cut", edge("a", lineage=expansion()), ids=["id", "n"]))
    with make_store(cuts) as store:
        settle(store, "a", samples=rows({"id": ["x", "y"]}))
        todo = store.resolve_update("cut").todo().to_native()
        clock.day = 2
        store.write("cut", todo.join(rows({"n": [1, 2]}).select("n"), how="cross"))
        assert since(store, "cut") is None
        settle(store, "a", samples=rows({"id": ["x", "y", "z"]}))
        assert since(store, "cut") == at(2)


def test_an_increment_of_samples_knows_nothing(clock):
    with InMemoryMetadataStore(graph=CHAIN) as store:
        assert since(store, "a", samples=samples(x="1")) is None
