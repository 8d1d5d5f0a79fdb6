"""What `dg.asset` is given for a feature: its spec, its inputs, and the user's arguments on top."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import dagster as dg

from metaxy_core import DefinitionError, FeatureKey, Graph
from metaxy_dagster.resource import MetaxyStore
from metaxy_dagster.steps.parameters import Parameters, is_resource, name_of
from metaxy_dagster.steps.run import Step


def feature_of(graph: Graph, feature: Any, function: Any) -> FeatureKey:
    """The feature that a function is given for.

    Raises:
        DefinitionError: the graph does not have it, or it is no function; names both.
    """
    if not callable(function):
        raise DefinitionError(
            f"Feature '{feature}': a function that computes it is expected; given: {function!r}."
        )
    try:
        return graph[feature].key
    except DefinitionError as error:
        raise DefinitionError(f"The function {name_of(function)}: {error}") from error


def step_function(
    function: Callable[..., Any],
    shown: inspect.Signature,
    store: str,
    features: Iterable[FeatureKey],
    run: Callable[[Step], Iterator[Any]],
) -> Callable[..., Iterator[Any]]:
    """A function with the signature that Dagster is to see, which runs a step.

    It raises a DefinitionError, before the user's function is called, where the resource `store`
    is no `MetaxyStore`.
    """
    whose = ", ".join(f"'{feature}'" for feature in features)

    def compute(context: dg.AssetExecutionContext, **arguments: Any) -> Iterator[Any]:
        config, resource = arguments.pop("config", None), arguments[store]
        if not isinstance(resource, MetaxyStore):
            raise DefinitionError(
                f"Feature {whose}: the function {name_of(function)} stores its rows in the "
                f"resource {store!r}, which is a {type(resource).__name__}, not a MetaxyStore."
            )
        yield from run(Step(context, resource, config, arguments))

    # Of the user's function, its annotations and what it wraps must not be seen.
    names = [n for n in functools.WRAPPER_ASSIGNMENTS if n != "__annotations__"]
    functools.update_wrapper(compute, function, names, ())
    vars(compute).pop("__wrapped__")
    compute.__annotations__ = {}
    compute.__signature__ = shown  # type: ignore[attr-defined]  # Dagster reads it
    return compute


def value_inputs(
    function: Parameters, parents: Mapping[FeatureKey, dg.AssetKey], io_manager_key: str
) -> dict[str, dg.AssetIn]:
    """Parameters that are named as a parent is, as inputs."""
    named: dict[str, dg.AssetKey] = {}
    for parent, key in parents.items():
        named |= dict.fromkeys((parent.parts[-1], "_".join(parent.parts), parent.to_table()), key)
    return {
        name: dg.AssetIn(named[name], input_manager_key=io_manager_key)
        for name, parameter in function.given.items()
        if name in named and not is_resource(parameter.annotation)
    }


def merged_arguments(
    spec: dg.AssetSpec, inputs: Mapping[str, dg.AssetIn], given: Mapping[str, Any]
) -> tuple[dict[str, Any], dg.AssetKey]:
    """The arguments of `dg.asset`: the spec's, with those of the user on top; and the key."""
    inputs = {**inputs, **given.get("ins", {})}
    taken = {asset_in.key for asset_in in inputs.values()}
    deps = [dep for dep in spec.deps if dep.asset_key not in taken]
    arguments: dict[str, Any] = {
        "key": spec.key,
        "description": spec.description,
        "group_name": spec.group_name,
        "code_version": spec.code_version,
        "owners": spec.owners,
        "kinds": spec.kinds,
        "automation_condition": spec.automation_condition,
        "freshness_policy": spec.freshness_policy,
        "partitions_def": spec.partitions_def,
        **given,
        "ins": inputs,
        "deps": [*deps, *given.get("deps", ())],
        "metadata": {**spec.metadata, **given.get("metadata", {})},
        "tags": {
            **{k: v for k, v in spec.tags.items() if not k.startswith("dagster/kind/")},
            **given.get("tags", {}),
        },
    }
    if "name" in given or "key_prefix" in given:
        del arguments["key"]
        prefix = given.get("key_prefix", ())
        parts = [prefix] if isinstance(prefix, str) else list(prefix)
        last = given.get("name", spec.key.path[-1])
        arguments["name"] = last
        return arguments, dg.AssetKey([*parts, last])
    given_key = arguments["key"]
    if isinstance(given_key, str):
        given_key = dg.AssetKey.from_user_string(given_key)
    return arguments, given_key if isinstance(given_key, dg.AssetKey) else dg.AssetKey(given_key)
