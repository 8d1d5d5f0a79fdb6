"""Every earlier spelling does what the name of today does."""

from __future__ import annotations

import pytest

import metaxy_core
from metaxy_core import (
    Feature,
    FeatureDep,
    FeatureGraph,
    FeatureSpec,
    FieldDep,
    FieldSpec,
    GraphSnapshot,
    InMemoryMetadataStore,
    use_graph,
)
from tests.builders import feature, graph, rows, settle

FEATURES = graph(feature("a"), feature("b", "a"))


@pytest.fixture
def store():
    with InMemoryMetadataStore(graph=FEATURES) as store:
        settle(store, "a", samples=rows({"id": ["x"]}, "1"))
        settle(store, "a", samples=rows({"id": ["x"]}, "2"))
        yield store


def test_names_of_the_package():
    assert metaxy_core.BaseFeature is metaxy_core.Feature
    assert metaxy_core.BatchedMetadataWriter is metaxy_core.BufferedMetadataWriter
    assert metaxy_core.init_metaxy is metaxy_core.init
    with pytest.raises(AttributeError, match="no attribute 'NoSuchName'"):
        _ = metaxy_core.NoSuchName


def test_arguments_of_declarations():
    assert FeatureDep(key="a", columns=["path"]) == FeatureDep("a", select=["path"])
    assert FieldDep(feature_key="a") == FieldDep(feature="a")
    assert FieldSpec(name="audio") == FieldSpec("audio")
    assert FeatureSpec("a", deps=None) == FeatureSpec("a")
    with pytest.raises(TypeError, match="'select' is given twice"):
        FeatureDep("a", select=["path"], columns=["path"])


def test_the_spec_of_a_feature_class_may_be_called():
    with use_graph(FeatureGraph()):

        class Video(Feature, spec=FeatureSpec("video")):
            pass

    assert Video.spec() is Video.spec


def test_graphs():
    assert FEATURES.project_version == FEATURES.snapshot_version
    snapshot = GraphSnapshot.of(FEATURES)
    for given in (snapshot, snapshot.to_json()):
        found = FeatureGraph.from_snapshot(given).freeze()
        assert found.snapshot_version == FEATURES.snapshot_version


def test_reading(store):
    now = store.read("a").collect().to_native()
    assert store.read_metadata("a").collect().to_native().equals(now)
    assert store.read_metadata_in_store("a").collect().to_native().equals(now)
    assert len(store.read("a", latest_only=False).collect()) == 2
    assert len(store.read("a", latest_only=True).collect()) == 1
    bumped = store.using(graph(feature("a", fields=[("f", "2")])))
    assert len(bumped.read("a", current_only=True).collect()) == 0
    assert len(bumped.read("a", current_only=False).collect()) == 1


def test_writing(store):
    todo = store.resolve_update("b").todo()
    assert store.write_metadata("b", todo) == 1
    assert store.write_metadata_to_store("b", todo) == 1
    assert store.write_metadata_multi({"b": todo}) == {"b": 1}
    store.drop_feature_metadata("b")
    assert not store.has_feature("b")


def test_modes():
    store = InMemoryMetadataStore(graph=FEATURES)
    with store.open("write"):
        settle(store, "a", samples=rows({"id": ["x"]}))
    with store.open("read"):
        assert store.has_feature("a")


def test_increments(store):
    store.write("b", store.resolve_update("b").todo())
    settle(store, "a", samples=rows({"id": ["x", "y"]}, "3"))
    store.delete("a", "id = 'x'")
    for increment in (store.resolve_update("b"), store.resolve_update("b", lazy=True).collect()):
        assert increment.added["id"].to_list() == ["y"]
        assert len(increment.changed) == 0
        assert increment.removed["id"].to_list() == ["x"]
