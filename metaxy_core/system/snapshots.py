"""Recorded graphs: push, list, load; no user code is imported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import narwhals as nw
import polars as pl

from metaxy_core.backends.base import Backend
from metaxy_core.errors import SystemDataNotFoundError
from metaxy_core.graph import Graph, GraphSnapshot
from metaxy_core.hashing import sha256
from metaxy_core.system.tables import SNAPSHOTS


@dataclass(frozen=True)
class RecordedSnapshot:
    """One line of the history of graphs.

    Attributes:
        version: the snapshot version, full hash.
        recorded_at: UTC.
        commit: the store's commit number: the order of history.
    """

    version: str
    project: str
    recorded_at: datetime
    commit: int
    features: int


def push(backend: Backend, snapshot: GraphSnapshot, project: str) -> bool:
    """Record a graph as the newest of its project; False where it already is.

    The store must be open for writing.
    """
    if is_newest(backend, snapshot, project):
        return False
    row = {
        "version": snapshot.version,
        "definition": sha256(snapshot.definition),
        "project": project,
        "recorded_at": datetime.now(UTC),
        "features": len(snapshot.graph),
        "graph": snapshot.to_json(),
    }

    def record(numbers: Sequence[int]) -> None:
        stamped = pl.LazyFrame([row | {"metaxy_commit": numbers[0]}])
        backend.append(SNAPSHOTS, nw.from_native(stamped))

    backend.commit(record)
    return True


def is_newest(backend: Backend, snapshot: GraphSnapshot, project: str) -> bool:
    """Whether a graph is the newest recorded of its project, docstrings included."""
    history = _rows(backend, project)
    return bool(history) and history[-1]["definition"] == sha256(snapshot.definition)


def history(backend: Backend, project: str | None = None) -> list[RecordedSnapshot]:
    """The recorded graphs, oldest first; of all projects for None."""
    return [
        RecordedSnapshot(
            row["version"], row["project"], row["recorded_at"], row["metaxy_commit"],
            row["features"],
        )
        for row in _rows(backend, project)
    ]  # fmt: skip


def load(backend: Backend, version: str = "latest", project: str | None = None) -> GraphSnapshot:
    """Load a recorded graph: `"latest"`, or a snapshot version or an unambiguous beginning of it.

    Raises:
        SystemDataNotFoundError: no such snapshot, or more than one.
    """
    rows = _rows(backend, project)
    if version != "latest":
        rows = [row for row in rows if version and row["version"].startswith(version)]
    if not rows or (len({row["version"] for row in rows}) > 1 and version != "latest"):
        known = ", ".join(sorted({row["version"][:8] for row in _rows(backend, project)}))
        raise SystemDataNotFoundError(
            f"The store at {backend.describe()['uri']} has no one snapshot {version!r}. "
            f"Recorded: {known or 'none; run `metaxy push`'}."
        )
    return GraphSnapshot.from_json(rows[-1]["graph"])


def graphs(backend: Backend, project: str | None = None) -> list[Graph]:
    """The recorded graphs themselves, newest first, each version once."""
    texts = {row["version"]: row["graph"] for row in _rows(backend, project)}
    return [GraphSnapshot.from_json(text).graph for text in reversed(texts.values())]


def _rows(backend: Backend, project: str | None) -> list[dict[str, Any]]:
    table = backend.scan(SNAPSHOTS)
    if table is None:
        return []
    if project is not None:
        table = table.filter(nw.col("project") == project)
    rows: list[dict[str, Any]] = table.sort("metaxy_commit").collect("polars").rows(named=True)
    return rows
