"""The guard: a feature whose declaration changed is not computed until somebody says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from metaxy_core import FeatureGraph, FeatureSpec, FieldSpec, GraphSnapshot
from metaxy_dagster import Increment, MetaxyStore, feature_asset, graph_guard
from tests.dagster.conftest import materialized, resources, videos

pytestmark = pytest.mark.slow

LISTED = videos({"a": "1"})


def graph_at(code: str = "1", kind: str = "1:1") -> FeatureGraph:
    crop = FeatureSpec("ex/crop", id_columns=["id"], deps=["ex/video"])
    if kind == "breaking":
        crop = FeatureSpec("ex/crop", id_columns=["site"])
    audio = FieldSpec("audio", code_version=code)
    video = FeatureSpec("ex/video", id_columns=["id"], fields=[audio, "frames"])
    return FeatureGraph([video, crop])


class Pipeline:
    """A pipeline over one store and one history, whose graph can be changed between runs."""

    def __init__(self, guard: Any) -> None:
        self.guard, self.calls = guard, 0
        self.store, self.instance = MetaxyStore.memory(), dg.DagsterInstance.ephemeral()

    def run(
        self, graph: FeatureGraph, *, fails: bool = False, dry_run: bool = False, **how: Any
    ) -> dg.ExecuteInProcessResult:
        def video() -> Any:
            return LISTED

        def derived(increment: Increment) -> Any:
            self.calls += 1
            return increment.todo()

        def root() -> Any:
            self.calls += 1
            return LISTED.select("site", metaxy_provenance_by_field="metaxy_provenance_by_field")

        policy = dg.RetryPolicy(max_retries=3)
        make = feature_asset("ex/crop", graph=graph, guard=self.guard, retry_policy=policy)
        crop = make(root if graph.freeze()["ex/crop"].is_root else derived)
        options = {"config": {"metaxy": {"dry_run": dry_run}}}
        result = dg.materialize(
            [feature_asset("ex/video", graph=graph)(video), crop],
            resources=resources(self.store.with_graph(graph)),
            run_config={"ops": {"ex__crop": options}},
            instance=self.instance,
            raise_on_error=False,
            **how,
        )
        assert result.success is not fails
        return result


def failure(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    """The metadata of the one failed step."""
    (event,) = [e for e in result.all_events if e.is_step_failure]
    data = event.step_failure_data.user_failure_data
    assert data is not None
    return {"description": data.description} | {n: v.value for n, v in data.metadata.items()}


@pytest.fixture
def any_change() -> Pipeline:
    return Pipeline("any")


def test_a_change_stops_the_feature_itself_and_spends_no_retries(any_change: Pipeline) -> None:
    any_change.run(graph_at())
    result = any_change.run(graph_at("2"), fails=True)
    assert materialized(result) == ["ex/video"]
    assert any_change.calls == 1
    assert [e.event_type_value for e in result.all_events if "RETR" in e.event_type_value] == []


def test_the_refusal_shows_the_difference_and_says_how_to_go_on(any_change: Pipeline) -> None:
    any_change.run(graph_at())
    shown = failure(any_change.run(graph_at("2"), fails=True))
    assert "follows ex/video.audio" in shown["description"]
    version = graph_at("2").freeze().snapshot_version[:8]
    assert shown["description"].endswith(f"the tag metaxy/accept: {version}")
    assert shown["diff"].startswith("![What changed")
    assert shown["would_recompute"] == 1


def test_a_second_run_is_refused_as_well(any_change: Pipeline) -> None:
    any_change.run(graph_at())
    any_change.run(graph_at("2"), fails=True)
    any_change.run(graph_at("2"), fails=True)
    assert any_change.calls == 1


def test_an_accepted_change_is_computed_and_is_the_baseline_from_then_on(
    any_change: Pipeline,
) -> None:
    any_change.run(graph_at())
    accepted = {"metaxy/accept": graph_at("2").freeze().snapshot_version[:8]}
    any_change.run(graph_at("2"), tags=accepted)
    any_change.run(graph_at("2"))
    assert any_change.calls == 2
    any_change.run(graph_at("3"), tags=accepted, fails=True)


def test_a_dry_run_is_not_refused(any_change: Pipeline) -> None:
    any_change.run(graph_at())
    any_change.run(graph_at("2"), dry_run=True)


def test_breaking_lets_a_new_code_version_through_but_not_other_ids() -> None:
    pipeline = Pipeline("breaking")
    pipeline.run(graph_at())
    pipeline.run(graph_at("2"))
    shown = failure(pipeline.run(graph_at("2", "breaking"), fails=True))
    assert "breaking: id columns: id → site" in shown["description"]


def test_a_file_is_the_baseline(tmp_path: Path) -> None:
    path = tmp_path / "main.json"
    path.write_text(GraphSnapshot.of(graph_at().freeze()).to_json(), encoding="utf-8")
    for code, fails in (("1", False), ("2", True)):
        graph = graph_at(code)
        pipeline = Pipeline(graph_guard("any", graph=graph, baseline=path))
        pipeline.run(graph, fails=fails)


def test_a_function_is_a_guard(any_change: Pipeline) -> None:
    def refuse(context: dg.AssetExecutionContext, plan: Any) -> None:
        raise dg.Failure(f"no {plan.key} today", allow_retries=False)

    any_change.guard = refuse
    assert failure(any_change.run(graph_at(), fails=True))["description"] == "no ex/crop today"


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(ValueError, match="none of 'breaking', 'any'"):
        feature_asset("ex/crop", graph=graph_at(), guard="all")(lambda increment: None)  # type: ignore[arg-type]
