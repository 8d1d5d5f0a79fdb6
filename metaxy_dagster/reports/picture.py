"""The picture of a feature among its neighbours, on its asset's page before it ever ran."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import dagster as dg

from metaxy_core import FeatureKey, Graph, GraphView, neighbourhood, svg_data_uri

_NODES = 12
"""No more features are drawn; a picture of hundreds is for nobody."""
_GRAPH = 300
"""Larger graphs have no pictures: with their definitions they would be megabytes to load."""

WIDEST = 980.0
"""Pixels; a dialog of the UI cuts off what is wider, and is no wider itself where nothing is."""

_last: list[tuple[Graph, GraphView]] = []
"""The graph drawn last; a cache, nothing is decided by it."""


def surroundings(graph: Graph, feature: FeatureKey) -> dict[str, Any]:
    """The feature with those it is made from and those made from it, as Markdown.

    >>> from metaxy_core import FeatureSpec
    >>> graph = Graph([FeatureSpec("video"), FeatureSpec("crop", deps=["video"])])
    >>> shown = surroundings(graph, FeatureKey("crop"))["metaxy/graph"].value
    >>> shown.partition("(")[0]
    '![crop and its neighbours]'
    """
    if len(graph) > _GRAPH:
        return {}
    view = neighbourhood(_whole(graph), feature)
    left = len(view.nodes) - _NODES
    if left > 0:
        view = _cut(view, feature)
    said = f"![{feature} and its neighbours]({svg_data_uri(view, widest=WIDEST)})"
    if left > 0:
        said += f"\n\n{left} more neighbours are not drawn."
    return {"metaxy/graph": dg.MetadataValue.md(said)}


def _whole(graph: Graph) -> GraphView:
    """The view of the whole graph; all its features ask for it, one after the other."""
    last = next(iter(_last), None)
    if last is None or last[0] is not graph:
        last = (graph, GraphView.of(graph))
        _last[:] = [last]
    return last[1]


def _cut(view: GraphView, feature: FeatureKey) -> GraphView:
    """The feature, its parents and then its children, as many as can be looked at."""
    centre = str(feature)
    parents = [edge.source for edge in view.edges if edge.target == centre]
    order = [centre, *parents, *(node.key for node in view.nodes)]
    kept = set(list(dict.fromkeys(order))[:_NODES])
    return replace(
        view,
        nodes=tuple(node for node in view.nodes if node.key in kept),
        edges=tuple(edge for edge in view.edges if {edge.source, edge.target} <= kept),
    )
