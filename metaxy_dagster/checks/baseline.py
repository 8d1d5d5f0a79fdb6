"""What a graph is compared with: a file, a recorded snapshot, or what an asset was made under."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg

from metaxy_core import FeatureKey, Graph, GraphSnapshot, MetadataStore
from metaxy_dagster.reports.metadata import SHOWN

_FEATURE_VERSION = "metaxy/feature_version"
_SNAPSHOT = "metaxy/snapshot"


@dataclass(frozen=True)
class Baseline:
    """The graph, or only a feature's version, that the graph in code is compared with.

    Attributes:
        version: of the snapshot; may be cut.
        graph: None where only the feature's version is known.
        feature_version: what the feature's asset was last made under; may be cut.
        source: where it comes from, in words.
        sources: the code recorded with the graph, of the features that it is known of.
    """

    version: str
    source: str
    graph: Graph | None = None
    feature_version: str | None = None
    sources: Mapping[FeatureKey, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The snapshot, short enough to read."""
        return self.version[:SHOWN]


def from_file(path: str | Path) -> Baseline:
    """The graph that `metaxy graph snapshot` wrote to a file.

    Raises:
        OSError: the file cannot be read.
        DefinitionError: it is not a snapshot.
    """
    snapshot = GraphSnapshot.from_json(Path(path).read_text(encoding="utf-8"))
    return Baseline(snapshot.version, f"the file {Path(path).name}", snapshot.graph)


def is_file(baseline: str | Path | None) -> bool:
    """Whether a given baseline is a file, not the version of a recorded snapshot."""
    return isinstance(baseline, Path) or (baseline is not None and baseline.endswith(".json"))


def recorded(opened: MetadataStore, version: str) -> Baseline:
    """The recorded graph whose version begins so.

    Raises:
        SystemDataNotFoundError: there is no such snapshot, or more than one.
    """
    snapshot = opened.load_snapshot(version)
    code = opened.load_sources(version)
    return Baseline(snapshot.version, "the store", snapshot.graph, sources=code)


def newest(opened: MetadataStore, before: datetime | None = None) -> Baseline | None:
    """The newest recorded graph; None where none is.

    Args:
        before: leave out what was recorded from this moment on.
    """
    known = [found for found in opened.snapshots() if before is None or _utc(found) < before]
    if not known:
        return None
    at = f"{_utc(known[-1]):%Y-%m-%d %H:%M} UTC"
    graph, code = opened.load_snapshot(known[-1]).graph, opened.load_sources(known[-1])
    return Baseline(known[-1].version, f"the store, recorded {at}", graph, sources=code)


def last_made(
    instance: dg.DagsterInstance, key: dg.AssetKey, before: datetime | None = None
) -> Baseline | None:
    """What the tags of an asset's latest materialisation say; None where they say nothing.

    Args:
        before: leave out what was materialised from this moment on.
    """
    wanted = dg.AssetRecordsFilter(key, before_timestamp=before.timestamp() if before else None)
    records = instance.fetch_materializations(wanted, limit=1).records
    made = records[0].asset_materialization if records else None
    tags = (made.tags if made else None) or {}
    if _FEATURE_VERSION not in tags:
        return None
    source = "the asset's latest materialisation"
    return Baseline(tags.get(_SNAPSHOT, ""), source, feature_version=tags[_FEATURE_VERSION])


def start_of(instance: dg.DagsterInstance, run: Any) -> datetime | None:
    """When a run, or the first of those it re-executes, was made.

    A graph that the run itself records is no baseline for its own checks and guards: each asset
    records the graph when it has succeeded, and those after it would find nothing changed.
    """
    record = instance.get_run_record_by_id(run.root_run_id or run.run_id)
    return None if record is None else record.create_timestamp.astimezone(UTC)


def _utc(snapshot: Any) -> datetime:
    at: datetime = snapshot.recorded_at
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
