"""Recorded graphs: push, history, and the graph as a JSON file."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from metaxy_core.cli.metadata import DryRun
from metaxy_core.cli.output import Format, gives, show, show_records, tell
from metaxy_core.cli.project import NAME_FUNCTIONS, Project, counting
from metaxy_core.render.text import visible

_HERE = Project()


@dataclass(frozen=True)
class Pushed:
    """What `push` did, or with `--dry-run` would do.

    Attributes:
        recorded: false where the graph is the newest already.
        version: the snapshot version.
        features: how many the graph has.
        tag: the name that it has got.
    """

    recorded: bool
    version: str
    features: int
    tag: str | None


@dataclass(frozen=True)
class RecordedGraph:
    """One recorded graph; the time is UTC."""

    version: str
    tags: tuple[str, ...]
    recorded_at: str
    features: int
    project: str


@dataclass(frozen=True)
class WrittenGraph:
    """A graph as `GraphSnapshot` writes it, to be read without the features' code.

    Attributes:
        features: their declarations, parents first.
    """

    format: int
    version: str
    features: tuple[dict[str, Any], ...]


@gives(lambda: list[Pushed])
def push(
    *,
    tag: str | None = None,
    move_tag: Annotated[bool, Parameter(negative=())] = False,
    dry_run: DryRun = False,
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
    graph = project.graph(functions=True)
    store = project.metadata_store(graph)
    with counting(store, dry_run=dry_run) as target:
        before = target.load_sources() if target.snapshots() else {}
        recorded = target.push(tag, move_tag=move_tag, dry_run=dry_run)
        after = target.load_sources() if recorded and not dry_run else before
    version, count = graph.snapshot_version, len(graph)
    where = visible(store.display())
    named = f" It {'would have' if dry_run else 'has'} the tag {tag}." if tag else ""
    if format == "json":
        show_records((), [Pushed(recorded, version, count, tag)], "json", "")
    elif recorded:
        verb = "Would record" if dry_run else "Recorded"
        show(f"{verb} {version[:8]} ({count} features) in {where}.{named}")
    else:
        show(f"{version[:8]} is already the newest in {where}.{named}")
    if lost := [str(key) for key in graph if key in before and key not in after]:
        tell(f"No function is known here of {', '.join(lost)}, whose code is recorded no longer.")
        tell(NAME_FUNCTIONS)
    return 0


@gives(lambda: list[RecordedGraph])
def history(*, project: Project = _HERE, format: Format = "plain") -> int:
    """List the recorded graphs of the project, newest first, with their tags; times are UTC.

    Example: metaxy graph history --store meta.duckdb --format json

    Exit codes: 0, also where none is recorded; 1 a mistake.
    """
    store = project.metadata_store()
    with store.open("r"):
        recorded = store.snapshots()[::-1]
    lines = [
        RecordedGraph(
            one.version,
            one.tags,
            one.recorded_at.isoformat(timespec="seconds"),
            one.features,
            one.project,
        )
        for one in recorded
    ]
    if format == "plain":
        lines = [replace(line, version=line.version[:8]) for line in lines]
    columns = ("version", "tags", "recorded_at", "features", "project")
    whose = visible(store.project)
    empty = f"No graph of the project '{whose}' is recorded; `metaxy push` records one."
    show_records(columns, lines, format, empty)
    return 0


@gives(lambda: WrittenGraph)
def snapshot(
    *,
    project: Project = _HERE,
    output: Annotated[Path | None, Parameter(alias="-o")] = None,
) -> int:
    """Write the graph as JSON: for git, and for `metaxy graph diff FILE.json`.

    Example: metaxy graph snapshot --module example_project.features -o graph.json

    Exit codes: 0 written, 1 a mistake.

    Args:
        output: The file to write; standard output without it.
    """
    from metaxy_core.graph import GraphSnapshot

    show(GraphSnapshot.of(project.graph()).to_json(), output)
    return 0
