"""A root whose function lists the samples: what is new or changed is stored, frame by frame."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field, replace
from logging import Logger
from typing import Any

import narwhals as nw
import polars as pl

from metaxy_core import PROVENANCE_BY_FIELD, STALE_FIELDS, MetadataSchemaError
from metaxy_dagster.buckets import BUCKET
from metaxy_dagster.frames import in_polars
from metaxy_dagster.partitions import part_buckets, part_filters, shown
from metaxy_dagster.receipt import Outcome, WriteReceipt
from metaxy_dagster.reports.preview import counted, said_counts
from metaxy_dagster.resource import MetaxyStore
from metaxy_dagster.steps.increment import Increment, Work, resolve
from metaxy_dagster.steps.orphans import OrphanPolicy, handle, policy_name
from metaxy_dagster.steps.pace import Pace
from metaxy_dagster.steps.spool import Spool, SpoolLog


@dataclass
class SampleFeed:
    """Compares listed samples with what is stored and stores the difference.

    A frame is durable before the next is asked for. What no frame listed is orphaned, where the
    frames are the whole world (`Work.complete`).
    """

    store: MetaxyStore
    work: Work
    log: Logger
    rows: int = 0
    _found: Counter[str] = field(default_factory=Counter)
    _done: Counter[str] = field(default_factory=Counter)
    _spool: Spool = field(default_factory=Spool)
    _pace: Pace = field(init=False)
    _listed: int = 0
    _seen: SpoolLog = field(init=False)

    def __post_init__(self) -> None:
        self._seen = self._spool.log()
        self._pace = Pace(self.log, self.work.feature)

    def write(self, frame: Any) -> int:
        """Store the samples of one frame that are new or changed. Returns how many rows.

        Raises:
            MetadataSchemaError: the samples do not fit the feature, or the part.
        """
        samples = in_polars(frame)
        check_part(self.work, samples)
        with closing(resolve(self.store, self._work(samples, complete=False))) as increment:
            self._seen.add(samples.select(self._compared(samples)))
            self._found.update({name: increment.counts[name] for name in ("new", "stale")})
            stored = self._store(increment) if not self.work.options.dry_run else 0
        self._listed += samples.height
        if self._pace.is_due():
            found = said_counts({name: self._found[name] for name in ("new", "stale")})
            self.log.info(
                "%s: %s listed so far: %s",
                self.work.feature,
                counted(self._listed, "sample"),
                found or "none is new or stale",
            )
        return stored

    def finish(self, policy: OrphanPolicy) -> WriteReceipt:
        """Deal with orphans and say what was done."""
        orphaned, handled = 0, 0
        seen = self._seen.read()
        if self.work.complete and seen is not None:
            ids = list(self.work.plan.spec.id_columns)
            world = seen.unique(ids, keep="last").collect()
            work = self._work(world, complete=True)
            with closing(resolve(self.store, work)) as rest:
                orphaned = rest.counts["orphaned"]
                if not self.work.options.dry_run:
                    described = self.store.describe(graph=self.work.graph, run_id=self.work.run_id)
                    handled = handle(described, work, rest.orphaned, policy)
        outcomes = {
            name: Outcome(
                max(found, self._done[name]), self._done[name], max(found - self._done[name], 0)
            )
            for name in ("new", "stale")
            for found in [self._found[name]]
        }
        outcomes["orphaned"] = Outcome(orphaned, handled, orphaned - handled)
        return WriteReceipt(
            self.work.feature,
            self.work.graph,
            outcomes,
            self.rows,
            self._pace.seconds,
            orphans=policy_name(policy),
            part=self.work.part,
            run_id=self.work.run_id,
            upstream_keys=self.work.upstream_keys,
        )

    def close(self) -> None:
        """Remove the local files."""
        self._spool.close()

    def _work(self, samples: pl.DataFrame, *, complete: bool) -> Work:
        options = self.work.options
        if options.limit is not None:
            left = max(options.limit - self._done.total(), 0)
            options = options.model_copy(update={"limit": left})
        return replace(self.work, samples=samples, complete=complete, options=options)

    def _store(self, increment: Increment) -> int:
        if increment.is_empty:
            return 0
        with self.store.open("w", self.work.run_id, graph=self.work.graph) as opened:
            stored = opened.write(self.work.feature, increment.todo())
        for name, frame in (("new", increment.new), ("stale", increment.stale)):
            self._done[name] += frame.select(STALE_FIELDS).collect().shape[0]
        self.rows += stored
        return stored

    def _compared(self, samples: pl.DataFrame) -> list[str]:
        """The columns that a comparison needs, so that what was seen is kept slim."""
        spec = self.work.plan.spec
        made_from = [column for columns in spec.provenance_from.values() for column in columns]
        wanted = {*spec.id_columns, *made_from, *self.work.part, PROVENANCE_BY_FIELD}
        if self.work.options.where:
            return samples.columns
        return [column for column in samples.columns if column in wanted]


def check_part(work: Work, samples: pl.DataFrame, *, listed: bool = False) -> None:
    """Refuse samples that belong to another part.

    Args:
        listed: they are only compared with, so that those of other buckets are passed over.

    Raises:
        MetadataSchemaError: names the column and the values found.
    """
    said = shown(work.part)
    for column, value in work.part.items():
        if column == BUCKET:
            if not listed:
                _check_buckets(work, samples)
            continue
        if column not in samples.columns:
            raise MetadataSchemaError(
                str(work.feature),
                f"its part is {column} = {said[column]!r}, but the rows have no {column}.",
            )
        frame = nw.from_native(samples)
        (inside,) = part_filters({column: value}, frame.schema)
        others = frame.filter(~nw.coalesce(inside, nw.lit(False)))
        if len(others):
            raise MetadataSchemaError(
                str(work.feature),
                f"{len(others)} of the {samples.height} rows given are not of its part "
                f"{column} = {said[column]!r}, such as {column} = {others[column][0]!r}.",
            )


def _check_buckets(work: Work, samples: pl.DataFrame) -> None:
    buckets, ids = part_buckets(work.part), work.plan.unit
    if buckets is None or set(ids) - set(samples.columns):
        return  # missing ids are told where the rows are compared
    inside = len(buckets.keep(nw.from_native(samples), ids))
    if inside < samples.height:
        raise MetadataSchemaError(
            str(work.feature),
            f"{samples.height - inside} of the {samples.height} rows given are in other buckets "
            f"than {shown(work.part)[BUCKET]!r}. Keep those of its own: "
            "buckets.chosen(context.partition_keys).keep(frame, ids), where buckets is what "
            "hash_buckets() gave.",
        )
