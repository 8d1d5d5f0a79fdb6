"""What users name in a text: modules and packages, and the graphs of features in them."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable, Iterator
from types import ModuleType
from typing import Any

from metaxy_core import DefinitionError, FeatureGraph, Graph, active_graph


def modules_of(name: str) -> Iterator[ModuleType]:
    """Import a module and, where it is a package, all modules in it.

    Raises:
        DefinitionError: there is no such module. What a module raises itself is raised as it is.
    """
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if name == missing or name.startswith(f"{missing}."):
            wanted = "" if name == missing else f" to import '{name}' from"
            raise DefinitionError(f"There is no module '{missing}'{wanted}.") from error
        raise
    yield module
    for found in pkgutil.walk_packages(getattr(module, "__path__", ()), f"{name}."):
        if not found.name.endswith(".__main__"):  # a program, not declarations
            yield importlib.import_module(found.name)


def graph_of(source: Graph | FeatureGraph | str | Iterable[Any]) -> Graph | FeatureGraph:
    """The graph meant: itself, of the features listed, or what is named.

    Args:
        source: as a text: a module or package whose feature classes register themselves, so that
            the active graph is meant; or `package.module:graph`, a graph in a module.

    Raises:
        DefinitionError: there is no such module, or no such graph in it.
    """
    if isinstance(source, Graph | FeatureGraph):
        return source
    if isinstance(source, str):
        return _named(source)
    listed = FeatureGraph()
    for feature in source:
        listed.add(feature)
    return listed


def _named(source: str) -> Graph | FeatureGraph:
    name, _, attribute = source.partition(":")
    modules = list(modules_of(name))
    if not attribute:
        return active_graph()
    graph = getattr(modules[0], attribute, None)
    if not isinstance(graph, Graph | FeatureGraph):
        raise DefinitionError(f"The module '{name}' has no graph '{attribute}'.")
    return graph
