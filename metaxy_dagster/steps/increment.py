"""What a feature has to do, kept in local files so that no connection is open meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import dagster as dg
import narwhals as nw

from metaxy_core import (
    MATERIALIZATION_ID,
    PROVENANCE_BY_FIELD,
    STATUS,
    Cost,
    FeatureGraph,
    FeatureKey,
    FeaturePlan,
    Graph,
    Mark,
    MetadataStore,
    StoreUnavailableError,
    WorkPlan,
)
from metaxy_dagster.frames import LazyFrame, length
from metaxy_dagster.partitions import Keys, Part, part_buckets, part_filters, types_of
from metaxy_dagster.resource import MetaxyStore, frozen
from metaxy_dagster.steps.options import RunOptions, Status
from metaxy_dagster.steps.spool import Spool


@dataclass(frozen=True)
class Work:
    """Which of a feature's work is asked for.

    Attributes:
        graph: where the feature is declared.
        samples: the expected samples of a root.
        complete: whether `samples` is the whole world, so that what is missing is orphaned.
        part: the columns, and their values, that samples of this part, or partition, have.
        run_id: the run; a forced run leaves out what it has already written.
        upstream_keys: the assets of the parents, for the column lineage.
    """

    feature: FeatureKey
    graph: Graph | FeatureGraph
    samples: Any = None
    complete: bool = True
    part: Part = field(default_factory=dict)
    options: RunOptions = field(default_factory=RunOptions)
    run_id: str | None = None
    upstream_keys: Mapping[FeatureKey, dg.AssetKey] = field(default_factory=dict)

    @property
    def plan(self) -> FeaturePlan:
        """What the feature's declaration means in the graph as it stands."""
        return frozen(self.graph).plan(self.feature)


@dataclass
class Progress:
    """How far the user's function has come with `iter_batches`.

    Attributes:
        batched: whether it was used at all.
        finished: units of batches that the function has finished with.
        failed: units that the function could not process, and why; not yet recorded.
    """

    batched: bool = False
    finished: int = 0
    failed: list[tuple[dict[str, Any], BaseException | str]] = field(default_factory=list)


@dataclass(frozen=True)
class Increment:
    """New, stale and orphaned samples of a feature; lazy, valid until the step ends.

    As `metaxy_core.LazyIncrement`, but read from local files: the store is closed, and memory
    holds no more than you collect. Frames that you give back need the id columns. Where they lost
    `metaxy_provenance_by_field`, it is joined back by the unit's ids.

    Attributes:
        new, stale: what this run is asked to do (see `RunOptions`), one row per unit: its id
            columns, the parents' columns, the provenance to be written
            (`metaxy_provenance_by_field`) and `metaxy_stale_fields`, the fields that differ.
        orphaned: stored rows whose unit is not expected any more.
        labels: one row per unit with its `metaxy_status`; what the counts are made from.
        mark: what is to be remembered of the comparison, see `MetadataStore.settle`.
        cost_per_unit: what processing one of them takes; nothing is known of it unless the store
            estimates, see `MetaxyStore.estimates`.
    """

    new: LazyFrame
    stale: LazyFrame
    orphaned: LazyFrame
    labels: LazyFrame
    plan: FeaturePlan
    spool: Spool
    read_inputs: Callable[[Any], LazyFrame]
    progress: Progress = field(default_factory=Progress)
    cost_per_unit: Cost = field(default_factory=Cost)
    mark: Mark | None = None

    @cached_property
    def counts(self) -> Mapping[str, int]:
        """Units found per status: new, stale, orphaned, waiting; not only those to do."""
        names = ("new", "stale", "orphaned", "waiting")
        return {name: self._labelled.get(name, 0) for name in names}

    @property
    def failed(self) -> int:
        """Units that failed and are not offered now; see `MetadataStore.record_failures`."""
        return self._labelled.get("failed", 0)

    @cached_property
    def _labelled(self) -> Mapping[str, int]:
        found = self.labels.group_by(STATUS).agg(nw.len().alias("n")).collect("polars")
        return dict(found.select(STATUS, "n").rows())

    def todo(self) -> LazyFrame:
        """New and stale units in one frame."""
        return nw.concat([self.new, self.stale])

    def inputs(self, parent: Any) -> LazyFrame:
        """The rows of a parent that belong to the units to do, renamed, filtered and selected.

        For an aggregation these are the members of each group. They are read when first asked
        for, so ask before you yield the first frame.
        """
        return self.read_inputs(parent)

    @cached_property
    def size(self) -> int:
        """How many units this run is asked to do."""
        return length(self.new) + length(self.stale)

    @property
    def cost(self) -> Cost:
        """What this run will take."""
        return self.cost_per_unit.times(self.size)

    @property
    def is_empty(self) -> bool:
        """Whether this run has nothing to do."""
        return self.size == 0

    def iter_batches(self, size: int) -> Iterator[nw.DataFrame[Any]]:
        """The units to do, `size` at a time, in memory over Polars.

        1:N: a parent of a batch that you asked for the next one after, and that got no rows, is
        settled as childless when the function ends.
        """
        self.progress.batched = True
        todo = self.todo().to_native()
        for start in range(0, self.size, size):
            batch = todo.slice(start, size).collect()
            yield nw.from_native(batch)
            self.progress.finished = max(self.progress.finished, start + batch.height)

    def fail(self, unit: Mapping[str, Any], error: BaseException | str) -> None:
        """Report that a unit could not be processed; the run goes on, and others are stored.

        The failure is recorded: the unit is left out of increments for a while, see `RetryPolicy`,
        and offered at once when its inputs or its code change. `unit` has the unit's id columns;
        other keys, such as those of a row of the increment, are ignored.
        """
        self.progress.failed.append(({name: unit[name] for name in self.plan.unit}, error))

    @contextmanager
    def catching(self, unit: Mapping[str, Any]) -> Iterator[None]:
        """Report an exception raised inside as the failure of a unit, and go on after it.

        >>> def crop(increment, cut):
        ...     for batch in increment.iter_batches(100):
        ...         done = []
        ...         for row in batch.rows(named=True):
        ...             with increment.catching(row):
        ...                 done.append(cut(row))
        ...         yield pl.DataFrame(done)
        """
        try:
            yield
        except Exception as error:  # noqa: BLE001  # whatever the user's code raises is recorded
            self.fail(unit, error)

    def finished(self) -> LazyFrame:
        """The units the function is done with: of finished batches, else all."""
        return self.todo().head(self.progress.finished) if self.progress.batched else self.todo()

    def provenance(self) -> LazyFrame:
        """The units to do with the provenance to be written, and no other column."""
        return self.todo().select(*self.plan.unit, PROVENANCE_BY_FIELD)

    def close(self) -> None:
        """Remove the local files."""
        self.spool.close()


def resolve(store: MetaxyStore, work: Work, *, estimate: bool = False) -> Increment:
    """Find what a feature has to do; the store is open only meanwhile.

    Args:
        estimate: also ask what it will take, where the store estimates at all.

    Raises:
        FeatureNotFoundError: a required parent has never been materialised.
        FilterError: `where` is not in the filter language, or no parent has its columns.
        MetadataSchemaError: the samples do not fit the feature.
    """
    described = store.describe(graph=work.graph)
    spool = Spool()
    with ExitStack() as failed, ExitStack() as stack:
        failed.callback(spool.close)
        opened = _reading(stack, described, create=work.samples is not None)
        found = opened.resolve_update(work.feature, lazy=True, **asked(opened, work))
        new, stale = _forced(opened, work) if work.options.force else (found.new, found.stale)
        kept = _cut(work.options, spool, new, stale)
        orphaned, labels = found.orphaned, found.labels
        if not work.complete:
            orphaned = orphaned.head(0)
            labels = labels.filter(nw.col(STATUS) != "orphaned")
        orphaned, labels = spool.keep(orphaned), spool.keep(labels)
        mark, cost = found.mark, Cost()
        if estimate and store.estimates:
            cost = opened.cost_per_unit(work.feature)
        failed.pop_all()
    inputs = _Inputs(described, work, spool, nw.concat(kept))
    return Increment(*kept, orphaned, labels, work.plan, spool, inputs, Progress(), cost, mark)


def asked(opened: MetadataStore, work: Work) -> dict[str, Any]:
    """The arguments of `resolve_update` that some work means."""
    filters: list[Any] = [*part_filters(work.part, _types(opened, work))]
    if work.samples is not None and not opened.has_feature(work.feature):
        # Nothing is stored, so nothing of another part is; the part's column may not be either.
        filters = []
    if work.options.where:
        filters.append(work.options.where)
    return {
        "samples": work.samples,
        "global_filters": filters,
        "units": planned(work),
        "buckets": part_buckets(work.part),
    }


def planned(work: Work) -> Mapping[str, Any] | None:
    """The units that a plan names; None where the run has no plan.

    Raises:
        PlanError: it cannot be read, is for another graph, or does not name the feature's units.
    """
    if work.options.plan is None:
        return None
    plan = WorkPlan.load(work.options.plan)
    plan.check(frozen(work.graph).snapshot_version)
    return plan.of(work.feature).frame()


def _types(opened: MetadataStore, work: Work) -> Mapping[str, nw.dtypes.DType]:
    """The types of the columns of a part, where they are needed."""
    if not any(isinstance(value, Keys) for value in work.part.values()):
        return {}
    samples = {} if work.samples is None else nw.from_native(work.samples).schema
    return types_of(opened, work.plan) | dict(samples)


def _reading(stack: ExitStack, store: MetadataStore, *, create: bool) -> MetadataStore:
    """Open for reading; a store that does not exist yet is made where samples come from outside."""
    try:
        return stack.enter_context(store.open("r"))
    except StoreUnavailableError as error:
        if error.reason != "missing" or not create:
            raise
    with store.open("w"):
        pass
    return stack.enter_context(store.open("r"))


def _forced(opened: MetadataStore, work: Work) -> tuple[LazyFrame, LazyFrame]:
    """Everything expected, as new where nothing is stored and as stale where something is."""
    everything = opened.resolve_update(
        work.feature, lazy=True, skip_comparison=True, **asked(opened, work)
    )
    if not opened.has_feature(work.feature):
        return everything.new, everything.stale
    unit = list(work.plan.unit)
    stored = opened.read(work.feature, allow_fallback=False)
    mine = stored.filter(nw.col(MATERIALIZATION_ID) == (work.run_id or ""))
    bring = _to_polars if everything.new.implementation.is_polars() else opened.backend.load
    known, written = (bring(rows.select(*unit).unique(unit, keep="any")) for rows in (stored, mine))
    left = everything.new.join(written, on=unit, how="anti")
    return left.join(known, on=unit, how="anti"), left.join(known, on=unit, how="semi")


def _to_polars(frame: LazyFrame) -> LazyFrame:
    return frame.collect("polars").lazy()


def _cut(
    options: RunOptions, spool: Spool, new: LazyFrame, stale: LazyFrame
) -> tuple[LazyFrame, LazyFrame]:
    """Keep what the options ask for: the new ones first, up to the limit."""
    limit = options.limit
    kept = []
    for status, frame in ((Status.new, new), (Status.stale, stale)):
        wanted = frame if status in (options.only or Status) else frame.head(0)
        kept.append(spool.keep(wanted if limit is None else wanted.head(limit)))
        limit = None if limit is None else limit - length(kept[-1])
    return kept[0], kept[1]


@dataclass
class _Inputs:
    """The parents' rows of the units to do; each parent is read once, when first asked for."""

    store: MetadataStore
    work: Work
    spool: Spool
    todo: LazyFrame
    kept: dict[FeatureKey, LazyFrame] = field(default_factory=dict)

    def __call__(self, parent: Any) -> LazyFrame:
        edge = self.work.plan.edge_to(FeatureKey.of(parent))
        key = edge.parent.key
        if key not in self.kept:
            with self.store.open("r") as opened:
                found = opened.resolve_update(
                    self.work.feature,
                    lazy=True,
                    skip_comparison=self.work.options.force,
                    **asked(opened, self.work),
                )
                self.kept[key] = self.spool.keep(found.inputs(key))
        units = self.todo.select(*edge.on).unique(list(edge.on), keep="any")
        return self.kept[key].join(units, on=list(edge.on), how="semi")
