"""Mistakes known from integrations of this kind, each a test of what is right."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from metaxy_core import FeatureGraph, FeatureSpec, StoreUnavailableError
from metaxy_dagster import (
    Increment,
    MetaxyIOManager,
    MetaxyStore,
    build_feature_definitions,
    feature_asset,
    union_asset,
)
from metaxy_dagster.reports.metadata import safe_markdown
from metaxy_dagster.testing import run_in_processes
from tests.dagster import pipeline
from tests.dagster.conftest import (
    data_version,
    materialized,
    metadata,
    outcomes,
    resources,
    rows,
    run,
    videos,
)

pytestmark = pytest.mark.slow

ALL = [(one,) for one in pipeline.IDS]


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MetaxyStore:
    monkeypatch.setenv("METAXY_TEST_DB", str(tmp_path / "meta.duckdb"))
    monkeypatch.setenv("METAXY_TEST_LOG", str(tmp_path / "computed.txt"))
    return pipeline.store()


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    (tmp_path / "home").mkdir()
    with dg.instance_for_test(temp_dir=str(tmp_path / "home")) as made:
        yield made


def computed() -> Counter[str]:
    import os

    return Counter(Path(os.environ["METAXY_TEST_LOG"]).read_text().split())


def listing(graph: FeatureGraph, audio: dict[str, str], **arguments: Any) -> dg.AssetsDefinition:
    return feature_asset("ex/video", graph=graph, **arguments)(lambda: videos(audio))


def crops(graph: FeatureGraph) -> dg.AssetsDefinition:
    return feature_asset("ex/crop", graph=graph)(lambda increment: increment.todo())


def test_a_child_that_is_first_in_the_alphabet_runs_after_its_parent(store: MetaxyStore) -> None:
    result = run([pipeline.faces, pipeline.crop, pipeline.video], store)
    assert materialized(result) == ["ex/video", "ex/crop", "ex/a_faces"]
    assert rows(store, "ex/a_faces") == ALL


@pytest.mark.slow
def test_the_order_holds_with_one_process_per_step(
    database: MetaxyStore, instance: dg.DagsterInstance
) -> None:
    with dg.execute_job(dg.reconstructable(pipeline.make_job), instance=instance) as result:
        assert result.success
    assert rows(database, "ex/crop") == ALL


def test_the_data_version_of_a_root_changes_if_and_only_if_its_content_does(
    graph: FeatureGraph, store: MetaxyStore
) -> None:
    first, same, changed, back = (
        data_version(run([listing(graph, {"a": audio})], store), "ex/video")
        for audio in ("1", "1", "2", "1")
    )
    assert first == same == back != changed


def test_an_error_while_asking_for_statistics_is_an_error(
    graph: FeatureGraph, tmp_path: Path
) -> None:
    @dg.asset(key=["ex", "video"], io_manager_key="metaxy_io")
    def nothing() -> Any:
        return None

    missing = MetaxyStore.duckdb(str(tmp_path / "missing.duckdb"), graph=graph)
    with pytest.raises(StoreUnavailableError):
        run([nothing], missing)


def test_a_feature_key_with_a_slash_can_be_selected(
    graph: FeatureGraph, store: MetaxyStore
) -> None:
    assets = [listing(graph, {"a": "1"}), crops(graph)]
    selected = dg.AssetSelection.from_string('key:"ex/crop"').resolve(assets)
    assert selected == {dg.AssetKey(["ex", "crop"])}
    assert dg.AssetSelection.assets("ex/crop").resolve(assets) == selected


def test_the_resource_works_in_a_sensor_and_the_io_manager_with_defaults(
    graph: FeatureGraph, store: MetaxyStore
) -> None:
    run([listing(graph, {"a": "1"})], store)

    @dg.sensor(asset_selection=dg.AssetSelection.assets("ex/crop"))
    def pending(metaxy: MetaxyStore) -> Any:
        with metaxy.open("r") as opened:
            todo = opened.resolve_update("ex/crop").counts["new"]
        return dg.RunRequest(tags={"metaxy/new": str(todo)})

    defs = dg.Definitions(
        assets=[crops(graph)],
        sensors=[pending],
        resources={"metaxy": store, "metaxy_io": MetaxyIOManager()},
    )
    sensor = defs.resolve_sensor_def("pending")
    context = dg.build_sensor_context(definitions=defs, resources={"metaxy": store})
    (request,) = sensor.evaluate_tick(context).run_requests or []
    assert request.tags["metaxy/new"] == "1"


def test_two_assets_feed_one_feature() -> None:
    graph = FeatureGraph(
        [
            FeatureSpec("ex/video", id_columns=["id"], provenance_from={"default": ["sha"]}),
            FeatureSpec("ex/crop", id_columns=["id"], deps=["ex/video"]),
        ]
    )
    store = MetaxyStore.memory(graph=graph)
    given = {"us": {"u1": "1", "u2": "1"}, "eu": {"e1": "1"}}

    def part(name: str) -> dg.AssetsDefinition:
        def listed() -> Any:
            ids = list(given[name])
            shas = list(given[name].values())
            return pl.DataFrame({"id": ids, "sha": shas, "source": [name] * len(ids)})

        made = feature_asset("ex/video", graph=graph, part={"source": name}, orphans="soft_delete")
        return made(listed)

    us, eu = part("us"), part("eu")
    whole = union_asset("ex/video", [us, eu], graph=graph)
    crop = crops(graph)
    result = run([crop, whole, us, eu], store)
    assert set(materialized(result)[:2]) == {"ex/video/us", "ex/video/eu"}
    assert materialized(result)[2:] == ["ex/video", "ex/crop"]
    assert rows(store, "ex/crop") == [("e1",), ("u1",), ("u2",)]
    counted = [
        metadata(result, f"ex/video{part}")["dagster/row_count"] for part in ("/us", "/eu", "")
    ]
    assert counted == [2, 1, 3]

    del given["us"]["u2"]
    again = run([us, eu, whole], store)
    assert outcomes(again, "ex/video/us")["orphaned"] == (1, 1, 0, 0)
    assert outcomes(again, "ex/video/eu")["orphaned"] == (0, 0, 0, 0)
    assert data_version(again, "ex/video/eu") == data_version(result, "ex/video/eu")
    assert data_version(again, "ex/video/us") != data_version(result, "ex/video/us")
    assert data_version(again, "ex/video") != data_version(result, "ex/video")


def test_rows_of_another_part_are_refused() -> None:
    graph = FeatureGraph([FeatureSpec("f", id_columns=["id"], provenance_from={"default": ["id"]})])

    @feature_asset("f", graph=graph, part={"source": "us"})
    def us() -> Any:
        return pl.DataFrame({"id": ["1"], "source": ["eu"]})

    with pytest.raises(ValueError, match="source = 'eu'"):
        run([us], MetaxyStore.memory(graph=graph))


def test_a_crash_after_chunk_2_of_5_leaves_only_what_is_left(
    graph: FeatureGraph, store: MetaxyStore
) -> None:
    seen: list[list[str]] = []

    @feature_asset("ex/crop", graph=graph, retry_policy=dg.RetryPolicy(max_retries=1))
    def crop(context: dg.AssetExecutionContext, increment: Increment) -> Any:
        for number, batch in enumerate(increment.iter_batches(2)):
            if number == 2 and context.retry_number == 0:
                raise RuntimeError("boom")
            seen.append(batch["id"].to_list())
            yield batch

    result = run([listing(graph, dict.fromkeys(pipeline.IDS, "1")), crop], store)
    assert sorted(one for batch in seen for one in batch) == pipeline.IDS
    assert [len(batch) for batch in seen] == [2, 2, 2, 2, 2]
    assert rows(store, "ex/crop") == ALL
    found = metadata(result, "ex/crop")
    assert (found["metaxy/rows_written"], found["metaxy/rows_written_by_run"]) == (6, 10)


@pytest.mark.slow
def test_after_a_kill_in_mid_chunk_at_most_one_chunk_is_computed_again(
    database: MetaxyStore,
    instance: dg.DagsterInstance,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("METAXY_TEST_KILL", str(tmp_path / "killed"))
    job = dg.reconstructable(pipeline.make_job)
    with dg.execute_job(job, instance=instance) as killed:
        assert not killed.success
        run_id = killed.run_id
    assert len(rows(database, "ex/crop")) == 4
    options = dg.ReexecutionOptions.from_failure(run_id, instance)
    with dg.execute_job(job, instance=instance, reexecution_options=options) as continued:
        assert continued.success
    assert rows(database, "ex/crop") == ALL
    assert sorted(computed().values()) == [1] * 8 + [2] * 2


@pytest.mark.slow
def test_two_runs_at_once_end_well_and_rows_are_unique(database: MetaxyStore) -> None:
    run([pipeline.video], database)
    assert [one.error for one in run_in_processes(pipeline.only_crop, n=2)] == [None, None]
    # Both had found all the work before either did any of it.
    assert set(computed().values()) == {2}
    assert rows(database, "ex/crop") == ALL
    with database.open("r") as opened:
        assert opened.resolve_update("ex/crop").is_empty


def test_a_hostile_docstring_and_error_are_escaped(tmp_path: Path) -> None:
    hostile = "<script>alert(1)</script> `a < b` <img src=x onerror=alert(1)>"
    graph = FeatureGraph(
        [FeatureSpec("f", description=hostile, provenance_from={"default": ["sample_uid"]})]
    )
    defs = build_feature_definitions(graph, store=MetaxyStore.memory())
    (spec,) = defs.resolve_all_asset_specs()
    assert spec.description == safe_markdown(hostile)
    assert "<script" not in (spec.description or "")
    assert "<img" not in (spec.description or "")

    @feature_asset("f", graph=graph)
    def f() -> Any:
        return pl.DataFrame({"sample_uid": [hostile], "<b>": [b"\x00<script>"]})

    shown = metadata(run([f], MetaxyStore.memory(graph=graph)), "f")
    assert shown["dagster/row_count"] == 1


def test_no_secret_is_in_the_metadata(graph: FeatureGraph, tmp_path: Path) -> None:
    store = MetaxyStore.duckdb(
        str(tmp_path / "x.duckdb"), graph=graph, settings={"custom_user_agent": "s3cret"}
    )
    result = dg.materialize([listing(graph, {"a": "1"})], resources=resources(store))
    events = [str(event.materialization) for event in result.get_asset_materialization_events()]
    assert "s3cret" not in "".join(events)
