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
    return _within(view, [_centre(view, key)], hops)


def slice_of(
    view: GraphView, key: Any, up: int | None = None, down: int | None = None
) -> GraphView:
    """The part of a view that a feature is made from, and that is made from it.

    Args:
        up: how many edges towards its parents; all of them for None.
        down: how many edges towards its children; all of them for None.

    Raises:
        UnknownFeatureError: the view has no such feature.

    >>> from metaxy_core.graph import Graph
    >>> from metaxy_core.spec import FeatureSpec
    >>> chain = [FeatureSpec("a"), FeatureSpec("b", deps=["a"]), FeatureSpec("c", deps=["b"])]
    >>> [node.key for node in slice_of(GraphView.of(Graph(chain)), "b", up=0).nodes]
    ['b', 'c']
    """
    centre = _centre(view, key)
    edges = [(edge.source, edge.target) for edge in view.edges]
    above = _reached(centre, [(child, parent) for parent, child in edges], up)
    return _only(view, above | _reached(centre, edges, down))


def focus(view: GraphView) -> GraphView:
    """The part of a diff that is worth looking at: all but the unchanged, and their neighbours."""
    touched = [node.key for node in view.nodes if node.status is not Status.UNCHANGED]
    return _within(view, touched, 1)


def _centre(view: GraphView, key: Any) -> str:
    centre = str(FeatureKey.of(key))
    if centre not in {node.key for node in view.nodes}:
        raise UnknownFeatureError(f"There is no feature '{centre}' to draw the surroundings of.")
    return centre


def _reached(start: str, steps: Iterable[tuple[str, str]], hops: int | None) -> set[str]:
    reached, edge, ways = {start}, {start}, list(steps)
    while edge and hops != 0:
        edge = {end for begin, end in ways if begin in edge} - reached
        reached |= edge
        hops = None if hops is None else hops - 1
    return reached


def _within(view: GraphView, keys: Iterable[str], hops: int) -> GraphView:
    kept = set(keys)
    for _ in range(hops):
        kept |= {
            key
            for edge in view.edges
            if edge.source in kept or edge.target in kept
            for key in (edge.source, edge.target)
        }
    return _only(view, kept)


def _only(view: GraphView, kept: set[str]) -> GraphView:
    return replace(
        view,
        nodes=tuple(node for node in view.nodes if node.key in kept),
        edges=tuple(edge for edge in view.edges if edge.source in kept and edge.target in kept),
        hidden=view.hidden + sum(node.key not in kept for node in view.nodes),
    )
