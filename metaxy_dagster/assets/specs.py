"""Features as plain asset specs: drawn and loadable, without a function here."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import dagster as dg

from metaxy_core import FeatureGraph, Graph, active_graph
from metaxy_dagster.assets.references import with_references
from metaxy_dagster.resource import IO_MANAGER_KEY, frozen
from metaxy_dagster.translator import FeatureTranslator, Translation


def feature_specs(
    features: Iterable[Any],
    *,
    graph: Graph | FeatureGraph | None = None,
    translator: FeatureTranslator | None = None,
    translation: Translation | None = None,
    io_manager_key: str = IO_MANAGER_KEY,
) -> list[dg.AssetSpec]:
    """External assets for features that something else computes; assets here can load them.

    Raises:
        DefinitionError: the graph does not have a feature.

    >>> from metaxy_core import FeatureSpec
    >>> [spec.key for spec in feature_specs(["a"], graph=FeatureGraph([FeatureSpec("a")]))]
    [AssetKey(['a'])]
    """
    chosen = active_graph() if graph is None else graph
    assets = translation or Translation(frozen(chosen), translator or FeatureTranslator())
    named = [(assets.graph[feature].key, feature) for feature in features]
    return [
        with_references(assets.spec(key), feature).with_io_manager_key(io_manager_key)
        for key, feature in named
    ]
