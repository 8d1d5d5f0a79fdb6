"""The attribute `compute`: the functions in modules, and the features they make."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterable, Iterator
from types import ModuleType
from typing import Any

import dagster as dg

from metaxy_core import DefinitionError, FeatureKey, Graph
from metaxy_dagster.assets.computes import claims_of
from metaxy_dagster.factory import Compute
from metaxy_dagster.reports.metadata import FEATURE, declared


def functions_of(modules: Iterable[ModuleType], graph: Graph) -> dict[FeatureKey, Compute]:
    """The functions decorated with `computes`, and the assets made by decorators, by feature.

    Raises:
        DefinitionError: one is for a feature that the graph does not have, two are for the same.
    """
    found: dict[FeatureKey, tuple[str, Compute]] = {}
    for module in modules:
        for name, value in vars(module).items():
            where = f"{module.__name__}.{name}"
            for feature in _features_of(value):
                try:
                    graph[feature]
                except DefinitionError as error:
                    raise DefinitionError(f"{where} computes '{feature}'. {error}") from error
                other, known = found.setdefault(feature, (where, value))
                if known is not value:
                    raise DefinitionError(f"Feature '{feature}': {other} and {where} compute it.")
    return {feature: value for feature, (_, value) in found.items()}


def check_covered(
    graph: Graph, found: Collection[FeatureKey], elsewhere: Collection[FeatureKey], where: str
) -> None:
    """Every feature has a function or is computed elsewhere, and none is both.

    Raises:
        DefinitionError: names the features, and the modules that were looked through.
    """
    if both := [key for key in graph if key in found and key in elsewhere]:
        raise DefinitionError(
            f"Features with a function in {where} that are named as external or observed: "
            f"{', '.join(map(str, both))}."
        )
    if missing := [key for key in graph if key not in found and key not in elsewhere]:
        raise DefinitionError(
            f"Features without a function in {where}: {', '.join(map(str, missing))}. Decorate "
            "one with @computes, or name what something else computes in external or observe."
        )


def _features_of(value: Any) -> Iterator[FeatureKey]:
    if isinstance(value, dg.AssetsDefinition):
        for spec in value.specs:
            if (named := declared(spec.metadata, FEATURE)) is not None:
                yield FeatureKey.of(named)
    elif not inspect.ismodule(value):
        for claim in claims_of(value):
            yield FeatureKey.of(claim.feature)
