"""The assets that automation looks at, and the features they make."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from metaxy_core import FeatureKey, Graph
from metaxy_dagster.partitions import Part, PartitionBy
from metaxy_dagster.reports.metadata import FEATURE, PART, PARTITION_BY, declared
from metaxy_dagster.translator import Translation

UNION = "metaxy/union"
"""Marks an asset that computes nothing, see `union_asset`: its parts have what is to be done."""


@dataclass(frozen=True)
class Target:
    """An asset that makes a feature, or a part of one.

    Attributes:
        parents: the assets of the features it is made from.
        partitions: of the asset,
        by: the columns that hold their keys,
        single_run: and whether one run does a range of them.
    """

    feature: FeatureKey
    key: dg.AssetKey
    parents: Sequence[dg.AssetKey] = ()
    part: Part = field(default_factory=dict)
    partitions: dg.PartitionsDefinition[Any] | None = None
    by: PartitionBy | None = None
    single_run: bool = False


def target_of(asset_graph: Any, graph: Graph, key: dg.AssetKey) -> Target | None:
    """The target that an asset is; None where it makes no feature of this graph.

    Args:
        asset_graph: a code location's, as conditions and schedules know it.
    """
    node = asset_graph.get(key)
    parents = [one for one in node.parent_keys if FEATURE in asset_graph.get(one).metadata]
    return _target(graph, key, node.metadata, parents)


def targets_of(assets: Translation, named: Iterable[Any]) -> list[Target]:
    """The targets that features or assets are, parents first.

    Args:
        named: feature classes, specs or keys; or assets that `feature_asset` made.

    Raises:
        DefinitionError: the graph does not have a feature.
    """
    found: list[Target] = []
    for one in named:
        if isinstance(one, dg.AssetsDefinition):
            for spec in one.specs:
                parents = [dep.asset_key for dep in spec.deps]
                made = _target(assets.graph, spec.key, spec.metadata, parents)
                found += [] if made is None else [made]
        else:
            key = assets.graph[one].key
            parents = list(assets.parents(key).values())
            found.append(Target(key, assets.spec(key).key, parents))
    order = {key: position for position, key in enumerate(assets.graph)}
    return sorted(found, key=lambda target: (order[target.feature], target.key))


def _target(
    graph: Graph, key: dg.AssetKey, metadata: Any, parents: Sequence[dg.AssetKey]
) -> Target | None:
    named = declared(metadata, FEATURE)
    if named is None or named not in graph or declared(metadata, UNION):
        return None
    part, by = declared(metadata, PART) or {}, declared(metadata, PARTITION_BY)
    return Target(graph[named].key, key, tuple(parents), part, by=by)
