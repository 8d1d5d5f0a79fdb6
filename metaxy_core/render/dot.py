"""A view as text for Graphviz: `dot -Tsvg graph.dot`."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape

from metaxy_core.diff.view import EdgeView, FieldView, GraphView, NodeView, Status
from metaxy_core.render.palette import LOOKS
from metaxy_core.render.text import elide, one_line, versions

_INK, _MUTED = "#1f2328", "#57606a"
_LONG = 60


def render(view: GraphView) -> str:
    """Draw a view in the language of Graphviz.

    Labels are tables of Graphviz's HTML; whatever users wrote is escaped and on one line.

    >>> from metaxy_core.graph import Graph
    >>> from metaxy_core.spec import FeatureSpec
    >>> print(render(GraphView.of(Graph([FeatureSpec("video")]))))
    digraph features {
      ...
      f0 [label=<...video...>];
    }
    """
    names = {node.key: f"f{index}" for index, node in enumerate(view.nodes)}
    title = f'  label="{view.before} → {view.after}: {view.summary}"' if view.is_diff else ""
    lines = [
        "digraph features {",
        '  charset="UTF-8"; rankdir=LR; nodesep=0.3; ranksep=0.8; fontname="Helvetica";',
        *([f"{title}; labelloc=t; labeljust=l;"] if title else []),
        '  node [shape=plain, fontname="Helvetica", fontsize=11];',
        '  edge [fontname="Helvetica", fontsize=9, arrowsize=0.7];',
        *(f"  {names[node.key]} [label=<{_label(view, node)}>];" for node in view.nodes),
        *(_edge(names, edge) for edge in view.edges),
        "}",
    ]
    return "\n".join(lines)


def _label(view: GraphView, node: NodeView) -> str:
    look = LOOKS[node.status]
    style = ' STYLE="DASHED"' if look.dash else ""
    rows = [_row(f"<B>{_coloured(node.key, _INK)}</B>", _badge(node) if view.is_diff else "")]
    rows.append(_row(_coloured(versions(node.before, node.after), _MUTED)))
    rows += [_row(_coloured(reason, LOOKS[Status.REMOVED].ink)) for reason in node.reasons]
    if node.declaration:
        paths = ", ".join(change.path for change in node.declaration)
        rows.append(_row(_coloured(f"declared otherwise: {paths}", look.ink)))
    rows.append("<HR/>")
    rows += [_field(field) for field in node.fields]
    return (
        f'<TABLE BORDER="1" CELLBORDER="0" CELLSPACING="0" CELLPADDING="4"{style} '
        f'COLOR="{look.stroke}" BGCOLOR="{look.fill}">{"".join(rows)}</TABLE>'
    )


def _badge(node: NodeView) -> str:
    breaking = node.severity == "breaking"
    ink = LOOKS[Status.REMOVED if breaking else node.status].ink
    return "" if node.status is Status.UNCHANGED else _coloured(node.verdict, ink)


def _field(field: FieldView) -> str:
    look = LOOKS[field.status]
    ink = _INK if field.status is Status.UNCHANGED else look.ink
    codes = [elide(one_line(c), 12) for c in (field.code_before, field.code_after) if c]
    moved = f", code {codes[0]} → {codes[1]}" if len(set(codes)) > 1 else ""
    shown = _coloured(versions(field.before, field.after), _MUTED)
    return _row(_coloured(f"{field.key}{moved}", ink), shown)


def _row(left: str, right: str = "") -> str:
    if not right:
        return f'<TR><TD ALIGN="LEFT" COLSPAN="2">{left}</TD></TR>'
    return f'<TR><TD ALIGN="LEFT">{left}</TD><TD ALIGN="RIGHT">{right}</TD></TR>'


def _edge(names: dict[str, str], edge: EdgeView) -> str:
    look = LOOKS[edge.status]
    said: Sequence[str] = [
        f'color="{look.stroke}"',
        *(['style="dashed"'] if edge.status in (Status.PRUNED, Status.REMOVED) else []),
        *([f"label=<{_coloured(edge.label, look.ink)}>"] if edge.label else []),
    ]
    return f"  {names[edge.source]} -> {names[edge.target]} [{', '.join(said)}];"


def _coloured(text: str, ink: str) -> str:
    # An empty element is an error there.
    return f'<FONT COLOR="{ink}">{_said(text) or " "}</FONT>'


def _said(text: str) -> str:
    return escape(elide(one_line(text), _LONG), {'"': "&quot;"})
