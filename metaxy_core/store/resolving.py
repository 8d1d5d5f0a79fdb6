"""Resolve: what a feature has to do, found in one comparison inside the engine."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import narwhals as nw

from metaxy_core.backends.base import to_polars
from metaxy_core.columns import (
    PROVENANCE_BY_FIELD,
    STALE_FIELDS,
    STATUS,
    is_system,
    provenance_of,
)
from metaxy_core.errors import FilterError, UnknownParentError, VersioningEngineMismatchError
from metaxy_core.frames.dialect import DataFrame, LazyFrame
from metaxy_core.frames.filters import Predicate, fits
from metaxy_core.frames.gather import Engine, EngineName, hold_in_memory
from metaxy_core.frames.nesting import nest
from metaxy_core.frames.polars import PolarsDialect
from metaxy_core.graph import EdgePlan, FeaturePlan
from metaxy_core.keys import FeatureKey
from metaxy_core.spec import LineageKind
from metaxy_core.store import fallback
from metaxy_core.store.incoming import Rows, accept
from metaxy_core.store.increment import LazyIncrement
from metaxy_core.store.reading import complete, own_rows, shown, stored, stored_with_marks
from metaxy_core.versioning import check_edge, compare, edge_rows, expected_units, sampled_units
from metaxy_core.versioning.increment import (
    NEW,
    ORPHANED,
    STALE_STATUS,
    Comparison,
    stored_units,
)

if TYPE_CHECKING:
    from metaxy_core.store.store import MetadataStore

Filters = Mapping[FeatureKey, Sequence[Predicate]]


@dataclass(frozen=True)
class Request:
    """What a resolve is asked; see `MetadataStore.resolve_update`."""

    plan: FeaturePlan
    samples: Rows | None
    filters: Filters
    global_filters: Sequence[Predicate]
    stale_if: Sequence[Predicate]
    skip_comparison: bool
    engine: EngineName


def resolve(store: MetadataStore, request: Request) -> LazyIncrement:
    """Compare expected with stored, label once, and join the user's columns to what is labelled.

    Raises:
        ValueError: a root without samples.
        FeatureNotFoundError: a required parent is in no store of the chain.
    """
    plan = request.plan
    if plan.spec.is_root and request.samples is None:
        raise ValueError(
            f"Feature '{plan.key}' is a root: resolve_update needs samples=, a frame with its id "
            f"columns ({', '.join(plan.spec.id_columns)}) and its provenance."
        )
    engine = _engine(store, request)
    if request.samples is not None:
        return _resolve_samples(store, request, engine)
    key = _key(store, request)

    @cache
    def tables() -> dict[FeatureKey, LazyFrame]:
        return _parent_tables(store, plan, engine)

    def parents() -> dict[FeatureKey, LazyFrame]:
        return {key: _stored(store, key, table) for key, table in tables().items()}

    def own() -> LazyFrame:
        return _own(store, request, engine)

    def labelled() -> LazyFrame:
        rows = parents()
        filters = _filters_by_feature(request, rows)
        asked = Comparison(request.stale_if, filters, request.skip_comparison)
        nothing = engine.bring(_empty(store, plan))
        expected = expected_units(plan, rows, nothing, store.scheme, engine.dialect)
        return compare(plan, expected, stored_units(plan, own(), asked), asked, rows)

    labels = engine.hold(labelled, key and ("labels", key))
    return LazyIncrement(
        labels,
        lambda: engine.hold(
            lambda: _todo(store, plan, labels, tables()), key and ("todo", key), [labels]
        ),
        lambda: engine.hold(
            lambda: _orphaned(plan, own(), labels), key and ("orphaned", key), [labels]
        ),
        lambda parent: _inputs(plan.edge_to(FeatureKey.of(parent)), parents(), labels),
    )


def _resolve_samples(store: MetadataStore, request: Request, engine: Engine) -> LazyIncrement:
    """Compare what the user says there is; the user's own rows come back."""
    plan = request.plan
    samples = accept(plan, request.samples, store.scheme)
    wanted = [*request.filters.get(plan.key, ()), *request.global_filters]
    _check_filters(plan, request.filters.keys() - {plan.key})
    filters = {plan.key: wanted}
    asked = Comparison(request.stale_if, filters, request.skip_comparison, sampled=True)
    slim = samples.select(*plan.unit, *_provenances(plan), *_user_columns(plan, samples, wanted))
    given = engine.bring(slim.lazy())
    key = _key(store, request)
    key = key and (key, tuple(slim.schema.items()))

    def own() -> LazyFrame:
        return _own(store, request, engine, samples)

    def labelled() -> LazyFrame:
        expected = sampled_units(plan, given, wanted, store.scheme, engine.dialect)
        return compare(plan, expected, stored_units(plan, own(), asked), asked, {})

    uses = [] if engine.dialect.name == "polars" else [given]
    labels = engine.hold(labelled, key and ("labels", key), uses)

    def no_inputs(parent: Any) -> LazyFrame:
        raise UnknownParentError(
            f"Feature '{plan.key}' was resolved from samples, not from {parent}."
        )

    return LazyIncrement(
        labels,
        lambda: _todo_of_samples(plan, labels, samples, request.samples),
        lambda: engine.hold(
            lambda: _orphaned(plan, own(), labels), key and ("orphaned", key), [labels]
        ),
        no_inputs,
    )


def _key(store: MetadataStore, request: Request) -> Hashable | None:
    """What a compiled comparison depends on; None where that cannot be told."""
    predicates = [
        *request.global_filters,
        *request.stale_if,
        *(found for key in sorted(request.filters) for found in (key, *request.filters[key])),
    ]
    if store.fallback_stores or any(isinstance(found, nw.Expr) for found in predicates):
        return None
    graph = store.graph
    features = [request.plan.key, *graph.parents(request.plan.key)]
    if {key.to_table() for key in features} - set(store.backend.tables()):
        return None
    definitions = tuple(graph.versions[key].definition for key in features)
    versions = tuple(graph.versions[key].feature for key in features)
    options = (tuple(predicates), request.skip_comparison, request.engine, str(store.scheme))
    return (request.plan.key, definitions, versions, options, store.backend.shape())


def _engine(store: MetadataStore, request: Request) -> Engine:
    backend = store.backend
    if request.engine == "polars":
        return Engine(PolarsDialect(), to_polars, hold_in_memory)
    if request.engine == "native" and request.samples is not None:
        wrapped = nw.from_native(request.samples, pass_through=True)
        probe = wrapped.lazy() if isinstance(wrapped, nw.DataFrame) else wrapped
        native = backend.dialect.name == "polars" or not probe.implementation.is_polars()
        if not native:
            raise VersioningEngineMismatchError(
                f"Feature '{request.plan.key}': the samples are in {probe.implementation}, the "
                f"store computes in {backend.dialect.name}. Say versioning_engine='auto'."
            )
    return Engine(backend.dialect, backend.load, backend.hold)


def _parent_tables(
    store: MetadataStore, plan: FeaturePlan, engine: Engine
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


def _stored(store: MetadataStore, key: FeatureKey, table: LazyFrame) -> LazyFrame:
    return stored(store.graph.plan(key), table, store.graph.versions[key].feature)


def _own(
    store: MetadataStore, request: Request, engine: Engine, samples: DataFrame | None = None
) -> LazyFrame:
    """The feature's own stored rows, this store only, marks of childless parents included."""
    plan = request.plan
    table = store.backend.scan(plan.key.to_table())
    if table is None:
        table = _empty(store, plan, samples)
    elif samples is None:
        _check_own_filters(request, table.collect_schema())
    if table.implementation.is_polars() or engine.dialect is not store.backend.dialect:
        table = engine.bring(table)
    version = store.graph.versions[plan.key].feature
    return stored_with_marks(plan, complete(plan, table), version)


def _check_own_filters(request: Request, schema: Mapping[str, nw.dtypes.DType]) -> None:
    """Refuse predicates on the feature's own rows over columns that they do not have."""
    plan = request.plan
    for predicate in (*request.stale_if, *request.filters.get(plan.key, ())):
        if not fits(predicate, schema):
            raise FilterError(
                f"Feature '{plan.key}' has not all columns of the predicate {predicate!r}. Its "
                f"columns: {', '.join(name for name in schema if not is_system(name))}."
            )


def _empty(store: MetadataStore, plan: FeaturePlan, samples: DataFrame | None = None) -> LazyFrame:
    """A table without rows, for a feature never written; id types as its samples or parents."""
    import polars as pl

    types = _stored_types(store, plan) | ({} if samples is None else dict(samples.schema))
    columns = {
        column: nw.Schema({column: types.get(column, nw.String())}).to_polars()[column]
        for column in plan.spec.id_columns
    }
    return nw.from_native(pl.LazyFrame(schema=columns))


def _stored_types(store: MetadataStore, plan: FeaturePlan) -> dict[str, nw.dtypes.DType]:
    """The types of id columns that the parents' tables tell, or those of their own parents."""
    types: dict[str, nw.dtypes.DType] = {}
    for edge in plan.edges:
        found = fallback.find(store, edge.parent.key)
        grand = store.graph.plan(edge.parent.key)
        schema = _stored_types(store, grand) if found is None else found[1].collect_schema()
        own = {renamed: name for name, renamed in edge.dep.rename.items()}
        types |= {c: schema[own.get(c, c)] for c in edge.on if own.get(c, c) in schema}
    return types


def _filters_by_feature(request: Request, parents: Mapping[FeatureKey, LazyFrame]) -> Filters:
    """Run-time filters; a global filter goes to each parent that has its columns."""
    plan = request.plan
    schemas = {key: rows.collect_schema() for key, rows in parents.items()}
    known = [plan.key, *(edge.parent.key for edge in plan.edges)]
    filters = {key: [*request.filters.get(key, ())] for key in known}
    _check_filters(plan, request.filters.keys() - filters.keys())
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


def _check_filters(plan: FeaturePlan, unknown: Set[FeatureKey]) -> None:
    if unknown:
        raise FilterError(
            f"Feature '{plan.key}': filters name {', '.join(sorted(map(str, unknown)))}, which is "
            "neither the feature nor a parent that its samples come from."
        )


def _user_columns(
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
    taken = {*plan.unit, *_provenances(plan)}
    return [name for name in samples.columns if name not in taken]


def _todo(
    store: MetadataStore,
    plan: FeaturePlan,
    labels: LazyFrame,
    tables: Mapping[FeatureKey, LazyFrame],
) -> LazyFrame:
    """New and stale units with the parents' columns and the provenance to be written.

    Only rows of labelled units are deduplicated: the units are pushed below the window.
    """
    todo = labels.filter(nw.col(STATUS).is_in([NEW, STALE_STATUS]))
    frame = todo
    taken = {*plan.unit}
    for edge in plan.edges:
        if edge.kind is LineageKind.AGGREGATION or edge.parent.key not in tables:
            continue
        rows = _of_units(store, edge, tables[edge.parent.key], todo)
        rows = edge_rows(edge, rows)
        columns = [name for name in rows.collect_schema().names() if name not in edge.ids]
        renamed = {name: _free(edge, name, taken) for name in columns}
        taken |= set(renamed.values())
        clash = {name: new for name, new in renamed.items() if name != new}
        frame = frame.join(rows.rename(clash) if clash else rows, on=list(edge.on), how="left")
    return _presented(plan, frame)


def _free(edge: EdgePlan, name: str, taken: set[str]) -> str:
    """A column name that no earlier parent has: the parent's name is appended where it does."""
    return f"{name}__{edge.parent.key.to_table()}" if name in taken else name


def _of_units(store: MetadataStore, edge: EdgePlan, table: LazyFrame, todo: LazyFrame) -> LazyFrame:
    """A parent's stored rows, of the units to do alone."""
    own = {renamed: name for name, renamed in edge.dep.rename.items()}
    parent = store.graph.plan(edge.parent.key)
    wanted = todo.select(*edge.on).rename({c: own[c] for c in edge.on if c in own})
    wanted = wanted.select(*parent.unit).unique(list(parent.unit), keep="any")
    table = table.join(wanted, on=list(parent.unit), how="semi")
    return _stored(store, edge.parent.key, table)


def _todo_of_samples(
    plan: FeaturePlan, labels: LazyFrame, samples: DataFrame, given: Rows
) -> LazyFrame:
    """The user's own samples, those that are new or stale, as they were given."""
    provenances = _provenances(plan)
    status = labels.select(*plan.unit, STATUS, STALE_FIELDS).collect("polars")
    status = status.filter(nw.col(STATUS).is_in([NEW, STALE_STATUS]))
    frame = to_polars(given)
    names = frame.collect_schema().names()
    user = [name for name in names if name not in (PROVENANCE_BY_FIELD, STATUS, STALE_FIELDS)]
    joined = frame.select(*user).join(
        samples.lazy().select(*plan.unit, *provenances), on=list(plan.unit), how="inner"
    )
    return _presented(plan, joined.join(status.lazy(), on=list(plan.unit), how="inner"))


def _presented(plan: FeaturePlan, frame: LazyFrame) -> LazyFrame:
    """Provenance as a struct, the fields that differ as a list."""
    members = {str(field.key): provenance_of(field.key) for field in plan.fields}
    empty = nw.when(nw.col(STALE_FIELDS) != "").then(nw.col(STALE_FIELDS))
    fields = empty.str.split(",")
    return nest(frame.with_columns(fields.alias(STALE_FIELDS)), PROVENANCE_BY_FIELD, members)


def _orphaned(plan: FeaturePlan, own: LazyFrame, labels: LazyFrame) -> LazyFrame:
    gone = labels.filter(nw.col(STATUS) == ORPHANED).select(*plan.unit)
    return shown(plan, own_rows(plan, own).join(gone, on=list(plan.unit), how="semi"))


def _inputs(
    edge: EdgePlan, parents: Mapping[FeatureKey, LazyFrame], labels: LazyFrame
) -> LazyFrame:
    todo = labels.filter(nw.col(STATUS).is_in([NEW, STALE_STATUS]))
    if edge.parent.key not in parents:
        return todo.select(*edge.on).head(0)
    rows = edge_rows(edge, parents[edge.parent.key], keep=edge.on)
    units = todo.select(*edge.on).unique(list(edge.on), keep="any")
    return rows.join(units, on=list(edge.on), how="semi")


def _provenances(plan: FeaturePlan) -> list[str]:
    return [provenance_of(field.key) for field in plan.fields]
