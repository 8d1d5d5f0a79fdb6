"""Resolve: what a feature has to do, found in one comparison inside the engine."""

from __future__ import annotations

import warnings
from collections.abc import Hashable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import narwhals as nw

from metaxy_core.columns import provenance_of
from metaxy_core.errors import (
    EngineUnavailableError,
    MetadataSchemaError,
    PolarsMaterializationWarning,
    UnknownParentError,
    VersioningEngineMismatchError,
)
from metaxy_core.frames.dialect import LazyFrame
from metaxy_core.frames.engine import Engine, Query
from metaxy_core.keys import FeatureKey
from metaxy_core.store import failing, pending, settling
from metaxy_core.store.incoming import accept, are_read_back, check_values
from metaxy_core.store.increment import LazyIncrement
from metaxy_core.store.presenting import Presented, inputs, orphaned, todo, todo_of_samples
from metaxy_core.store.reading import own_rows, stored, stored_with_marks
from metaxy_core.store.request import (
    Request,
    check_filters,
    compiled_key,
    filters_by_feature,
    user_columns,
)
from metaxy_core.store.scope import Scope
from metaxy_core.store.tables import (
    IN_MEMORY,
    check_id_types,
    empty_table,
    engine_of,
    own_table,
    parent_tables,
    slim_columns,
    slim_own,
    with_stored_ids,
)
from metaxy_core.versioning import (
    Comparison,
    compare,
    expected_units,
    hold_back,
    sampled_units,
    stored_units,
)

if TYPE_CHECKING:
    from metaxy_core.store.base import BaseStore


def resolve(store: BaseStore, request: Request) -> LazyIncrement:
    """Compare expected with stored, label once, and join the user's columns to what is labelled.

    Raises:
        ValueError: a root without samples.
        FeatureNotFoundError: a required parent is in no store of the chain.
        VersioningEngineMismatchError: the native engine was asked for and cannot do it.
    """
    plan = request.plan
    if plan.spec.is_root and request.samples is None:
        raise ValueError(
            f"Feature '{plan.key}' is a root: resolve_update needs samples=, a frame with its id "
            f"columns ({', '.join(plan.spec.id_columns)}) and its provenance."
        )
    compared = _resolve_parents if request.samples is None else _resolve_samples
    try:
        return compared(store, request, engine_of(store, request))
    except EngineUnavailableError as error:
        if request.engine == "native":
            raise VersioningEngineMismatchError(f"Feature '{plan.key}': {error}") from error
        warnings.warn(
            f"Feature '{plan.key}' is resolved in memory, with whole tables: {error.reason}",
            PolarsMaterializationWarning,
            stacklevel=3,
        )
        return compared(store, request, IN_MEMORY)


def _resolve_parents(store: BaseStore, request: Request, engine: Engine) -> LazyIncrement:
    """Compare what the parents' rows imply."""
    plan = request.plan
    key, version = compiled_key(store, request), store.graph.versions[plan.key].feature

    @cache
    def tables() -> dict[FeatureKey, LazyFrame]:
        return parent_tables(store, plan, engine)

    def own() -> LazyFrame:
        return own_table(store, request, engine)

    moved = settling.look(store, request, engine, own, tables, key)
    rounds = {} if moved.are_few else _last_rounds(store, request, engine)
    since = {**rounds, **moved.since}
    scope = Scope.of(request, engine, moved.units, since)

    def stored_parents() -> dict[FeatureKey, LazyFrame]:
        return {
            key: stored(store.graph.plan(key), table, store.graph.versions[key].feature)
            for key, table in tables().items()
        }

    def parents_in(scope: Scope) -> dict[FeatureKey, LazyFrame]:
        found = {}
        for edge in plan.edges:
            parent, table = store.graph.plan(edge.parent.key), tables().get(edge.parent.key)
            if table is not None:
                whole = table.collect_schema().names()
                columns = whole if request.has_predicates else slim_columns(parent, edge, whole)
                of = store.graph.versions[parent.key].feature
                rows = scope.samples_in(parent, edge, table, columns, of)
                found[parent.key] = own_rows(parent, rows)
        return found

    def own_units(scope: Scope, asked: Comparison) -> LazyFrame:
        table = own()
        whole = table.collect_schema().names()
        columns = whole if request.has_predicates else slim_own(plan)
        return stored_units(plan, scope.own_in(table, columns, version), asked)

    limits = Limits.of(store, scope, request, engine)

    def labelled(*commits: int) -> LazyFrame:
        scope_then = scope.after(commits)
        rows = parents_in(scope_then)
        filters = filters_by_feature(request, rows)
        asked = Comparison(request.stale_if, filters, request.skip_comparison)
        nothing = engine.bring(empty_table(store, plan))
        expected = expected_units(plan, rows, nothing, store.scheme, engine.dialect)
        known = own_units(scope_then, asked)
        return limits.on(compare(plan, expected, known, asked, rows, engine.dialect))

    uses = limits.uses
    commits = list(scope.since.values())
    labels = engine.hold(labelled, key and ("labels", key, limits.key), uses, commits)

    return LazyIncrement(
        labels,
        Query(engine, lambda: todo(store, plan, labels, tables()), key and ("todo", key), [labels]),
        Query(
            engine,
            lambda: orphaned(store, plan, own(), labels),
            key and ("orphaned", key),
            [labels],
        ),
        lambda parent: inputs(plan.edge_to(FeatureKey.of(parent)), stored_parents(), labels),
        Presented(plan),
        engine,
        lambda: moved.left(plan, labels),
        uses,
        lambda: pending.oldest(store, plan, labels, tables(), own(), engine.dialect),
    )


def _last_rounds(store: BaseStore, request: Request, engine: Engine) -> dict[FeatureKey, int]:
    """`Backend.last_rounds` of the feature and its parents, where it makes a difference."""
    if request.buckets is not None or engine.dialect is not store.backend.dialect:
        return {}
    plan, graph = request.plan, store.graph
    features = {key.to_table(): key for key in (plan.key, *(e.parent.key for e in plan.edges))}
    ids = {table: graph[key].id_columns for table, key in features.items()}
    return {features[table]: at for table, at in store.backend.last_rounds(ids).items()}


@dataclass(frozen=True)
class Limits:
    """Which units may have a status, in the engine.

    Attributes:
        scope: the only units that have one.
        failed: units that failed and are not to be tried now.
    """

    scope: Scope
    failed: LazyFrame | None

    @classmethod
    def of(cls, store: BaseStore, scope: Scope, request: Request, engine: Engine) -> Limits:
        """What a request says, and what the store knows of failures."""
        failed = None if request.skip_comparison else failing.held_back(store, request.plan)
        return cls(scope, None if failed is None else engine.bring(failed))

    def on(self, labels: LazyFrame) -> LazyFrame:
        """The labels within the limits."""
        within = self.scope.units_in(labels)
        if self.failed is None:
            return within
        types, plan = within.collect_schema(), self.scope.plan
        failed = self.failed.with_columns(nw.col(name).cast(types[name]) for name in plan.unit)
        return hold_back(plan, within, failed)

    @property
    def uses(self) -> list[LazyFrame]:
        """The frames that a compiled comparison refers to."""
        frames = (self.failed, self.scope.units)
        is_compiled = self.scope.dialect.name != "polars"
        return [found for found in frames if found is not None and is_compiled]

    @property
    def key(self) -> Hashable:
        """What the compiled comparison depends on."""
        types = None if self.failed is None else tuple(self.failed.collect_schema().items())
        return (types, self.scope.key)


def _resolve_samples(store: BaseStore, request: Request, engine: Engine) -> LazyIncrement:
    """Compare what the user says there is; the user's own rows come back."""
    plan = request.plan
    samples = accept(plan, request.samples, store.scheme)
    check_id_types(store, plan, samples, store.backend.scan(plan.key.to_table()))
    samples = with_stored_ids(store, plan, samples)
    if plan.spec.is_root and are_read_back(samples):
        raise MetadataSchemaError(
            str(plan.key),
            "the samples came from read(), whose provenance is digested. Give your own text per "
            "field, or the columns of provenance_from.",
        )
    wanted = [*request.filters.get(plan.key, ()), *request.global_filters]
    check_filters(plan, request.filters.keys() - {plan.key})
    filters = {plan.key: wanted}
    asked = Comparison(request.stale_if, filters, request.skip_comparison, sampled=True)
    slim = samples.select(
        *plan.unit,
        *(provenance_of(field.key) for field in plan.fields),
        *user_columns(plan, samples, wanted),
    )
    if engine.dialect is store.backend.dialect:
        check_values(plan, slim, store.backend)
    given = engine.bring(slim.lazy())
    key, version = compiled_key(store, request), store.graph.versions[plan.key].feature
    key = key and (key, tuple(slim.schema.items()))

    def own() -> LazyFrame:
        return own_table(store, request, engine, samples)

    def own_units(asked: Comparison) -> LazyFrame:
        return stored_units(plan, stored_with_marks(plan, own(), version), asked)

    limits = Limits.of(store, Scope.of(request, engine), request, engine)

    def labelled() -> LazyFrame:
        expected = sampled_units(plan, given, wanted, store.scheme, engine.dialect)
        return limits.on(compare(plan, expected, own_units(asked), asked, {}, engine.dialect))

    uses = [] if engine.dialect.name == "polars" else [given]
    labels = engine.hold(labelled, key and ("labels", key, limits.key), [*uses, *limits.uses])

    def no_inputs(parent: Any) -> LazyFrame:
        raise UnknownParentError(
            f"Feature '{plan.key}' was resolved from samples, not from {parent}."
        )

    return LazyIncrement(
        labels,
        Query(IN_MEMORY, lambda: todo_of_samples(plan, labels, samples, request.samples)),
        Query(
            engine,
            lambda: orphaned(store, plan, own(), labels),
            key and ("orphaned", key),
            [labels],
        ),
        no_inputs,
        Presented(plan),
        engine,
    )
