"""The plan of a graph: each feature compared once its parents have run, without running them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import narwhals as nw

from metaxy_core.columns import FEATURE_VERSION, STALE_FIELDS, STATUS
from metaxy_core.errors import PlanError
from metaxy_core.frames.dialect import LazyFrame
from metaxy_core.frames.engine import Engine
from metaxy_core.graph import EdgePlan, FeaturePlan, Graph
from metaxy_core.keys import FeatureKey, FieldKey
from metaxy_core.store import fallback
from metaxy_core.store.incoming import Rows, accept
from metaxy_core.store.reading import complete, own_rows, stored, stored_with_marks
from metaxy_core.store.recorded import Recorded
from metaxy_core.store.request import Request
from metaxy_core.store.resolving import Limits, resolve
from metaxy_core.store.tables import empty_table, engine_of, own_table
from metaxy_core.system import runs
from metaxy_core.versioning import Comparison, compare, expected_units, stored_units
from metaxy_core.versioning.forecast import (
    Forecast,
    after_code_change,
    after_running,
    sources,
    wanted_of_edge,
    wanted_of_parents,
)
from metaxy_core.versioning.increment import NEW, STALE_STATUS
from metaxy_core.work import (
    Cause,
    Counts,
    Estimate,
    PlannedFeature,
    WorkPlan,
)

if TYPE_CHECKING:
    from metaxy_core.store.base import BaseStore


@dataclass(frozen=True)
class Asked:
    """What a plan is asked for; see `MetadataStore.plan`."""

    features: Sequence[FeatureKey]
    samples: Mapping[FeatureKey, Rows] = field(default_factory=dict)
    max_units: int | None = None
    max_money: float | None = None
    with_units: bool = False


@dataclass(frozen=True)
class Outlook:
    """A feature as it will be.

    Attributes:
        forecast: its rows; None where there will be none, or nothing is known of them.
        moves: whether they differ from what is stored.
        inexact: why they may turn out otherwise.
        unknown: why nothing can be said.
    """

    forecast: Forecast | None
    moves: bool = False
    inexact: str = ""
    unknown: str = ""


def plan(store: BaseStore, asked: Asked) -> WorkPlan:
    """See `MetadataStore.plan`."""
    walk = Walk(store, asked)
    try:
        features = tuple(walk.features())
    finally:
        walk.close()
    return WorkPlan(
        made_at=datetime.now(UTC),
        project=store.project,
        snapshot=store.graph.snapshot_version,
        store=store.display(),
        features=features,
    )


class Walk:
    """Goes through the features, parents first, and remembers how each will stand."""

    def __init__(self, store: BaseStore, asked: Asked) -> None:
        self.store, self.asked = store, asked
        self.graph: Graph = store.graph
        self.budget = Budget(asked.max_units, asked.max_money)
        self._outlooks: dict[FeatureKey, Outlook] = {}
        self._wanted = wanted_of_parents(self.graph)
        self._recorded = Recorded(store)
        self._held: list[tuple[Engine, LazyFrame]] = []

    def features(self) -> Iterator[PlannedFeature]:
        """The features asked for; those above them are looked at as well."""
        asked = set(self.asked.features)
        needed = asked | {up for key in asked for up in self.graph.upstream(key)}
        for key in self.graph:
            if key in needed:
                planned = self._feature(key, is_asked=key in asked)
                if key in asked:
                    yield planned

    def close(self) -> None:
        """Let go of everything held in the engine."""
        for engine, frame in self._held:
            engine.release(frame)

    def _feature(self, key: FeatureKey, *, is_asked: bool) -> PlannedFeature:
        graph_plan = self.graph.plan(key)
        request = Request(
            graph_plan, self.asked.samples.get(key), engine=self.store.versioning_engine
        )
        engine = engine_of(self.store, request)
        table = self.store.backend.scan(key.to_table())
        about = PlannedFeature(
            feature=str(key),
            version=self.graph.versions[key].feature,
            rows=None if table is None else self._rows(graph_plan, request, engine),
            unit=graph_plan.unit,
        )
        if graph_plan.spec.is_root and request.samples is None:
            return self._root(about, graph_plan, request, engine)
        parents = {edge.parent.key: self._outlooks[edge.parent.key] for edge in graph_plan.edges}
        if unknown := _unknown(graph_plan, parents):
            self._outlooks[key] = Outlook(None, unknown=unknown)
            return about.model_copy(update={"unknown": unknown, "now": self._now(request)})
        if any(outlook.moves for outlook in parents.values()):
            now, labels = self._now(request), self._labels(request, engine, parents)
        else:
            labels = self._hold(engine, resolve(self.store, request).labels)
            now = _counts(labels)
        then = _counts(labels)
        inexact = _inexact(graph_plan, parents)
        run = labels.filter(nw.col(STATUS).is_in([NEW, STALE_STATUS]))
        cost = self._per_unit(key)
        planned = self.budget.take(then.todo, cost[1]) if is_asked else then.todo
        if planned < then.todo:
            run = self._hold(engine, run.sort(*graph_plan.unit).head(planned))
        self._outlooks[key] = self._outlook(
            graph_plan, request, engine, run, then if planned else Counts(), parents, inexact
        )
        return about.model_copy(
            update={
                "now": now,
                "then": then,
                "inexact": inexact,
                "causes": self._causes(graph_plan, request, engine, labels) if then.todo else (),
                "planned": planned,
                "seconds": _times(cost[0], planned),
                "money": _times(cost[1], planned),
                "units": _ids(run, graph_plan) if self.asked.with_units else None,
            }
        )

    # -- one feature -----------------------------------------------------------------------------

    def _now(self, request: Request) -> Counts | None:
        """Counted as the store stands; None where a required parent has no table."""
        for edge in request.plan.edges:
            if not edge.dep.optional and fallback.find(self.store, edge.parent.key) is None:
                return None
        found = resolve(self.store, request)
        counts = Counts(**found.counts, failed=found.failed)
        found.release()
        return counts

    def _labels(
        self, request: Request, engine: Engine, parents: Mapping[FeatureKey, Outlook]
    ) -> LazyFrame:
        """Compare with the parents' rows as they will be."""
        graph_plan, store = request.plan, self.store
        rows = {key: o.forecast.rows for key, o in parents.items() if o.forecast is not None}
        nothing = engine.bring(empty_table(store, graph_plan))
        expected = expected_units(graph_plan, rows, nothing, store.scheme, engine.dialect)
        own = stored_units(graph_plan, self._own(request, engine), Comparison())
        compared = compare(graph_plan, expected, own, _ALL, rows, engine.dialect)
        return self._hold(engine, Limits.of(store, request, engine).on(compared))

    def _outlook(
        self,
        graph_plan: FeaturePlan,
        request: Request,
        engine: Engine,
        run: LazyFrame,
        counts: Counts,
        parents: Mapping[FeatureKey, Outlook],
        inexact: str,
    ) -> Outlook:
        key = graph_plan.key
        wanted = self._wanted[key]
        rows = self._own(request, engine)
        rows = own_rows(graph_plan, rows)
        if not counts.todo:
            return self._standing(graph_plan, rows, engine, inexact)
        if request.samples is None:
            above = {k: o.forecast.rows for k, o in parents.items() if o.forecast is not None}
            given = sources(graph_plan, above)
        else:
            samples = accept(graph_plan, request.samples, self.store.scheme)
            names = [c for c in samples.columns if c in wanted.all or c in graph_plan.unit]
            given = [(graph_plan.unit, engine.bring(samples.lazy().select(*names)))]
        exists = self.store.backend.scan(key.to_table()) is not None
        found = after_running(graph_plan, run, rows, given, wanted.all, ran_before=exists)
        found = Forecast(self._hold(engine, found.rows), found.unknown)
        columns = ", ".join(sorted(wanted.decisive - found.unknown))
        if graph_plan.is_expansion:
            inexact = f"how many children {key} gives {counts.todo:,} parents is known then"
        elif columns:
            inexact = f"provided that {key} keeps {columns} as above it"
        return Outlook(found, moves=True, inexact=inexact)

    def _standing(
        self, graph_plan: FeaturePlan, rows: LazyFrame, engine: Engine, inexact: str
    ) -> Outlook:
        """A feature that has nothing to do: its rows as they are, wherever they are."""
        found = fallback.find(self.store, graph_plan.key)
        if found is None:
            return Outlook(None, inexact=inexact)
        where, table = found
        if where is not self.store:
            version = self.graph.versions[graph_plan.key].feature
            rows = engine.bring(stored(graph_plan, complete(graph_plan, table), version))
        known = frozenset(rows.collect_schema().names())
        missing = self._wanted[graph_plan.key].all - known
        return Outlook(Forecast(rows, missing), inexact=inexact)

    def _root(
        self, about: PlannedFeature, graph_plan: FeaturePlan, request: Request, engine: Engine
    ) -> PlannedFeature:
        """A root whose samples are not given: as stored, under the code as it stands."""
        key = graph_plan.key
        found = fallback.find(self.store, key)
        if found is None:
            self._outlooks[key] = Outlook(
                None, unknown=f"the samples of {key} are known when it runs"
            )
            return about.model_copy(update={"unknown": self._outlooks[key].unknown})
        where, table = found
        version = self.graph.versions[key].feature
        rows = stored(graph_plan, complete(graph_plan, table), version)
        if where is not self.store or engine.dialect is not self.store.backend.dialect:
            rows = engine.bring(rows)
        counted = rows.group_by(FEATURE_VERSION).agg(nw.len().alias("n")).collect("polars")
        others = {v: n for v, n in counted.rows() if v != version}
        causes, changed = [], {}
        for old, count in others.items():
            cause = self._recorded.cause(
                key, STALE_STATUS, [str(f) for f in self.graph[key].field_keys], old, count
            )
            changed[old] = [FieldKey(f) for f in cause.fields]
            if cause.fields:
                causes.append(cause.model_copy(update={"data": ()}))
        coming = sum(cause.samples for cause in causes)
        rows = after_code_change(graph_plan, rows, changed)
        known = frozenset(rows.collect_schema().names())
        missing = self._wanted[key].all - known
        self._outlooks[key] = Outlook(Forecast(rows, missing), moves=bool(coming))
        return about.model_copy(update={"then": Counts(stale=coming), "causes": tuple(causes)})

    def _causes(
        self, graph_plan: FeaturePlan, request: Request, engine: Engine, labels: LazyFrame
    ) -> tuple[Cause, ...]:
        """Group what is to be done by what differs and by the code it was stored under."""
        unit = list(graph_plan.unit)
        own = self._own(request, engine).select(*unit, FEATURE_VERSION)
        if graph_plan.is_expansion:
            own = own.group_by(*unit).agg(nw.col(FEATURE_VERSION).max())
        todo = labels.filter(nw.col(STATUS).is_in([NEW, STALE_STATUS]))
        both = todo.select(*unit, STATUS, STALE_FIELDS).join(own, on=unit, how="left")
        groups = both.group_by(STATUS, STALE_FIELDS, FEATURE_VERSION).agg(nw.len().alias("n"))
        causes = [
            self._recorded.cause(
                graph_plan.key, row[STATUS], _fields(row[STALE_FIELDS]), row[FEATURE_VERSION],
                row["n"],
            )
            for row in groups.collect("polars").rows(named=True)
        ]  # fmt: skip
        return tuple(sorted(causes, key=lambda cause: (-cause.samples, cause.fields)))

    def _own(self, request: Request, engine: Engine) -> LazyFrame:
        """The feature's own stored rows, marks of childless parents included."""
        version = self.graph.versions[request.plan.key].feature
        table = own_table(self.store, request, engine)
        return stored_with_marks(request.plan, table, version)

    def _rows(self, graph_plan: FeaturePlan, request: Request, engine: Engine) -> int:
        rows = own_rows(graph_plan, self._own(request, engine))
        return int(rows.select(nw.len().alias("n")).collect("polars")["n"][0])

    def _hold(self, engine: Engine, frame: LazyFrame) -> LazyFrame:
        held = engine.hold(lambda: frame)
        self._held.append((engine, held))
        return held

    def _per_unit(self, key: FeatureKey) -> tuple[Estimate | None, Estimate | None]:
        """Seconds and money for one unit: as recorded, else as the feature's metadata says."""
        recorded = runs.per_unit(self.store.backend, key)
        declared = self.graph[key].metadata
        found: list[Estimate | None] = []
        for column, name in (("seconds", "seconds_per_sample"), ("money", "cost_per_sample")):
            values = recorded[column].drop_nulls()
            said = declared.get(name)
            if len(values):
                low, high = values.quantile(0.5, "linear"), values.quantile(0.9, "linear")
                found.append(Estimate(p50=low or 0.0, p90=high or 0.0, runs=len(values)))
            elif isinstance(said, int | float):
                found.append(Estimate(p50=said, p90=said))
            else:
                found.append(None)
        return found[0], found[1]


@dataclass
class Budget:
    """What the limits of a plan leave for the features that come."""

    units: int | None
    money: float | None

    def take(self, wanted: int, price: Estimate | None) -> int:
        """How many units of a feature are let in; they are taken off."""
        allowed = wanted if self.units is None else min(wanted, self.units)
        if self.money is not None and price is not None and price.p50 > 0:
            # Sums of prices are not exact: what is a hair over the budget is within it.
            allowed = min(allowed, int(self.money / price.p50 + 1e-9))
            self.money -= allowed * price.p50
        if self.units is not None:
            self.units -= allowed
        return allowed


_ALL = Comparison()


def check(asked: Asked, graph: Graph) -> None:
    """Refuse samples of features that are no roots, and limits that make no sense.

    Raises:
        PlanError: names the feature or the limit.
    """
    for key in asked.samples:
        if not graph[key].is_root:
            raise PlanError(f"samples= is for roots; '{key}' has parents, which tell its samples.")
    for name, limit in (("max_samples", asked.max_units), ("max_cost", asked.max_money)):
        if limit is not None and limit < 0:
            raise PlanError(f"{name} is not negative; given: {limit}")


def _unknown(graph_plan: FeaturePlan, parents: Mapping[FeatureKey, Outlook]) -> str:
    for edge in graph_plan.edges:
        outlook = parents[edge.parent.key]
        if outlook.forecast is None and not edge.dep.optional:
            return outlook.unknown or f"{edge.parent.key} has no rows and gets none"
        lacking = _decisive(edge) & outlook.forecast.unknown if outlook.forecast else frozenset()
        if lacking:
            return f"{', '.join(sorted(lacking))} of {edge.parent.key} is known when it has run"
    return ""


def _inexact(graph_plan: FeaturePlan, parents: Mapping[FeatureKey, Outlook]) -> str:
    for edge in graph_plan.edges:
        outlook = parents[edge.parent.key]
        if outlook.inexact:
            return outlook.inexact
        if outlook.unknown:
            return outlook.unknown
    return ""


def _decisive(edge: EdgePlan) -> frozenset[str]:
    return wanted_of_edge(edge).decisive


def _counts(labels: LazyFrame) -> Counts:
    found = labels.group_by(STATUS).agg(nw.len().alias("n")).collect("polars")
    return Counts(**dict(zip(found[STATUS].to_list(), found["n"].to_list(), strict=True)))


def _fields(listed: str | None) -> list[str]:
    return listed.split(",") if listed else []


def _times(one: Estimate | None, units: int) -> Estimate | None:
    if one is None:
        return None
    return Estimate(p50=one.p50 * units, p90=one.p90 * units, runs=one.runs)


def _ids(run: LazyFrame, graph_plan: FeaturePlan) -> tuple[tuple[Any, ...], ...]:
    frame = run.select(*graph_plan.unit).sort(*graph_plan.unit).collect("polars")
    return tuple(frame.rows())
