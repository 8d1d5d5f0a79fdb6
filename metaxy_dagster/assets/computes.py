"""Functions that say which feature they make, and stay plain functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from metaxy_core import FeatureGraph, FeatureKey, Graph, active_graph, implements

_CLAIMS = "__metaxy_computes__"

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class Claim:
    """That a function makes a feature, as the function says itself.

    Attributes:
        feature: a feature class, spec or key.
        arguments: those of `feature_asset`, for this feature.
    """

    feature: Any
    arguments: Mapping[str, Any] = field(default_factory=dict)


def computes(
    feature: Any, *, graph: Graph | FeatureGraph | None = None, **arguments: Any
) -> Callable[[Function], Function]:
    """Say that a function makes a feature; `FeatureGraphComponent` finds it by that.

    The function is given back as it is, to be called and tested like any other. Whether it fits
    the feature is checked by whoever builds an asset of it. It `implements` the feature, so
    `metaxy graph check` watches its code.

    Args:
        feature: a feature class, spec or key.
        graph: where it is declared; by default the active graph, where that has it.
        arguments: any other argument of `feature_asset`, such as `samples`, `retry_policy` or
            `pool`; they win over those given for all features.

    Raises:
        DefinitionError: the graph given does not have the feature.

    >>> @computes("crop", pool="gpu")
    ... def crop(increment):
    ...     return increment.todo()
    >>> crop.__name__, [claim.feature for claim in claims_of(crop)]
    ('crop', ['crop'])
    """

    def claim(function: Function) -> Function:
        setattr(function, _CLAIMS, (Claim(feature, arguments), *claims_of(function)))
        if graph is not None or feature in active_graph():
            implements(feature, graph=graph, by=computes)(function)
        return function

    return claim


def claims_of(function: Any) -> tuple[Claim, ...]:
    """The features that a function says it makes; none for all other objects."""
    claims = getattr(function, _CLAIMS, ())
    # Some objects, such as expressions, have every attribute.
    return claims if isinstance(claims, tuple) else ()


def arguments_of(function: Any, feature: FeatureKey) -> Mapping[str, Any]:
    """The arguments that a function gives for a feature it says it makes."""
    for claim in claims_of(function):
        if FeatureKey.of(claim.feature) == feature:
            return claim.arguments
    return {}
