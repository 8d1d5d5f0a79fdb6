"""A view as GitHub-flavoured Markdown tables: for pull requests and for Dagster's metadata."""

from __future__ import annotations

import re
from collections.abc import Sequence

from metaxy_core.diff.view import FieldView, GraphView, NodeView, Status
from metaxy_core.render.text import one_line, versions

_UNSAFE = re.compile(r"[^A-Za-z0-9 ,.()/→-]")
_TICKS = re.compile("`+")


def render(view: GraphView) -> str:
    """Write a view as Markdown: what happened to which field, then the rest in sentences.

    Whatever users wrote stands in code spans or character references, so it is never markup.

    >>> from metaxy_core.graph import Graph
    >>> from metaxy_core.spec import FeatureSpec
    >>> print(render(GraphView.of(Graph([FeatureSpec("video")]))))
    Graph `...`: 1 feature.
    <BLANKLINE>
    | Feature | Field | Version | Code | Made from |
    |---|---|---|---|---|
    | `video` | `default` | `...` | `1` | |
    """
    return _diff(view) if view.is_diff else _graph(view)


def _graph(view: GraphView) -> str:
    rows = [
        [f"`{node.key}`", f"`{field.key}`", f"`{field.after}`", _code(field), _made_from(field)]
        for node in view.nodes
        for field in node.fields
    ]
    heading = f"Graph `{view.after}`: {view.size}."
    return "\n\n".join([heading, table(("Feature", "Field", "Version", "Code", "Made from"), rows)])


def _diff(view: GraphView) -> str:
    parts = [f"Graph `{view.before}` → `{view.after}`: {view.summary}."]
    touched = [node for node in view.nodes if node.status not in (Status.UNCHANGED, Status.PRUNED)]
    fields = [row for node in touched for row in _fields(node)]
    if fields:
        parts.append(table(("Feature", "Field", "Status", "Code", "Version"), fields))
    declared = [
        [f"`{node.key}`", span(one.path), _value(one.before), _value(one.after)]
        for node in view.nodes
        for one in node.declaration
    ]
    if declared:
        parts.append(table(("Feature", "Declaration", "Before", "After"), declared))
    breaking = [(node.key, reason) for node in view.nodes for reason in node.reasons]
    if breaking:
        parts.append("\n".join(f"- **Breaking** `{key}`: {escaped(why)}" for key, why in breaking))
    spared = [f"`{node.key}`" for node in view.nodes if node.status is Status.PRUNED]
    if spared:
        parts.append(f"Downstream, but not affected: {', '.join(spared)}.")
    return "\n\n".join(parts)


def _fields(node: NodeView) -> list[list[str]]:
    shown = [field for field in node.fields if field.status is not Status.UNCHANGED]
    rows = [
        [
            f"`{field.key}`",
            field.status.value,
            _code(field),
            _versions(field.before, field.after),
        ]
        for field in shown
    ]
    whole = ["", node.verdict, "", _versions(node.before, node.after)]
    return [[f"`{node.key}`", *whole], *([f"`{node.key}`", *row] for row in rows)]


def _code(field: FieldView) -> str:
    codes = [span(code) for code in (field.code_before, field.code_after) if code]
    return " → ".join(dict.fromkeys(codes))


def _made_from(field: FieldView) -> str:
    return ", ".join(f"`{parent}`" for parent in field.parents)


def _versions(before: str | None, after: str | None) -> str:
    return " → ".join(f"`{part}`" for part in versions(before, after).split(" → "))


def _value(text: str | None) -> str:
    return "" if text is None else span(text)


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of cells that are Markdown already."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(_line(line) for line in lines)


def _line(cells: Sequence[str]) -> str:
    if set(cells) == {"---"}:
        return f"|{'|'.join(cells)}|"
    return "|" + "|".join(f" {cell} " if cell else " " for cell in cells) + "|"


def span(text: str) -> str:
    """A code span, for a cell of a table: nothing in it is markup but its own end and a pipe."""
    shown = one_line(text).replace("|", "\\|")
    longest = max(map(len, _TICKS.findall(shown)), default=0)
    ticks = "`" * (longest + 1)
    padding = " " if longest or not shown else ""
    return f"{ticks}{padding}{shown}{padding}{ticks}"


def escaped(text: str) -> str:
    """The text on one line, with character references for whatever may be markup."""
    # Letters of other scripts may stay; ASCII punctuation may be markup.
    return _UNSAFE.sub(
        lambda found: f"&#{ord(found.group())};" if found.group().isascii() else found.group(),
        one_line(text),
    )
