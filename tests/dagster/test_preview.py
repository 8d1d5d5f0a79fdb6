"""What a run says it will do and cost, and how far it has come."""

from __future__ import annotations

import logging
import re
from typing import Any

import dagster as dg
import pytest

from metaxy_core import Cost, Estimate, FeatureGraph, FeatureKey, FeatureSpec, MetadataStore
from metaxy_dagster import Increment, MetaxyStore, feature_asset, feature_checks, increment_sensor
from metaxy_dagster.reports.preview import cost_metadata, said_cost, work_tags
from metaxy_dagster.steps.pace import Pace
from tests.dagster.automated import History
from tests.dagster.conftest import metadata, resources, run, videos

A_MINUTE = Cost(seconds=Estimate(p50=60, p90=90, runs=3), money=Estimate(p50=1.5, p90=1.5))


def priced() -> FeatureGraph:
    return FeatureGraph(
        [
            FeatureSpec("ex/video", id_columns=["id"], fields=["audio", "frames"]),
            FeatureSpec(
                "ex/crop", id_columns=["id"], deps=["ex/video"], metadata={"cost_per_sample": 0.5}
            ),
        ]
    )


def assets(graph: FeatureGraph, *ids: str) -> list[Any]:
    def crop(increment: Increment) -> Any:
        yield from increment.iter_batches(1)

    return [
        feature_asset("ex/video", graph=graph)(lambda: videos(dict.fromkeys(ids, "1"))),
        feature_asset("ex/crop", graph=graph)(crop),
    ]


def lines(instance: dg.DagsterInstance, run_id: str, feature: str) -> list[str]:
    """What a run logged of a feature, events apart."""
    said = [one.user_message for one in instance.all_logs(run_id) if one.dagster_event is None]
    return [line for line in said if line.startswith(f"{feature}: ")]


def test_the_first_line_says_the_work_and_what_it_will_cost() -> None:
    graph = priced()
    store = MetaxyStore.memory(graph=graph)
    made = assets(graph, "a", "b", "c")
    with store.open("w") as opened:
        opened.record_run("ex/crop", units=1, seconds=60.0)
    with dg.DagsterInstance.ephemeral() as instance:
        said = lines(instance, run(made, store, instance=instance).run_id, "ex/crop")
        assert said[0] == "ex/crop: 3 new; this run processes 3: 3.0 min, costs 1.50, as in 1 run"
        assert said[1].startswith("ex/crop: 1 row written, 2 of 3 samples left, ")
        assert said[2].startswith("ex/crop: 2 rows written, 1 of 3 samples left, ")
        # The last chunk is told as the end.
        assert said[3].startswith("ex/crop: done, 3 rows written for 3 samples in ")
        assert len(said) == 4
        again = run(made, store, instance=instance).run_id
        assert lines(instance, again, "ex/crop") == ["ex/crop: up to date"]
        assert lines(instance, again, "ex/video") == [
            "ex/video: 3 samples listed so far: none is new or stale"
        ]


def test_a_run_of_one_asset_is_tagged_with_its_work() -> None:
    graph = priced()
    store = MetaxyStore.memory(graph=graph)
    video, crop = assets(graph, "a", "b")
    with dg.DagsterInstance.ephemeral() as instance:
        both = run([video, crop], store, instance=instance)
        tags = instance.get_run_by_id(both.run_id).tags  # type: ignore[union-attr]
        assert not [name for name in tags if name.startswith("metaxy/")]

        video, crop = assets(graph, "a", "b", "c")
        run([video], store, instance=instance)
        defs = dg.Definitions([video, crop], resources=resources(store))
        job = defs.resolve_implicit_global_asset_job_def()
        one = job.execute_in_process(instance=instance, asset_selection=[crop.key])
        tags = instance.get_run_by_id(one.run_id).tags  # type: ignore[union-attr]
        assert (tags["metaxy/new"], tags["metaxy/stale"], tags["metaxy/cost"]) == ("1", "0", "0.50")
        assert "metaxy/time" in tags  # the first run was recorded


def test_the_materialisation_has_what_was_expected_beside_what_it_took() -> None:
    graph = priced()
    store = MetaxyStore.memory(graph=graph)
    with store.open("w") as opened:
        opened.record_run("ex/crop", units=2, seconds=4.0)
    found = metadata(run(assets(graph, "a", "b"), store), "ex/crop")
    assert (found["metaxy/estimated_seconds"], found["metaxy/estimated_cost"]) == (4.0, 1.0)


def test_estimates_are_one_query_per_step_and_can_be_switched_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []
    real = MetadataStore.cost_per_unit

    def counted(self: MetadataStore, feature: Any) -> Cost:
        asked.append(str(feature))
        return real(self, feature)

    monkeypatch.setattr(MetadataStore, "cost_per_unit", counted)
    graph = priced()
    run(assets(graph, "a", "b", "c"), MetaxyStore.memory(graph=graph))
    assert asked == ["ex/crop"]
    result = run(assets(graph, "a"), MetaxyStore.memory(graph=graph, estimates=False))
    assert asked == ["ex/crop"]
    assert "metaxy/estimated_cost" not in metadata(result, "ex/crop")


def test_requested_runs_are_tagged_with_time() -> None:
    history = History()
    history.list(a="1", b="1")
    with history.store.open("w") as opened:
        opened.record_run("ex/crop", units=1, seconds=60.0)
    sensor = increment_sensor(["ex/crop"], graph=history.graph, store=history.store)
    context = dg.build_sensor_context(history.instance, definitions=history.defs)
    result = sensor.evaluate_tick(context)
    (request,) = result.run_requests or ()
    told = {name: value for name, value in request.tags.items() if name.startswith("metaxy/")}
    assert told == {"metaxy/new": "2", "metaxy/stale": "0", "metaxy/time": "2.0 min"}
    # Asked from the memory of the tick before, the same is said.
    again = dg.build_sensor_context(
        history.instance, definitions=history.defs, cursor=result.cursor
    )
    (request,) = sensor.evaluate_tick(again).run_requests or ()
    assert request.tags["metaxy/time"] == "2.0 min"


def test_the_check_says_what_the_backlog_will_take() -> None:
    history = History()
    history.list(a="1", b="1")
    with history.store.open("w") as opened:
        opened.record_run("ex/crop", units=1, seconds=60.0)
    checks = feature_checks(history.graph, checks=["pending_increment"])
    selection = dg.AssetSelection.checks_for_assets(dg.AssetKey(["ex", "crop"]))
    result = dg.materialize(
        [*history.assets, checks],
        selection=selection,
        resources=resources(history.store),
        instance=history.instance,
    )
    (found,) = result.get_asset_check_evaluations()
    assert found.description is not None
    assert re.fullmatch(
        "To process: 2 new; the oldest for .* s; 2.0 min, as in 1 run.", found.description
    )
    assert found.metadata["estimated_seconds"].value == 120.0


def test_tags_say_time_and_money_only_where_they_are_known() -> None:
    assert work_tags(2, 1, A_MINUTE) == {
        "metaxy/new": "2",
        "metaxy/stale": "1",
        "metaxy/time": "1.0 min – 1.5 min",
        "metaxy/cost": "1.50",
    }
    assert work_tags(0, 0, A_MINUTE) == {"metaxy/new": "0", "metaxy/stale": "0"}
    assert cost_metadata(Cost()) == {}
    assert said_cost(Cost(seconds=Estimate(p50=1, p90=1))) == "1.0 s, as declared"


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_run_of_very_many_chunks_says_some_hundred_lines(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    clock = Clock()
    pace = Pace(logging.getLogger("test"), FeatureKey("crop"), clock)
    for chunk in range(1, 100_001):  # a day and more, a chunk per second
        clock.now += 1
        pace.tell(chunk, chunk, 100_000)
    pace.finish(100_000, 100_000)
    said = [record.getMessage() for record in caplog.records]
    assert len(said) < 200
    assert said[0] == (
        "crop: 1 row written, 99,999 of 100,000 samples left, 1.0 samples/s, 1.2 d to go"
    )
    assert (
        said[-1] == "crop: done, 100,000 rows written for 100,000 samples in 1.2 d, 1.0 samples/s"
    )


def test_a_run_of_one_chunk_says_only_that_it_is_done(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    clock = Clock()
    pace = Pace(logging.getLogger("test"), FeatureKey("crop"), clock)
    clock.now = 2.0
    pace.tell(5, 5, 5)
    pace.finish(5, 5)
    (said,) = [record.getMessage() for record in caplog.records]
    assert said == "crop: done, 5 rows written for 5 samples in 2.0 s, 2.5 samples/s"
