"""Short words for tests: graphs, rows and what an increment says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import polars as pl

from metaxy_core import (
    FeatureDep,
    FeatureSpec,
    FieldSpec,
    Graph,
    Increment,
    LineageRelationship,
    MetadataStore,
)

identity = LineageRelationship.identity
aggregation = LineageRelationship.aggregation
expansion = LineageRelationship.expansion


def feature(
    key: str, *deps: Any, ids: Any = "id", fields: Any = ("f",), **more: Any
) -> FeatureSpec:
    """A feature; fields are keys, or (key, code version) pairs."""
    made = [FieldSpec(f) if isinstance(f, str) else f for f in map(_field, fields)]
    return FeatureSpec(key, id_columns=ids, deps=list(deps), fields=made, **more)


def _field(field: Any) -> Any:
    return FieldSpec(field[0], code_version=field[1]) if isinstance(field, tuple) else field


def edge(parent: str, **how: Any) -> FeatureDep:
    """A dependency with options."""
    return FeatureDep(parent, **how)


def graph(*specs: FeatureSpec) -> Graph:
    """A graph of the features."""
    return Graph(specs)


def rows(
    ids: Mapping[str, Iterable[Any]], provenance: Any = "1", fields: Any = ("f",)
) -> pl.DataFrame:
    """Rows of a root: columns, and one provenance text for all fields and rows, or one per row."""
    frame = pl.DataFrame(dict(ids))
    texts = [provenance] * frame.height if isinstance(provenance, str) else list(provenance)
    structs = [text if isinstance(text, dict) else dict.fromkeys(fields, text) for text in texts]
    return frame.with_columns(pl.Series("metaxy_provenance_by_field", structs))


def settle(store: MetadataStore, key: str, **resolve: Any) -> Increment:
    """Do everything a feature has to do, rows written back as the increment gave them."""
    increment = store.resolve_update(key, **resolve)
    if len(increment.todo()):
        store.write(key, increment.todo())
    return increment


def said(increment: Increment, *ids: str) -> dict[str, list[Any]]:
    """The ids per status, sorted; one id column gives plain values."""
    names = list(ids or ("id",))
    frames = {"new": increment.new, "stale": increment.stale, "orphaned": increment.orphaned}
    found = {}
    for status, frame in frames.items():
        values = sorted(frame.select(*names).rows()) if len(frame) else []
        found[status] = [value[0] for value in values] if len(names) == 1 else values
    return found


def stale_fields(increment: Increment, name: str = "id") -> dict[Any, list[str]]:
    """The fields that differ, per stale id."""
    return {row[name]: row["metaxy_stale_fields"] or [] for row in increment.stale.rows(named=True)}


NOTHING: dict[str, list[Any]] = {"new": [], "stale": [], "orphaned": []}
