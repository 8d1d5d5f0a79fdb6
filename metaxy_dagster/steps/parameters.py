"""What a user's function asks for, and the signature that Dagster is shown instead."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, get_origin, get_type_hints

import dagster as dg
import narwhals as nw

import metaxy_core
from metaxy_core import DefinitionError, FeatureKey
from metaxy_dagster.resource import MetaxyStore
from metaxy_dagster.steps.increment import Increment
from metaxy_dagster.steps.options import with_options

_CONTEXTS = ("context", "_context", "context_", "_")
_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
_CORE = (metaxy_core.Increment, metaxy_core.LazyIncrement)
_NO_FRAMES = (bool, int, float, complex, str, bytes, bytearray, set, frozenset)
GIVES = "It returns a frame, yields frames (or AssetObservation, AssetCheckResult), or gives None."


@dataclass(frozen=True)
class Parameters:
    """The parameters of a user's function, by who provides them.

    Attributes:
        increment: the name of the one that gets the increment.
        config: name and class of the one that gets the config.
        stores: those annotated `MetaxyStore`, which get the asset's store.
        given: those that Dagster provides: resources and upstream values. Others with a default
            keep it.
    """

    function: Callable[..., Any]
    context: str | None
    increment: str | None
    config: tuple[str, type[dg.Config]] | None
    stores: tuple[str, ...]
    given: Mapping[str, inspect.Parameter]

    @property
    def name(self) -> str:
        """How errors call the function."""
        return name_of(self.function)

    def call(
        self,
        context: Any,
        increment: Any,
        config: Any,
        store: MetaxyStore,
        given: Mapping[str, Any],
    ) -> Any:
        """Call the function with what it asks for."""
        arguments = {name: given[name] for name in self.given}
        arguments |= dict.fromkeys(self.stores, store)
        for name, value in (
            (self.context, context),
            (self.increment, increment),
            (self.config and self.config[0], config),
        ):
            if name is not None:
                arguments[name] = value
        return self.function(**arguments)


def read_parameters(
    function: Callable[..., Any],
    feature: FeatureKey,
    injected: type = Increment,
    name: str = "increment",
) -> Parameters:
    """Sort a function's parameters by who provides them.

    Args:
        injected: the annotation of the parameter that gets the increment.
        name: what it is called where it has no annotation.

    Raises:
        DefinitionError: the function cannot be called by name, is asynchronous, is annotated to
            return what no frame is, or an annotation cannot be resolved; names the function and
            the feature.
    """
    where = f"Feature '{feature}': the function {name_of(function)}"
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise DefinitionError(f"{where} is asynchronous; feature functions are plain ones.")
    try:
        hints = get_type_hints(_annotated(function), include_extras=True)
    except NameError as error:
        raise DefinitionError(
            f"{where} has an annotation that cannot be resolved ({error}). Import its type at the "
            "top of the module, not under TYPE_CHECKING or inside a function."
        ) from error
    returned = hints.get("return")
    never = _NO_FRAMES if injected is not Increment else (*_NO_FRAMES, dict)
    if (get_origin(returned) or returned) in never:
        raise DefinitionError(f"{where} is annotated to return {returned}. {GIVES}")
    context = increment = None
    config: tuple[str, type[dg.Config]] | None = None
    stores: list[str] = []
    given: dict[str, inspect.Parameter] = {}
    for index, parameter in enumerate(inspect.signature(function).parameters.values()):
        hint = hints.get(parameter.name, parameter.empty)
        if parameter.kind in _VARIADIC or parameter.kind is parameter.POSITIONAL_ONLY:
            raise DefinitionError(f"{where} has the parameter {parameter}; name them one by one.")
        if hint in _CORE:
            raise DefinitionError(
                f"{where} annotates {parameter.name!r} with metaxy_core's {hint.__name__}. "
                "Annotate it with metaxy_dagster.Increment, which needs no open store."
            )
        if hint is injected or (hint is parameter.empty and parameter.name == name):
            increment = parameter.name
        elif (index == 0 and parameter.name in _CONTEXTS) or hint is dg.AssetExecutionContext:
            context = parameter.name
        elif _is_a(hint, MetaxyStore):
            stores.append(parameter.name)
        elif _is_a(hint, dg.Config) and not _is_a(hint, dg.ConfigurableResource):
            config = (parameter.name, hint)
        elif parameter.default is parameter.empty or is_resource(hint):
            # Dagster refuses generic frames such as nw.LazyFrame[Any]; the class says it all.
            frame = get_origin(hint) in (nw.DataFrame, nw.LazyFrame)
            kind = get_origin(hint) if frame else hint
            given[parameter.name] = parameter.replace(annotation=kind)
    return Parameters(function, context, increment, config, tuple(stores), given)


def signature(
    functions: Iterable[Parameters], store: str, feature: FeatureKey, *, options: bool
) -> inspect.Signature:
    """What Dagster is shown: the context, the config with run options, the store, the rest.

    Args:
        store: the resource key of the store.
        options: add the run options to the config.

    Raises:
        DefinitionError: two functions give one name different meanings.
    """
    known: dict[str, inspect.Parameter] = {}
    config: type[dg.Config] | None = None
    for parameters in functions:
        for name, parameter in parameters.given.items():
            other = known.setdefault(name, parameter)
            if other.annotation != parameter.annotation:
                raise DefinitionError(
                    f"Feature '{feature}': its functions annotate {name!r} as "
                    f"{other.annotation} and as {parameter.annotation}."
                )
        if parameters.config is not None:
            if config not in (None, parameters.config[1]):
                raise DefinitionError(f"Feature '{feature}': its functions take two configs.")
            config = parameters.config[1]
    try:
        merged = with_options(config) if options else config
    except ValueError as error:
        raise DefinitionError(f"Feature '{feature}': {error}. Rename it.") from error
    made = [_parameter("context", dg.AssetExecutionContext)]
    made += [] if merged is None else [_parameter("config", merged)]
    made += [_parameter(store, MetaxyStore)]
    made += [_parameter(name, p.annotation) for name, p in known.items() if name != store]
    return inspect.Signature(made)


def _parameter(name: str, annotation: Any) -> inspect.Parameter:
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    return inspect.Parameter(name, kind, annotation=annotation)


def is_resource(hint: Any) -> bool:
    """Whether Dagster provides a resource for such an annotation."""
    return _is_a(hint, dg.ConfigurableResource) or hasattr(hint, "__metadata__")


def _is_a(hint: Any, kind: type) -> bool:
    return inspect.isclass(hint) and issubclass(hint, kind)


def _annotated(function: Any) -> Any:
    """What carries the annotations: of a partial the function, of an object its `__call__`."""
    if isinstance(function, functools.partial):
        return _annotated(function.func)
    return function if inspect.isroutine(function) else type(function).__call__


def name_of(function: Any) -> str:
    """How errors call a function: of a partial the function, of an object its class."""
    if isinstance(function, functools.partial):
        return name_of(function.func)
    return getattr(function, "__name__", type(function).__name__)
