"""Pictures of the graph: as declared, and what differs between two."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from metaxy_core.cli.output import gives, is_colourful, show, width
from metaxy_core.cli.project import Project
from metaxy_core.cli.revision import named
from metaxy_core.errors import ConfigError

if TYPE_CHECKING:
    from metaxy_core.diff import GraphView

Picture = Literal["terminal", "cards", "mermaid", "dot", "svg", "markdown", "json", "yaml"]
DiffPicture = Literal[Picture, "pull-request"]
Output = Annotated[Path | None, Parameter(alias="-o")]
Hops = Annotated[int | None, Parameter(validator=Number(gte=0))]
_HERE = Project()


@Parameter(name="*")
@dataclass(frozen=True)
class Slice:
    """Which part of the graph is drawn.

    Attributes:
        around: Only this feature, and what is above and below it.
        up: How many edges towards what it is made from; all without it.
        down: How many edges towards what is made from it; all without it.
        hops: The same for both; 1 where none of the three is given.
    """

    around: str | None = None
    up: Hops = None
    down: Hops = None
    hops: Hops = None

    def of(self, view: GraphView) -> GraphView:
        """The part of a view that is meant.

        Raises:
            ConfigError: it is not said what is up and down of what.
            UnknownFeatureError: the view has no such feature.
        """
        from metaxy_core.diff import slice_of

        if self.around is None:
            if (self.up, self.down, self.hops) != (None, None, None):
                raise ConfigError(
                    "--up, --down and --hops say how near to a feature: give --around FEATURE, too."
                )
            return view
        is_plain = self.up is None and self.down is None
        hops = 1 if is_plain and self.hops is None else self.hops
        up = hops if self.up is None else self.up
        return slice_of(view, self.around, up, hops if self.down is None else self.down)


_ALL = Slice()


def _drawing() -> object:
    from metaxy_core.render.json import Drawing

    return Drawing


@gives(_drawing)
def render(
    *,
    project: Project = _HERE,
    format: Picture = "terminal",
    part: Slice = _ALL,
    output: Output = None,
) -> int:
    """Draw the graph as it is declared.

    Example: metaxy graph render --module example_project.features --format svg -o graph.svg

    Example: metaxy graph render --around example/crop --up 2 --down 0 --format cards

    Exit codes: 0 drawn, 1 a mistake.

    Args:
        format: How to draw it.
        output: The file to write; standard output without it.
    """
    from metaxy_core.diff import GraphView

    show(_drawn(part.of(GraphView.of(project.graph())), format, output), output)
    return 0


@gives(_drawing)
def diff(
    before: str = "latest",
    after: str = "code",
    /,
    *,
    project: Project = _HERE,
    format: DiffPicture = "terminal",
    part: Slice = _ALL,
    all: Annotated[bool, Parameter(negative=())] = False,
    output: Output = None,
) -> int:
    """Compare two graphs: what changed, what follows downstream, what is spared.

    Example: metaxy graph diff --module example_project.features --store meta.duckdb

    Example: metaxy graph diff git:main code --format pull-request

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
    view = part.of(GraphView.of(found))
    show(_drawn(view if all or part.around else focus(view), format, output), output)
    return 0 if found.is_empty else 2


def _drawn(view: GraphView, format: DiffPicture, output: Path | None) -> str:
    renderer = import_module(f"metaxy_core.render.{format.replace('-', '_')}")
    for_terminal = {"width": width(), "colour": output is None and is_colourful()}
    options = for_terminal if format in ("terminal", "cards") else {}
    drawn: str = renderer.render(view, **options)
    return drawn
