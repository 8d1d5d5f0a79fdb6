"""Bad input: refused at definition where it can be, else before rows are stored, by name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import dagster as dg
import polars as pl
import pytest

from metaxy_core import DefinitionError, FeatureGraph, MetadataSchemaError
from metaxy_dagster import (
    Increment,
    Increments,
    MetaxyIOManager,
    MetaxyStore,
    build_feature_definitions,
    feature_asset,
    multi_feature_asset,
)
from tests.dagster.conftest import resources, rows, run, videos

pytestmark = pytest.mark.slow


def listing(graph: FeatureGraph) -> dg.AssetsDefinition:
    return feature_asset("ex/video", graph=graph)(lambda: videos({"a": "1", "b": "1"}))


def cut(increment: Increment) -> Any:
    return increment.todo()


def error_of(assets: list[dg.AssetsDefinition], store: MetaxyStore, **how: Any) -> str:
    """What a run that fails says of it in Dagster."""
    result = run(assets, store, fails=True, **how)
    (failed,) = result.get_step_failure_events()
    error = failed.step_failure_data.error
    while error.cause is not None:
        error = error.cause
    return error.message


# -- a feature without a function ----------------------------------------------------------------


@pytest.mark.parametrize("nothing", [None, 42])
def test_a_feature_without_a_function_is_refused(graph: FeatureGraph, nothing: Any) -> None:
    said = "Feature 'ex/crop': a function that computes it is expected; given: "
    with pytest.raises(DefinitionError, match=said):
        build_feature_definitions(graph, store=MetaxyStore.memory(), compute={"ex/crop": nothing})
    with pytest.raises(DefinitionError, match=said):
        feature_asset("ex/crop", graph=graph)(nothing)


def test_a_function_without_a_feature_is_refused() -> None:
    with pytest.raises(DefinitionError, match=r"function cut is given for no feature"):
        feature_asset(cut)


# -- a function for a feature outside the graph --------------------------------------------------


def test_a_function_for_a_feature_outside_the_graph_is_refused(graph: FeatureGraph) -> None:
    said = "The function cut: The graph has no feature 'ex/none'"
    with pytest.raises(DefinitionError, match=said):
        feature_asset("ex/none", graph=graph)(cut)
    with pytest.raises(DefinitionError, match=said):
        multi_feature_asset(["ex/crop", "ex/none"], graph=graph)(cut)
    with pytest.raises(DefinitionError, match=said):
        build_feature_definitions(graph, store=MetaxyStore.memory(), compute={"ex/none": cut})


# -- a wrong return type -------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [int, str, bytes, dict, dict[str, pl.DataFrame]])
def test_an_annotation_that_is_no_frame_is_refused_at_definition(
    graph: FeatureGraph, kind: Any
) -> None:
    def crop(increment: Increment) -> Any: ...

    crop.__annotations__["return"] = kind
    with pytest.raises(DefinitionError, match="'ex/crop': the function crop is annotated to ret"):
        feature_asset("ex/crop", graph=graph)(crop)


def test_an_annotation_that_may_be_frames_is_taken(graph: FeatureGraph) -> None:
    for kind in (Any, None, pl.DataFrame, Iterator[pl.DataFrame], object):

        def crop(increment: Increment) -> Any: ...

        crop.__annotations__["return"] = kind
        assert feature_asset("ex/crop", graph=graph)(crop).key == dg.AssetKey(["ex", "crop"])


def test_a_wrong_return_value_is_named(graph: FeatureGraph, store: MetaxyStore) -> None:
    @feature_asset("ex/crop", graph=graph)
    def crop(increment: Increment):  # type: ignore[no-untyped-def]
        return 42

    said = error_of([listing(graph), crop], store)
    assert said.startswith("TypeError: crop, the function of feature 'ex/crop', gave a int.")
    assert rows(store, "ex/crop") == []


@pytest.mark.parametrize("wrong", [42, ["ex/crop"], iter([pl.DataFrame()])])
def test_a_wrong_value_of_several_features_is_named(
    graph: FeatureGraph, store: MetaxyStore, wrong: Any
) -> None:
    @multi_feature_asset(["ex/crop"], graph=graph)
    def both(increments: Increments) -> Any:
        return wrong

    said = error_of([listing(graph), both], store)
    assert said.startswith("TypeError: both, the function of 'ex/crop', gave a ")


# -- rows outside the partition ------------------------------------------------------------------


def test_rows_outside_the_partition_are_refused(graph: FeatureGraph, store: MetaxyStore) -> None:
    where: dict[str, Any] = {
        "partitions_def": dg.StaticPartitionsDefinition(["north", "south"]),
        "partition_by": "site",
    }

    @feature_asset("ex/video", graph=graph, **where)
    def list_all() -> Any:
        return videos({"a": "1", "z": "1"})

    said = error_of([list_all], store, partition_key="north")
    assert "Feature 'ex/video'" in said
    assert "1 of the 2 rows given are not of its part site = 'north'" in said
    assert "The function list_all gave the rows." in said
    assert rows(store, "ex/video") == []


def test_derived_rows_outside_the_partition_are_refused(
    graph: FeatureGraph, store: MetaxyStore
) -> None:
    @feature_asset(
        "ex/crop",
        graph=graph,
        partitions_def=dg.StaticPartitionsDefinition(["north", "south"]),
        partition_by="site",
    )
    def move(increment: Increment) -> Any:
        return increment.todo().to_native().with_columns(site=pl.lit("south"))

    run([listing(graph)], store)
    said = error_of([move], store, partition_key="north")
    assert "Feature 'ex/crop'" in said
    assert "2 of the 2 rows given are not of its part site = 'north'" in said
    assert "The function move gave the rows." in said
    assert rows(store, "ex/crop") == []


# -- a frame with missing columns ----------------------------------------------------------------


def test_missing_id_columns_are_named(graph: FeatureGraph, store: MetaxyStore) -> None:
    @feature_asset("ex/crop", graph=graph)
    def drop_ids(increment: Increment) -> Any:
        return increment.todo().drop("id")

    said = error_of([listing(graph), drop_ids], store)
    assert "Feature 'ex/crop'" in said
    assert "no id column id" in said
    assert "The function drop_ids gave the rows." in said
    assert rows(store, "ex/crop") == []


def test_missing_provenance_of_a_root_is_named(graph: FeatureGraph, store: MetaxyStore) -> None:
    @feature_asset("ex/video", graph=graph)
    def list_ids() -> Any:
        return pl.DataFrame({"id": ["a"]})

    said = error_of([list_ids], store)
    assert "Feature 'ex/video'" in said
    assert "no column 'metaxy_provenance_by_field'" in said
    assert "The function list_ids gave the rows." in said


def test_samples_with_missing_columns_are_refused_before_the_function_runs(
    graph: FeatureGraph, store: MetaxyStore
) -> None:
    called: list[str] = []

    def list_ids() -> Any:
        return pl.DataFrame({"name": ["a"]})

    @feature_asset("ex/video", graph=graph, samples=list_ids)
    def probe(increment: Increment) -> Any:
        called.append("probe")

    said = error_of([probe], store)
    assert "Feature 'ex/video'" in said
    assert "no id column id" in said
    assert "The function list_ids gave the rows." in said
    assert called == []


def test_rows_of_several_features_are_named_with_their_function(
    graph: FeatureGraph, store: MetaxyStore
) -> None:
    @multi_feature_asset(["ex/crop"], graph=graph)
    def both(increments: Increments) -> Any:
        yield "ex/crop", pl.DataFrame({"name": ["a"]})

    with pytest.raises(MetadataSchemaError, match="'ex/crop'.*no id column id") as error:
        run([listing(graph), both], store)
    assert error.value.__notes__ == ["The function both gave the rows."]


# -- a resource without a store ------------------------------------------------------------------


def test_a_missing_store_is_told_when_definitions_load(graph: FeatureGraph) -> None:
    assets = [feature_asset("ex/crop", graph=graph)(cut)]
    io_manager = {"metaxy_io": MetaxyIOManager(store=MetaxyStore.memory(graph=graph))}
    with pytest.raises(dg.DagsterInvalidDefinitionError, match="'metaxy'.*'ex__crop'"):
        dg.Definitions.validate_loadable(dg.Definitions(assets, resources=io_manager))


def test_a_resource_that_is_no_store_is_refused_before_the_function_runs(
    graph: FeatureGraph, store: MetaxyStore
) -> None:
    called: list[str] = []

    @feature_asset("ex/video", graph=graph)
    def list_all() -> Any:
        called.append("list_all")

    with pytest.raises(DefinitionError) as error:
        dg.materialize([list_all], resources={**resources(store), "metaxy": {"path": "x"}})
    assert str(error.value) == (
        "Feature 'ex/video': the function list_all stores its rows in the resource 'metaxy', "
        "which is a dict, not a MetaxyStore."
    )
    assert called == []
