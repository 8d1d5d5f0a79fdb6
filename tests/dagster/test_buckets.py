"""Assets partitioned by a hash of their samples' ids."""

from __future__ import annotations

from datetime import date

import dagster as dg
import polars as pl
import pytest

from metaxy_core import DefinitionError, FeatureGraph, FeatureSpec, MetadataSchemaError
from metaxy_dagster import (
    Increment,
    MetaxyStore,
    build_feature_definitions,
    feature_asset,
    hash_buckets,
)
from tests.dagster.conftest import metadata, resources, rows

BUCKETS = hash_buckets(4)
KEYS = BUCKETS.get_partition_keys()
IDS = [f"v{number:02}" for number in range(20)]


@pytest.fixture
def graph() -> FeatureGraph:
    return FeatureGraph(
        [
            FeatureSpec("video", id_columns=["id"], fields=["f"]),
            FeatureSpec("crop", id_columns=["id"], fields=["f"], deps=["video"]),
            FeatureSpec("words", id_columns=["id"], fields=["f"], deps=["crop"]),
        ]
    )


def videos(text: str = "1") -> pl.DataFrame:
    day = [date(2026, 1, 1 + number % 2) for number in range(len(IDS))]
    structs = [{"f": text}] * len(IDS)
    return pl.DataFrame({"id": IDS, "day": day, "metaxy_provenance_by_field": structs})


def fill(store: MetaxyStore, text: str = "1") -> None:
    with store.open("w") as opened:
        opened.write("video", videos(text))


def asset(graph: FeatureGraph, feature: str, **more: object) -> dg.AssetsDefinition:
    @feature_asset(feature, graph=graph, **{"partitions_def": BUCKETS, **more})
    def computed(increment: Increment) -> object:
        return increment.todo()

    return computed


def run(assets: list[dg.AssetsDefinition], store: MetaxyStore, key: object = None, **more: object):
    partition = {"partition_key": key} if key is not None else {}
    return dg.materialize(assets, resources=resources(store), **partition, **more)


def own(key: str) -> list[tuple[str]]:
    """The ids in a bucket, as Python knows them."""
    frame = BUCKETS.chosen([key]).keep(_wrapped(videos()), ["id"])
    return [(one,) for one in frame["id"].to_list()]


def _wrapped(frame: pl.DataFrame):
    import narwhals as nw

    return nw.from_native(frame)


def test_a_run_does_the_samples_of_its_bucket_in_a_chain(graph, store):
    fill(store)
    chain = [asset(graph, "crop"), asset(graph, "words")]
    result = run(chain, store, "02")
    assert rows(store, "crop") == rows(store, "words") == own("02")
    told = metadata(result, "words")
    assert told["metaxy/part"] == {"metaxy_bucket": "02"}
    assert told["dagster/row_count"] == told["metaxy/rows_written"] == len(own("02"))


def test_all_buckets_do_everything_once(graph, store):
    fill(store)
    written = [metadata(run([asset(graph, "crop")], store, key), "crop") for key in KEYS]
    assert rows(store, "crop") == [(one,) for one in IDS]
    assert sum(one["metaxy/rows_written"] for one in written) == len(IDS)


def test_what_lies_in_other_buckets_is_neither_done_nor_orphaned(graph, store):
    fill(store)
    crop = asset(graph, "crop", orphans="hard_delete")
    for key in KEYS:
        run([crop], store, key)
    with store.open("w") as opened:
        opened.delete("video", "true")
    told = metadata(run([crop], store, "01"), "crop")
    assert told["metaxy/orphaned"] == len(own("01"))
    assert rows(store, "crop") == sorted(set(map(tuple, zip(IDS))) - set(own("01")))


def test_a_bucket_has_a_data_version_of_its_own(graph, store):
    fill(store)
    crop = asset(graph, "crop")

    def version(key: str) -> str:
        (event,) = run([crop], store, key).get_asset_materialization_events()
        return event.materialization.tags["dagster/data_version"]

    first, other = version("00"), version("01")
    assert version("00") == first != other


def test_runs_of_several_buckets_at_once(graph, tmp_path):
    store = MetaxyStore.duckdb(str(tmp_path / "m.duckdb"), graph=graph)
    fill(store)
    others = KEYS[1:]

    @feature_asset("crop", graph=graph, partitions_def=BUCKETS)
    def crop(increment: Increment) -> object:
        # The run of another bucket begins and ends between two chunks of this one.
        for batch in increment.iter_batches(1):
            if others:
                run([crop], store, others.pop())
            yield batch

    run([crop], store, KEYS[0])
    assert rows(store, "crop") == [(one,) for one in IDS]


def test_a_range_of_buckets_in_one_run(graph, store):
    fill(store)
    tags = {
        "dagster/asset_partition_range_start": "01",
        "dagster/asset_partition_range_end": "02",
    }
    crop = asset(graph, "crop", backfill_policy=dg.BackfillPolicy.single_run())
    result = run([crop], store, tags=tags)
    assert rows(store, "crop") == sorted(own("01") + own("02"))
    events = result.get_asset_materialization_events()
    counted = "dagster/partition_row_count"
    told = {one.partition: one.materialization.metadata[counted].value for one in events}
    assert told == {key: len(own(key)) for key in ("01", "02")}


def test_a_root_gives_the_samples_of_its_bucket_and_others_are_refused(graph, store):
    @feature_asset("video", graph=graph, partitions_def=BUCKETS)
    def video(context: dg.AssetExecutionContext) -> object:
        return BUCKETS.chosen(context.partition_keys).keep(_wrapped(videos()), ["id"])

    run([video], store, "03")
    run([video], store, "00")
    assert rows(store, "video") == sorted(own("03") + own("00"))

    careless = feature_asset("video", graph=graph, partitions_def=BUCKETS)(videos)
    with pytest.raises(MetadataSchemaError, match="of the 20 rows given are in other buckets"):
        run([careless], store, "03")


def test_listed_samples_may_be_all(graph, store):
    @feature_asset("video", graph=graph, partitions_def=BUCKETS, samples=videos)
    def video(increment: Increment) -> object:
        return increment.todo()

    told = metadata(run([video], store, "01"), "video")
    assert (rows(store, "video"), told["metaxy/orphaned"]) == (own("01"), 0)
    told = metadata(run([video], store, "02"), "video")
    assert told["metaxy/orphaned"] == 0
    assert rows(store, "video") == sorted(own("01") + own("02"))


def test_days_and_buckets(graph, store):
    fill(store)
    days = dg.DailyPartitionsDefinition(start_date="2026-01-01", end_date="2026-01-03")
    both = dg.MultiPartitionsDefinition({"day": days, "bucket": BUCKETS})
    crop = asset(graph, "crop", partitions_def=both, partition_by={"day": "day"})
    run([crop], store, dg.MultiPartitionKey({"day": "2026-01-02", "bucket": "01"}))
    odd = {(one,) for one in IDS[1::2]}
    assert rows(store, "crop") == sorted(odd & set(own("01")))


def test_inputs_are_those_of_the_bucket(graph, store):
    fill(store)
    crop = asset(graph, "crop")
    for key in KEYS:
        run([crop], store, key)

    @dg.asset(partitions_def=BUCKETS, ins={"crop": dg.AssetIn(input_manager_key="metaxy_io")})
    def counted(crop: pl.DataFrame) -> int:
        return crop.height

    result = run([crop, counted], store, "02", selection=[counted])
    assert result.output_for_node("counted") == len(own("02"))


def test_a_graph_in_one_call(graph, store):
    defs = build_feature_definitions(
        graph,
        store=store,
        compute={"crop": lambda increment: increment.todo()},
        partitions={"crop": BUCKETS},
    )
    fill(store)
    job = defs.resolve_implicit_job_def_def_for_assets([dg.AssetKey("crop")])
    assert job is not None
    assert job.execute_in_process(partition_key="02").success
    assert rows(store, "crop") == own("02")


def test_mistakes_are_told_at_definition(graph):
    with pytest.raises(DefinitionError, match="not from a column; given: partition_by='id'"):
        asset(graph, "crop", partition_by="id")
    with pytest.raises(DefinitionError, match="1 to 4096 buckets"):
        hash_buckets(5000)
    twice = dg.MultiPartitionsDefinition({"a": BUCKETS, "b": hash_buckets(2)})
    with pytest.raises(DefinitionError, match="one dimension may be hash buckets; a, b are"):
        asset(graph, "crop", partitions_def=twice)
