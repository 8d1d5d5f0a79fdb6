"""What becomes of samples that are not expected any more."""

from typing import Any

import dagster as dg
import pytest

from metaxy_core import FeatureGraph
from metaxy_dagster import Increment, MetaxyStore, build_feature_definitions, feature_asset
from tests.dagster.conftest import metadata, outcomes, rows, run, videos

pytestmark = pytest.mark.slow


def listing(graph: FeatureGraph, names: str, **arguments: Any) -> dg.AssetsDefinition:
    return feature_asset("ex/video", graph=graph, **arguments)(
        lambda: videos(dict.fromkeys(names, "1"))
    )


def crops(graph: FeatureGraph, **arguments: Any) -> dg.AssetsDefinition:
    return feature_asset("ex/crop", graph=graph, **arguments)(lambda increment: increment.todo())


@pytest.fixture
def shrunk(graph: FeatureGraph, store: MetaxyStore) -> MetaxyStore:
    """A store with crops of a, b and c, where b and c have no video any more."""
    run([listing(graph, "abc"), crops(graph)], store)
    run([listing(graph, "a", orphans="hard_delete")], store)
    return store


def test_report_counts_and_keeps(graph: FeatureGraph, shrunk: MetaxyStore) -> None:
    result = run([crops(graph)], shrunk)
    assert outcomes(result, "ex/crop")["orphaned"] == (2, 0, 2, 0)
    assert len(rows(shrunk, "ex/crop")) == 3


def test_soft_delete_can_be_undone(graph: FeatureGraph, shrunk: MetaxyStore) -> None:
    result = run([crops(graph, orphans="soft_delete")], shrunk)
    assert outcomes(result, "ex/crop")["orphaned"] == (2, 2, 0, 0)
    assert rows(shrunk, "ex/crop") == [("a",)]
    assert metadata(result, "ex/crop")["dagster/row_count"] == 1
    with shrunk.open("w") as opened:
        assert opened.undelete("ex/crop") == 2


def test_hard_delete_is_final(graph: FeatureGraph, shrunk: MetaxyStore) -> None:
    run([crops(graph, orphans="hard_delete")], shrunk)
    with shrunk.open("w") as opened:
        assert opened.undelete("ex/crop") == 0
    assert rows(shrunk, "ex/crop") == [("a",)]


@pytest.mark.parametrize("policy", ["soft_delete", "hard_delete"])
def test_what_is_expected_again_when_the_step_ends_is_not_deleted(
    graph: FeatureGraph, shrunk: MetaxyStore, policy: str
) -> None:
    def meanwhile(increment: Increment) -> Any:
        # Another run lists b again and stores its crop: b was an orphan, c still is one.
        with shrunk.open("w", graph=graph) as opened:
            found = opened.resolve_update("ex/video", samples=videos({"b": "2"}))
            opened.write("ex/video", found.new)
            opened.write("ex/crop", opened.resolve_update("ex/crop").stale)
        return increment.todo()

    run([listing(graph, "ad")], shrunk)
    crop = feature_asset("ex/crop", graph=graph, orphans=policy)(meanwhile)
    result = run([crop], shrunk)
    assert outcomes(result, "ex/crop")["orphaned"] == (2, 1, 1, 0)
    assert rows(shrunk, "ex/crop") == [("a",), ("b",), ("d",)]


def test_a_callable_gets_the_rows(graph: FeatureGraph, shrunk: MetaxyStore) -> None:
    seen: list[Any] = []

    def archive(orphaned: Any) -> None:
        seen.extend(sorted(orphaned.collect("polars")["id"].to_list()))

    result = run([crops(graph, orphans=archive)], shrunk)
    assert seen == ["b", "c"]
    assert metadata(result, "ex/crop")["metaxy/orphan_policy"] == "archive"


def test_nothing_is_deleted_in_a_dry_run(graph: FeatureGraph, shrunk: MetaxyStore) -> None:
    run([crops(graph, orphans="hard_delete")], shrunk, options={"dry_run": True})
    assert len(rows(shrunk, "ex/crop")) == 3


def cleanup(store: MetaxyStore, graph: FeatureGraph, **config: Any) -> Any:
    defs = build_feature_definitions(graph, store=store)
    job = defs.resolve_job_def("cleanup_orphans")
    return job.execute_in_process(
        run_config={"ops": {"delete_orphans": {"config": config}}}, raise_on_error=False
    )


def test_the_cleanup_job_shows_and_then_deletes(graph: FeatureGraph, shrunk: MetaxyStore) -> None:
    result = cleanup(shrunk, graph)
    assert result.success
    events = [e for e in result.all_events if e.event_type_value == "ASSET_OBSERVATION"]
    before, after = (event.event_specific_data.asset_observation for event in events)
    assert before.metadata["metaxy/orphaned"].value == 2
    assert len(before.metadata["metaxy/sample"].records) == 2
    assert after.metadata["metaxy/deleted"].value == 2
    assert "dagster/data_version" in after.tags
    assert rows(shrunk, "ex/crop") == [("a",)]


def test_the_cleanup_job_dry(graph: FeatureGraph, shrunk: MetaxyStore) -> None:
    assert cleanup(shrunk, graph, dry_run=True).success
    assert len(rows(shrunk, "ex/crop")) == 3


def test_the_cleanup_job_refuses_too_many(graph: FeatureGraph, shrunk: MetaxyStore) -> None:
    assert not cleanup(shrunk, graph, max_rows=1, soft=False).success
    assert len(rows(shrunk, "ex/crop")) == 3


def test_the_cleanup_job_filters(graph: FeatureGraph, shrunk: MetaxyStore) -> None:
    assert cleanup(shrunk, graph, features=["ex/crop"], where="id = 'b'").success
    assert rows(shrunk, "ex/crop") == [("a",), ("c",)]


def test_the_cleanup_job_refuses_roots_before_anything(
    graph: FeatureGraph, shrunk: MetaxyStore
) -> None:
    result = cleanup(shrunk, graph, features=["ex/crop", "ex/video"])
    (failed,) = result.filter_events(lambda event: event.is_step_failure)
    told = failed.step_failure_data.user_failure_data.description
    assert "ex/video" in told
    assert "feature_asset(orphans=)" in told
    assert "ex/crop" not in told
    assert len(rows(shrunk, "ex/crop")) == 3
