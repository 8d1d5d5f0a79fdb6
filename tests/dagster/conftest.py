"""Builders for Dagster tests: a graph, a store, and runs of assets."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from metaxy_core import FeatureDep, FeatureGraph, FeatureSpec, LineageRelationship
from metaxy_dagster import MetaxyIOManager, MetaxyStore

collect_ignore = ["yaml_project"]
"""A project of its own, loaded by a test."""


@pytest.fixture(autouse=True)
def _quiet_dagster() -> Iterator[None]:
    """Dagster warns of its own future; nothing of that is ours to act on here."""
    with warnings.catch_warnings():
        for kind in (dg.BetaWarning, dg.PreviewWarning, dg.SupersessionWarning):
            warnings.simplefilter("ignore", kind)
        warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"dagster\b")
        yield


def media_graph() -> FeatureGraph:
    """video -> crop -> faces (1:1), crop -> scene (1:N), crop -> site (N:1)."""
    return FeatureGraph(
        [
            FeatureSpec("ex/video", id_columns=["id"], fields=["audio", "frames"]),
            FeatureSpec(
                "ex/crop", id_columns=["id"], fields=["audio", "frames"], deps=["ex/video"]
            ),
            FeatureSpec("ex/a_faces", id_columns=["id"], fields=["faces"], deps=["ex/crop"]),
            FeatureSpec(
                "ex/scene",
                id_columns=["id", "n"],
                fields=["cut"],
                columns={"n": "int"},
                deps=[FeatureDep("ex/crop", lineage=LineageRelationship.expansion())],
            ),
            FeatureSpec(
                "ex/site",
                id_columns=["site"],
                fields=["sum"],
                deps=[FeatureDep("ex/crop", lineage=LineageRelationship.aggregation(["site"]))],
            ),
        ]
    )


@pytest.fixture
def graph() -> FeatureGraph:
    return media_graph()


@pytest.fixture
def store(graph: FeatureGraph) -> MetaxyStore:
    return MetaxyStore.memory(graph=graph)


@pytest.fixture
def duckdb_store(graph: FeatureGraph, tmp_path: Path) -> MetaxyStore:
    return MetaxyStore.duckdb(str(tmp_path / "meta.duckdb"), graph=graph)


def videos(audio: Mapping[str, str]) -> pl.DataFrame:
    """Video samples: id to what its audio is; the frames are always the same."""
    return pl.DataFrame(
        {
            "id": list(audio),
            "site": ["north" if name < "c" else "south" for name in audio],
            "metaxy_provenance_by_field": [
                {"audio": text, "frames": "f1"} for text in audio.values()
            ],
        },
        schema_overrides={"id": pl.String, "site": pl.String},
    )


def resources(store: MetaxyStore, **io: Any) -> dict[str, Any]:
    return {"metaxy": store, "metaxy_io": MetaxyIOManager(store=store, **io)}


def run(
    assets: Sequence[Any],
    store: MetaxyStore,
    *,
    options: Mapping[str, Any] | None = None,
    config: Mapping[str, Any] | None = None,
    fails: bool = False,
    **arguments: Any,
) -> dg.ExecuteInProcessResult:
    """Materialise assets in this process; `options` are the run options of every one of them."""
    ops = {} if config is None else dict(config)
    if options is not None:
        made = [a for a in assets if isinstance(a, dg.AssetsDefinition)]
        ops |= {a.op.name: {"config": {"metaxy": dict(options)}} for a in made}
    result = dg.materialize(
        assets,
        resources={**resources(store), **arguments.pop("more", {})},
        run_config={"ops": ops},
        raise_on_error=not fails,
        **arguments,
    )
    assert result.success is not fails
    return result


def metadata(result: dg.ExecuteInProcessResult, key: str) -> dict[str, Any]:
    """The metadata values of the only materialisation of an asset."""
    wanted = dg.AssetKey.from_user_string(key)
    (event,) = [e for e in result.get_asset_materialization_events() if e.asset_key == wanted]
    return {name: value.value for name, value in event.materialization.metadata.items()}


def outcomes(result: dg.ExecuteInProcessResult, key: str) -> dict[str, tuple[int, ...]]:
    """Per status: found, processed, skipped, failed."""
    wanted = dg.AssetKey.from_user_string(key)
    (event,) = [e for e in result.get_asset_materialization_events() if e.asset_key == wanted]
    records = event.materialization.metadata["metaxy/increment"].records  # type: ignore[attr-defined]
    return {
        row.data["status"]: tuple(
            row.data[name] for name in ("found", "processed", "skipped", "failed")
        )
        for row in records
    }


def materialized(result: dg.ExecuteInProcessResult) -> list[str]:
    events = result.get_asset_materialization_events()
    return [event.asset_key.to_user_string() for event in events]


def data_version(result: dg.ExecuteInProcessResult, key: str) -> str:
    wanted = dg.AssetKey.from_user_string(key)
    (event,) = [e for e in result.get_asset_materialization_events() if e.asset_key == wanted]
    return event.materialization.tags["dagster/data_version"]


def rows(store: MetaxyStore, feature: str, *columns: str) -> list[tuple[Any, ...]]:
    """Stored rows, sorted."""
    with store.open("r") as opened:
        if not opened.has_feature(feature):
            return []
        names = list(columns) or list(opened.graph[feature].id_columns)
        found = opened.read(feature, columns=names).collect("polars")
    return sorted(found.rows())
