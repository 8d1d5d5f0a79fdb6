"""The graph of features: an immutable, validated value."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from functools import cached_property
from typing import Any

from metaxy_core.aliases import GraphSpellings
from metaxy_core.errors import (
    CycleError,
    DuplicateFeatureError,
    InvalidKeyError,
    KeyCollisionError,
    UnknownFeatureError,
    UnknownParentError,
)
from metaxy_core.graph.plan import FeaturePlan, plan_feature
from metaxy_core.graph.versions import FeatureVersions, snapshot_version, versions
from metaxy_core.keys import FeatureKey
from metaxy_core.spec import FeatureSpec

_MOST_NAMES = 20


class Graph(GraphSpellings, Mapping[FeatureKey, FeatureSpec]):
    """Features that fit together; immutable. Iterates parents first, then by key.

    Raises:
        DuplicateFeatureError, KeyCollisionError: keys that are equal, or share a table name.
        UnknownParentError, CycleError: parents that are not there, or form a ring.
        UnknownFieldError, EdgeError: see `plan_feature`.

    >>> graph = Graph([FeatureSpec("video"), FeatureSpec("crop", deps=["video"])])
    >>> [str(key) for key in graph.downstream("video")]
    ['crop']
    """

    def __init__(self, specs: Iterable[FeatureSpec] = ()) -> None:
        by_key: dict[FeatureKey, FeatureSpec] = {}
        tables: dict[str, FeatureKey] = {}
        for spec in specs:
            check_new(spec, by_key, tables)
            by_key[spec.key] = spec
        self._specs = _parents_first(by_key)
        self._plans = {key: plan_feature(spec, self._specs) for key, spec in self._specs.items()}

    def __getitem__(self, key: Any) -> FeatureSpec:
        wanted = FeatureKey.of(key)
        try:
            return self._specs[wanted]
        except KeyError:
            raise UnknownFeatureError(
                f"The graph has no feature '{wanted}'. {_known(str(wanted), self._specs)}"
            ) from None

    def __contains__(self, key: object) -> bool:
        try:
            return FeatureKey.of(key) in self._specs
        except InvalidKeyError:
            return False

    def __iter__(self) -> Iterator[FeatureKey]:
        return iter(self._specs)

    def __len__(self) -> int:
        return len(self._specs)

    def __repr__(self) -> str:
        return f"Graph({len(self)} features, {self.snapshot_version[:8]})"

    def plan(self, key: Any) -> FeaturePlan:
        """What the feature's declaration means among its parents."""
        return self._plans[self[key].key]

    @cached_property
    def versions(self) -> Mapping[FeatureKey, FeatureVersions]:
        """The static versions of every feature."""
        return versions(self._plans.values())

    @cached_property
    def snapshot_version(self) -> str:
        """The version of the graph as a whole."""
        return snapshot_version(self.versions)

    @cached_property
    def _children(self) -> Mapping[FeatureKey, tuple[FeatureKey, ...]]:
        children: dict[FeatureKey, list[FeatureKey]] = {key: [] for key in self._specs}
        for key, spec in self._specs.items():
            for dep in spec.deps:
                children[dep.feature].append(key)
        return {key: tuple(found) for key, found in children.items()}

    def parents(self, key: Any) -> tuple[FeatureKey, ...]:
        """The features that this one depends on directly, in declared order."""
        return tuple(dep.feature for dep in self[key].deps)

    def children(self, key: Any) -> tuple[FeatureKey, ...]:
        """The features that depend on this one directly."""
        return self._children[self[key].key]

    def upstream(self, key: Any, depth: int | None = None) -> tuple[FeatureKey, ...]:
        """All features that this one is made from, parents first; `depth` limits the hops."""
        return self._reached(key, self.parents, depth)

    def downstream(self, key: Any, depth: int | None = None) -> tuple[FeatureKey, ...]:
        """All features made from this one, parents first; `depth` limits the hops."""
        return self._reached(key, self.children, depth)

    def _reached(self, key: Any, step: Any, depth: int | None) -> tuple[FeatureKey, ...]:
        start = self[key].key
        seen, edge = {start}, [start]
        while edge and depth != 0:
            # Once each: the ways through a layered graph are many more than its features.
            edge = list({found for key in edge for found in step(key)} - seen)
            seen.update(edge)
            depth = None if depth is None else depth - 1
        return tuple(key for key in self if key in seen and key != start)


def check_new(
    spec: FeatureSpec, known: Mapping[FeatureKey, FeatureSpec], tables: dict[str, FeatureKey]
) -> None:
    """Refuse a spec whose key, or table name with case folded, is taken; note its table name."""
    if spec.key in known:
        raise DuplicateFeatureError(f"The feature '{spec.key}' is declared twice in one graph.")
    clash = tables.setdefault(spec.key.to_table().lower(), spec.key)
    if clash != spec.key:
        raise KeyCollisionError(
            f"The features '{clash}' and '{spec.key}' would share the table "
            f"'{spec.key.to_table().lower()}' in a database that folds case."
        )


def _known(wanted: str, features: Iterable[FeatureKey]) -> str:
    """What was probably meant, or what there is."""
    names = sorted(map(str, features))
    if close := get_close_matches(wanted, names, n=1):
        return f"Did you mean '{close[0]}'?"
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return f"Its features are: {', '.join(names[:_MOST_NAMES]) or 'none'}{more}."


def _parents_first(specs: Mapping[FeatureKey, FeatureSpec]) -> dict[FeatureKey, FeatureSpec]:
    ordered: dict[FeatureKey, FeatureSpec] = {}
    for root in sorted(specs):
        path: dict[FeatureKey, Iterator[FeatureKey]] = {}
        if root not in ordered:
            path[root] = _sorted_parents(specs[root])
        while path:
            key, parents = next(reversed(path.items()))
            parent = next((p for p in parents if p not in ordered), None)
            if parent is None:
                ordered[key] = specs[key]
                del path[key]
            elif parent in path:
                names = [str(key) for key in path]
                raise CycleError([*names[names.index(str(parent)) :], str(parent)])
            elif parent in specs:
                path[parent] = _sorted_parents(specs[parent])
            else:
                raise UnknownParentError(
                    f"Feature '{key}' depends on '{parent}', which the graph does not have. If "
                    "another project declares it, `metaxy lock` brings its declaration here."
                )
    return ordered


def _sorted_parents(spec: FeatureSpec) -> Iterator[FeatureKey]:
    return iter(sorted(dep.feature for dep in spec.deps))
