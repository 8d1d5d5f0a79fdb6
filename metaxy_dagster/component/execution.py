"""The hook `execute`: functions that are called through it, or that it stands for."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import dagster as dg

from metaxy_core import FeatureSpec
from metaxy_dagster.steps.increment import Increment
from metaxy_dagster.steps.parameters import read_parameters

Execute = Callable[
    [dg.AssetExecutionContext, FeatureSpec, Increment | None, Callable[[], Any] | None], Any
]
"""See `FeatureGraphComponent.execute`."""


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


def _parameter(name: str, annotation: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=annotation)


def _shown(run: Callable[..., Any], parameters: list[inspect.Parameter]) -> Callable[..., Any]:
    """The function with these parameters to see."""
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {
        one.name: one.annotation for one in parameters if one.annotation is not one.empty
    }
    return run
