"""Parts of a view that are small enough to look at."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from metaxy_core.diff.view import GraphView, Status
from metaxy_core.errors import UnknownFeatureError
from metaxy_core.keys import FeatureKey


def neighbourhood(view: GraphView, key: Any, hops: int = 1) -> GraphView:
    """The part of a view within some hops of a feature, in both directions.

    Raises:
        UnknownFeatureError: the view has no such feature.

    >>> from metaxy_core.graph import Graph
    >>> from metaxy_core.spec import FeatureSpec
    >>> chain = [FeatureSpec("a"), FeatureSpec("b", deps=["a"]), FeatureSpec("c", deps=["b"])]
    >>> [node.key for node in neighbourhood(GraphView.of(Graph(chain)), "a").nodes]
    ['a', 'b']
    """
    centre = str(FeatureKey.of(key))
    if centre not in {node.key for node in view.nodes}:
        raise UnknownFeatureError(f"There is no feature '{centre}' to draw the surroundings of.")
    return _within(view, [centre], hops)


def focus(view: GraphView) -> GraphView:
    """The part of a diff that is worth looking at: all but the unchanged, and their neighbours."""
    touched = [node.key for node in view.nodes if node.status is not Status.UNCHANGED]
    return _within(view, touched, 1)


def _within(view: GraphView, keys: Iterable[str], hops: int) -> GraphView:
    kept = set(keys)
    for _ in range(hops):
        kept |= {
            key
            for edge in view.edges
            if edge.source in kept or edge.target in kept
            for key in (edge.source, edge.target)
        }
    return replace(
        view,
        nodes=tuple(node for node in view.nodes if node.key in kept),
        edges=tuple(edge for edge in view.edges if edge.source in kept and edge.target in kept),
        hidden=view.hidden + sum(node.key not in kept for node in view.nodes),
    )
