"""A view as JSON, for other programs; `render` says what is in it."""

from __future__ import annotations

import json
from dataclasses import asdict

from pydantic import JsonValue

from metaxy_core.diff.view import GraphView

FORMAT = 1
"""Grows when a name or a meaning changes; new names may come at any time."""


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
    plain = json.loads(json.dumps(asdict(view)))
    return {
        "format": FORMAT,
        "kind": "diff" if view.is_diff else "graph",
        "counts": {status.value: count for status, count in view.counts.items()},
        **plain,
    }
