"""The checks: what changed since the recorded graph, what is pending, whether rows are sound."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest

from metaxy_core import FeatureGraph, FeatureKey, FeatureSpec, FieldSpec, Graph, GraphSnapshot
from metaxy_dagster import Increment, MetaxyStore, feature_asset, feature_checks
from metaxy_dagster.checks.baseline import Baseline
from metaxy_dagster.checks.comparison import compare
from tests.dagster.conftest import materialized, resources, videos

pytestmark = pytest.mark.slow

LISTED = videos({"a": "1", "b": "1"})


def graph_at(code: str = "1", *, ids: str = "id", description: str | None = None) -> FeatureGraph:
    """video -> crop (its field follows the audio) -> words."""
    audio = FieldSpec("audio", code_version=code)
    return FeatureGraph(
        [
            FeatureSpec("ex/video", id_columns=["id"], fields=[audio, "frames"]),
            FeatureSpec("ex/crop", id_columns=[ids], deps=["ex/video"], description=description)
            if ids == "id"
            else FeatureSpec("ex/crop", id_columns=[ids]),
            FeatureSpec("ex/words", id_columns=[ids], deps=["ex/crop"]),
        ]
    )


def assets_of(graph: FeatureGraph) -> list[dg.AssetsDefinition]:
    def listed() -> Any:
        return LISTED

    def computed(increment: Increment) -> Any:
        return increment.todo()

    features = graph.freeze()
    functions = {key: listed if spec.is_root else computed for key, spec in features.items()}
    return [feature_asset(key, graph=graph)(function) for key, function in functions.items()]


def check(
    graph: FeatureGraph,
    store: MetaxyStore,
    *,
    assets: Sequence[dg.AssetsDefinition] | None = None,
    run: Sequence[str] = (),
    instance: dg.DagsterInstance | None = None,
    fails: bool = False,
    **how: Any,
) -> tuple[dg.ExecuteInProcessResult, dict[str, dg.AssetCheckEvaluation]]:
    """Run all checks, and the assets named; the evaluations by "asset:check"."""
    checks = feature_checks(graph, **how)
    selection: dg.AssetSelection = dg.AssetSelection.checks(checks)
    for key in run:
        selection |= dg.AssetSelection.assets(dg.AssetKey.from_user_string(key))
    result = dg.materialize(
        [*(assets_of(graph) if assets is None else assets), checks],
        selection=selection,
        resources=resources(store.with_graph(graph)),
        instance=instance,
        raise_on_error=not fails,
    )
    assert result.success is not fails
    found = result.get_asset_check_evaluations()
    return result, {f"{e.asset_key.to_user_string()}:{e.check_name}": e for e in found}


def said(evaluation: dg.AssetCheckEvaluation) -> dict[str, Any]:
    return {name: value.value for name, value in evaluation.metadata.items()}


@pytest.fixture
def meta() -> MetaxyStore:
    return MetaxyStore.memory()


@pytest.fixture
def on_disk(tmp_path: Path) -> MetaxyStore:
    return MetaxyStore.duckdb(str(tmp_path / "meta.duckdb"))


def fill(graph: FeatureGraph, store: MetaxyStore) -> None:
    """Bring every feature up to date, as runs would."""
    with store.open("w", graph=graph) as opened:
        for key, spec in opened.graph.items():
            samples = LISTED if spec.is_root else None
            opened.write(key, opened.resolve_update(key, samples=samples).todo())
        opened.push()


def test_without_a_store_everything_passes(on_disk: MetaxyStore) -> None:
    _, found = check(graph_at(), on_disk)
    assert all(evaluation.passed for evaluation in found.values())
    assert len(found) == 18
    assert found["ex/crop:graph_diff"].description == "There is no baseline to compare with yet."


def test_what_was_recorded_and_is_the_same_passes(meta: MetaxyStore) -> None:
    fill(graph_at(), meta)
    _, found = check(graph_at(), meta)
    assert [name for name, one in found.items() if not one.passed] == []
    assert said(found["ex/crop:graph_diff"])["changed_fields"] == 0


def test_a_new_code_version_warns_at_the_feature_and_at_what_follows_it(meta: MetaxyStore) -> None:
    fill(graph_at(), meta)
    _, found = check(graph_at("2"), meta, checks=["graph_diff"])
    video, crop = found["ex/video:graph_diff"], found["ex/crop:graph_diff"]
    assert (video.passed, video.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert video.description is not None
    assert "field audio: code version 1 → 2" in video.description
    assert crop.description is not None
    assert "follows ex/video.audio" in crop.description
    shown = said(video)
    assert (shown["changed_fields"], shown["would_recompute"]) == (1, 2)
    assert shown["diff"].startswith("![What changed around ex/video](data:image/svg+xml;base64,")
    assert "| `ex/video` | `audio` |" in shown["diff"]
    assert shown["mermaid"].startswith("```mermaid\nflowchart LR\n")
    assert [row.data for row in shown_records(video)] == [
        {"feature": "ex/crop", "fields": "default", "rows": 2},
        {"feature": "ex/words", "fields": "default", "rows": 2},
    ]


def shown_records(evaluation: dg.AssetCheckEvaluation) -> Sequence[dg.TableRecord]:
    value = evaluation.metadata["affected_downstream"]
    assert isinstance(value, dg.TableMetadataValue)
    return value.records


def test_of_many_affected_features_those_with_most_rows_are_listed() -> None:
    def graph(code: str) -> Graph:
        children = [FeatureSpec(f"ex/c{n:02}", deps=["ex/root"]) for n in range(30)]
        field = FieldSpec("default", code_version=code)
        return Graph([FeatureSpec("ex/root", fields=[field]), *children])

    root = FeatureKey("ex/root")
    found = compare(graph("2"), root, Baseline("v", "a test", graph("1")))
    rows = {FeatureKey(f"ex/c{n:02}"): n for n in range(30)}
    shown = found.metadata(rows)
    assert shown["affected_features"] == 30
    listed = [row.data["rows"] for row in shown["affected_downstream"].records]
    assert listed == list(range(29, 4, -1))


def test_a_docstring_is_cosmetic_and_passes(meta: MetaxyStore) -> None:
    fill(graph_at(), meta)
    _, found = check(graph_at(description="Cut."), meta, checks=["graph_diff"])
    crop = found["ex/crop:graph_diff"]
    assert crop.passed
    assert crop.description is not None
    assert crop.description.startswith("cosmetic: description changed")


def test_other_id_columns_are_breaking(meta: MetaxyStore) -> None:
    fill(graph_at(), meta)
    _, found = check(graph_at(ids="name"), meta)
    crop = found["ex/crop:graph_diff"]
    assert (crop.passed, crop.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert crop.description is not None
    assert crop.description.startswith("breaking: id columns: id → name")
    assert not found["ex/crop:one_version"].passed


def test_a_breaking_difference_that_blocks_stops_what_is_below(meta: MetaxyStore) -> None:
    fill(graph_at(), meta)
    graph = graph_at(ids="name")

    how: dict[str, Any] = {"blocking": True, "checks": ["graph_diff"], "fails": True}
    result, found = check(graph, meta, run=["ex/video", "ex/words"], **how)
    assert found["ex/crop:graph_diff"].blocking
    assert materialized(result) == ["ex/video"]


def test_the_graph_that_the_run_itself_records_is_no_baseline_for_it(meta: MetaxyStore) -> None:
    fill(graph_at(), meta)
    graph = graph_at("2")
    with dg.DagsterInstance.ephemeral() as instance:
        _, found = check(graph, meta, run=["ex/video", "ex/crop"], instance=instance)
        crop, words = found["ex/crop:graph_diff"], found["ex/words:graph_diff"]
        assert crop.passed
        assert "no stored row is of another version" in (crop.description or "")
        assert said(crop)["changed_fields"] == 1
        assert not words.passed
        assert said(words)["would_recompute"] == 2
        _, again = check(graph, meta, instance=instance, checks=["graph_diff"])
        assert all(evaluation.passed for evaluation in again.values())


def test_the_first_run_of_all_has_no_baseline(meta: MetaxyStore) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        how: dict[str, Any] = {"instance": instance, "checks": ["graph_diff"]}
        _, found = check(graph_at(), meta, run=["ex/video"], **how)
    description = found["ex/video:graph_diff"].description
    assert description == "There is no baseline to compare with yet."


def test_a_file_is_a_baseline_without_a_store(on_disk: MetaxyStore, tmp_path: Path) -> None:
    path = tmp_path / "main.json"
    path.write_text(GraphSnapshot.of(graph_at().freeze()).to_json(), encoding="utf-8")
    _, found = check(graph_at("2"), on_disk, checks=["graph_diff"], baseline=path)
    assert not found["ex/video:graph_diff"].passed
    assert "the file main.json" in (found["ex/video:graph_diff"].description or "")


def test_a_recorded_snapshot_is_a_baseline(meta: MetaxyStore) -> None:
    fill(graph_at(), meta)
    fill(graph_at("2"), meta)
    first = graph_at().freeze().snapshot_version[:12]
    _, found = check(graph_at("2"), meta, checks=["graph_diff"], baseline=first)
    assert not found["ex/video:graph_diff"].passed


def test_without_recorded_graphs_the_latest_materialisation_is_the_baseline(
    meta: MetaxyStore,
) -> None:
    def video() -> Any:
        return LISTED

    with dg.DagsterInstance.ephemeral() as instance:
        for code, passes in (("1", True), ("2", False)):
            graph = graph_at(code)
            asset = feature_asset("ex/video", graph=graph, record_snapshot=False)(video)
            bound = resources(meta.with_graph(graph))
            if code == "1":
                dg.materialize([asset], resources=bound, instance=instance)
            _, found = check(graph, meta, checks=["graph_diff"], instance=instance)
            assert found["ex/video:graph_diff"].passed is passes
    assert "the asset's latest materialisation" in (found["ex/video:graph_diff"].description or "")


def test_another_hash_algorithm_is_breaking(on_disk: MetaxyStore) -> None:
    fill(graph_at(), on_disk)
    other = MetaxyStore.duckdb(on_disk.path, hash_algorithm="sha256")
    _, found = check(graph_at(), other)
    assert {evaluation.passed for evaluation in found.values()} == {False}
    assert (found["ex/crop:graph_diff"].description or "").startswith("breaking: ")
    assert "md5" in (found["ex/crop:graph_diff"].description or "")


def test_pending_work_is_counted_and_only_warned_of(meta: MetaxyStore) -> None:
    graph = graph_at()
    with meta.open("w", graph=graph) as opened:
        opened.write("ex/video", LISTED)
    _, found = check(graph, meta, checks=["pending_increment"])
    crop = found["ex/crop:pending_increment"]
    assert (crop.passed, crop.severity) == (False, dg.AssetCheckSeverity.WARN)
    told = said(crop)
    age, since = told.pop("oldest_pending_seconds"), told.pop("oldest_pending_since")
    assert told == {"new": 2, "stale": 0, "orphaned": 0}
    assert age >= 0
    assert since <= time.time()
    assert (crop.description or "").startswith("To process: 2 new; the oldest for ")
    assert "known only when it runs" in (found["ex/video:pending_increment"].description or "")
    assert "never materialised" in (found["ex/words:pending_increment"].description or "")


def test_where_no_row_tells_how_long_something_is_pending_no_age_is_told(
    meta: MetaxyStore,
) -> None:
    fill(graph_at(), meta)
    done = check(graph_at(), meta, checks=["pending_increment"])[1]["ex/words:pending_increment"]
    assert said(done)["oldest_pending_seconds"] == 0
    changed = FieldSpec("default", code_version="2")
    others = [spec for key, spec in graph_at().freeze().items() if str(key) != "ex/words"]
    words = FeatureSpec("ex/words", id_columns=["id"], deps=["ex/crop"], fields=[changed])
    graph = FeatureGraph([*others, words])
    found = check(graph, meta, checks=["pending_increment"])[1]["ex/words:pending_increment"]
    assert said(found) == {"new": 0, "stale": 2, "orphaned": 0}
    assert found.description == "To process: 2 stale."


def test_rows_of_an_older_version_are_told(meta: MetaxyStore) -> None:
    fill(graph_at(), meta)
    _, found = check(graph_at("2"), meta, checks=["one_version"])
    assert not found["ex/crop:one_version"].passed
    assert said(found["ex/crop:one_version"])["rows_of_other_versions"] == 2


def test_a_row_stored_twice_is_found(on_disk: MetaxyStore) -> None:
    fill(graph_at(), on_disk)
    with duckdb.connect(on_disk.path) as connection:
        connection.execute("INSERT INTO ex__crop SELECT * FROM ex__crop WHERE id = 'a'")
    _, found = check(graph_at(), on_disk, checks=["unique_samples"])
    assert found["ex/video:unique_samples"].passed
    crop = found["ex/crop:unique_samples"]
    assert (crop.passed, crop.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert said(crop)["duplicates"] == 1


def test_a_row_without_provenance_is_found(on_disk: MetaxyStore) -> None:
    fill(graph_at(), on_disk)
    with duckdb.connect(on_disk.path) as connection:
        connection.execute("UPDATE ex__video SET metaxy_provenance__audio = NULL WHERE id = 'a'")
    _, found = check(graph_at(), on_disk, checks=["provenance_complete"])
    assert not found["ex/video:provenance_complete"].passed
    assert said(found["ex/video:provenance_complete"])["rows_without_provenance"] == 1
    assert found["ex/crop:provenance_complete"].passed


def test_columns_that_are_not_as_declared_are_told(meta: MetaxyStore) -> None:
    def declared(columns: dict[str, str]) -> FeatureGraph:
        video = FeatureSpec(
            "ex/video", id_columns=["id"], fields=["audio", "frames"], columns=columns
        )
        return FeatureGraph([video, FeatureSpec("ex/crop", id_columns=["id"], deps=["ex/video"])])

    columns = {"id": "str", "site": "str"}
    graph = declared(columns)
    fill(graph, meta)
    how: dict[str, Any] = {"checks": ["schema_matches"]}
    _, found = check(graph, meta, **how)
    assert all(evaluation.passed for evaluation in found.values())
    graph = declared({"id": "int", "height": "float"})
    _, found = check(graph, meta, **how)
    value = found["ex/video:schema_matches"].metadata["columns"]
    assert isinstance(value, dg.TableMetadataValue)
    assert {r.data["column"]: r.data["found"] for r in value.records} == {
        "id": "another type",
        "height": "not stored",
        "site": "not declared",
    }


def test_a_hostile_name_stays_text(meta: MetaxyStore) -> None:
    def graph(text: str) -> FeatureGraph:
        return FeatureGraph([FeatureSpec("ex/video", id_columns=["id"], description=text)])

    def video() -> Any:
        return LISTED.drop("metaxy_provenance_by_field").head(0)

    with meta.open("w", graph=graph("plain")) as opened:
        opened.push()
    hostile = "<script>alert(1)</script> | ![x](http://evil)"
    asset = feature_asset("ex/video", graph=graph(hostile))(video)
    _, found = check(graph(hostile), meta, assets=[asset], checks=["graph_diff"])
    diff = said(found["ex/video:graph_diff"])["diff"]
    assert "`<script>alert(1)</script> \\| ![x](http://evil)`" in diff


def test_unknown_and_mild_checks_are_refused() -> None:
    with pytest.raises(ValueError, match="no checks nonsense"):
        feature_checks(graph_at(), checks=["nonsense"])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="pending_increment only warns"):
        feature_checks(graph_at(), blocking=["pending_increment"])


def test_the_monitor_runs_by_the_clock_alone() -> None:
    made = feature_checks(graph_at(), pending_cron="@hourly")
    conditions = {spec.name: spec.automation_condition for spec in made.check_specs}
    assert conditions["graph_diff"] is None
    monitor = conditions["pending_increment"]
    assert monitor is not None
    assert monitor.get_label() == "on_cron(@hourly)"


def test_code_that_changed_without_a_code_version_is_a_warning(meta: MetaxyStore) -> None:
    def made(compute: Any) -> tuple[FeatureGraph, list[dg.AssetsDefinition]]:
        graph = graph_at()
        video, _, words = assets_of(graph)
        return graph, [video, feature_asset("ex/crop", graph=graph)(compute), words]

    def compute(increment: Increment) -> Any:
        return increment.todo()

    before = compute

    def compute(increment: Increment) -> Any:  # type: ignore[no-redef]  # edited meanwhile
        """With a docstring, and otherwise."""
        return increment.todo().head(1)

    graph, assets = made(before)
    fill(graph, meta)
    _, found = check(graph, meta, assets=assets, checks=["graph_diff"])
    assert found["ex/crop:graph_diff"].passed
    graph, assets = made(compute)
    _, found = check(graph, meta, assets=assets, checks=["graph_diff"])
    crop = found["ex/crop:graph_diff"]
    assert (crop.passed, crop.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert (crop.description or "").endswith(". The code changed, no code version did.")
    assert "+    return increment.todo().head(1)" in said(crop)["code_diff"]
    assert "docstring" not in said(crop)["code_diff"]
    assert found["ex/video:graph_diff"].passed
