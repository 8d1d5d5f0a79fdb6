"""The only context variable: the graph that feature classes register in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from metaxy_core.graph import FeatureGraph

_default = FeatureGraph()
_graph: ContextVar[FeatureGraph] = ContextVar("metaxy_graph", default=_default)


def active_graph() -> FeatureGraph:
    """The graph in use: the process-wide one, or that of the innermost `use_graph`."""
    return _graph.get()


@contextmanager
def use_graph(graph: FeatureGraph) -> Iterator[FeatureGraph]:
    """Make `graph` the active one inside the `with` block."""
    token = _graph.set(graph)
    try:
        yield graph
    finally:
        _graph.reset(token)
