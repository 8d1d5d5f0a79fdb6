"""A view as a tree for terminals: children under their first parent, fields inside."""

from __future__ import annotations

from collections.abc import Sequence
from io import StringIO

from rich.console import Console, RenderableType
from rich.text import Text
from rich.tree import Tree

from metaxy_core.diff.view import EdgeView, FieldView, GraphView, NodeView, Status
from metaxy_core.render.palette import LOOKS
from metaxy_core.render.text import one_line, versions


def render(view: GraphView, *, width: int = 96, colour: bool = False) -> str:
    """Draw a view as lines of text; without colour every status is a mark and a word as well.

    A feature stands under the first of its parents; the others are named beside it. In a diff the
    fields of features that did not change are left out.

    >>> from metaxy_core.graph import Graph
    >>> from metaxy_core.spec import FeatureSpec
    >>> graph = Graph([FeatureSpec("video"), FeatureSpec("crop", deps=["video"])])
    >>> print(render(GraphView.of(graph)))
    Graph ..., 2 features
    └── video ...
        ├── default ...
        └── crop ...
            └── default ...
    """
    root = Tree(heading(view), guide_style="bright_black", highlight=False)
    branches: dict[str, Tree] = {}
    coming: dict[str, list[EdgeView]] = {node.key: [] for node in view.nodes}
    for edge in view.edges:
        coming[edge.target].append(edge)
    waiting = list(view.nodes)
    while waiting:
        node = _next(waiting, coming, branches)
        waiting.remove(node)
        first = _first(coming[node.key])
        above = branches.get(first.source, root) if first else root
        branch = above.add(_feature(view, node, coming[node.key]))
        for line in _lines(view, node):
            branch.add(line)
        branches[node.key] = branch
    return printed([root], width=width, colour=colour)


def printed(shown: Sequence[RenderableType], *, width: int, colour: bool) -> str:
    """What rich writes on a terminal of so many columns, with or without colours."""
    out = StringIO()
    console = Console(
        file=out, width=width, force_terminal=colour, no_color=not colour, legacy_windows=False
    )
    for one in shown:
        console.print(one, soft_wrap=False)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def _first(coming: list[EdgeView]) -> EdgeView | None:
    # An edge that is gone says nothing about where the feature stands now.
    stands = [edge for edge in coming if edge.status is not Status.REMOVED]
    return next(iter([*stands, *coming]), None)


def _next(
    waiting: list[NodeView], coming: dict[str, list[EdgeView]], placed: dict[str, Tree]
) -> NodeView:
    for node in waiting:
        first = _first(coming[node.key])
        if first is None or first.source in placed:
            return node
    return waiting[0]


def heading(view: GraphView) -> Text:
    """The graphs, and the counts of a diff."""
    if not view.is_diff:
        count = f"{len(view.nodes)} feature{'s' if len(view.nodes) != 1 else ''}"
        return Text.assemble("Graph ", (view.after, "bold"), f", {count}")
    heading = Text.assemble("Graph ", (f"{view.before} → {view.after}", "bold"), ": ")
    said = [
        (f"{count} {status.value}", LOOKS[status].style) for status, count in view.counts.items()
    ]
    for index, (words, style) in enumerate(said):
        heading.append(", " if index else "").append(words, style)
    if not said:
        heading.append(view.summary)
    if view.hidden:
        heading.append(f" ({view.hidden} not shown)", "bright_black")
    return heading


def _feature(view: GraphView, node: NodeView, coming: list[EdgeView]) -> Text:
    look = LOOKS[node.status]
    line = Text()
    if view.is_diff:
        line.append(f"{look.mark} ", look.style)
    line.append(node.key, "bold").append("  ")
    line.append(versions(node.before, node.after), "bright_black")
    if node.status is not Status.UNCHANGED:
        breaking = node.severity == "breaking"
        line.append("  ").append(
            node.verdict, LOOKS[Status.REMOVED].style if breaking else look.style
        )
    if said := [words for edge in coming if (words := _said(edge, _first(coming)))]:
        line.append(f"  ({'; '.join(said)})", "bright_black")
    return line


def _said(edge: EdgeView, first: EdgeView | None) -> str:
    if edge is first:
        return one_line(edge.label)
    gone = edge.status is Status.REMOVED
    source = f"no longer from {edge.source}" if gone else f"also from {edge.source}"
    return f"{source}, {one_line(edge.label)}" if edge.label and not gone else source


def _lines(view: GraphView, node: NodeView) -> list[Text]:
    lines = [Text(f"! {one_line(reason)}", LOOKS[Status.REMOVED].style) for reason in node.reasons]
    for change in node.declaration:
        before, after = (one_line(text or "none") for text in (change.before, change.after))
        lines.append(Text(f"~ {one_line(change.path)}: {before} → {after}", "yellow"))
    if view.is_diff and node.status in (Status.UNCHANGED, Status.PRUNED):
        return lines
    return [*lines, *(_field(view, field) for field in node.fields)]


def _field(view: GraphView, field: FieldView) -> Text:
    look = LOOKS[field.status]
    mark = f"{look.mark} " if view.is_diff else ""
    line = Text.assemble(
        (f"{mark}{field.key}", look.style),
        "  ",
        (versions(field.before, field.after), "bright_black"),
    )
    codes = [one_line(code) for code in (field.code_before, field.code_after) if code]
    if len(set(codes)) > 1:
        line.append(f"  code {codes[0]} → {codes[1]}", look.style)
    elif codes != ["1"] and field.before is None:
        line.append(f"  code {codes[0]}", "bright_black")
    return line
