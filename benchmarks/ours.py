"""metaxy: its graphs, and stores filled with samples of any number, history and change."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from benchmarks.data import Ids, results, samples
from benchmarks.graphs import Feature, Shape
from metaxy_core import (
    DuckDBMetadataStore,
    FeatureDep,
    FeatureSpec,
    FieldDep,
    FieldSpec,
    Graph,
    LineageRelationship,
    MetadataStore,
)

PART = 1_000_000
"""Rows that are written at once."""


def graph_of(shape: Shape) -> Graph:
    """The graph of a shape."""
    return Graph([_spec(feature) for feature in shape.features])


def layered(features: int, width: int = 10) -> list[FeatureSpec]:
    """A layered graph: each feature has three fields and three parents in the layer above."""
    fields = ["a", "b", "c"]
    return [
        FeatureSpec(
            f"layer{i // width}/f{i % width}",
            fields=fields,
            deps=[f"layer{i // width - 1}/f{j}" for j in range(3)] if i >= width else [],
        )
        for i in range(features)
    ]


def store_of(
    path: Path, shape: Shape, config: Mapping[str, str] | None = None
) -> DuckDBMetadataStore:
    """A store in a file, for the graph of a shape; `config` is for DuckDB."""
    return DuckDBMetadataStore(path, graph=graph_of(shape), config=config)


def fill(
    store: MetadataStore, shape: Shape, count: int, *, ids: Ids = "text", versions: int = 1
) -> None:
    """Store so many samples of every root, and what is made from them, so many times over.

    Afterwards there is nothing to do, and the store knows it.
    """
    for version in range(versions):
        for root in shape.roots:
            write_samples(store, root, count, ids=ids, version=version)
        for feature in shape.derived:
            todo = store.resolve_update(feature.key).todo().to_native()
            for start in range(0, len(todo), PART):
                store.write(feature.key, results(feature, todo[start : start + PART]))
    settle(store, shape)


def change(
    store: MetadataStore,
    shape: Shape,
    count: int,
    *,
    step: int = 1,
    ids: Ids = "text",
    version: int = -1,
) -> None:
    """Store other data of `count` samples of the first root, every `step`-th from the first."""
    if count:
        write_samples(store, shape.roots[0], count, step=step, ids=ids, version=version)


def write_samples(
    store: MetadataStore, root: Feature, count: int, *, ids: Ids, version: int, step: int = 1
) -> None:
    """Store samples of a root, in parts."""
    for first in range(0, count, PART):
        part = min(PART, count - first)
        rows = samples(root, part, first=first * step, step=step, version=version, ids=ids)
        store.write(root.key, rows)


def settle(store: MetadataStore, shape: Shape) -> None:
    """Let the store remember that there is nothing to do."""
    for feature in shape.derived:
        increment = store.resolve_update(feature.key)
        assert increment.is_empty
        store.settle(increment)


def _spec(feature: Feature) -> FeatureSpec:
    fields = [
        FieldSpec(name, deps=[_field_dep(ref) for ref in refs]) if refs else FieldSpec(name)
        for name, refs in feature.fields.items()
    ]
    lineages = {
        "identity": LineageRelationship.identity(),
        "aggregation": LineageRelationship.aggregation(on=feature.ids),
        "expansion": LineageRelationship.expansion(),
    }
    deps = [FeatureDep(key, lineage=lineages[kind]) for key, kind in feature.parents.items()]
    return FeatureSpec(feature.key, id_columns=feature.ids, fields=fields, deps=deps)


def _field_dep(ref: str) -> FieldDep:
    key, name = ref.split("/")
    return FieldDep(feature=key, fields=[name])
