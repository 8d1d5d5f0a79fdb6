"""Samples that fail inside a run: the run goes on, they are recorded, and come back in time."""

from __future__ import annotations

import json
from datetime import timedelta

import dagster as dg
import polars as pl
import pytest

from metaxy_core import FeatureGraph, FeatureSpec, FieldSpec, PlanError, RetryPolicy
from metaxy_dagster import Increment, feature_asset, plan_config, planned_assets
from tests.dagster.conftest import metadata, outcomes, resources, rows, run, videos

LATER = RetryPolicy(max_attempts=2, backoff=timedelta(hours=1))


@pytest.fixture
def assets(graph: FeatureGraph) -> list[dg.AssetsDefinition]:
    @feature_asset("ex/video", graph=graph)
    def video() -> pl.DataFrame:
        return videos(dict.fromkeys("abcdef", "1"))

    @feature_asset("ex/crop", graph=graph, sample_retries=LATER)
    def crop(increment: Increment):
        for batch in increment.iter_batches(2):
            done = []
            for row in batch.rows(named=True):
                with increment.catching(row):
                    if row["id"] in "be":
                        raise ValueError(f"cannot decode {row['id']} <b>")
                    done.append(row["id"])
            yield pl.DataFrame({"id": done}, schema={"id": pl.String})

    return [video, crop]


def test_a_run_with_bad_samples_succeeds_and_reports_them(assets, store):
    result = run(assets, store)
    assert rows(store, "ex/crop") == [(name,) for name in "acdf"]
    assert outcomes(result, "ex/crop")["new"] == (6, 4, 0, 2)
    told = metadata(result, "ex/crop")
    assert told["metaxy/failed"] == 2
    (event,) = [
        e for e in result.get_asset_materialization_events() if e.asset_key.path[-1] == "crop"
    ]
    records = [r.data for r in event.materialization.metadata["metaxy/failures"].records]
    assert min(records, key=lambda record: record["id"]) == {
        "id": "b",
        "error": "ValueError",
        "message": "cannot decode b <b>",
    }


def test_they_are_left_out_until_it_is_their_turn(assets, store):
    run(assets, store)
    assert outcomes(run(assets[1:], store), "ex/crop")["new"] == (0, 0, 0, 0)
    with store.open("w") as opened:
        assert opened.failures("ex/crop")["metaxy_attempt"].to_list() == [1, 1]
        assert opened.retry_failures("ex/crop", "id = 'b'") == 1
    assert outcomes(run(assets[1:], store), "ex/crop")["new"] == (1, 0, 0, 1)


def test_what_a_run_took_is_recorded_for_estimates(assets, store):
    run(assets, store)
    with store.open("r") as opened:
        plan = opened.plan(["ex/a_faces", "ex/crop"])
        assert plan.of("ex/crop").seconds.runs == 1
        assert plan.of("ex/crop").then.failed == 2


def test_too_many_failures_fail_the_step_after_storing_and_recording(graph, assets, store):
    @feature_asset("ex/crop", graph=graph, max_failed=1)
    def crop(increment: Increment):
        todo = increment.todo().collect()
        for row in todo.rows(named=True)[:2]:
            increment.fail(row, "broken")
        yield todo.to_native()[2:]

    result = run([assets[0], crop], store, fails=True)
    (failure,) = [e for e in result.all_events if e.is_step_failure]
    assert "2 units failed, more than the 1" in str(failure.event_specific_data)
    assert len(rows(store, "ex/crop")) == 4
    with store.open("r") as opened:
        assert len(opened.failures("ex/crop")) == 2


def test_failures_are_recorded_when_the_function_breaks_later(graph, assets, store):
    @feature_asset("ex/crop", graph=graph)
    def crop(increment: Increment):
        increment.fail({"id": "a", "more": 1}, "broken")
        raise KeyError("the end")

    run([assets[0], crop], store, fails=True)
    with store.open("r") as opened:
        assert opened.failures("ex/crop")["id"].to_list() == ["a"]


def test_a_failure_of_a_foreign_sample_is_refused(graph, assets, store):
    @feature_asset("ex/crop", graph=graph)
    def crop(increment: Increment):
        increment.fail({"id": "zzz"}, "broken")

    result = run([assets[0], crop], store, fails=True)
    (failure,) = [e for e in result.all_events if e.is_step_failure]
    assert "'zzz'}, which is not in the increment" in str(failure.event_specific_data)


def test_a_parent_that_failed_is_not_settled_as_childless(graph, assets, store):
    @feature_asset("ex/scene", graph=graph)
    def scene(increment: Increment):
        increment.fail(increment.todo().collect().rows(named=True)[0], "broken")
        return pl.DataFrame(schema={"id": pl.String, "n": pl.Int64})

    run([*assets, scene], store)
    with store.open("r") as opened:
        found = opened.resolve_update("ex/scene")
    assert (len(found.new), found.failed) == (0, 1)


def test_a_saved_plan_is_applied_exactly(assets, store, tmp_path):
    run(assets[:1], store)
    path = tmp_path / "plan.json"
    with store.open("r") as opened:
        opened.plan(max_samples=2, with_units=True).save(path)
    chosen = planned_assets(path, assets)
    assert chosen == assets[1:]
    config = plan_config(path, assets)
    result = dg.materialize(chosen, resources=resources(store), run_config=config)
    assert outcomes(result, "ex/crop")["new"][1:] == (1, 0, 1)
    assert rows(store, "ex/crop") == [("a",)]


def test_a_plan_for_another_graph_is_refused(assets, store, tmp_path):
    run(assets[:1], store)
    path = tmp_path / "plan.json"
    with store.open("r") as opened:
        opened.plan(max_samples=2, with_units=True).save(path)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"snapshot": "0" * 64}))
    with pytest.raises(PlanError, match="made for the graph 00000000"):
        dg.materialize(assets[1:], resources=resources(store), run_config=plan_config(path, assets))


def test_a_failure_told_twice_counts_once(graph, assets, store):
    @feature_asset("ex/crop", graph=graph, max_failed=1)
    def crop(increment: Increment):
        increment.fail({"id": "a"}, "first")
        increment.fail({"id": "a"}, "second")
        return increment.todo().collect().to_native().filter(pl.col("id") != "a")

    assert metadata(run([assets[0], crop], store), "ex/crop")["metaxy/failed"] == 1


def test_a_plan_of_changed_code_runs_the_root_as_well(graph, assets, store, tmp_path):
    run(assets[:1], store)
    with store.open("w") as opened:
        opened.push()
    bumped = FeatureGraph(
        [spec for key, spec in graph.freeze().items() if key.parts[-1] != "video"]
    )
    bumped.add(
        FeatureSpec(
            "ex/video", id_columns=["id"], fields=[FieldSpec("audio", code_version=2), "frames"]
        )
    )
    path = tmp_path / "plan.json"
    with store.open("r") as opened:
        opened.using(bumped).plan(with_units=True).save(path)
    config = plan_config(path, assets)["ops"]
    assert config["ex__video"]["config"]["metaxy"] == {}
    assert config["ex__crop"]["config"]["metaxy"] == {"plan": str(path)}
