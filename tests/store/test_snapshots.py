"""Recorded graphs: their tags, their code, and those of other projects."""

from datetime import UTC, datetime

import narwhals as nw
import polars as pl
import pytest

from metaxy_core import FeatureGraph, FieldSpec, GraphSnapshot, implements
from metaxy_core.errors import SystemDataNotFoundError, TagError
from metaxy_core.hashing import sha256
from metaxy_core.keys import FeatureKey
from metaxy_core.system.snapshots import graphs
from metaxy_core.system.tables import SNAPSHOTS
from tests.builders import feature

VIDEO = FeatureKey("video")


def declared(code=1):
    return FeatureGraph(
        [feature("video", fields=[FieldSpec("f", code_version=code)]), feature("crop", "video")]
    )


def one(x):
    return x + 1


def two(x):
    return x + 2


def test_a_graph_is_recorded_again_when_only_its_code_changed(make_store):
    graph = declared()
    implements("video", graph=graph)(one)
    with make_store(graph) as store:
        assert [store.push(), store.push()] == [True, False]
        assert store.load_sources() == {VIDEO: "def one(x):\n    return x + 1"}
        implements("video", graph=graph)(two)
        assert [store.push(), store.push()] == [True, False]
        first, second = store.snapshots()
        assert first.version == second.version
        assert store.load_sources(first) == {VIDEO: "def one(x):\n    return x + 1"}
        assert store.load_sources(second)[VIDEO].startswith("def one")


def test_snapshots_recorded_before_there_was_code_stay_readable(make_store):
    graph = declared()
    snapshot = GraphSnapshot.of(graph.freeze())
    row = {
        "version": snapshot.version,
        "definition": sha256(snapshot.definition),
        "project": "default",
        "recorded_at": datetime.now(UTC),
        "features": 2,
        "graph": snapshot.to_json(),
    }
    with make_store(graph) as store:

        def record(numbers):
            old = pl.LazyFrame([row | {"metaxy_commit": numbers[0]}])
            store.backend.append(SNAPSHOTS, nw.from_native(old))

        store.backend.commit(record)
        assert store.load_snapshot().version == snapshot.version
        assert store.load_sources() == {}
        assert store.push() is False
        implements("video", graph=graph)(one)
        assert store.push() is True
        assert [len(store.load_sources(found)) for found in store.snapshots()] == [0, 1]


def test_a_tag_is_of_one_graph_until_it_is_moved(make_store):
    store = make_store(declared())
    with store.open("w"):
        assert store.push("v1") is True
        assert store.push("v1") is False
        other = store.using(declared(2))
        with pytest.raises(TagError, match="'v1'"):
            other.push("v1")
        assert len(store.snapshots()) == 1
        other.push("v1", move_tag=True)
        assert [found.tags for found in store.snapshots()] == [(), ("v1",)]
        assert store.load_snapshot("v1").version == other.graph.snapshot_version


def interrupted(monkeypatch, store, meanwhile):
    """Let something else be committed right before the store's next commit."""
    commit = store.backend.commit

    def later(work, numbers=1):
        monkeypatch.undo()
        meanwhile()
        return commit(work, numbers)

    monkeypatch.setattr(store.backend, "commit", later)


def test_two_pushes_at_once_record_a_graph_once(make_store, monkeypatch):
    store = make_store(declared())
    with store.open("w"):
        interrupted(monkeypatch, store, store.push)
        assert store.push("v1") is False
        assert [found.tags for found in store.snapshots()] == [("v1",)]


def test_of_two_pushes_at_once_one_has_the_tag(make_store, monkeypatch):
    store = make_store(declared())
    with store.open("w"):
        other = store.using(declared(2))
        interrupted(monkeypatch, store, lambda: store.push("v1"))
        with pytest.raises(TagError, match="'v1'"):
            other.push("v1")
        assert [found.tags for found in store.snapshots()] == [("v1",)]


def test_recorded_graphs_are_newest_first_also_one_that_is_back(make_store):
    store = make_store(declared())
    with store.open("w"):
        other = store.using(declared(2))
        assert [store.push(), other.push(), store.push()] == [True] * 3
        found = [graph.snapshot_version for graph in graphs(store.backend)]
        assert found == [one.graph.snapshot_version for one in (store, other)]


def test_another_projects_tags_are_not_ours(make_store):
    store = make_store(declared())
    with store.open("w"):
        store.push("v1")
        there = store.using(declared(2))
        there.project = "other"
        there.push("v1")
        assert there.load_snapshot("v1").version != store.load_snapshot("v1").version
        assert [found.tags for found in store.snapshots()] == [("v1",)]
        with pytest.raises(SystemDataNotFoundError, match=r"Tags: v1\."):
            store.load_snapshot("v2")


def test_other_projects_are_found_here_and_in_fallback_stores(make_store):
    far = make_store(declared(), project="far")
    with far.open("w"):
        far.push()
    near = make_store(declared(2), project="near")
    with near.open("w"):
        near.push()
        mine = near.using(declared(3))
        mine.project, mine.fallback_stores = "mine", (far,)
        mine.push()
        found = mine.other_projects()
    assert {name: graph.version for name, graph in found.items()} == {
        "far": declared().freeze().snapshot_version,
        "near": declared(2).freeze().snapshot_version,
    }
