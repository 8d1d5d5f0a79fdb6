"""A partitioned asset does the samples of its partitions, and no others."""

from __future__ import annotations

from datetime import date, datetime

import dagster as dg
import polars as pl
import pytest

from metaxy_core import DefinitionError, FeatureGraph, FeatureSpec
from metaxy_dagster import Increment, MetaxyStore, feature_asset
from tests.dagster.conftest import metadata, resources, rows

DAILY = dg.DailyPartitionsDefinition(start_date="2026-01-01", end_date="2026-01-05")
SITES = dg.StaticPartitionsDefinition(["north", "south"])


@pytest.fixture
def graph() -> FeatureGraph:
    return FeatureGraph(
        [
            FeatureSpec("video", id_columns=["id"], fields=["f"]),
            FeatureSpec("crop", id_columns=["id"], fields=["f"], deps=["video"]),
        ]
    )


def videos(texts: str = "111111", **columns: object) -> pl.DataFrame:
    ids = ["a", "b", "c", "d", "e", "f"][: len(texts)]
    structs = [{"f": text} for text in texts]
    return pl.DataFrame({"id": ids, **columns, "metaxy_provenance_by_field": structs})


def days(*numbers: int) -> list[date]:
    return [date(2026, 1, number) for number in numbers]


def fill(store: MetaxyStore, frame: pl.DataFrame) -> None:
    with store.open("w") as opened:
        opened.write("video", frame)


def crop_asset(graph: FeatureGraph, partitions: object, by: object) -> dg.AssetsDefinition:
    @feature_asset("crop", graph=graph, partitions_def=partitions, partition_by=by)
    def crop(increment: Increment) -> object:
        return increment.todo()

    return crop


def run(asset: dg.AssetsDefinition, store: MetaxyStore, key: object = None, **more: object):
    partition = {"partition_key": key} if key is not None else {}
    return dg.materialize([asset], resources=resources(store), **partition, **more)


@pytest.mark.parametrize(
    "column",
    [
        pytest.param(lambda d: d, id="dates"),
        pytest.param(lambda d: datetime(d.year, d.month, d.day, 23, 59), id="times"),
        pytest.param(lambda d: d.isoformat(), id="texts"),
    ],
)
def test_a_day_is_compared_as_the_columns_own_type(graph, store, column):
    fill(store, videos(day=[column(day) for day in days(1, 1, 2, 2, 3, 4)]))
    crop = crop_asset(graph, DAILY, "day")
    result = run(crop, store, "2026-01-02")
    assert rows(store, "crop") == [("c",), ("d",)]
    told = metadata(result, "crop")
    assert (told["metaxy/part"], told["metaxy/rows_written"]) == ({"day": "2026-01-02"}, 2)


def test_times_with_a_zone(graph, store):
    times = [datetime(2026, 1, 1, 23, 30), datetime(2026, 1, 2, 0, 30)]
    zoned = pl.Series(times).dt.replace_time_zone("UTC").dt.convert_time_zone("Europe/Paris")
    fill(store, videos("11", at=zoned))
    run(crop_asset(graph, DAILY, "at"), store, "2026-01-02")
    assert rows(store, "crop") == [("b",)]


HOURLY = dg.HourlyPartitionsDefinition(start_date="2026-01-01-00:00")
MORNINGS = dg.DailyPartitionsDefinition(start_date="2026-01-01", hour_offset=6)


@pytest.mark.parametrize(
    ("windows", "key"), [(HOURLY, "2026-01-02-05:00"), (MORNINGS, "2026-01-02")]
)
def test_a_part_of_a_day_is_not_compared_with_dates(graph, store, windows, key):
    fill(store, videos(day=days(1, 1, 2, 2, 3, 4)))
    with pytest.raises(DefinitionError, match=r"'day' is Date.*from 2026-01-02.*no whole days"):
        run(crop_asset(graph, windows, "day"), store, key)


def test_a_day_that_begins_at_one_is_whole(graph, store):
    fill(store, videos("111", day=[date(2018, 11, number) for number in (3, 4, 5)]))
    daily = dg.DailyPartitionsDefinition(start_date="2018-11-01", timezone="America/Sao_Paulo")
    run(crop_asset(graph, daily, "day"), store, "2018-11-04")
    assert rows(store, "crop") == [("b",)]


def test_a_range_in_one_run(graph, store):
    fill(store, videos(day=days(1, 1, 2, 2, 3, 4)))
    tags = {
        "dagster/asset_partition_range_start": "2026-01-02",
        "dagster/asset_partition_range_end": "2026-01-03",
    }
    result = run(crop_asset(graph, DAILY, "day"), store, tags=tags)
    assert rows(store, "crop") == [("c",), ("d",), ("e",)]
    told = {
        event.partition: {
            name: value.value for name, value in event.materialization.metadata.items()
        }
        for event in result.get_asset_materialization_events()
    }
    counts = {
        key: (
            one["dagster/partition_row_count"],
            one["metaxy/rows_written"],
            one["dagster/row_count"],
        )
        for key, one in told.items()
    }
    assert counts == {"2026-01-02": (2, 2, 3), "2026-01-03": (1, 1, 3)}


def test_the_rows_of_a_partition_are_those_of_the_assets_part(graph, store):
    sites = ["north", "south"] * 3
    fill(store, videos(day=days(1, 1, 1, 2, 2, 2), site=sites))
    tags = {
        "dagster/asset_partition_range_start": "2026-01-01",
        "dagster/asset_partition_range_end": "2026-01-02",
    }
    counts = {}
    for site in ("north", "south"):
        crop = feature_asset(
            "crop", graph=graph, partitions_def=DAILY, partition_by="day", part={"site": site}
        )(lambda increment: increment.todo())
        for event in run(crop, store, tags=tags).get_asset_materialization_events():
            told = event.materialization.metadata["dagster/partition_row_count"].value
            counts[site, event.partition] = told
    assert counts == {
        ("north", "2026-01-01"): 2,
        ("north", "2026-01-02"): 1,
        ("south", "2026-01-01"): 1,
        ("south", "2026-01-02"): 2,
    }


def test_what_lies_outside_is_neither_done_nor_orphaned(graph, store):
    fill(store, videos(day=days(1, 1, 2, 2, 3, 4)))
    crop = crop_asset(graph, DAILY, "day")
    for day in ("2026-01-01", "2026-01-02"):
        run(crop, store, day)
    fill(store, videos("222222", day=days(1, 1, 2, 2, 3, 4)))
    told = metadata(run(crop, store, "2026-01-01"), "crop")
    assert (told["metaxy/stale"], told["metaxy/new"], told["metaxy/orphaned"]) == (2, 0, 0)
    first = metadata(run(crop, store, "2026-01-02"), "crop")
    assert (first["metaxy/stale"], first["dagster/row_count"]) == (2, 2)
    assert first["dagster/partition_row_count"] == 2


def test_keys_of_texts_and_integers(graph, store):
    fill(store, videos(site=["north", "south"] * 3, shard=[1, 2] * 3))
    run(crop_asset(graph, SITES, "site"), store, "south")
    assert rows(store, "crop") == [("b",), ("d",), ("f",)]
    shards = dg.StaticPartitionsDefinition(["1", "2"])
    run(crop_asset(graph, shards, "shard"), store, "1")
    assert len(rows(store, "crop")) == 6


def test_dynamic_partitions(graph, store):
    fill(store, videos(site=["north", "south"] * 3))
    sites = dg.DynamicPartitionsDefinition(name="sites")
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("sites", ["north"])
        run(crop_asset(graph, sites, "site"), store, "north", instance=instance)
    assert rows(store, "crop") == [("a",), ("c",), ("e",)]


def test_two_dimensions(graph, store):
    fill(store, videos(day=days(1, 1, 2, 2, 3, 4), site=["north", "south"] * 3))
    both = dg.MultiPartitionsDefinition({"when": DAILY, "where": SITES})
    crop = crop_asset(graph, both, {"when": "day", "where": "site"})
    key = dg.MultiPartitionKey({"when": "2026-01-02", "where": "south"})
    run(crop, store, key)
    assert rows(store, "crop") == [("d",)]


def test_a_root_lists_the_samples_of_its_partition(graph, store):
    @feature_asset("video", graph=graph, partitions_def=SITES, partition_by="site")
    def video(context: dg.AssetExecutionContext) -> pl.DataFrame:
        site = context.partition_key
        ids = {"north": ["a", "b"], "south": ["c"]}[site]
        return pl.DataFrame(
            {"id": ids, "site": site, "metaxy_provenance_by_field": [{"f": "1"}] * len(ids)}
        )

    for site in ("north", "south"):
        told = metadata(run(video, store, site), "video")
        assert told["metaxy/orphaned"] == 0
    assert rows(store, "video", "id", "site") == [
        ("a", "north"), ("b", "north"), ("c", "south"),
    ]  # fmt: skip


def test_rows_outside_the_partition_are_refused(graph, store):
    @feature_asset("video", graph=graph, partitions_def=SITES, partition_by="site")
    def video() -> pl.DataFrame:
        return videos("11", site=["north", "south"])

    with pytest.raises(Exception, match="1 of the 2 rows given are not of its part site = 'north'"):
        run(video, store, "north")


def test_mistakes_are_told_at_definition(graph):
    with pytest.raises(DefinitionError, match="go together"):
        crop_asset(graph, DAILY, None)
    both = dg.MultiPartitionsDefinition({"when": DAILY, "where": SITES})
    with pytest.raises(DefinitionError, match=r"column for each dimension \(when, where\)"):
        crop_asset(graph, both, "day")
    with pytest.raises(DefinitionError, match="is one column"):
        crop_asset(graph, DAILY, {"day": "day"})


def test_a_key_that_is_no_value_of_the_column_is_told(graph, store):
    fill(store, videos(shard=[1, 2] * 3))
    with pytest.raises(DefinitionError, match="'north' is no value of the column 'shard'"):
        run(crop_asset(graph, SITES, "shard"), store, "north")


def test_time_partitions_are_backfilled_in_one_run(graph):
    crop = crop_asset(graph, DAILY, "day")
    assert crop.backfill_policy == dg.BackfillPolicy.single_run()


def test_inputs_are_those_of_the_partition(graph, store):
    fill(store, videos(site=["north", "south"] * 3))
    run(crop_asset(graph, SITES, "site"), store, "south")
    run(crop_asset(graph, SITES, "site"), store, "north")

    @dg.asset(partitions_def=SITES, ins={"crop": dg.AssetIn(input_manager_key="metaxy_io")})
    def counted(crop: pl.DataFrame) -> int:
        return crop.height

    upstream = crop_asset(graph, SITES, "site")
    result = dg.materialize(
        [upstream, counted], selection=[counted], resources=resources(store), partition_key="south"
    )
    assert result.output_for_node("counted") == 3
