"""Recorded graphs: push, history, and the graph as a JSON file."""

from __future__ import annotations

from pathlib import Path

from metaxy_core.cli.output import Format, show, show_rows
from metaxy_core.cli.project import Project, opened
from metaxy_core.render.text import visible

_HERE = Project()


def push(*, project: Project = _HERE, format: Format = "plain") -> int:
    """Record the graph as the newest in the store.

    Nothing happens where it already is.

    Example: metaxy push --module example_project.features --store meta.duckdb

    Exit codes: 0 recorded or already there, 1 a mistake.
    """
    graph = project.graph()
    store = project.metadata_store(graph)
    with opened(store, "w"):
        recorded = store.push()
    version, count = graph.snapshot_version, len(graph)
    row = {"recorded": recorded, "version": version, "features": count}
    if format == "json":
        show_rows([], [row], "json", "")
    elif recorded:
        show(f"Recorded {version[:8]} ({count} features) in {visible(store.display())}.")
    else:
        show(f"{version[:8]} is already the newest in {visible(store.display())}.")
    return 0


def history(*, project: Project = _HERE, format: Format = "plain") -> int:
    """List the recorded graphs, newest first; times are UTC.

    Example: metaxy graph history --store meta.duckdb --format json

    Exit codes: 0, also where none is recorded; 1 a mistake.
    """
    store = project.metadata_store()
    with opened(store, "r"):
        recorded = store.snapshots()[::-1]
    rows = [
        {
            "version": one.version if format == "json" else one.version[:8],
            "recorded_at": one.recorded_at.isoformat(timespec="seconds"),
            "features": one.features,
            "project": one.project,
        }
        for one in recorded
    ]
    columns = ("version", "recorded_at", "features", "project")
    show_rows(columns, rows, format, "No graph is recorded; `metaxy push` records one.")
    return 0


def snapshot(*, project: Project = _HERE, output: Path | None = None) -> int:
    """Write the graph as JSON: for git, and for `metaxy graph diff FILE.json`.

    Example: metaxy graph snapshot --module example_project.features --output graph.json

    Exit codes: 0 written, 1 a mistake.

    Args:
        output: The file to write; standard output without it.
    """
    from metaxy_core.graph import GraphSnapshot

    show(GraphSnapshot.of(project.graph()).to_json(), output)
    return 0
