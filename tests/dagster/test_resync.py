"""Assets that Dagster calls stale although they have nothing to do are made fresh without a run."""

from __future__ import annotations

import json
from typing import Any

import dagster as dg
import narwhals as nw
import polars as pl
import pytest
from dagster._core.definitions.data_version import CachingStaleStatusResolver
from dagster._core.loader import LoadingContextForTest

from metaxy_core import FeatureGraph, FeatureSpec
from metaxy_dagster import MetaxyStore, feature_asset, resync_sensor
from metaxy_dagster.automation.tick import Tick
from tests.dagster.conftest import resources

CROP, FACES = dg.AssetKey("crop"), dg.AssetKey("faces")


class History:
    """video (audio, frames) -> crop (frames alone) -> faces, over one store and one instance."""

    def __init__(self, **crop: Any) -> None:
        self.graph = FeatureGraph(
            [
                FeatureSpec("video", id_columns=["id"], fields=["audio", "frames"]),
                FeatureSpec("crop", id_columns=["id"], fields=["frames"], deps=["video"]),
                FeatureSpec("faces", id_columns=["id"], fields=["frames"], deps=["crop"]),
            ]
        )
        self.store = MetaxyStore.memory(graph=self.graph)
        self.instance = dg.DagsterInstance.ephemeral()
        self.listed = pl.DataFrame()
        make = {"crop": crop, "faces": {}}
        self.assets = [
            feature_asset("video", graph=self.graph)(lambda: self.listed),
            *(
                feature_asset(key, graph=self.graph, **more)(lambda increment: increment.todo())
                for key, more in make.items()
            ),
        ]
        self.sensor = resync_sensor(["crop", "faces"], store=self.store)
        self.cursor: str | None = None
        self.defs = dg.Definitions(self.assets, resources=resources(self.store))

    def list(self, *samples: tuple[str, str, str]) -> None:
        """Run the root with these samples: id, audio, frames."""
        self.listed = pl.DataFrame(
            {
                "id": [one[0] for one in samples],
                "site": "north",
                "metaxy_provenance_by_field": [
                    {"audio": audio, "frames": frames} for _, audio, frames in samples
                ],
            }
        )
        self.run("video")

    def run(self, *keys: str, **how: Any) -> None:
        dg.materialize(
            self.assets,
            selection=list(keys),
            resources=resources(self.store, preview_rows=0),
            instance=self.instance,
            **how,
        )

    def tick(self) -> list[dg.AssetKey]:
        """The assets told in sync; the events are reported as the daemon does."""
        context = dg.build_sensor_context(
            instance=self.instance,
            repository_def=self.defs.get_repository_def(),
            cursor=self.cursor,
        )
        with context:
            result = self.sensor(context)
        assert isinstance(result, dg.SensorResult)
        self.cursor = result.cursor
        for event in result.asset_events:
            self.instance.report_runless_asset_event(event)
        return [event.asset_key for event in result.asset_events]

    def status(self, key: dg.AssetKey) -> str:
        graph = self.defs.resolve_asset_graph()
        resolver = CachingStaleStatusResolver(
            self.instance, graph, LoadingContextForTest(self.instance)
        )
        return str(resolver.get_status(key).value)


@pytest.fixture
def history() -> History:
    made = History()
    made.list(("a", "1", "1"), ("b", "1", "1"))
    made.run("crop", "faces")
    assert made.tick() == []
    return made


def test_what_moved_in_other_fields_alone_becomes_fresh_without_a_run(history: History) -> None:
    history.list(("a", "2", "1"), ("b", "1", "1"))
    assert history.status(CROP) == "STALE"
    assert history.tick() == [CROP]
    assert (history.status(CROP), history.status(FACES)) == ("FRESH", "FRESH")
    assert history.tick() == []
    event = history.instance.get_latest_materialization_event(CROP)
    assert event is not None
    assert event.asset_materialization is not None
    told = event.asset_materialization.metadata
    assert (told["dagster/row_count"].value, told["metaxy/resynced"].value) == (2, True)
    assert "metaxy/rows_written" not in told


def test_a_pending_increment_is_never_papered_over(history: History) -> None:
    history.list(("a", "2", "1"), ("b", "2", "2"))
    assert history.tick() == []
    assert history.status(CROP) == "STALE"
    history.run("crop")
    assert history.status(CROP) == "FRESH"
    assert history.tick() == []
    assert history.status(FACES) == "STALE"


def test_orphans_are_left_to_a_run(history: History) -> None:
    history.list(("a", "2", "1"))
    with history.store.open("w") as opened:
        opened.delete("video", "id = 'b'")
    history.list(("a", "3", "1"))
    assert history.tick() == []


def test_failed_samples_are_left_to_a_run(history: History) -> None:
    history.list(("a", "1", "1"), ("b", "1", "2"))
    with history.store.open("w") as opened:
        opened.record_failures("crop", opened.resolve_update("crop").stale, "broken")
    assert history.tick() == []
    assert history.status(CROP) == "STALE"


def test_content_that_dagster_does_not_know_is_left_to_a_run(history: History) -> None:
    history.list(("a", "1", "1"), ("b", "1", "2"))
    with history.store.open("w") as opened:
        opened.write("crop", opened.resolve_update("crop").stale)
    assert history.tick() == []
    assert history.status(CROP) == "STALE"


def test_an_asset_that_runs_is_left_alone(history: History) -> None:
    history.list(("a", "2", "1"), ("b", "1", "1"))
    run = dg.DagsterRun(
        job_name="j", status=dg.DagsterRunStatus.STARTED, asset_selection=frozenset({CROP})
    )
    history.instance.add_run(run)
    assert history.tick() == []


def test_partitions_are_left_alone() -> None:
    sites = dg.StaticPartitionsDefinition(["north"])
    history = History(partitions_def=sites, partition_by="site")
    history.list(("a", "1", "1"))
    history.run("crop", partition_key="north")
    history.run("faces")
    history.list(("a", "2", "1"))
    assert history.tick() == []


def test_every_asset_has_its_turn_however_long_ticks_take(
    history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Behind Dagster's back a sample of crop is lost: crop stays stale until it runs.
    with history.store.open("w") as opened:
        opened.delete("crop", nw.col("id") == "b")
    history.list(("a", "2", "1"), ("b", "1", "1"))
    crop = history.instance.get_latest_materialization_event(CROP)
    assert crop is not None
    assert crop.asset_materialization is not None
    moved = {**(crop.asset_materialization.tags or {}), "dagster/data_version": "other"}
    history.instance.report_runless_asset_event(dg.AssetMaterialization(CROP, tags=moved))
    over = iter([False, True, False, False, False])
    monkeypatch.setattr(Tick, "is_over", property(lambda tick: next(over)))
    looked: list[list[str]] = []
    for _ in range(3):
        history.tick()
        looked.append(json.loads(history.cursor or ""))
    assert looked == [["crop"], [], []]
    assert next(over, None) is None
