"""Dynamic partitions that follow the values of a column."""

from __future__ import annotations

import dagster as dg
import polars as pl
import pytest

from metaxy_core import DefinitionError, FeatureGraph, FeatureSpec
from metaxy_dagster import MetaxyStore, dynamic_partitions_from

GRAPH = FeatureGraph([FeatureSpec("video", id_columns=["id"], fields=["f"])])


@pytest.fixture
def store() -> MetaxyStore:
    return MetaxyStore.memory(graph=GRAPH)


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as made:
        yield made


def fill(store: MetaxyStore, *sites: str | None) -> None:
    ids = [f"v{number}" for number in range(len(sites))]
    frame = pl.DataFrame(
        {
            "id": ids,
            "site": sites,
            "size": 1.5,
            "shard": list(range(len(sites))),
            "metaxy_provenance_by_field": [{"f": "1"}] * len(ids),
        },
        schema_overrides={"site": pl.String},
    )
    with store.open("w") as opened:
        opened.delete("video", "true") if opened.has_feature("video") else None
        opened.write("video", frame)


def tick(store: MetaxyStore, instance: dg.DagsterInstance, column: str = "site", **how: object):
    """What a tick says; its requests are done as the daemon does."""
    sensor = dynamic_partitions_from("video", column, "sites", store=store, graph=GRAPH, **how)
    with dg.build_sensor_context(instance=instance) as context:
        result = sensor(context)
    if isinstance(result, dg.SkipReason):
        return result.skip_message
    for request in result.dynamic_partitions_requests or []:
        if isinstance(request, dg.AddDynamicPartitionsRequest):
            instance.add_dynamic_partitions("sites", request.partition_keys)
        else:
            for key in request.partition_keys:
                instance.delete_dynamic_partition("sites", key)
    return result.skip_reason.skip_message


def test_values_become_keys_and_stay_unless_they_are_to_be_deleted(store, instance):
    assert tick(store, instance) == "Nothing of video is stored yet."
    fill(store, "south", "north", "north", None)
    assert tick(store, instance) == "Partitions 'sites': 2 added (north, south)."
    assert tick(store, instance) == "Partitions 'sites': nothing to add."
    fill(store, "north", "west")
    assert tick(store, instance) == "Partitions 'sites': 1 added (west)."
    assert sorted(instance.get_dynamic_partitions("sites")) == ["north", "south", "west"]
    assert tick(store, instance, delete=True) == "Partitions 'sites': 1 deleted (south)."
    assert sorted(instance.get_dynamic_partitions("sites")) == ["north", "west"]


def test_too_many_values_are_told_and_nothing_is_added(store, instance):
    fill(store, "a", "b", "c")
    assert "more than 2 values of 'site'" in tick(store, instance, max_keys=2, delete=True)
    assert list(instance.get_dynamic_partitions("sites")) == []
    assert tick(store, instance, max_keys=3) == "Partitions 'sites': 3 added (a, b, c)."


def test_integers_are_keys_as_partition_by_has_them(store, instance):
    fill(store, "a", "b")
    tick(store, instance, "shard")
    assert sorted(instance.get_dynamic_partitions("sites")) == ["0", "1"]


def test_columns_that_make_no_keys_are_told(store, instance):
    fill(store, "a")
    with pytest.raises(DefinitionError, match="has no column 'place' to make partitions of. Its"):
        tick(store, instance, "place")
    with pytest.raises(DefinitionError, match="'size' of 'video' is Float64: keys are made of"):
        tick(store, instance, "size")
