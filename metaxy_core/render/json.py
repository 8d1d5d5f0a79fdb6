"""A view as JSON, for other programs; `render` says what is in it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Final, Literal

from pydantic import JsonValue

from metaxy_core.diff.view import EdgeView, GraphView, NodeView, Status

FORMAT: Final = 1
"""Grows when a name or a meaning changes; new names may come at any time."""


@dataclass(frozen=True)
class Drawing:
    """What `render` writes: a view, and what sums it up.

    Attributes:
        format: grows when a name or a meaning changes.
        counts: nodes per status.
        before, after: short snapshot versions; `before` is null for one graph.
        hidden: nodes left out.
    """

    format: Literal[1]
    kind: Literal["graph", "diff"]
    counts: Mapping[Status, int]
    before: str | None
    after: str
    nodes: tuple[NodeView, ...]
    edges: tuple[EdgeView, ...]
    hidden: int


def render(view: GraphView) -> str:
    """Write a view as JSON with two spaces of indentation.

    - `format`: 1; `kind`: `"graph"` or `"diff"`; `before`, `after`: short snapshot versions
      (`before` null for a graph); `counts`: nodes per status; `hidden`: nodes left out.
    - `nodes`: `key`, `status` (added, removed, changed, affected, pruned, unchanged), `before`,
      `after` (short feature versions or null), `fields`, `severity` (cosmetic, recompute, breaking
      or null), `reasons`, `declaration` (`path`, `before`, `after` as text), `description`.
    - `fields`: `key`, `status`, `before`, `after`, `code_before`, `code_after`, `parents`.
    - `edges`: `source`, `target`, `status`, `kind` (1:1, N:1, 1:N), `label`.

    Texts are as declared; `<`, `>` and `&` are escaped, so the JSON may stand inside HTML.

    >>> from metaxy_core.graph import Graph
    >>> json.loads(render(GraphView.of(Graph())))["kind"]
    'graph'
    """
    text = json.dumps(shown(view), indent=2)
    for char in "<>&":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text


def shown(view: GraphView) -> dict[str, JsonValue]:
    """What is written of a view, as plain values."""
    drawing = Drawing(
        FORMAT,
        "diff" if view.is_diff else "graph",
        view.counts,
        view.before,
        view.after,
        view.nodes,
        view.edges,
        view.hidden,
    )
    plain: dict[str, JsonValue] = json.loads(json.dumps(asdict(drawing)))
    return plain
