"""What the UI shows."""

from datetime import UTC, datetime
from typing import Any

import dagster as dg
import pytest

from metaxy_core import FeatureDep, FeatureGraph, FeatureKey, FeatureSpec
from metaxy_dagster import MetaxyStore, feature_asset
from metaxy_dagster.reports.metadata import (
    cell,
    column_lineage,
    column_schema,
    definition_metadata,
    event_tags,
    preview,
)
from tests.dagster.conftest import metadata, run, videos


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, None),
        (True, True),
        (3, 3),
        (1.5, 1.5),
        (float("nan"), "nan"),
        ("x" * 300, "x" * 200 + "…"),
        (b"abc", "<3 bytes>"),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00+00:00"),
        ({"a": [1, b"x"]}, '{"a": [1, "<1 bytes>"]}'),
        (list(range(9)), "[0, 1, 2, 3, 4, … 9]"),
        ([], "[]"),
    ],
)
def test_preview_cells_are_scalars(value: Any, shown: Any) -> None:
    assert cell(value) == shown
    assert preview([{"x": value}]).records[0].data == {"x": shown}


def test_columns_have_chips(graph: FeatureGraph) -> None:
    spec = FeatureSpec("v", id_columns=["id"], fields=["audio"], provenance_from={"audio": ["sha"]})
    schema = column_schema(spec, {"metaxy_created_at": "Datetime", "sha": "String", "id": "String"})
    chips = {column.name: dict(column.tags) for column in schema.columns}
    assert chips == {
        "id": {"id": ""},
        "sha": {"field/audio": ""},
        "metaxy_created_at": {"system": ""},
        "metaxy_provenance_by_field": {"system": "", "field/audio": ""},
        "metaxy_data_version_by_field": {"system": "", "field/audio": ""},
    }
    assert schema.columns[0].constraints.unique


def test_lineage_follows_rename_and_select() -> None:
    graph = FeatureGraph(
        [
            FeatureSpec("a", id_columns=["id"]),
            FeatureSpec(
                "b",
                id_columns=["id"],
                deps=[FeatureDep("a", rename={"path": "source"}, select=["source"])],
            ),
        ]
    ).freeze()
    parent = FeatureKey("a")
    lineage = column_lineage(
        graph.plan("b"),
        ["id", "source", "size", "metaxy_provenance_by_field"],
        {parent: ["id", "path", "size"]},
        {parent: dg.AssetKey("a")},
    )
    found = {name: [d.column_name for d in deps] for name, deps in lineage.deps_by_column.items()}
    assert found == {
        "id": ["id"],
        "source": ["path"],
        "metaxy_provenance_by_field": ["metaxy_data_version_by_field"],
    }


def test_tags_fit_what_dagster_allows() -> None:
    key = "a" * 60 + "/" + "b" * 60
    graph = FeatureGraph([FeatureSpec(key, project="my project/é")]).freeze()
    tags = event_tags(graph, FeatureKey(key))
    assert all(len(value) <= 63 and "/" not in value for value in tags.values())
    assert dg.AssetMaterialization("x", tags=tags).tags == tags


def test_the_definition_says_fields_and_what_they_are_made_from(graph: FeatureGraph) -> None:
    found = definition_metadata(graph.freeze(), FeatureKey("ex/crop"), {})
    table = found["metaxy/field_versions"].records
    assert [(row.data["field"], row.data["depends_on"]) for row in table] == [
        ("audio", "ex/video.audio"),
        ("frames", "ex/video.frames"),
    ]
    assert found["metaxy/spec"].data["key"] == "ex/crop"


def test_a_materialisation_says_what_is_stored(
    graph: FeatureGraph, duckdb_store: MetaxyStore
) -> None:
    video = feature_asset("ex/video", graph=graph)(lambda: videos({"a": "1"}))
    crop = feature_asset("ex/crop", graph=graph)(lambda increment: increment.todo())
    result = run([video, crop], duckdb_store)
    found = metadata(result, "ex/crop")
    assert found["dagster/table_name"] == "ex__crop"
    assert found["dagster/storage_kind"] == "duckdb"
    assert found["dagster/uri"].startswith("duckdb://")
    assert found["metaxy/rows_written"] == found["dagster/row_count"] == 1
    assert found["metaxy/seconds_per_sample"] > 0
    assert set(found["metaxy/field_data_versions"]) == {"audio", "frames"}
    assert found["metaxy/feature_version"] == graph.freeze().versions[FeatureKey("ex/crop")].feature
    assert [column.name for column in found["dagster/column_schema"].columns][:2] == ["id", "site"]
    lineage = found["dagster/column_lineage"].deps_by_column
    assert lineage["site"] == [dg.TableColumnDep(dg.AssetKey(["ex", "video"]), "site")]
    (event,) = [e for e in result.get_asset_materialization_events() if "crop" in str(e.asset_key)]
    assert event.materialization.tags["metaxy/feature"] == "ex__crop"
    assert event.materialization.metadata["metaxy/sample"].records[0].data == {  # type: ignore[attr-defined]
        "id": "a",
        "site": "north",
    }


def test_what_only_feeds_the_ui_can_be_switched_off(
    graph: FeatureGraph, store: MetaxyStore
) -> None:
    from tests.dagster.conftest import resources

    video = feature_asset("ex/video", graph=graph)(lambda: videos({"a": "1"}))
    result = dg.materialize([video], resources=resources(store, preview_rows=0, row_count=False))
    found = metadata(result, "ex/video")
    assert "metaxy/sample" not in found
    assert "dagster/row_count" not in found
