"""From a feature to a Dagster asset: one method to override, one for its checks."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import dagster as dg

from metaxy_core import FeatureKey, FeatureSpec, Graph
from metaxy_dagster.partitions import Part
from metaxy_dagster.reports.metadata import definition_metadata, safe_markdown

_NOT_IN_A_GROUP = re.compile(r"[^A-Za-z0-9_]")


@dataclass(frozen=True)
class FeatureTranslatorData:
    """What a translator knows about a feature.

    Attributes:
        upstream_keys: the asset keys of its parents, in declared order.
        store_kind: such as `"duckdb"`, where it is known at definition time.
        part: the columns, and their values, of the part that the asset makes; empty for a whole.
    """

    feature: FeatureSpec
    graph: Graph
    upstream_keys: Sequence[dg.AssetKey] = ()
    store_kind: str | None = None
    part: Part = field(default_factory=dict)


class FeatureTranslator:
    """Decides key, group, description, kinds, owners, tags and metadata of a feature's asset.

    >>> class Ours(FeatureTranslator):
    ...     def get_asset_spec(self, data: FeatureTranslatorData) -> dg.AssetSpec:
    ...         return super().get_asset_spec(data).replace_attributes(owners=["team:ml"])
    """

    def get_asset_spec(self, data: FeatureTranslatorData) -> dg.AssetSpec:
        """The asset of a feature; a new key is seen by the features below it as well."""
        spec = data.feature
        kinds = {"metaxy"} | ({data.store_kind} if data.store_kind else set())
        return dg.AssetSpec(
            dg.AssetKey([*spec.key.parts, *map(str, data.part.values())]),
            deps=list(data.upstream_keys),
            description=safe_markdown(spec.description) if spec.description else None,
            group_name=_NOT_IN_A_GROUP.sub("_", spec.project) if spec.project else None,
            code_version=data.graph.versions[spec.key].feature,
            kinds=kinds,
            metadata=definition_metadata(data.graph, spec.key, data.part),
        )

    def get_asset_check_spec(
        self, spec: dg.AssetCheckSpec, data: FeatureTranslatorData
    ) -> dg.AssetCheckSpec | None:
        """A check of the feature's asset, changed as you like; None leaves it out."""
        return spec


@dataclass
class Translation:
    """A graph as assets: every feature is translated once, parents first."""

    graph: Graph
    translator: FeatureTranslator = field(default_factory=FeatureTranslator)
    store_kind: str | None = None
    _specs: dict[FeatureKey, dg.AssetSpec] = field(default_factory=dict)

    def data(self, feature: FeatureKey, part: Part | None = None) -> FeatureTranslatorData:
        """What the translator is given for a feature."""
        parents = list(self.parents(feature).values())
        return FeatureTranslatorData(
            self.graph[feature], self.graph, parents, self.store_kind, part or {}
        )

    def spec(self, feature: FeatureKey, part: Part | None = None) -> dg.AssetSpec:
        """The asset of a feature, or of a part of it."""
        if part:
            return self.translator.get_asset_spec(self.data(feature, part))
        if feature not in self._specs:
            parents = self.graph.parents(feature)
            # Most are asked for parents first: then there is nothing to walk.
            above = (
                () if all(key in self._specs for key in parents) else self.graph.upstream(feature)
            )
            for key in (*above, feature):
                if key not in self._specs:
                    self._specs[key] = self.translator.get_asset_spec(self.data(key))
        return self._specs[feature]

    def parents(self, feature: FeatureKey) -> Mapping[FeatureKey, dg.AssetKey]:
        """The assets that a feature's asset is made from."""
        return {parent: self.spec(parent).key for parent in self.graph.parents(feature)}
