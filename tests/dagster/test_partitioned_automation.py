"""Conditions, sensors and schedules of partitioned assets ask for the partitions with work."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import dagster as dg
import polars as pl
import pytest

from metaxy_core import FeatureGraph, FeatureSpec, MetadataStore
from metaxy_dagster import (
    Increment,
    MetaxyStore,
    build_increment_schedule,
    feature_asset,
    hash_buckets,
    increment_sensor,
    on_increment,
    union_asset,
)
from tests.dagster.conftest import resources

CROP = dg.AssetKey("crop")
SITES = dg.StaticPartitionsDefinition(["north", "south", "west"])
DAYS = dg.DailyPartitionsDefinition(start_date="2026-01-01", end_date="2026-01-10")
NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)


class History:
    """video, which lists its samples, -> crop, which has partitions."""

    def __init__(self, partitions: Any = SITES, by: Any = "site", **knobs: Any) -> None:
        self.graph = FeatureGraph(
            [
                FeatureSpec("video", id_columns=["id"], fields=["f"]),
                FeatureSpec("crop", id_columns=["id"], fields=["f"], deps=["video"]),
            ]
        )
        self.store = MetaxyStore.memory(graph=self.graph)
        self.instance = dg.DagsterInstance.ephemeral()
        self.listed, self.broken = pl.DataFrame(), False
        self.cursor: Any = None
        self.now = NOON

        def computed(increment: Increment) -> Any:
            if self.broken:
                raise ValueError("boom")
            return increment.todo()

        crop = feature_asset(
            "crop",
            graph=self.graph,
            partitions_def=partitions,
            partition_by=by,
            automation_condition=on_increment(self.store, **knobs),
        )(computed)
        self.assets = [feature_asset("video", graph=self.graph)(lambda: self.listed), crop]
        self.defs = dg.Definitions(self.assets, resources=resources(self.store))

    def list(self, text: str = "1", **sites: tuple[str, int]) -> None:
        """Run the root: id = (site, day)."""
        self.listed = pl.DataFrame(
            {
                "id": list(sites),
                "site": [site for site, _ in sites.values()],
                "day": [date(2026, 1, day) for _, day in sites.values()],
                "at": [datetime(2026, 1, day, 23, 59, 59) for _, day in sites.values()],
                "metaxy_provenance_by_field": [{"f": text}] * len(sites),
            }
        )
        self.run("video")

    def run(self, key: str, partition: Any = None, **how: Any) -> None:
        dg.materialize(
            self.assets,
            selection=[key],
            resources=resources(self.store, preview_rows=0),
            instance=self.instance,
            partition_key=partition,
            raise_on_error=False,
            **how,
        )

    def condition(self, later: timedelta = timedelta(minutes=1)) -> set[str]:
        """The partitions that the condition asks for at the next tick."""
        self.now += later
        result = dg.evaluate_automation_conditions(
            self.defs, self.instance, cursor=self.cursor, evaluation_time=self.now
        )
        self.cursor = result.cursor
        return set(result.get_requested_partitions(CROP))

    def sensor(self) -> list[tuple[Any, dict[str, str]]]:
        """The partitions that the plain sensor asks for, and the tags of their runs."""
        made = increment_sensor(["crop"], store=self.store, graph=self.graph)
        repository = self.defs.get_repository_def()
        with dg.build_sensor_context(self.instance, repository_def=repository) as context:
            result = made(context)
        assert isinstance(result, dg.SensorResult)
        return [(one.partition_key, dict(one.tags)) for one in result.run_requests or []]

    def schedule(self) -> Any:
        made = build_increment_schedule("@daily", [self.assets[1]], graph=self.graph)
        defs = dg.Definitions.merge(self.defs, dg.Definitions(schedules=[made]))
        context = dg.build_schedule_context(
            instance=self.instance,
            resources={"metaxy": self.store},
            repository_def=defs.get_repository_def(),
            scheduled_execution_time=self.now,
        )
        with context:
            return made.evaluate_tick(context)


def test_the_partitions_with_work_are_requested_once() -> None:
    history = History()
    assert history.condition() == set()
    history.list(a=("north", 1), b=("south", 1), c=("south", 2))
    assert history.condition() == {"north", "south"}
    assert history.condition() == set()
    history.run("crop", "north")
    history.run("crop", "south")
    assert history.condition() == set()
    history.list(a=("north", 1), b=("south", 1), c=("south", 2), d=("west", 1))
    assert history.condition() == {"west"}


def test_a_partition_that_failed_is_not_repeated_because_another_ran() -> None:
    history = History()
    history.list(a=("north", 1), b=("south", 1))
    assert history.condition() == {"north", "south"}
    history.run("crop", "north")
    history.broken = True
    history.run("crop", "south")
    assert history.condition() == set()
    history.broken = False
    history.list("2", a=("north", 1), b=("south", 1))
    assert history.condition() == {"north", "south"}


def test_a_batch_of_each_partition_is_waited_for_but_not_for_ever() -> None:
    history = History(min_samples=2, max_wait=timedelta(hours=6))
    history.list(a=("north", 1), b=("south", 1), c=("south", 2))
    assert history.condition() == {"south"}
    history.run("crop", "south")
    assert history.condition() == set()
    assert history.condition(timedelta(hours=7)) == {"north"}


@pytest.mark.parametrize("column", ["day", "at"])
def test_days_are_found_by_dates_and_times(column: str) -> None:
    history = History(DAYS, column)
    history.list(a=("north", 1), b=("north", 3))
    assert history.condition() == {"2026-01-01", "2026-01-03"}


def test_two_dimensions() -> None:
    both = dg.MultiPartitionsDefinition({"when": DAYS, "where": SITES})
    history = History(both, {"when": "day", "where": "site"})
    history.list(a=("north", 1), b=("south", 3))
    assert history.condition() == {"2026-01-01|north", "2026-01-03|south"}
    found = history.sensor()
    assert [str(key) for key, _ in found] == ["2026-01-01|north", "2026-01-03|south"]


def test_buckets_are_found_by_the_hash() -> None:
    buckets = hash_buckets(4)
    history = History(buckets, None)
    history.list(a=("north", 1), b=("north", 1))
    wanted = history.condition()
    assert wanted
    for key in wanted:
        history.run("crop", key)
    with history.store.open("r") as opened:
        assert opened.resolve_update("crop").is_empty


def test_a_value_without_a_partition_is_left_out() -> None:
    history = History()
    history.list(a=("north", 1), b=("nowhere", 1))
    assert history.condition() == {"north"}


def test_partitions_are_counted_in_one_query(monkeypatch: pytest.MonkeyPatch) -> None:
    history, asked = History(), []
    history.list(a=("north", 1), b=("south", 1), c=("west", 2))
    resolve = MetadataStore.resolve_update

    def counted(self: Any, *arguments: Any, **how: Any) -> Any:
        asked.append(arguments)
        return resolve(self, *arguments, **how)

    monkeypatch.setattr(MetadataStore, "resolve_update", counted)
    assert len(history.condition()) == 3
    assert len(history.sensor()) == 3
    assert len(asked) == 2


def test_the_sensor_requests_a_run_for_each_partition() -> None:
    history = History()
    history.list(a=("north", 1), b=("south", 1), c=("south", 2))
    found = history.sensor()
    assert [key for key, _ in found] == ["north", "south"]
    assert [tags["metaxy/new"] for _, tags in found] == ["1", "2"]
    history.run("crop", "south")
    assert [key for key, _ in history.sensor()] == ["north"]


def test_the_sensor_requests_ranges_where_one_run_does_them() -> None:
    history = History(DAYS, "day")
    history.list(a=("north", 1), b=("north", 2), c=("north", 4))
    start, end = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
    found = history.sensor()
    assert [(tags[start], tags[end], tags["metaxy/new"]) for _, tags in found] == [
        ("2026-01-01", "2026-01-02", "2"), ("2026-01-04", "2026-01-04", "1"),
    ]  # fmt: skip
    history.run("crop", tags={name: found[0][1][name] for name in (start, end)})
    assert [tags[start] for _, tags in history.sensor()] == ["2026-01-04"]


def test_the_schedule_runs_the_partitions_with_work() -> None:
    history = History()
    assert history.schedule().skip_message == "There are no pending samples."
    history.list(a=("north", 1), b=("south", 1))
    found = history.schedule().run_requests
    assert [one.partition_key for one in found] == ["north", "south"]
    assert {key for one in found for key in one.asset_selection} == {CROP}


def test_dynamic_partitions_are_those_of_the_instance() -> None:
    history = History(dg.DynamicPartitionsDefinition(name="sites"))
    history.list(a=("north", 1), b=("south", 1))
    history.instance.add_dynamic_partitions("sites", ["south"])
    assert history.condition() == {"south"}
    assert [key for key, _ in history.sensor()] == ["south"]


def test_of_a_feature_in_parts_the_parts_are_requested_and_not_their_union() -> None:
    history = History()
    history.list(a=("north", 1), b=("south", 1))
    parts = [
        feature_asset("crop", graph=history.graph, part={"site": site}, name=f"crop_{site}")(
            lambda increment: increment.todo()
        )
        for site in ("north", "south", "west")
    ]
    union = union_asset("crop", parts, graph=history.graph)
    made = increment_sensor([*parts, union], store=history.store, graph=history.graph)
    with dg.build_sensor_context(history.instance) as context:
        result = made(context)
    assert isinstance(result, dg.SensorResult)
    asked = [one.asset_selection for one in result.run_requests or []]
    assert asked == [[dg.AssetKey("crop_north")], [dg.AssetKey("crop_south")]]
