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


# The code is long, and asked for of one graph at a time.
_COLUMNS = ("version", "definition", "project", "recorded_at", "features", "graph", "metaxy_commit")


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
    dry_run: bool = False,
) -> bool:
    """Record a graph and the code of its features as the newest of its project.

    False where both are the newest already. Features whose code is not given keep what was
    recorded of it, unless their code versions changed since. The store must be open for writing.

    Args:
        tag: a name for this graph, also where it is recorded already.
        move_tag: take the name from another graph that has it.
        dry_run: only say whether it would be recorded.

    Raises:
        TagError: the tag is no name, or another graph has it.
    """
    definition = sha256(snapshot.definition)

    def compared() -> tuple[int | None, Mapping[FeatureKey, str]]:
        """The commit that recorded this graph as the newest, if one did; the code to record."""
        newest = next(reversed(_rows(backend, project)), None)
        known = _sources(backend, newest)
        code = _code(snapshot.graph, sources or {}, known, newest)
        is_new = newest is None or newest["definition"] != definition or known != code
        here = None if newest is None or is_new else int(newest["metaxy_commit"])
        if tag is not None:
            tags.check(backend, project, tag, here, move=move_tag)
        return here, code

    row = {
        "version": snapshot.version,
        "definition": definition,
        "project": project,
        "recorded_at": datetime.now(UTC),
        "features": len(snapshot.graph),
        "graph": snapshot.to_json(),
    }

    def record(numbers: Sequence[int]) -> bool:
        # Another push may have come between: what counts is what this commit sees.
        here, code = compared()
        if here is None:
            texts = canonical_json({str(key): text for key, text in code.items()})
            stamped = pl.LazyFrame([row | {"sources": texts, "metaxy_commit": numbers[0]}])
            backend.append(SNAPSHOTS, nw.from_native(stamped))
        if tag is not None:
            tags.append(backend, project, tag, numbers[0] if here is None else here, numbers[0])
        return here is None

    here, _ = compared()
    if dry_run or (here is not None and tag is None):
        return here is None
    return backend.commit(record)


def copy(target: Backend, source: Backend, project: str, *, dry_run: bool = False) -> int:
    """Record the graphs of a project in a store that has none: code and tags too. How many.

    Where the target has one, nothing is copied: older graphs would come after its newest.
    """
    table = source.scan(SNAPSHOTS)
    if table is None or _rows(target, project):
        return 0
    found = table.filter(nw.col("project") == project).sort("metaxy_commit").collect("polars")
    rows: pl.DataFrame = found.to_native()
    if dry_run or not rows.height:
        return rows.height

    def record(numbers: Sequence[int]) -> int:
        if _rows(target, project):  # another copy may have come between
            return 0
        renumbered = dict(zip(rows["metaxy_commit"], numbers, strict=False))
        commits = pl.Series("metaxy_commit", list(renumbered.values()), dtype=pl.Int64)
        target.append(SNAPSHOTS, nw.from_native(rows.with_columns(commits).lazy()))
        for (_, tag), commit in tags.recorded(source, project).items():
            tags.append(target, project, tag, renumbered[commit], numbers[-1])
        return rows.height

    return target.commit(record, numbers=rows.height)


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
    return _sources(backend, _row(backend, version, project))


def _row(backend: Backend, version: str | RecordedSnapshot, project: str | None) -> dict[str, Any]:
    rows = known = _rows(backend, project)
    if isinstance(version, RecordedSnapshot):
        rows = [row for row in known if row["metaxy_commit"] == version.commit]
        version = version.version
    elif version != "latest":
        tagged = {c for (_, tag), c in tags.recorded(backend, project).items() if tag == version}
        rows = [row for row in known if row["metaxy_commit"] in tagged] or [
            row for row in known if version and row["version"].startswith(version)
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


def _code(
    graph: Graph, given: Sources, known: Sources, newest: Mapping[str, Any] | None
) -> dict[FeatureKey, str]:
    """What to record of the features' code: given now, or known and still of these versions."""
    forgotten = [key for key in known if key in graph and key not in given]
    if newest is None or not forgotten:
        return dict(given)
    before = GraphSnapshot.from_json(newest["graph"]).graph.versions
    same = [key for key in forgotten if before[key].code == graph.versions[key].code]
    return {**{key: known[key] for key in same}, **given}


def _sources(backend: Backend, row: Mapping[str, Any] | None) -> dict[FeatureKey, str]:
    """The code recorded in a row; none in a row that is older than that."""
    table = backend.scan(SNAPSHOTS)
    if row is None or table is None or "sources" not in table.collect_schema():
        return {}
    chosen = table.filter(nw.col("metaxy_commit") == row["metaxy_commit"]).select("sources")
    text = chosen.collect("polars")["sources"][0]
    return {FeatureKey.of(key): source for key, source in json.loads(text or "{}").items()}


def graphs(backend: Backend, project: str | None = None) -> list[Graph]:
    """The recorded graphs themselves, newest first, each version once."""
    texts: dict[str, str] = {}
    for row in reversed(_rows(backend, project)):
        texts.setdefault(row["version"], row["graph"])
    return [GraphSnapshot.from_json(text).graph for text in texts.values()]


def _rows(backend: Backend, project: str | None) -> list[dict[str, Any]]:
    table = backend.scan(SNAPSHOTS)
    if table is None:
        return []
    if project is not None:
        table = table.filter(nw.col("project") == project)
    table = table.select(*_COLUMNS).sort("metaxy_commit")
    rows: list[dict[str, Any]] = table.collect("polars").rows(named=True)
    return rows
