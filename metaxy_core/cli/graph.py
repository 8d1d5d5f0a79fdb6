"""Pictures of the graph: as declared, and what differs between two."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from metaxy_core.cli.output import gives, is_colourful, show, width
from metaxy_core.cli.project import Project
from metaxy_core.errors import ConfigError

if TYPE_CHECKING:
    from metaxy_core.diff import GraphView
    from metaxy_core.graph import Graph

Picture = Literal["terminal", "mermaid", "svg", "markdown", "json"]
_HERE = Project()


def _drawing() -> object:
    from metaxy_core.render.json import Drawing

    return Drawing


@gives(_drawing)
def render(
    *,
    project: Project = _HERE,
    format: Picture = "terminal",
    around: str | None = None,
    hops: Annotated[int | None, Parameter(validator=Number(gte=0))] = None,
    output: Annotated[Path | None, Parameter(alias="-o")] = None,
) -> int:
    """Draw the graph as it is declared.

    Example: metaxy graph render --module example_project.features --format svg -o graph.svg

    Exit codes: 0 drawn, 1 a mistake.

    Args:
        format: How to draw it.
        around: Only what is near this feature.
        hops: How near to that feature, in edges; 1 without it.
        output: The file to write; standard output without it.
    """
    from metaxy_core.diff import GraphView, neighbourhood

    if around is None and hops is not None:
        raise ConfigError("--hops says how near to a feature: give --around FEATURE, too.")
    view = GraphView.of(project.graph())
    near = neighbourhood(view, around, 1 if hops is None else hops) if around else view
    show(_drawn(near, format, output), output)
    return 0


@gives(_drawing)
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
        before: `latest` (recorded in the store), `code`, the start of a recorded version, or a
            file that `metaxy graph snapshot` wrote.
        after: The same.
        format: How to draw it.
        all: Show the features that did not change, too.
        output: The file to write; standard output without it.
    """
    from metaxy_core.diff import GraphView, focus
    from metaxy_core.diff import diff as compare

    found = compare(_graph(before, project), _graph(after, project))
    view = GraphView.of(found)
    show(_drawn(view if all else focus(view), format, output), output)
    return 0 if found.is_empty else 2


def _graph(reference: str, project: Project) -> Graph:
    from metaxy_core.graph import GraphSnapshot

    if reference == "code":
        return project.graph()
    path = Path(reference)
    if path.suffix == ".json" or path.is_file():
        try:
            return GraphSnapshot.from_json(path.read_text(encoding="utf-8")).graph
        except OSError as error:
            raise ConfigError(f"Cannot read the snapshot {path}: {error.strerror}.") from error
        except UnicodeDecodeError as error:
            raise ConfigError(f"The file {path} is not a snapshot: {error}") from error
    store = project.metadata_store()
    with store.open("r"):
        return store.load_snapshot(reference).graph


def _drawn(view: GraphView, format: Picture, output: Path | None) -> str:
    if format == "terminal":
        from metaxy_core.render import terminal

        on_terminal = output is None and is_colourful()
        return terminal.render(view, width=width(), colour=on_terminal)
    drawn: str = import_module(f"metaxy_core.render.{format}").render(view)
    return drawn
