"""Pictures of the graph: as declared, and what differs between two."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from metaxy_core.cli.output import is_colourful, show, width
from metaxy_core.cli.project import Project
from metaxy_core.cli.reference import named

if TYPE_CHECKING:
    from metaxy_core.diff import GraphView

Picture = Literal["terminal", "mermaid", "svg", "markdown", "json"]
_HERE = Project()


def render(
    *,
    project: Project = _HERE,
    format: Picture = "terminal",
    around: str | None = None,
    hops: int = 1,
    output: Annotated[Path | None, Parameter(alias="-o")] = None,
) -> int:
    """Draw the graph as it is declared.

    Example: metaxy graph render --module example_project.features --format svg -o graph.svg

    Exit codes: 0 drawn, 1 a mistake.

    Args:
        format: How to draw it.
        around: Only what is near this feature.
        hops: How near, in edges.
        output: The file to write; standard output without it.
    """
    from metaxy_core.diff import GraphView, neighbourhood

    view = GraphView.of(project.graph())
    show(_drawn(neighbourhood(view, around, hops) if around else view, format, output), output)
    return 0


def diff(
    before: str = "latest",
    after: str = "code",
    /,
    *,
    project: Project = _HERE,
    format: Picture = "terminal",
    all: Annotated[bool, Parameter(negative=())] = False,
    output: Annotated[Path | None, Parameter(alias="-o")] = None,
) -> int:
    """Compare two graphs: what changed, what follows downstream, what is spared.

    Example: metaxy graph diff --module example_project.features --store meta.duckdb

    Example: metaxy graph diff main.json code --format markdown

    Exit codes: 0 they are the same, 2 they differ, 1 a mistake.

    Args:
        before: `latest` (recorded in the store), a tag, the start of a recorded version, `code`,
            `git:REF`, or a file that `metaxy graph snapshot` wrote.
        after: The same.
        format: How to draw it.
        all: Show the features that did not change, too.
        output: The file to write; standard output without it.
    """
    from metaxy_core.diff import GraphView, focus
    from metaxy_core.diff import diff as compare

    found = compare(named(before, project).graph, named(after, project).graph)
    view = GraphView.of(found)
    show(_drawn(view if all else focus(view), format, output), output)
    return 0 if found.is_empty else 2


def _drawn(view: GraphView, format: Picture, output: Path | None) -> str:
    if format == "terminal":
        from metaxy_core.render import terminal

        on_terminal = output is None and is_colourful()
        return terminal.render(view, width=width(), colour=on_terminal)
    drawn: str = import_module(f"metaxy_core.render.{format}").render(view)
    return drawn
