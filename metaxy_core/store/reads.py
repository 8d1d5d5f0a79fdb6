"""What a store answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, overload

from metaxy_core.aliases import spelled_read
from metaxy_core.frames.dialect import DataFrame, LazyFrame
from metaxy_core.frames.engine import Engine, EngineName
from metaxy_core.frames.filters import Predicate, apply
from metaxy_core.graph import GraphSnapshot
from metaxy_core.keys import FeatureKey
from metaxy_core.store import (
    budget,
    explaining,
    failing,
    fallback,
    planning,
    reading,
    resolving,
)
from metaxy_core.store.base import BaseStore, check_engine, listed
from metaxy_core.store.fingerprint import Fingerprint, fingerprint
from metaxy_core.store.incoming import Rows
from metaxy_core.store.increment import Increment, LazyIncrement
from metaxy_core.store.inventory import Inventory, take
from metaxy_core.store.recorded import Recorded
from metaxy_core.store.request import Request, units_of
from metaxy_core.store.tables import IN_MEMORY, native_engine
from metaxy_core.system import snapshots
from metaxy_core.system.snapshots import RecordedSnapshot
from metaxy_core.versioning import SLOT, Buckets, with_slots
from metaxy_core.work import Cost, WorkPlan
from metaxy_core.work.explanation import Explanation

FilterMap = Mapping[Any, Predicate | Sequence[Predicate]]


class ReadStore(BaseStore):
    """A store, as far as it answers questions; see `MetadataStore`."""

    @overload
    def resolve_update(
        self,
        feature: Any,
        *,
        samples: Rows | None = ...,
        filters: FilterMap | None = ...,
        global_filters: Sequence[Predicate] = ...,
        staleness_predicates: Sequence[Predicate] = ...,
        skip_comparison: bool = ...,
        units: Rows | None = ...,
        buckets: Buckets | None = ...,
        versioning_engine: EngineName | None = ...,
        full: bool = ...,
        lazy: Literal[True],
    ) -> LazyIncrement: ...
    @overload
    def resolve_update(
        self,
        feature: Any,
        *,
        samples: Rows | None = ...,
        filters: FilterMap | None = ...,
        global_filters: Sequence[Predicate] = ...,
        staleness_predicates: Sequence[Predicate] = ...,
        skip_comparison: bool = ...,
        units: Rows | None = ...,
        buckets: Buckets | None = ...,
        versioning_engine: EngineName | None = ...,
        full: bool = ...,
        lazy: Literal[False] = ...,
    ) -> Increment: ...

    def resolve_update(
        self,
        feature: Any,
        *,
        samples: Rows | None = None,
        filters: FilterMap | None = None,
        global_filters: Sequence[Predicate] = (),
        staleness_predicates: Sequence[Predicate] = (),
        skip_comparison: bool = False,
        units: Rows | None = None,
        buckets: Buckets | None = None,
        versioning_engine: EngineName | None = None,
        full: bool = False,
        lazy: bool = False,
    ) -> Increment | LazyIncrement:
        """Find what a feature has to do: its new, stale and orphaned samples.

        Args:
            feature: a feature class, spec or key.
            samples: the expected samples instead of those the parents imply; needed for roots.
                Columns: the id columns, `metaxy_provenance_by_field` (or the columns of
                `provenance_from`), user columns.
            filters: per feature (a parent or the feature itself), predicates under its own column
                names. They choose whole units on both sides; what is outside has no status.
            global_filters: predicates for every parent that has their columns.
            staleness_predicates: a unit with a stored row for which one holds is stale.
            skip_comparison: everything expected is new, also what failed before.
            units: only these have a status; a frame with their id columns, such as a plan's.
            buckets: only units in these have a status; what all buckets have to do together is
                what there is to do.
            versioning_engine: overrides the store's.
            full: compare everything, also what is known to be settled; see `settle`. The result
                is the same.
            lazy: give lazy frames, valid while the store is open.

        Raises:
            ValueError: a root without `samples`.
            FeatureNotFoundError: a required parent is in no store of the chain.
            VersioningEngineMismatchError: the native engine was asked for and cannot do it. Where
                that is `"auto"`, the increment is computed in memory and a
                `PolarsMaterializationWarning` says why.
            FilterError: a filter asks for unknown columns or is not in the language.
            MetadataSchemaError: `samples` do not fit the feature.
        """
        self._readable()
        request = Request(
            self._plan(feature),
            samples,
            {FeatureKey.of(key): listed(found) for key, found in (filters or {}).items()},
            tuple(global_filters),
            tuple(staleness_predicates),
            skip_comparison,
            check_engine(versioning_engine or self.versioning_engine),
            units_of(self._plan(feature), units),
            buckets,
            full,
        )
        increment = resolving.resolve(self, request)
        return increment if lazy else increment.collect()

    def create_versioning_engine(self, versioning_engine: EngineName | None = None) -> Engine:
        """The engine that increments are computed with: the frame functions of its dialect, and
        how frames come into it and are kept; valid while the store is open.

        `"auto"` gives the native one: only a comparison can tell that it has to be Polars.

        Raises:
            ValueError: there is no such engine.
        """
        self._readable()
        name = check_engine(versioning_engine or self.versioning_engine)
        return IN_MEMORY if name == "polars" else native_engine(self)

    def plan(
        self,
        features: Sequence[Any] | None = None,
        *,
        samples: Mapping[Any, Rows] | None = None,
        max_samples: int | None = None,
        max_cost: float | None = None,
        with_units: bool = False,
        on_feature: Callable[[FeatureKey], object] | None = None,
    ) -> WorkPlan:
        """What each feature has to do now, and once the features above it have run.

        Nothing is run or written. The expected provenance of what has not run yet stands for its
        data, so the numbers are exact unless data versions are overridden then; `inexact` and
        `unknown` of a `PlannedFeature` say where they cannot be.

        Args:
            features: those to plan; all without any. Features above them are taken to run whole.
            samples: the expected samples of roots, as for `resolve_update`. A root without any is
                taken to list again what is stored, so that changes of its code are seen below.
            max_samples: let in no more units than this, in the order of the features.
            max_cost: let in no more than what costs this (`cost_per_sample` in a feature's
                metadata, or the money of recorded runs); features without a price are let in.
            with_units: name each planned unit, so that the plan can be applied exactly:
                `resolve_update(feature, units=plan.of(feature).frame())`.
            on_feature: called before each feature is compared, those above included.

        Raises:
            PlanError: samples of a feature that is no root, or a negative limit.
            VersioningEngineMismatchError: the native engine was asked for and cannot do it;
                `"auto"` goes on in memory, with a `PolarsMaterializationWarning`.
        """
        self._readable()
        graph = self.graph
        asked = planning.Asked(
            list(graph) if features is None else [self._plan(one).key for one in features],
            {FeatureKey.of(key): rows for key, rows in (samples or {}).items()},
            max_samples,
            max_cost,
            with_units,
            on_feature,
        )
        planning.check(asked, graph)
        return planning.plan(self, asked)

    def cost_per_unit(self, feature: Any) -> Cost:
        """What computing one unit of a feature takes: one small query.

        The median and the ninth decile of the last 50 runs that were recorded (`record_run`);
        without any, `seconds_per_sample` and `cost_per_sample` of the feature's metadata.

        >>> from metaxy_core import FeatureGraph, FeatureSpec, InMemoryMetadataStore
        >>> graph = FeatureGraph([FeatureSpec("crop", metadata={"cost_per_sample": 0.02})])
        >>> with InMemoryMetadataStore(graph=graph).open("w") as store:
        ...     store.record_run("crop", units=10, seconds=25.0)
        ...     print(store.cost_per_unit("crop").times(100))
        4.2 min, costs 2.00
        """
        self._readable()
        return budget.per_unit(self, self._plan(feature).spec)

    def explain(
        self, feature: Any, sample: Mapping[str, Any], *, samples: Rows | None = None
    ) -> Explanation:
        """Why one sample is new, stale or orphaned: the tree of causes, with times and runs.

        Args:
            sample: the unit's ids; for 1:N those of the parent.
            samples: the expected samples of a root; without them it is said what is stored.

        Raises:
            MetadataSchemaError: an id is missing.
            FeatureNotFoundError: a required parent is in no store of the chain.
        """
        self._readable()
        return explaining.explain(self, self._plan(feature), sample, samples, Recorded(self))

    @spelled_read
    def read(
        self,
        feature: Any,
        *,
        columns: Sequence[str] | None = None,
        filters: Predicate | Sequence[Predicate] = (),
        buckets: Buckets | None = None,
        feature_version: str | None = None,
        with_feature_history: bool = False,
        with_sample_history: bool = False,
        include_soft_deleted: bool = False,
        allow_fallback: bool = True,
    ) -> LazyFrame:
        """The stored rows of a feature: of each unit those that count now.

        Columns out: the id columns, user columns, `metaxy_provenance_by_field` and
        `metaxy_data_version_by_field` (structs), `metaxy_provenance`, `metaxy_data_version`,
        versions, times, `metaxy_materialization_id`.

        Args:
            columns: these columns only; `SLOT` may be one, which says in which bucket a row is.
            filters: predicates on the rows, after the stored rows were chosen.
            buckets: the rows of units in these buckets only.
            feature_version: rows of this version only (a hash, or `"current"`).
            with_feature_history: the last rows of every feature version.
            with_sample_history: every live row since the last delete, not only the last.
            include_soft_deleted: deleted rows as well.
            allow_fallback: look in fallback stores where this one has no rows.

        Raises:
            FeatureNotFoundError: no store of the chain has the feature.
        """
        self._readable()
        plan = self._plan(feature)
        where, table = fallback.locate(self, plan.key, allow_fallback=allow_fallback)
        version = self.graph.versions[plan.key].feature
        rows = reading.select_rows(
            plan,
            reading.complete(plan, table),
            version,
            only_version=version if feature_version == "current" else feature_version,
            feature_history=with_feature_history,
            sample_history=with_sample_history,
            deleted=include_soft_deleted,
        )
        dialect = where.backend.dialect
        rows = apply(rows, listed(filters))
        if buckets is not None:
            rows = buckets.within(rows, plan.unit, dialect)
        if columns is not None and SLOT in columns:
            rows = with_slots(rows, plan.unit, dialect)
        found = dialect.presentable(rows)
        return reading.shown(plan, found, columns)

    def failures(self, feature: Any, filters: Predicate | Sequence[Predicate] = ()) -> DataFrame:
        """Units of a feature that failed and have not succeeded since, over Polars.

        Columns: the unit's id columns, `metaxy_error` (its class), `metaxy_message`,
        `metaxy_attempt`, `metaxy_run`, `metaxy_failed_at`, `metaxy_retry_at` and
        `metaxy_quarantined`.
        """
        self._readable()
        return failing.standing(self, self._plan(feature), listed(filters))

    def has_feature(self, feature: Any, *, allow_fallback: bool = False) -> bool:
        """Whether the store has a table of the feature."""
        self._readable()
        key = FeatureKey.of(feature)
        return fallback.find(self, key, allow_fallback=allow_fallback) is not None

    def list_features(self) -> list[FeatureKey]:
        """The features of the graph that this very store has a table of, parents first."""
        self._readable()
        tables = set(self.backend.tables())
        return [key for key in self.graph if key.to_table() in tables]

    def inventory(self, feature: Any, *, allow_fallback: bool = True) -> Inventory | None:
        """Count what is stored of a feature; None where there is no table of it.

        Raises:
            UnknownFeatureError: the graph does not have the feature.
        """
        self._readable()
        return take(self, self._plan(feature), allow_fallback=allow_fallback)

    def fingerprint(
        self,
        feature: Any,
        filters: Predicate | Sequence[Predicate] = (),
        *,
        buckets: Buckets | None = None,
    ) -> Fingerprint:
        """Digest the content of a feature's stored rows in the database.

        The digest changes if and only if the set of (id, data version) does; a feature without a
        table is empty.

        Args:
            filters: of the rows that pass these,
            buckets: and of units in these buckets.
        """
        self._readable()
        plan = self._plan(feature)
        found = fallback.find(self, plan.key, allow_fallback=False)
        if found is None:
            return Fingerprint(0, self.scheme.digest(""), {})
        version = self.graph.versions[plan.key].feature
        rows = reading.stored(plan, reading.complete(plan, found[1]), version)
        rows = apply(rows, listed(filters))
        if buckets is not None:
            rows = buckets.within(rows, plan.unit, self.backend.dialect)
        return fingerprint(self, plan, rows)

    def snapshots(self) -> list[RecordedSnapshot]:
        """The recorded graphs of the project, oldest first."""
        self._readable()
        return snapshots.history(self.backend, self.project)

    def load_snapshot(self, version: str | RecordedSnapshot = "latest") -> GraphSnapshot:
        """Load a recorded graph of the project.

        Args:
            version: `"latest"`, a tag, the start of its version, or one of `snapshots()`.

        Raises:
            SystemDataNotFoundError: no such snapshot.
        """
        self._readable()
        return snapshots.load(self.backend, version, self.project)

    def load_sources(self, version: str | RecordedSnapshot = "latest") -> dict[FeatureKey, str]:
        """The code of the features that was recorded with a graph, as `metaxy graph check` sees it.

        Args:
            version: as for `load_snapshot`.

        Raises:
            SystemDataNotFoundError: no such snapshot.
        """
        self._readable()
        return snapshots.load_sources(self.backend, version, self.project)

    def other_projects(self) -> dict[str, GraphSnapshot]:
        """The newest recorded graph of every other project, here or in a fallback store."""
        self._readable()
        found: dict[str, GraphSnapshot] = {}
        for store in fallback.chain(self):
            for project in {one.project for one in snapshots.history(store.backend)}:
                if project != self.project and project not in found:
                    found[project] = snapshots.load(store.backend, "latest", project)
        return dict(sorted(found.items()))
