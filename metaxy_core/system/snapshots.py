"""Recorded graphs: push, list, load; no user code is imported.

With a graph the code of its features is recorded, as `metaxy_core.drift` writes it, so that a
later time can tell whether it changed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import narwhals as nw
import polars as pl

from metaxy_core.backends.base import Backend
from metaxy_core.errors import SystemDataNotFoundError
from metaxy_core.graph import Graph, GraphSnapshot
from metaxy_core.hashing import canonical_json, sha256
from metaxy_core.keys import FeatureKey
from metaxy_core.system import tags
from metaxy_core.system.tables import SNAPSHOTS

Sources = Mapping[FeatureKey, str]
"""Per feature, the normal form of its code."""


@dataclass(frozen=True)
class RecordedSnapshot:
    """One line of the history of graphs.

    Attributes:
        version: the snapshot version, full hash.
        recorded_at: UTC.
        commit: the store's commit number: the order of history.
        tags: the names it has, sorted.
    """

    version: str
    project: str
    recorded_at: datetime
    commit: int
    features: int
    tags: tuple[str, ...] = ()


def push(
    backend: Backend,
    snapshot: GraphSnapshot,
    project: str,
    sources: Sources | None = None,
    tag: str | None = None,
    *,
    move_tag: bool = False,
) -> bool:
    """Record a graph and the code of its features as the newest of its project.

    False where both are the newest already. Features whose code is not given keep what was
    recorded of it, unless their code versions changed since. The store must be open for writing.

    Args:
        tag: a name for this graph, also where it is recorded already.
        move_tag: take the name from another graph that has it.

    Raises:
        TagError: the tag is no name, or another graph has it.
    """
    newest = next(reversed(_rows(backend, project)), None)
    definition = sha256(snapshot.definition)
    code = _code(snapshot.graph, sources or {}, newest)
    is_new = newest is None or newest["definition"] != definition or _text(newest) != code
    if tag is not None:
        here = None if newest is None or is_new else newest["metaxy_commit"]
        tags.check(backend, project, tag, here, move=move_tag)
    row = {
        "version": snapshot.version,
        "definition": definition,
        "project": project,
        "recorded_at": datetime.now(UTC),
        "features": len(snapshot.graph),
        "graph": snapshot.to_json(),
        "sources": code,
    }

    def record(numbers: Sequence[int]) -> None:
        commit = numbers[0] if newest is None or is_new else newest["metaxy_commit"]
        if is_new:
            stamped = pl.LazyFrame([row | {"metaxy_commit": commit}])
            backend.append(SNAPSHOTS, nw.from_native(stamped))
        if tag is not None:
            tags.append(backend, project, tag, commit, numbers[0])

    if is_new or tag is not None:
        backend.commit(record)
    return is_new


def history(backend: Backend, project: str | None = None) -> list[RecordedSnapshot]:
    """The recorded graphs, oldest first; of all projects for None."""
    named: dict[int, list[str]] = {}
    for (_, tag), commit in sorted(tags.recorded(backend, project).items()):
        named.setdefault(commit, []).append(tag)
    return [
        RecordedSnapshot(
            row["version"], row["project"], row["recorded_at"], row["metaxy_commit"],
            row["features"], tuple(named.get(row["metaxy_commit"], ())),
        )
        for row in _rows(backend, project)
    ]  # fmt: skip


def load(
    backend: Backend, version: str | RecordedSnapshot = "latest", project: str | None = None
) -> GraphSnapshot:
    """Load a recorded graph: `"latest"`, a tag, an unambiguous beginning of a version, or a line
    of the history.

    Raises:
        SystemDataNotFoundError: no such snapshot, or more than one.
    """
    return GraphSnapshot.from_json(_row(backend, version, project)["graph"])


def load_sources(
    backend: Backend, version: str | RecordedSnapshot = "latest", project: str | None = None
) -> dict[FeatureKey, str]:
    """The code recorded with a graph, per feature that it is known of; named as for `load`.

    Raises:
        SystemDataNotFoundError: no such snapshot, or more than one.
    """
    return _read(_text(_row(backend, version, project)))


def _row(backend: Backend, version: str | RecordedSnapshot, project: str | None) -> dict[str, Any]:
    rows = known = _rows(backend, project)
    if isinstance(version, RecordedSnapshot):
        rows = [row for row in known if row["metaxy_commit"] == version.commit]
        version = version.version
    elif version != "latest":
        tagged = {c for (_, tag), c in tags.recorded(backend, project).items() if tag == version}
        rows = [row for row in known if row["metaxy_commit"] in tagged] or [
            row for row in known if row["version"].startswith(version)
        ]
    if not rows or (len({row["version"] for row in rows}) > 1 and version != "latest"):
        raise SystemDataNotFoundError(
            f"The store at {backend.describe()['uri']} has no one snapshot {version!r}. "
            f"{_told(backend, known, project)}"
        )
    return rows[-1]


def _told(backend: Backend, rows: Sequence[Mapping[str, Any]], project: str | None) -> str:
    if not rows:
        return "Recorded: none; run `metaxy push`."
    said = f"Recorded: {', '.join(sorted({row['version'][:8] for row in rows}))}."
    named = sorted({tag for _, tag in tags.recorded(backend, project)})
    return f"{said} Tags: {', '.join(named)}." if named else said


def _code(graph: Graph, sources: Sources, newest: Mapping[str, Any] | None) -> str:
    """What to record of the features' code: given now, or known and still of these versions."""
    kept = _read(_text(newest)) if newest else {}
    if forgotten := [key for key in kept if key in graph and key not in sources]:
        assert newest is not None  # else nothing is kept
        before = GraphSnapshot.from_json(newest["graph"]).graph
        kept = {
            key: kept[key]
            for key in forgotten
            if before.versions[key].code == graph.versions[key].code
        }
    else:
        kept = {}
    return canonical_json({str(key): text for key, text in {**kept, **sources}.items()})


def _text(row: Mapping[str, Any]) -> str:
    # Graphs recorded before code was, have none.
    return row.get("sources") or "{}"


def _read(text: str) -> dict[FeatureKey, str]:
    return {FeatureKey.of(key): source for key, source in json.loads(text).items()}


def _rows(backend: Backend, project: str | None) -> list[dict[str, Any]]:
    table = backend.scan(SNAPSHOTS)
    if table is None:
        return []
    if project is not None:
        table = table.filter(nw.col("project") == project)
    rows: list[dict[str, Any]] = table.sort("metaxy_commit").collect("polars").rows(named=True)
    return rows
