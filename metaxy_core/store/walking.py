"""Through the graph, parents first: each feature compared with its parents as they will be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import narwhals as nw

from metaxy_core.columns import (
    FEATURE_VERSION,
    STALE_FIELDS,
    STATUS,
    data_version_of,
    provenance_of,
)
from metaxy_core.errors import MetadataSchemaError
from metaxy_core.frames.dialect import LazyFrame
from metaxy_core.frames.engine import Engine, EngineName
from metaxy_core.graph import EdgePlan, FeaturePlan, Graph
from metaxy_core.keys import FeatureKey, FieldKey
from metaxy_core.store import fallback
from metaxy_core.store.budget import Budget, per_unit
from metaxy_core.store.incoming import accept
from metaxy_core.store.reading import complete, own_rows, stored, stored_with_marks
from metaxy_core.store.recorded import Recorded
from metaxy_core.store.request import Request
from metaxy_core.store.resolving import Limits, resolve
from metaxy_core.store.scope import Scope
from metaxy_core.store.tables import empty_table, engine_of, own_table
from metaxy_core.versioning import Comparison, compare, expected_units, stored_units
from metaxy_core.versioning.forecast import (
    Forecast,
    after_code_change,
    after_running,
    sources,
    wanted_of_edge,
    wanted_of_parents,
)
from metaxy_core.versioning.increment import NEW, STALE_STATUS, TO_DO
from metaxy_core.work import (
    Cause,
    Counts,
    PlannedFeature,
)

if TYPE_CHECKING:
    from metaxy_core.store.base import BaseStore
    from metaxy_core.store.planning import Asked


@dataclass(frozen=True)
class Outlook:
    """A feature as it will be.

    Attributes:
        forecast: its rows; None where there will be none, or nothing is known of them.
        moves: whether they differ from what is stored.
        inexact: why they may turn out otherwise.
        kept: columns that its function is taken to leave as they are above it.
        unknown: why nothing can be said.
    """

    forecast: Forecast | None
    moves: bool = False
    inexact: str = ""
    kept: frozenset[str] = frozenset()
    unknown: str = ""


class Walk:
    """Goes through the features, parents first, and remembers how each will stand."""

    def __init__(self, store: BaseStore, asked: Asked, engine: EngineName) -> None:
        self.store, self.asked, self.engine = store, asked, engine
        self.graph: Graph = store.graph
        self.budget = Budget(asked.max_units, asked.max_money)
        self._outlooks: dict[FeatureKey, Outlook] = {}
        self._wanted = wanted_of_parents(self.graph)
        self._recorded = Recorded(store)
        self._tables = set(store.backend.tables())
        self._held: list[tuple[Engine, LazyFrame]] = []

    def features(self) -> Iterator[PlannedFeature]:
        """The features asked for; those above them are looked at as well."""
        asked = set(self.asked.features)
        needed = asked | {up for key in asked for up in self.graph.upstream(key)}
        for key in self.graph:
            if key in needed:
                if self.asked.on_feature is not None:
                    self.asked.on_feature(key)
                planned = self._feature(key, is_asked=key in asked)
                if key in asked:
                    yield planned

    def close(self) -> None:
        """Let go of everything held in the engine."""
        for engine, frame in self._held:
            engine.release(frame)

    def _feature(self, key: FeatureKey, *, is_asked: bool) -> PlannedFeature:
        graph_plan = self.graph.plan(key)
        request = Request(graph_plan, self.asked.samples.get(key), engine=self.engine)
        engine = engine_of(self.store, request)
        own = self._own(request, engine)
        if key.to_table() not in self._tables:
            own = _typed(own, self._id_types(request))
        about = PlannedFeature(
            feature=str(key),
            version=self.graph.versions[key].feature,
            rows=self._rows(graph_plan, own),
            unit=graph_plan.unit,
        )
        if graph_plan.spec.is_root and request.samples is None:
            return self._root(about, graph_plan, engine)
        parents = {edge.parent.key: self._outlooks[edge.parent.key] for edge in graph_plan.edges}
        if unknown := _unknown(graph_plan, parents):
            self._outlooks[key] = Outlook(None, unknown=unknown)
            return about.model_copy(update={"unknown": unknown, "now": self._now(request)})
        moves = any(outlook.moves for outlook in parents.values())
        if moves:
            labels = self._labels(request, engine, own, parents)
        else:
            labels = resolve(self.store, request).labels
            self._held.append((engine, labels))
        groups = self._groups(graph_plan, labels, own)
        then = _counts(groups)
        now = self._now(request) if moves else then
        inexact = _inexact(graph_plan, parents)
        run = labels.filter(TO_DO)
        cost = per_unit(self.store, self.graph[key])
        planned = self.budget.take(then.todo, cost.money) if is_asked else then.todo
        if planned < then.todo:
            run = self._hold(engine, run.sort(*graph_plan.unit).head(planned))
        if self.graph.children(key):
            will = then if planned else Counts()
            self._outlooks[key] = self._outlook(request, engine, own, run, will, parents, inexact)
        return about.model_copy(
            update={
                "now": now,
                "then": then,
                "inexact": inexact,
                "causes": self._causes(key, groups),
                "planned": planned,
                **dict(cost.times(planned)),
                "units": _ids(run, graph_plan) if self.asked.with_units else None,
            }
        )

    # -- one feature -----------------------------------------------------------------------------

    def _now(self, request: Request) -> Counts | None:
        """Counted as the store stands; None where a required parent has no table."""
        for edge in request.plan.edges:
            if not edge.dep.optional and fallback.find(self.store, edge.parent.key) is None:
                return None
        try:
            found = resolve(self.store, request)
        except MetadataSchemaError:  # stored rows lack a column of an edge, which `unknown` tells
            return None
        counts = Counts(**found.counts, failed=found.failed)
        found.release()
        return counts

    def _labels(
        self,
        request: Request,
        engine: Engine,
        own: LazyFrame,
        parents: Mapping[FeatureKey, Outlook],
    ) -> LazyFrame:
        """Compare with the parents' rows as they will be."""
        graph_plan, store = request.plan, self.store
        rows = {key: o.forecast.rows for key, o in parents.items() if o.forecast is not None}
        nothing = _typed(engine.bring(empty_table(store, graph_plan)), self._id_types(request))
        expected = expected_units(graph_plan, rows, nothing, store.scheme, engine.dialect)
        mine = stored_units(graph_plan, own, Comparison())
        compared = compare(graph_plan, expected, mine, Comparison(), rows, engine.dialect)
        return self._hold(
            engine, Limits.of(store, Scope.of(request, engine), request, engine).on(compared)
        )

    def _outlook(
        self,
        request: Request,
        engine: Engine,
        own: LazyFrame,
        run: LazyFrame,
        counts: Counts,
        parents: Mapping[FeatureKey, Outlook],
        inexact: str,
    ) -> Outlook:
        graph_plan = request.plan
        key = graph_plan.key
        wanted = self._wanted[key]
        rows = own_rows(graph_plan, own)
        if not counts.todo:
            return self._standing(graph_plan, rows, engine, inexact)
        if request.samples is None:
            above = {k: o.forecast.rows for k, o in parents.items() if o.forecast is not None}
            given = sources(graph_plan, above)
        else:
            samples = accept(graph_plan, request.samples, self.store.scheme)
            names = [c for c in samples.columns if c in wanted.all or c in graph_plan.unit]
            given = [(graph_plan.unit, engine.bring(samples.lazy().select(*names)))]
        exists = key.to_table() in self._tables
        found = after_running(graph_plan, run, rows, given, wanted.all, ran_before=exists)
        found = Forecast(self._hold(engine, found.rows), found.unknown)
        if graph_plan.is_expansion:
            inexact = (
                f"how many children {key} gives {counts.todo:,} parents is known then, so there "
                "may be more"
            )
        kept = frozenset() if graph_plan.spec.is_root else wanted.decisive - found.unknown
        return Outlook(found, moves=True, inexact=inexact, kept=kept)

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
        self, about: PlannedFeature, graph_plan: FeaturePlan, engine: Engine
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

    def _groups(
        self, graph_plan: FeaturePlan, labels: LazyFrame, own: LazyFrame
    ) -> list[dict[str, Any]]:
        """The units with a status, counted by it, by what differs and by the version stored."""
        unit = list(graph_plan.unit)
        versions = own.select(*unit, FEATURE_VERSION)
        if graph_plan.is_expansion:
            versions = versions.group_by(*unit).agg(nw.col(FEATURE_VERSION).max())
        both = labels.select(*unit, STATUS, STALE_FIELDS).join(versions, on=unit, how="left")
        groups = both.group_by(STATUS, STALE_FIELDS, FEATURE_VERSION).agg(nw.len().alias("n"))
        rows: list[dict[str, Any]] = groups.collect("polars").rows(named=True)
        return rows

    def _causes(self, key: FeatureKey, groups: Sequence[Mapping[str, Any]]) -> tuple[Cause, ...]:
        """Why units are to be done, most of them first."""
        causes: dict[Cause, int] = {}
        for row in groups:
            if row[STATUS] in (NEW, STALE_STATUS):
                fields = _fields(row[STALE_FIELDS]) if row[STATUS] == STALE_STATUS else []
                cause = self._recorded.cause(key, row[STATUS], fields, row[FEATURE_VERSION], 0)
                causes[cause] = causes.get(cause, 0) + row["n"]
        counted = [one.model_copy(update={"samples": n}) for one, n in causes.items()]
        return tuple(sorted(counted, key=lambda cause: (-cause.samples, cause.fields)))

    def _own(self, request: Request, engine: Engine) -> LazyFrame:
        """The feature's own stored rows, slim, marks of childless parents included."""
        graph_plan = request.plan
        version = self.graph.versions[graph_plan.key].feature
        rows = stored_with_marks(graph_plan, own_table(self.store, request, engine), version)
        known = rows.collect_schema().names()
        fields = [field.key for field in graph_plan.fields]
        names = [
            *graph_plan.spec.id_columns,
            *map(provenance_of, fields),
            *map(data_version_of, fields),
            FEATURE_VERSION,
            *sorted(self._wanted[graph_plan.key].all.intersection(known)),
        ]
        return self._hold(engine, rows.select(*names))

    def _id_types(self, request: Request) -> dict[str, nw.dtypes.DType]:
        """The types of a unit's ids, as its samples or the parents' rows to come have them."""
        graph_plan, types = request.plan, {}
        if request.samples is not None:
            samples = accept(graph_plan, request.samples, self.store.scheme)
            types = {name: samples.schema[name] for name in graph_plan.unit}
        for edge in graph_plan.edges:
            forecast = self._outlooks[edge.parent.key].forecast
            if forecast is not None:
                schema = forecast.rows.collect_schema()
                names = {name: edge.own(name) for name in edge.on}
                types |= {name: schema[old] for name, old in names.items() if old in schema}
        return types

    def _rows(self, graph_plan: FeaturePlan, own: LazyFrame) -> int | None:
        if graph_plan.key.to_table() not in self._tables:
            return None
        counted = own_rows(graph_plan, own).select(nw.len().alias("n"))
        return int(counted.collect("polars")["n"][0])

    def _hold(self, engine: Engine, frame: LazyFrame) -> LazyFrame:
        held = engine.hold(lambda: frame)
        self._held.append((engine, held))
        return held


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
        if columns := ", ".join(sorted(outlook.kept & _decisive(edge))):
            return f"provided that {edge.parent.key} keeps {columns} as above it"
    return ""


def _decisive(edge: EdgePlan) -> frozenset[str]:
    return wanted_of_edge(edge).decisive


def _counts(groups: Sequence[Mapping[str, Any]]) -> Counts:
    found: dict[str, int] = {}
    for row in groups:
        found[row[STATUS]] = found.get(row[STATUS], 0) + row["n"]
    return Counts(**found)


def _typed(frame: LazyFrame, types: Mapping[str, nw.dtypes.DType]) -> LazyFrame:
    """A frame without rows whose ids have these types."""
    return frame.with_columns(nw.col(name).cast(dtype) for name, dtype in types.items())


def _fields(listed: str | None) -> list[str]:
    return listed.split(",") if listed else []


def _ids(run: LazyFrame, graph_plan: FeaturePlan) -> tuple[tuple[Any, ...], ...]:
    frame = run.select(*graph_plan.unit).sort(*graph_plan.unit).collect("polars")
    return tuple(frame.rows())
