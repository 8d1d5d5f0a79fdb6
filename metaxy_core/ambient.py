"""The only ambient state: the graph that feature classes register in, and the active settings."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

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


class _Process:
    """What `init()` has loaded, for every thread of the process."""

    settings: Any = None


def active_settings() -> Any:
    """The configuration that `init()` has loaded; None before."""
    return _Process.settings


def set_settings(settings: Any) -> None:
    """Make a configuration the active one of this process."""
    _Process.settings = settings
