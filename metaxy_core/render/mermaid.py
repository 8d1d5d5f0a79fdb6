"""A view as a Mermaid flowchart, for places that draw Mermaid (not Dagster's Markdown)."""

from __future__ import annotations

import re

from metaxy_core.diff.view import EdgeView, FieldView, GraphView, NodeView, Status
from metaxy_core.render.palette import LOOKS
from metaxy_core.render.text import one_line, versions

_UNSAFE = re.compile(r"[^A-Za-z0-9 _./,→←-]")


def render(view: GraphView) -> str:
    """Draw a view as Mermaid text.

    Whatever users wrote is written with Mermaid's entity codes, so no text can end a label.

    >>> from metaxy_core.graph import Graph
    >>> from metaxy_core.spec import FeatureSpec
    >>> print(render(GraphView.of(Graph([FeatureSpec("video")]))))
    flowchart LR
      f0["video<br/>...<br/>default ..."]
    """
    names = {node.key: f"f{index}" for index, node in enumerate(view.nodes)}
    lines = ["flowchart LR"]
    if view.is_diff:
        lines.append(f"  %% {view.before} to {view.after}")
    lines += [_node(names[node.key], node, view) for node in view.nodes]
    lines += [_edge(names, edge) for edge in view.edges]
    if view.is_diff:
        lines += [_class(status) for status in view.counts]
        lines += [_link(index, edge) for index, edge in enumerate(view.edges)]
    return "\n".join(lines)


def _node(name: str, node: NodeView, view: GraphView) -> str:
    title = f"{node.key}, {node.verdict}" if view.is_diff else node.key
    label = [title, versions(node.before, node.after), *map(_field, node.fields)]
    style = f":::{node.status.value}" if view.is_diff else ""
    return f'  {name}["{"<br/>".join(map(_escaped, label))}"]{style}'


def _field(field: FieldView) -> str:
    codes = [code for code in (field.code_before, field.code_after) if code]
    moved = f", code {codes[0]} → {codes[1]}" if len(set(codes)) > 1 else ""
    return f"{field.key} {versions(field.before, field.after)}{moved}"


def _edge(names: dict[str, str], edge: EdgeView) -> str:
    arrow = "-.->" if edge.status in (Status.PRUNED, Status.REMOVED) else "-->"
    label = f'|"{_escaped(edge.label)}"|' if edge.label else ""
    return f"  {names[edge.source]} {arrow}{label} {names[edge.target]}"


def _class(status: Status) -> str:
    look = LOOKS[status]
    dash = f",stroke-dasharray:{look.dash}" if look.dash else ""
    return f"  classDef {status.value} fill:{look.fill},stroke:{look.stroke},color:{look.ink}{dash}"


def _link(index: int, edge: EdgeView) -> str:
    return f"  linkStyle {index} stroke:{LOOKS[edge.status].stroke}"


def _escaped(text: str) -> str:
    return _UNSAFE.sub(lambda found: f"#{ord(found.group())};", one_line(text))
