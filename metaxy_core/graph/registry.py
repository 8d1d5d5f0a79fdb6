"""The growing graph: where feature classes and class-less features are declared."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from metaxy_core.aliases import FeatureGraphSpellings
from metaxy_core.errors import CycleError, UnknownFeatureError
from metaxy_core.graph.graph import Graph, check_new
from metaxy_core.graph.plan import plan_feature
from metaxy_core.keys import FeatureKey
from metaxy_core.spec import FeatureSpec


class FeatureGraph(FeatureGraphSpellings):
    """Features as they are declared, one by one; `freeze()` gives the immutable `Graph`.

    A declaration is refused at once where that can be told: a taken key, unknown parent fields,
    edges that do not fit, a ring. Only a parent that is named by key before it is declared has to
    wait for `freeze()`.

    >>> graph = FeatureGraph([FeatureSpec("video")])
    >>> graph.add(FeatureSpec("crop", deps=["video"]))
    FeatureSpec('crop')
    >>> graph.freeze().snapshot_version[:8]
    '...'
    """

    def __init__(self, specs: Iterable[FeatureSpec] = ()) -> None:
        self._specs: dict[FeatureKey, FeatureSpec] = {}
        self._tables: dict[str, FeatureKey] = {}
        # Per parent that was named by key before it is declared: who waits for it.
        self._awaited: dict[FeatureKey, list[FeatureSpec]] = {}
        self._frozen: Graph | None = None
        for spec in specs:
            self.add(spec)

    def add(self, feature: Any) -> FeatureSpec:
        """Declare a feature: a spec or a feature class. Returns the spec.

        Raises:
            DefinitionError: see `Graph`; the graph is left as it was.
        """
        spec: FeatureSpec = getattr(feature, "spec", feature)
        tables = dict(self._tables)
        check_new(spec, self._specs, tables)
        specs = {**self._specs, spec.key: spec}
        waiting = self._awaited.get(spec.key, [])
        if waiting or any(dep.feature == spec.key for dep in spec.deps):
            self._refuse_ring(spec, specs)
        # A declaration may complete the parents of others, declared earlier by key.
        for other in (spec, *waiting):
            if all(dep.feature in specs for dep in other.deps):
                plan_feature(other, specs)
        self._specs, self._tables, self._frozen = specs, tables, None
        self._awaited.pop(spec.key, None)
        for dep in spec.deps:
            if dep.feature not in specs:
                self._awaited.setdefault(dep.feature, []).append(spec)
        return spec

    def freeze(self) -> Graph:
        """The graph as it stands, validated; the same object until the next `add`."""
        if self._frozen is None:
            self._frozen = Graph(self._specs.values())
        return self._frozen

    def __getitem__(self, feature: Any) -> FeatureSpec:
        wanted = FeatureKey.of(feature)
        if wanted not in self._specs:
            raise UnknownFeatureError(f"The feature '{wanted}' has not been declared so far.")
        return self._specs[wanted]

    def __iter__(self) -> Iterator[FeatureKey]:
        return iter(self._specs)

    def __len__(self) -> int:
        return len(self._specs)

    def __contains__(self, feature: object) -> bool:
        return FeatureKey.of(feature) in self._specs

    @staticmethod
    def _refuse_ring(spec: FeatureSpec, specs: Mapping[FeatureKey, FeatureSpec]) -> None:
        came_from: dict[FeatureKey, FeatureKey] = {}
        edge = [spec.key]
        while edge:
            key = edge.pop()
            for parent in (dep.feature for dep in specs[key].deps if dep.feature in specs):
                if parent == spec.key:
                    path = [key]
                    while path[-1] != spec.key:
                        path.append(came_from[path[-1]])
                    raise CycleError([*map(str, reversed(path)), str(parent)])
                if parent not in came_from:
                    came_from[parent] = key
                    edge.append(parent)
