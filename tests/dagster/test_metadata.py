"""What the UI shows."""

from datetime import UTC, datetime
from typing import Any

import dagster as dg
import narwhals as nw
import pytest

from metaxy_core import (
    Feature,
    FeatureDep,
    FeatureGraph,
    FeatureKey,
    FeatureSpec,
    use_graph,
)
from metaxy_dagster import (
    MetaxyStore,
    build_feature_definitions,
    feature_asset,
    feature_specs,
    multi_feature_asset,
)
from metaxy_dagster.reports.metadata import (
    cell,
    column_lineage,
    column_schema,
    definition_metadata,
    event_tags,
    preview,
    safe_markdown,
)
from metaxy_dagster.reports.picture import surroundings
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


def test_columns_say_what_they_are() -> None:
    spec = FeatureSpec(
        "v", id_columns=["id", "n"], fields=["audio"], provenance_from={"audio": ["sha"]}
    )
    schema = column_schema(
        spec,
        {"id": nw.String(), "n": nw.Int64(), "sha": nw.String(), "at": nw.Datetime("us", "UTC")},
        {"at": ["ex/a", "ex/b"]},
    )
    told = {column.name: (column.type, column.description) for column in schema.columns[:4]}
    assert told == {
        "id": ("String", "Identifies the sample, with n."),
        "n": ("Int64", "Identifies the sample, with id."),
        "sha": ("String", "What audio is made from: its change makes samples stale."),
        "at": ("Datetime[UTC]", "Comes from ex/a and ex/b."),
    }


def test_the_picture_of_the_neighbours_stays_small() -> None:
    many = [FeatureSpec(f"child/{n}", deps=["root"]) for n in range(40)]
    graph = FeatureGraph([FeatureSpec("root"), *many]).freeze()
    shown = surroundings(graph, FeatureKey("root"))["metaxy/graph"].value
    assert shown.startswith("![root and its neighbours](data:image/svg+xml;base64,")
    assert shown.endswith("\n\n29 more neighbours are not drawn.")
    (child,) = surroundings(graph, FeatureKey("child/3")).values()
    assert "more neighbours" not in child.value
    huge = FeatureGraph([FeatureSpec(f"f/{n}") for n in range(301)]).freeze()
    assert surroundings(huge, FeatureKey("f/1")) == {}


def test_links_lead_to_the_function_and_to_the_class() -> None:
    with use_graph(FeatureGraph()) as graph:

        class Video(Feature, spec=FeatureSpec("ex/video")):
            """A video."""

        class Sound(Feature, spec=FeatureSpec("ex/sound")):
            """A sound."""

    def made() -> None:
        return None

    store = MetaxyStore.memory()
    defs = build_feature_definitions(graph, store=store, compute={Video: made})
    several = multi_feature_asset([Video, Sound], graph=graph)(made)
    external = feature_specs([Sound], graph=graph)
    specs = [*(spec for asset in defs.assets or () for spec in _specs(asset)), *several.specs]
    told = [
        (spec.key.path[-1], [one.label for one in references.code_references])
        for spec in [*specs, *external]
        if (references := spec.metadata.get("dagster/code_references"))
    ]
    assert sorted(told) == [
        ("sound", ["class Sound"]),
        ("sound", ["function made", "class Sound"]),
        ("video", ["function made", "class Video"]),
        ("video", ["function made", "class Video"]),
    ]


def _specs(asset: Any) -> list[dg.AssetSpec]:
    return list(asset.specs) if isinstance(asset, dg.AssetsDefinition) else [asset]


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


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("`a<b` <i>", "`a<b` &lt;i>"),
        ("``a ` <b>`` <i>", "``a ` <b>`` &lt;i>"),
        (r"\`<img src=x>\`", r"\`&lt;img src=x>\`"),
        ("[x](javascript:alert(1))", "[x](javascript&#58;alert(1))"),
        ("```\n<code>\n```", "```\n<code>\n```"),
    ],
)
def test_hostile_docstrings_are_shown_not_live(text, shown):
    assert safe_markdown(text) == shown
