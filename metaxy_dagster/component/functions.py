"""The attribute `compute`: the functions in modules, and the features they make."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Iterator
from types import ModuleType
from typing import Any

import dagster as dg

from metaxy_core import DefinitionError, FeatureKey, FeatureSpec, Graph
from metaxy_dagster.assets.computes import marks_of
from metaxy_dagster.factory import Compute
from metaxy_dagster.reports.metadata import FEATURE
from metaxy_dagster.steps.increment import Increment
from metaxy_dagster.steps.parameters import read_parameters

Execute = Callable[
    [dg.AssetExecutionContext, FeatureSpec, Increment | None, Callable[[], Any] | None], Any
]
"""See `FeatureGraphComponent.execute`."""


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
                if feature not in graph:
                    raise DefinitionError(
                        f"{where} computes '{feature}', which is no feature of the graph. "
                        f"There are: {', '.join(map(str, graph))}."
                    )
                other, known = found.setdefault(feature, (where, value))
                if known is not value:
                    raise DefinitionError(f"Feature '{feature}': {other} and {where} compute it.")
    return {feature: value for feature, (_, value) in found.items()}


def through(
    execute: Execute, spec: FeatureSpec, function: Callable[..., Any]
) -> Callable[..., Any]:
    """A function that asks for the same, and for the context, and is called by `execute`."""
    asked = read_parameters(function, spec.key)
    shown = inspect.signature(function, eval_str=True)
    parameters = list(shown.parameters.values())
    context = asked.context or ("asset_context" if "context" in shown.parameters else "context")
    if asked.context is None:
        parameters.insert(0, _parameter(context, dg.AssetExecutionContext))

    def run(**given: Any) -> Any:
        of_run = given[context] if asked.context else given.pop(context)
        increment = given[asked.increment] if asked.increment else None
        return execute(of_run, spec, increment, functools.partial(function, **given))

    functools.update_wrapper(run, function)
    return _shown(run, parameters)


def instead(execute: Execute, spec: FeatureSpec) -> Callable[..., Any]:
    """A function that is `execute` alone, for a feature that has none; a root lists its samples."""
    parameters = [_parameter("context", dg.AssetExecutionContext)]
    if not spec.is_root:
        parameters.append(_parameter("increment", Increment))

    def run(context: dg.AssetExecutionContext, increment: Increment | None = None) -> Any:
        return execute(context, spec, increment, None)

    functools.update_wrapper(run, getattr(execute, "__func__", execute))
    run.__name__ = spec.key.parts[-1]
    return _shown(run, parameters)


def _features_of(value: Any) -> Iterator[FeatureKey]:
    if isinstance(value, dg.AssetsDefinition):
        for spec in value.specs:
            if (named := spec.metadata.get(FEATURE)) is not None:
                yield FeatureKey.of(getattr(named, "value", named))
    elif not inspect.ismodule(value):
        for mark in marks_of(value):
            yield FeatureKey.of(mark.feature)


def _parameter(name: str, annotation: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=annotation)


def _shown(run: Callable[..., Any], parameters: list[inspect.Parameter]) -> Callable[..., Any]:
    """The function with these parameters to see."""
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {
        one.name: one.annotation for one in parameters if one.annotation is not one.empty
    }
    return run
