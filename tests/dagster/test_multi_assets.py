"""@multi_feature_asset: several features from one function."""

from typing import Any

import dagster as dg
import narwhals as nw
import pytest

from metaxy_core import DefinitionError, FeatureGraph, FeatureSpec
from metaxy_dagster import Increments, MetaxyStore, feature_asset, multi_feature_asset
from metaxy_dagster.testing import assert_increment, materialize_features
from tests.dagster.conftest import materialized, metadata, outcomes, rows, run, videos

pytestmark = pytest.mark.slow

ABC = {"a": "1", "b": "1", "c": "1"}


@pytest.fixture
def graph() -> FeatureGraph:
    return FeatureGraph(
        [
            FeatureSpec("ex/video", id_columns=["id"], fields=["audio", "frames"]),
            FeatureSpec("z/box", id_columns=["id"], fields=["frames"], deps=["ex/video"]),
            FeatureSpec("mark", id_columns=["id"], fields=["audio", "frames"], deps=["ex/video"]),
            FeatureSpec("a_sum", id_columns=["id"], fields=["x"], deps=["z/box"]),
        ]
    )


def listing(graph: FeatureGraph, audio: dict[str, str]) -> dg.AssetsDefinition:
    return feature_asset("ex/video", graph=graph)(lambda: videos(audio))


def detector(graph: FeatureGraph, seen: list[Any], **arguments: Any) -> dg.AssetsDefinition:
    @multi_feature_asset(["mark", "z/box"], graph=graph, **arguments)
    def detect(increments: Increments) -> Any:
        for batch in increments.iter_batches(2):
            seen.extend(batch["id"].to_list())
            yield "z/box", batch.select("id")
            yield "mark", batch.select("id")

    return detect


def test_every_feature_is_stored_and_reported(graph: FeatureGraph, store: MetaxyStore) -> None:
    seen: list[Any] = []
    result = run([detector(graph, seen), listing(graph, ABC)], store)
    assert set(materialized(result)) == {"ex/video", "z/box", "mark"}
    assert sorted(seen) == ["a", "b", "c"]
    assert rows(store, "z/box") == rows(store, "mark") == [("a",), ("b",), ("c",)]
    assert metadata(result, "mark")["dagster/row_count"] == 3


def test_a_feature_that_is_up_to_date_is_not_written_again(
    graph: FeatureGraph, store: MetaxyStore
) -> None:
    seen: list[Any] = []
    detect = detector(graph, seen)
    _, again = materialize_features(
        [detect],
        store,
        samples={"ex/video": videos(ABC)},
        changes={"ex/video": videos(ABC | {"b": "2"})},
    )
    assert seen[3:] == ["b"]
    assert_increment(again, "mark", stale=1, written=["b"])
    assert_increment(again, "z/box", written=[])


def test_a_run_may_select_some(graph: FeatureGraph, store: MetaxyStore) -> None:
    detect = detector(graph, [])
    run([listing(graph, ABC)], store)
    result = run([detect], store, selection=dg.AssetSelection.assets("mark"))
    assert materialized(result) == ["mark"]
    with store.open("r") as opened:
        assert not opened.has_feature("z/box")


def test_features_of_one_function_may_depend_on_each_other(
    graph: FeatureGraph, store: MetaxyStore
) -> None:
    @multi_feature_asset(["a_sum", "z/box"], graph=graph)
    def both(increments: Increments) -> Any:
        yield "z/box", increments["z/box"].todo()
        yield "a_sum", increments["a_sum"].todo()

    result = run([both, listing(graph, ABC)], store)
    assert materialized(result) == ["ex/video", "z/box", "a_sum"]
    assert rows(store, "a_sum") == [("a",), ("b",), ("c",)]


def test_a_mapping_may_be_returned(graph: FeatureGraph, store: MetaxyStore) -> None:
    @multi_feature_asset(["mark", "z/box"], graph=graph)
    def detect(increments: Increments) -> Any:
        return {feature: increment.todo() for feature, increment in increments.items()}

    run([detect, listing(graph, ABC)], store)
    assert len(rows(store, "mark")) == len(rows(store, "z/box")) == 3


def test_roots_may_be_listed_as_well(graph: FeatureGraph, store: MetaxyStore) -> None:
    @multi_feature_asset(["ex/video", "mark"], graph=graph)
    def both(increments: Increments) -> Any:
        yield "ex/video", videos(ABC)
        yield "mark", increments["mark"].todo()

    run([both], store)
    assert len(rows(store, "mark")) == 3


def test_a_dry_run_observes_only(graph: FeatureGraph, store: MetaxyStore) -> None:
    seen: list[Any] = []
    run([listing(graph, ABC)], store)
    result = run([detector(graph, seen)], store, options={"dry_run": True})
    assert (materialized(result), seen) == ([], [])
    assert len(result.get_asset_observation_events()) == 2


def test_what_crashed_continues(graph: FeatureGraph, store: MetaxyStore) -> None:
    calls: list[Any] = []

    @multi_feature_asset(["mark", "z/box"], graph=graph, retry_policy=dg.RetryPolicy())
    def detect(increments: Increments) -> Any:
        calls.append([increment.size for increment in increments.values()])
        yield "mark", increments["mark"].todo()
        if len(calls) == 1:
            raise RuntimeError("boom")
        yield "z/box", increments["z/box"].todo()

    run([detect, listing(graph, ABC)], store)
    assert [sorted(call) for call in calls] == [[3, 3], [0, 3]]


def test_frames_of_other_features_are_refused(graph: FeatureGraph, store: MetaxyStore) -> None:
    @multi_feature_asset(["mark"], graph=graph)
    def detect(increments: Increments) -> Any:
        yield "z/box", increments["mark"].todo()

    with pytest.raises(TypeError, match="'z/box', which is not among"):
        run([detect, listing(graph, ABC)], store)


def test_frames_without_a_feature_are_refused(graph: FeatureGraph, store: MetaxyStore) -> None:
    @multi_feature_asset(["mark"], graph=graph)
    def detect(increments: Increments) -> Any:
        yield increments["mark"].todo()

    with pytest.raises(TypeError, match="pairs of a feature and its frame"):
        run([detect, listing(graph, ABC)], store)


def test_different_units_have_no_union(store: MetaxyStore) -> None:
    from tests.dagster.conftest import media_graph

    graph = media_graph()

    @multi_feature_asset(["ex/a_faces", "ex/site"], graph=graph)
    def both(increments: Increments) -> Any:
        yield from increments.iter_batches(1)

    crop = feature_asset("ex/crop", graph=graph)(lambda increment: increment.todo())
    with pytest.raises(ValueError, match="different units"):
        run([listing(graph, ABC), crop, both], store)


def test_a_feature_named_twice_is_refused(graph: FeatureGraph) -> None:
    with pytest.raises(DefinitionError, match="twice"):
        multi_feature_asset(["mark", "mark"], graph=graph)(lambda increments: None)


def test_filtered_batches_leave_rows_out(graph: FeatureGraph, store: MetaxyStore) -> None:
    @multi_feature_asset(["mark", "z/box"], graph=graph)
    def detect(increments: Increments) -> Any:
        for batch in increments.iter_batches(10):
            yield "mark", batch.filter(nw.col("id") != "a").select("id")

    result = run([detect, listing(graph, ABC)], store)
    assert outcomes(result, "mark")["new"] == (3, 2, 0, 1)
    assert outcomes(result, "z/box")["new"] == (3, 0, 0, 3)
