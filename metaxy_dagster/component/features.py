"""The attribute `features`: the graph, and what of it belongs to other projects."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import dagster as dg

from metaxy_core import DefinitionError, FeatureGraph, FeatureKey, Graph, MetaxyConfig, use_lock
from metaxy_dagster.sources import graph_of

Names = str | Sequence[str]


def load_graph(
    named: Names | None, context: dg.ComponentLoadContext
) -> tuple[Graph | FeatureGraph, frozenset[FeatureKey]]:
    """The graph that is named, else that of metaxy.toml; and its features of other projects.

    Raises:
        DefinitionError: there is no such module, it declares nothing, or several graphs are named.
        ConfigError: metaxy.toml is wrong, or names nothing.
    """
    config = MetaxyConfig.load(start=context.project_root)
    if named is None:
        graph = config.load_features(locked=False)
    else:
        names = list(absolute(named, context))
        graph, *others = [graph_of(name) for name in names] or [FeatureGraph()]
        if any(one is not graph for one in others):
            raise DefinitionError(f"features: {', '.join(names)} are several graphs; name one.")
    if not len(graph):
        said = "what metaxy.toml names" if named is None else named
        raise DefinitionError(
            f"features: {said} declares no feature. A graph that is a value is named "
            "package.module:graph."
        )
    locked = use_lock(config.lock_file, graph) if isinstance(graph, FeatureGraph) else ()
    return graph, frozenset(locked)


def absolute(named: Names, context: dg.ComponentLoadContext) -> Iterator[str]:
    """Names of modules; those that begin with a dot are beside the YAML."""
    for name in [named] if isinstance(named, str) else named:
        beside = context.defs_relative_module_name(context.path) if name.startswith(".") else ""
        yield beside + name
