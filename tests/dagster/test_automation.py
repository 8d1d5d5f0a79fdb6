"""Declarative automation: when an asset is requested, and when it is left alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest

from metaxy_core import FeatureGraph, FeatureSpec
from metaxy_dagster import (
    IncrementPending,
    MetaxyStore,
    build_feature_definitions,
    feature_asset,
    feature_specs,
    metaxy_automation_sensor,
    on_increment,
)
from tests.dagster.automated import History
from tests.dagster.conftest import resources

pytestmark = pytest.mark.slow

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)


class Ticks:
    """Ticks of an automation sensor over a history; `crop` has the condition."""

    def __init__(self, **knobs: Any) -> None:
        store = MetaxyStore.memory()
        # The condition needs the graph, which the history makes.
        self.history = History(store)
        condition = on_increment(self.history.store, **knobs)
        self.history = History(self.history.store, automation_condition=condition)
        self.cursor: Any = None
        self.now = NOON

    def tick(self, later: timedelta = timedelta(minutes=1)) -> list[str]:
        """The assets requested."""
        self.now += later
        result = dg.evaluate_automation_conditions(
            defs=self.history.defs,
            instance=self.history.instance,
            cursor=self.cursor,
            evaluation_time=self.now,
        )
        self.cursor = result.cursor
        asked = [r for r in result.results if not r.true_subset.is_empty]
        return [result.key.to_user_string() for result in asked]


def test_new_samples_are_requested_once() -> None:
    ticks = Ticks()
    assert ticks.tick() == []
    ticks.history.list(a="1", b="1")
    assert ticks.tick() == ["ex/crop"]
    assert ticks.tick() == []
    ticks.history.run("ex/crop")
    assert ticks.tick() == []


def test_changed_samples_are_requested_and_the_same_content_is_not() -> None:
    ticks = Ticks()
    ticks.history.list(a="1")
    ticks.history.run("ex/crop")
    assert ticks.tick() == []
    ticks.history.list(a="1")
    assert ticks.tick() == []
    ticks.history.list(a="2")
    assert ticks.tick() == ["ex/crop"]


def test_a_failed_run_is_not_repeated_until_something_moves() -> None:
    ticks = Ticks()
    ticks.history.list(a="1")
    assert ticks.tick() == ["ex/crop"]
    ticks.history.broken = True
    assert not ticks.history.run("ex/crop")
    assert ticks.tick() == []
    assert ticks.tick() == []
    ticks.history.list(a="1", b="1")
    assert ticks.tick() == ["ex/crop"]


def test_a_run_that_left_something_is_followed_by_another() -> None:
    ticks = Ticks()
    ticks.history.list(a="1", b="1")
    assert ticks.tick() == ["ex/crop"]
    limited = {"ops": {"ex__crop": {"config": {"metaxy": {"limit": 1}}}}}
    ticks.history.run("ex/crop", run_config=limited)
    assert ticks.tick() == ["ex/crop"]


def test_a_batch_is_waited_for_but_not_for_ever() -> None:
    ticks = Ticks(min_samples=3, max_wait=timedelta(hours=6))
    ticks.history.list(a="1")
    assert ticks.tick() == []
    ticks.history.list(a="1", b="1", c="1")
    assert ticks.tick() == ["ex/crop"]
    ticks.history.run("ex/crop")
    ticks.history.list(a="1", b="1", c="1", d="1")
    assert ticks.tick() == []
    assert ticks.tick(timedelta(hours=5)) == []
    assert ticks.tick(timedelta(hours=2)) == ["ex/crop"]


def test_the_store_is_not_asked_while_nothing_moved() -> None:
    ticks = Ticks()
    ticks.history.list(a="1")
    ticks.history.run("ex/crop")
    assert ticks.tick() == []
    with ticks.history.store.open("w") as opened:
        # Behind Dagster's back: it is not looked at before Dagster hears of something.
        opened.delete("ex/crop", "true")
    assert ticks.tick() == []
    ticks.history.list(a="2")
    assert ticks.tick() == ["ex/crop"]


def test_a_root_is_never_pending() -> None:
    history = History()
    condition = IncrementPending(history.store)
    asset = feature_asset("ex/video", graph=history.graph, automation_condition=condition)(
        lambda: history.listed
    )
    result = dg.evaluate_automation_conditions(
        dg.Definitions([asset], resources=resources(history.store)), history.instance
    )
    assert result.total_requested == 0


def test_a_parent_that_dagster_knows_nothing_of_is_looked_at_in_the_store() -> None:
    graph = FeatureGraph(
        [
            FeatureSpec("ex/video", id_columns=["id"], fields=["audio", "frames"]),
            FeatureSpec("ex/crop", id_columns=["id"], deps=["ex/video"]),
        ]
    )
    history = History()
    store = history.store.with_graph(graph)
    crop = feature_asset("ex/crop", graph=graph, automation_condition=on_increment(store))(
        lambda increment: increment.todo()
    )
    specs = feature_specs(["ex/video"], graph=graph)
    defs = dg.Definitions([*specs, crop], resources=resources(store))
    first = dg.evaluate_automation_conditions(defs, history.instance)
    assert first.total_requested == 0
    history.list(a="1")
    fresh = dg.DagsterInstance.ephemeral()
    second = dg.evaluate_automation_conditions(defs, fresh, cursor=first.cursor)
    assert second.total_requested == 1
    third = dg.evaluate_automation_conditions(defs, fresh, cursor=second.cursor)
    assert third.total_requested == 0


def test_the_condition_names_itself_in_the_automation_tab() -> None:
    condition = IncrementPending(MetaxyStore.memory(), min_samples=5)
    snapshot = condition.get_snapshot()
    assert snapshot.node_snapshot.name == "increment_pending"
    assert "at least 5 samples" in snapshot.node_snapshot.description


@pytest.mark.filterwarnings("error")
def test_an_evaluation_shows_what_is_waited_for() -> None:
    store = MetaxyStore.memory()
    assert IncrementPending(store).get_label() == "increment_pending"
    batched = IncrementPending(store, min_samples=100, max_wait=timedelta(hours=6))
    assert batched.get_label() == "increment_pending(min_samples=100, max_wait=6:00:00)"


def test_the_sensor_runs_in_user_code_and_is_off() -> None:
    sensor = metaxy_automation_sensor(every=30)
    assert sensor.default_status is dg.DefaultSensorStatus.STOPPED
    assert sensor.minimum_interval_seconds == 30
    ticks = Ticks()
    defs = dg.Definitions.merge(ticks.history.defs, dg.Definitions(sensors=[sensor]))
    context = dg.build_sensor_context(
        instance=ticks.history.instance,
        repository_def=defs.get_repository_def(),
        resources={},
    )
    ticks.history.list(a="1")
    (request,) = sensor.evaluate_tick(context).run_requests or []
    assert request.asset_selection == [dg.AssetKey(["ex", "crop"])]


def test_the_factory_wires_checks_and_each_kind_of_automation() -> None:
    graph = History().graph
    compute = {"ex/crop": lambda increment: increment.todo()}
    made: dict[str, dg.Definitions] = {
        kind: build_feature_definitions(
            graph, store=MetaxyStore.memory(), compute=compute, checks=True, automation=kind
        )
        for kind in ("increment", "sensor", "@hourly")
    }
    crop = dg.AssetKey(["ex", "crop"])
    node = made["increment"].resolve_asset_graph().get(crop)
    assert node.automation_condition is not None
    assert node.automation_condition.get_label() == "on_increment"
    assert len(made["increment"].resolve_asset_graph().asset_check_keys) == 18
    assert [s.name for s in made["increment"].sensors or []] == ["metaxy_automation"]
    assert [s.name for s in made["sensor"].sensors or []] == ["metaxy_increments"]
    assert [s.name for s in made["@hourly"].schedules or []] == ["metaxy_increment_schedule"]
    for defs in made.values():
        dg.Definitions.validate_loadable(defs)
