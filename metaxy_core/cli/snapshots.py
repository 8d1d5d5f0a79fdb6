"""Recorded graphs: push, history, and the graph as a JSON file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from metaxy_core.cli.output import Format, show, show_rows
from metaxy_core.cli.project import Project
from metaxy_core.render.text import visible

_HERE = Project()


def push(
    *,
    tag: str | None = None,
    move_tag: Annotated[bool, Parameter(negative=())] = False,
    project: Project = _HERE,
    format: Format = "plain",
) -> int:
    """Record the graph, and the code of its features, as the newest in the store.

    Nothing happens where both already are.

    Example: metaxy push --module example_project.features --store meta.duckdb --tag v1

    Exit codes: 0 recorded or already there, 1 a mistake.

    Args:
        tag: A name for the graph: `metaxy graph diff v1`.
        move_tag: Take the name from another graph that has it.
    """
    graph = project.graph()
    store = project.metadata_store(graph)
    with store.open("w"):
        recorded = store.push(tag, move_tag=move_tag)
    version, count = graph.snapshot_version, len(graph)
    row = {"recorded": recorded, "version": version, "features": count, "tag": tag}
    named = f" It has the tag {tag}." if tag else ""
    if format == "json":
        show_rows([], [row], "json", "")
    elif recorded:
        show(f"Recorded {version[:8]} ({count} features) in {visible(store.display())}.{named}")
    else:
        show(f"{version[:8]} is already the newest in {visible(store.display())}.{named}")
    return 0


def history(*, project: Project = _HERE, format: Format = "plain") -> int:
    """List the recorded graphs, newest first, with their tags; times are UTC.

    Example: metaxy graph history --store meta.duckdb --format json

    Exit codes: 0, also where none is recorded; 1 a mistake.
    """
    store = project.metadata_store()
    with store.open("r"):
        recorded = store.snapshots()[::-1]
    rows = [
        {
            "version": one.version if format == "json" else one.version[:8],
            "tags": list(one.tags),
            "recorded_at": one.recorded_at.isoformat(timespec="seconds"),
            "features": one.features,
            "project": one.project,
        }
        for one in recorded
    ]
    columns = ("version", "tags", "recorded_at", "features", "project")
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
