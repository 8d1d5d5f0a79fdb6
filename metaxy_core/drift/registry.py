"""Which functions make which feature, as far as this process has imported them."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from metaxy_core.ambient import active_graph
from metaxy_core.graph import FeatureGraph, Graph
from metaxy_core.spec import FeatureSpec

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class Implementation:
    """A function that makes a feature.

    Attributes:
        by: the decorators that register it: they, and those above them, are not its code.
    """

    function: Callable[..., Any]
    by: tuple[Any, ...]


# By the declaration, not by its key: another graph may have another feature of that name, and
# its functions. A declaration that is gone takes its functions along.
_FUNCTIONS: dict[int, list[Implementation]] = {}


def implements(
    feature: Any, *, graph: Graph | FeatureGraph | None = None, by: Any = None
) -> Callable[[Function], Function]:
    """Say that a function makes a feature, so that `metaxy graph check` watches its code.

    The function is given back as it is. Several functions may make one feature; what is declared
    anew under the same name replaces what was there. The functions of Dagster's feature assets
    are known without it.

    Args:
        feature: a feature class, spec or key, declared before.
        graph: where it is declared; by default the active graph.
        by: the decorator that calls this one, and is not part of the function's code either.

    Raises:
        UnknownFeatureError: the graph does not have the feature.

    >>> from metaxy_core.ambient import use_graph
    >>> with use_graph(FeatureGraph([FeatureSpec("video")])) as graph:
    ...     @implements("video")
    ...     def probe(paths):
    ...         return [path.stat() for path in paths]
    >>> functions(graph.freeze()["video"]) == (probe,)
    True
    """
    chosen = active_graph() if graph is None else graph
    spec: FeatureSpec = chosen[feature]

    def register(function: Function) -> Function:
        mine = Implementation(function, (implements, *((by,) if by is not None else ())))
        if id(spec) not in _FUNCTIONS:
            weakref.finalize(spec, _FUNCTIONS.pop, id(spec), None).atexit = False
        known = _FUNCTIONS.get(id(spec), [])
        others = [one for one in known if name(one.function) != name(function)]
        _FUNCTIONS[id(spec)] = [*others, mine]
        return function

    return register


def functions(spec: FeatureSpec) -> tuple[Callable[..., Any], ...]:
    """The functions that make a feature, in the order of their names."""
    return tuple(one.function for one in implementations(spec))


def implementations(spec: FeatureSpec) -> tuple[Implementation, ...]:
    """The same, with the decorators that registered them."""
    return tuple(sorted(_FUNCTIONS.get(id(spec), ()), key=lambda one: name(one.function)))


def name(function: Callable[..., Any]) -> str:
    """What a function is called in messages: `package.module:function`."""
    module = getattr(function, "__module__", None) or "?"
    qualified = getattr(function, "__qualname__", None) or type(function).__qualname__
    return f"{module}:{qualified}"
