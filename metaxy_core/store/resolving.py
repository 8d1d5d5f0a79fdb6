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
from metaxy_core.frames.dialect import Dialect, LazyFrame
from metaxy_core.frames.engine import Engine
from metaxy_core.graph import FeaturePlan
from metaxy_core.keys import FeatureKey
from metaxy_core.store import failing, pending, settling
from metaxy_core.store.incoming import accept, are_read_back, check_values
from metaxy_core.store.increment import LazyIncrement
from metaxy_core.store.presenting import Presented, inputs, orphaned, todo, todo_of_samples
from metaxy_core.store.reading import stored, stored_with_marks
from metaxy_core.store.request import (
    Request,
    check_filters,
    compiled_key,
    filters_by_feature,
    user_columns,
)
from metaxy_core.store.tables import (
    IN_MEMORY,
    check_id_types,
    empty_table,
    engine_of,
    own_table,
    parent_tables,
    slim_own,
    slim_parents,
    with_stored_ids,
)
from metaxy_core.versioning import (
    Buckets,
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

    moved = settling.look(store, request, engine, lambda: own_table(store, request, engine), tables)

    def parents(*, slim: bool = False) -> dict[FeatureKey, LazyFrame]:
        whole = tables()
        compared = slim_parents(store, plan, whole) if slim else whole
        if slim and moved.units is not None:
            compared = {
                edge.parent.key: settling.parent_within(
                    store.graph.plan(edge.parent.key), edge, compared[edge.parent.key], moved.units
                )
                for edge in plan.edges
                if edge.parent.key in compared
            }
        return {
            key: stored(store.graph.plan(key), table, store.graph.versions[key].feature)
            for key, table in compared.items()
        }

    def own() -> LazyFrame:
        return own_table(store, request, engine)

    def own_units(asked: Comparison) -> LazyFrame:
        table = own() if request.has_predicates else slim_own(plan, own())
        if moved.units is not None:
            table = settling.within(plan, table, moved.units)
        return stored_units(plan, stored_with_marks(plan, table, version), asked)

    limits = Limits.of(store, request, engine)

    def labelled() -> LazyFrame:
        rows = parents(slim=not request.has_predicates)
        filters = filters_by_feature(request, rows)
        asked = Comparison(request.stale_if, filters, request.skip_comparison)
        nothing = engine.bring(empty_table(store, plan))
        expected = expected_units(plan, rows, nothing, store.scheme, engine.dialect)
        found = compare(plan, expected, own_units(asked), asked, rows, engine.dialect)
        if moved.units is not None:
            found = settling.within(plan, found, moved.units)
        return limits.on(found)

    uses = [*limits.uses, *moved.uses]
    labels = engine.hold(labelled, key and ("labels", key, limits.key, bool(moved.uses)), uses)
    return LazyIncrement(
        labels,
        lambda: engine.hold(
            lambda: todo(store, plan, labels, tables()), key and ("todo", key), [labels]
        ),
        lambda: engine.hold(
            lambda: orphaned(store, plan, own(), labels), key and ("orphaned", key), [labels]
        ),
        lambda parent: inputs(plan.edge_to(FeatureKey.of(parent)), parents(), labels),
        Presented(plan),
        engine,
        lambda: moved.left(plan, labels),
        uses,
        lambda: pending.oldest(store, plan, labels, tables(), own()),
    )


@dataclass(frozen=True)
class Limits:
    """Units that are left out of a comparison, or that it is limited to, in the engine.

    Attributes:
        failed: units that failed and are not to be tried now.
        units: the only units that have a status,
        buckets: or those that are in one of these.
    """

    plan: FeaturePlan
    failed: LazyFrame | None
    units: LazyFrame | None
    dialect: Dialect
    buckets: Buckets | None = None

    @classmethod
    def of(cls, store: BaseStore, request: Request, engine: Engine) -> Limits:
        """What a request says, and what the store knows of failures."""
        plan = request.plan
        failed = None if request.skip_comparison else failing.held_back(store, plan)
        units = None if request.units is None else request.units.select(*plan.unit).lazy()
        return cls(
            plan,
            None if failed is None else engine.bring(failed),
            None if units is None else engine.bring(units),
            engine.dialect,
            request.buckets,
        )

    def on(self, labels: LazyFrame) -> LazyFrame:
        """The labels within the limits."""
        if self.units is not None:
            labels = labels.join(self._like(labels, self.units), on=self._unit, how="semi")
        if self.buckets is not None:
            labels = self.buckets.within(labels, self._unit, self.dialect)
        if self.failed is None:
            return labels
        return hold_back(self.plan, labels, self._like(labels, self.failed))

    def _like(self, labels: LazyFrame, frame: LazyFrame) -> LazyFrame:
        """A frame whose ids have the types of the labels: plans know fewer types than engines."""
        types = labels.collect_schema()
        return frame.with_columns(nw.col(name).cast(types[name]) for name in self._unit)

    @property
    def _unit(self) -> list[str]:
        return list(self.plan.unit)

    @property
    def uses(self) -> list[LazyFrame]:
        """The frames that a compiled comparison refers to."""
        return (
            []
            if self.dialect.name == "polars"
            else [f for f in (self.failed, self.units) if f is not None]
        )

    @property
    def key(self) -> Hashable:
        """What the compiled comparison depends on."""
        frames = (self.failed, self.units)
        types = (f if f is None else tuple(f.collect_schema().items()) for f in frames)
        return (*types, self.buckets)


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

    limits = Limits.of(store, request, engine)

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
        lambda: todo_of_samples(plan, labels, samples, request.samples),
        lambda: engine.hold(
            lambda: orphaned(store, plan, own(), labels), key and ("orphaned", key), [labels]
        ),
        no_inputs,
        Presented(plan),
        engine,
    )
