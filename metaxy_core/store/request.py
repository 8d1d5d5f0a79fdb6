"""What a resolve or a write is asked, and whether it can be asked that."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import narwhals as nw
import polars as pl

from metaxy_core.backends.base import to_polars
from metaxy_core.columns import is_system, provenance_of
from metaxy_core.errors import FilterError, MetadataSchemaError
from metaxy_core.frames.dialect import DataFrame, LazyFrame
from metaxy_core.frames.engine import EngineName
from metaxy_core.frames.filters import Predicate, fits
from metaxy_core.graph import FeaturePlan
from metaxy_core.keys import FeatureKey
from metaxy_core.store.incoming import OnDuplicate, Rows
from metaxy_core.versioning.buckets import Buckets
from metaxy_core.versioning.inside import Filters

if TYPE_CHECKING:
    from metaxy_core.store.base import BaseStore


@dataclass(frozen=True)
class Request:
    """What a resolve is asked; see `MetadataStore.resolve_update`."""

    plan: FeaturePlan
    samples: Rows | None = None
    filters: Filters = field(default_factory=dict)
    global_filters: Sequence[Predicate] = ()
    stale_if: Sequence[Predicate] = ()
    skip_comparison: bool = False
    engine: EngineName = "auto"
    units: DataFrame | None = None
    buckets: Buckets | None = None
    full: bool = False

    @property
    def has_predicates(self) -> bool:
        """Whether anything is asked of columns that the comparison itself does not look at."""
        return bool(self.stale_if or self.global_filters or any(self.filters.values()))


@dataclass(frozen=True)
class Write:
    """One feature's part of a write.

    Attributes:
        partial: add to open 1:N sets, which count for nothing until a plain write closes them.
        empty_parents: units (their id columns and `metaxy_provenance_by_field`) that have no
            children.
    """

    plan: FeaturePlan
    rows: Rows
    partial: bool = False
    empty_parents: Rows | None = None
    on_duplicate: OnDuplicate = "error"


def units_of(plan: FeaturePlan, units: Rows | None) -> DataFrame | None:
    """The units that a request is limited to, once each.

    Raises:
        MetadataSchemaError: an id column is missing.
    """
    if units is None:
        return None
    # Plain columns may be given, as a plan has them.
    frame = to_polars(pl.DataFrame(units) if isinstance(units, Mapping) else units)
    if missing := sorted(set(plan.unit) - set(frame.collect_schema().names())):
        raise MetadataSchemaError(
            str(plan.key), f"the units given have no column {', '.join(missing)}."
        )
    chosen = frame.select(*plan.unit).unique(list(plan.unit)).collect()
    untyped = [name for name, dtype in chosen.schema.items() if dtype == nw.Unknown]
    return chosen.with_columns(nw.col(name).cast(nw.String()) for name in untyped)


def compiled_key(store: BaseStore, request: Request) -> Hashable | None:
    """What a compiled comparison depends on; None where that cannot be told."""
    filters = tuple((key, tuple(request.filters[key])) for key in sorted(request.filters))
    given = [*request.global_filters, *request.stale_if, *(p for _, f in filters for p in f)]
    if store.fallback_stores or any(isinstance(found, nw.Expr) for found in given):
        return None
    graph = store.graph
    parents = [request.plan.key, *graph.parents(request.plan.key)]
    if {key.to_table() for key in parents} - set(store.backend.tables()):
        return None
    features = [request.plan.key, *graph.upstream(request.plan.key)]
    definitions = tuple(graph.versions[key].definition for key in features)
    versions = tuple(graph.versions[key].feature for key in features)
    predicates = (tuple(request.global_filters), tuple(request.stale_if), filters)
    options = (predicates, request.skip_comparison, request.engine, str(store.scheme))
    return (request.plan.key, definitions, versions, options, store.backend.shape())


def filters_by_feature(request: Request, parents: Mapping[FeatureKey, LazyFrame]) -> Filters:
    """Run-time filters; a global filter goes to each parent that has its columns."""
    plan = request.plan
    schemas = {key: rows.collect_schema() for key, rows in parents.items()}
    known = [plan.key, *(edge.parent.key for edge in plan.edges)]
    filters = {key: [*request.filters.get(key, ())] for key in known}
    check_filters(plan, request.filters.keys() - filters.keys())
    for predicate in request.global_filters:
        takers = [key for key, schema in schemas.items() if fits(predicate, schema)]
        if not takers:
            raise FilterError(
                f"Feature '{plan.key}': no parent has the columns of the filter {predicate!r}."
            )
        for key in takers:
            filters[key].append(predicate)
    for key, schema in schemas.items():
        for predicate in filters[key]:
            if not fits(predicate, schema):
                raise FilterError(
                    f"Feature '{plan.key}': '{key}' has not all columns of the filter "
                    f"{predicate!r}. Its columns: {', '.join(schema.names())}."
                )
    return filters


def check_filters(plan: FeaturePlan, unknown: Set[FeatureKey]) -> None:
    """Refuse filters on features that have nothing to do with this one."""
    if unknown:
        raise FilterError(
            f"Feature '{plan.key}': filters name {', '.join(sorted(map(str, unknown)))}, which is "
            "neither the feature nor a parent that its samples come from."
        )


def check_own_filters(request: Request, schema: Mapping[str, nw.dtypes.DType]) -> None:
    """Refuse predicates on the feature's own rows over columns that they do not have."""
    plan = request.plan
    for predicate in (*request.stale_if, *request.filters.get(plan.key, ())):
        if not fits(predicate, schema):
            raise FilterError(
                f"Feature '{plan.key}' has not all columns of the predicate {predicate!r}. Its "
                f"columns: {', '.join(name for name in schema if not is_system(name))}."
            )


def user_columns(
    plan: FeaturePlan, samples: DataFrame, predicates: Sequence[Predicate]
) -> list[str]:
    """User columns of the samples, where filters may ask for them."""
    if not predicates:
        return []
    for predicate in predicates:
        if not fits(predicate, samples.schema):
            raise FilterError(
                f"Feature '{plan.key}': the samples have not all columns of the filter "
                f"{predicate!r}. Their columns: {', '.join(samples.columns)}."
            )
    taken = {*plan.unit, *(provenance_of(field.key) for field in plan.fields)}
    return [name for name in samples.columns if name not in taken]
