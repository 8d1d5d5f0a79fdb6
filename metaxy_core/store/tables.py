"""The tables that a resolve compares, wherever they are, in one engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import narwhals as nw
import polars as pl

from metaxy_core.backends.base import to_polars
from metaxy_core.columns import COMMIT, data_version_of, provenance_of
from metaxy_core.errors import MetadataSchemaError, VersioningEngineMismatchError
from metaxy_core.frames.dialect import DataFrame, LazyFrame
from metaxy_core.frames.engine import Engine, hold_in_memory, release_nothing, take_in_memory
from metaxy_core.frames.history import COUNTING
from metaxy_core.frames.polars import PolarsDialect
from metaxy_core.graph import EdgePlan, FeaturePlan
from metaxy_core.keys import FeatureKey
from metaxy_core.store import fallback
from metaxy_core.store.reading import complete, filled
from metaxy_core.store.request import Request, check_own_filters
from metaxy_core.versioning import check_edge

if TYPE_CHECKING:
    from metaxy_core.store.base import BaseStore

IN_MEMORY = Engine(PolarsDialect(), to_polars, hold_in_memory, take_in_memory, release_nothing)
"""Polars, whatever the store computes with."""


def engine_of(store: BaseStore, request: Request) -> Engine:
    """The engine asked for.

    Raises:
        VersioningEngineMismatchError: the native one, with samples from elsewhere.
    """
    backend = store.backend
    if request.engine == "polars":
        return IN_MEMORY
    if request.engine == "native" and request.samples is not None:
        wrapped = nw.from_native(request.samples, pass_through=True)
        probe = wrapped.lazy() if isinstance(wrapped, nw.DataFrame) else wrapped
        if backend.dialect.name != "polars" and not probe.implementation.is_ibis():
            raise VersioningEngineMismatchError(
                f"Feature '{request.plan.key}': the samples are in {probe.implementation}, the "
                f"store computes in {backend.dialect.name}. Say versioning_engine='auto'."
            )
    return native_engine(store)


def native_engine(store: BaseStore) -> Engine:
    """The engine of the store's own system."""
    backend = store.backend
    return Engine(backend.dialect, backend.load, backend.hold, backend.take, backend.release)


def parent_tables(
    store: BaseStore, plan: FeaturePlan, engine: Engine
) -> dict[FeatureKey, LazyFrame]:
    """The whole tables of the parents, wherever they are, in one engine.

    An optional parent that no store has is left out.
    """
    tables = {}
    for edge in plan.edges:
        key = edge.parent.key
        find = fallback.find if edge.dep.optional else fallback.locate
        found = find(store, key)
        if found is not None:
            where, table = found
            rows = complete(store.graph.plan(key), table)
            check_edge(edge, rows.collect_schema())
            foreign = where is not store or engine.dialect is not store.backend.dialect
            tables[key] = engine.bring(rows) if foreign else rows
    return tables


def own_table(
    store: BaseStore, request: Request, engine: Engine, samples: DataFrame | None = None
) -> LazyFrame:
    """The feature's own whole table, of this store only; without rows where there is none."""
    plan = request.plan
    table = store.backend.scan(plan.key.to_table())
    if table is None:
        return filled(plan, engine.bring(empty_table(store, plan, samples)))
    if samples is None:
        check_own_filters(request, table.collect_schema())
    if table.implementation.is_polars() or engine.dialect is not store.backend.dialect:
        table = engine.bring(table)
    return complete(plan, table)


def slim_columns(parent: FeaturePlan, edge: EdgePlan, whole: list[str]) -> list[str]:
    """Of the columns of a parent's table, those that a comparison without predicates looks at."""
    if edge.dep.filters:
        return whole
    seen = (edge.own(column) for column in (*edge.on, *edge.ids))
    versions = map(data_version_of, edge.fields)
    wanted = (*parent.unit, *parent.spec.id_columns, *edge.dep.rename, *seen, *versions)
    return list(dict.fromkeys((*wanted, *COUNTING)))


def slim_own(plan: FeaturePlan) -> list[str]:
    """The columns of the feature's own table that a comparison without predicates looks at."""
    return [*plan.spec.id_columns, *(provenance_of(field.key) for field in plan.fields), *COUNTING]


def sorted_by(plan: FeaturePlan) -> tuple[str, ...]:
    """What the rows of a feature's table are looked for by; see `Backend.append`."""
    return tuple(dict.fromkeys((*plan.unit, *plan.spec.id_columns, COMMIT)))


def empty_table(store: BaseStore, plan: FeaturePlan, samples: DataFrame | None = None) -> LazyFrame:
    """A table without rows, for a feature never written; id types as its samples or parents."""
    types = id_types_of_parents(store, plan) | ({} if samples is None else dict(samples.schema))
    columns = {
        column: nw.Schema({column: types.get(column, nw.String())}).to_polars()[column]
        for column in plan.spec.id_columns
    }
    return nw.from_native(pl.LazyFrame(schema=columns))


def id_types_of_parents(store: BaseStore, plan: FeaturePlan) -> dict[str, nw.dtypes.DType]:
    """The types of id columns that the parents' tables tell, or those of their own parents."""
    types: dict[str, nw.dtypes.DType] = {}
    for edge in plan.edges:
        found = fallback.find(store, edge.parent.key)
        parent = store.graph.plan(edge.parent.key)
        schema = id_types_of_parents(store, parent) if found is None else found[1].collect_schema()
        types |= {c: schema[edge.own(c)] for c in edge.on if edge.own(c) in schema}
    return types


def check_id_types(
    store: BaseStore, plan: FeaturePlan, rows: DataFrame, table: LazyFrame | None
) -> None:
    """Refuse ids that could not be compared with what is stored of the feature or its parents.

    Args:
        table: the feature's own whole table; None where there is none.

    Raises:
        MetadataSchemaError: names the column and both types.
    """
    known = id_types_of_parents(store, plan) if table is None else table.collect_schema()
    whose = "its parents" if table is None else "its own stored rows"
    for column in plan.spec.id_columns:
        given, stored = rows.schema.get(column), known.get(column)
        if given is None or stored is None or given == nw.Unknown or not len(rows):
            continue
        if _family(given) != _family(stored):
            raise MetadataSchemaError(
                str(plan.key),
                f"id column {column!r} is {given} in the rows given, but {stored} in {whose}.",
            )


def with_stored_ids(store: BaseStore, plan: FeaturePlan, rows: DataFrame) -> DataFrame:
    """Integer ids in the width of the stored ones, or the widest with a sign.

    Engines may not compare different widths, or know no integers without a sign.
    """
    table = store.backend.scan(plan.key.to_table())
    known = {} if table is None else table.collect_schema()
    casts = []
    for name in plan.spec.id_columns:
        given = rows.schema.get(name, nw.String())
        wanted = known.get(name, nw.Int64() if given == nw.UInt64 else given)
        if given != wanted and given.is_integer() and _fits(rows, name, wanted):
            casts.append(nw.col(name).cast(wanted))
    return rows.with_columns(casts) if casts else rows


def _fits(rows: DataFrame, column: str, dtype: nw.dtypes.DType) -> bool:
    if not dtype.is_integer():
        return False
    target = nw.Schema({column: dtype}).to_polars()[column]
    cast = rows[column].to_native().cast(target, strict=False)
    return int(cast.null_count()) == 0


def _family(dtype: nw.dtypes.DType) -> type[nw.dtypes.DType]:
    """Types whose values can be one another's ids."""
    return nw.Int64 if dtype.is_integer() else type(dtype)
