"""One attempt at a feature's work: every chunk is durable before the next is computed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from logging import Logger
from typing import Any

import narwhals as nw
import polars as pl

from metaxy_core import (
    PROVENANCE_BY_FIELD,
    MetadataSchemaError,
    MetadataStore,
    RetryPolicy,
)
from metaxy_dagster.frames import in_polars, length
from metaxy_dagster.receipt import Outcome, WriteReceipt
from metaxy_dagster.reports.preview import counted
from metaxy_dagster.steps.chunks import with_provenance
from metaxy_dagster.steps.increment import Increment, Work
from metaxy_dagster.steps.orphans import OrphanPolicy, handle, policy_name
from metaxy_dagster.steps.pace import Pace
from metaxy_dagster.steps.samples import check_part
from metaxy_dagster.steps.spool import SpoolLog

_TYPES = {"str": pl.String, "int": pl.Int64, "bool": pl.Boolean}


@dataclass
class Attempt:
    """Stores what a function gives for an increment and accounts for it.

    Attributes:
        store: not open; it is opened for each chunk and closed again.
        strict: rows of units that the increment does not have are an error, not left out.
    """

    store: MetadataStore
    work: Work
    increment: Increment
    log: Logger
    strict: bool = True
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    rows: int = 0
    failures: list[tuple[dict[str, Any], BaseException | str]] = field(default_factory=list)
    childless: int = 0
    _pace: Pace = field(init=False)
    _written: SpoolLog = field(init=False)
    _schema: Mapping[str, Any] = field(default_factory=dict)
    _units: int = 0
    _failed: pl.DataFrame = field(default_factory=pl.DataFrame)

    def __post_init__(self) -> None:
        self._written = self.increment.spool.log()
        self._pace = Pace(self.log, self.work.feature)

    def write(self, frame: Any) -> int:
        """Store one chunk. Returns how many rows.

        Raises:
            MetadataSchemaError: the rows do not fit; nothing of the chunk was stored.
            NotStoredError: the store failed; the chunk is kept in a file, to be replayed.
        """
        plan = self.work.plan
        todo = self.increment.provenance().to_native()
        rows = with_provenance(plan, in_polars(frame), todo, strict=self.strict)
        if not rows.height:
            return 0
        mine = {name: v for name, v in self.work.part.items() if name in rows.columns}
        check_part(replace(self.work, part=mine), rows)
        stored = self.store.deliver(plan.key, rows)
        units = rows.select(plan.unit).unique()
        self._written.add(units)
        self._schema = rows.schema
        self.rows, self._units = self.rows + stored, self._units + units.height
        self._pace.tell(self.rows, self._units, self.increment.size)
        return stored

    def record_failures(self) -> None:
        """Record the units that the function reported as failed since the last time."""
        reported, self.increment.progress.failed = self.increment.progress.failed, []
        if not reported:
            return
        unit = list(self.work.plan.unit)
        # Told twice, the last one counts.
        errors = {tuple(ids[name] for name in unit): error for ids, error in reported}
        todo = self.increment.provenance().to_native().collect()
        failed = pl.DataFrame(list(errors), schema=todo.select(unit).schema, orient="row")
        rows = failed.join(todo, on=unit, how="inner", maintain_order="left")
        if rows.height < failed.height:
            foreign = failed.join(todo, on=unit, how="anti").row(0, named=True)
            raise MetadataSchemaError(
                str(self.work.feature),
                f"a failure was reported of {foreign}, which is not in the increment.",
            )
        with self.store.open("w") as opened:
            lost = opened.record_failures(
                self.work.feature, rows, list(errors.values()), policy=self.retry
            )
        self.failures += [(dict(zip(unit, ids, strict=True)), e) for ids, e in errors.items()]
        self._failed = pl.concat([self._failed, failed], how="diagonal")
        self.log.warning(
            "%s: %s failed, %s for the last time: %s",
            *(self.work.feature, counted(rows.height, "sample")),
            *(f"{lost:,} of them" if lost else "none", next(iter(errors.values()))),
        )

    def finish(self, policy: OrphanPolicy) -> WriteReceipt:
        """Settle childless parents, deal with orphans, and say what was done."""
        self.record_failures()
        unit = list(self.work.plan.unit)
        todo = self.increment.todo().to_native().select(unit)
        written = self._written.read()
        done = todo.head(0) if written is None else _cast(written, todo)
        if self.work.plan.is_expansion:
            done = pl.concat([done, self._settle(done)])
        orphans = handle(self.store, self.work, self.increment.orphaned, policy)
        seconds = self._pace.seconds
        self._pace.finish(self.rows, self._units)
        mark = self.increment.mark
        if self._units or mark is not None:
            with self.store.open("w") as opened:
                if self._units:
                    opened.record_run(self.work.feature, self._units, seconds)
                if mark is not None:
                    opened.settle(self.work.feature, mark)
        return WriteReceipt(
            self.work.feature,
            self.work.graph,
            self._outcomes(done, orphans),
            self.rows,
            seconds,
            self.childless,
            policy_name(policy),
            self.work.part,
            self.work.run_id,
            self.work.upstream_keys,
            self.failures,
            self.increment.cost,
        )

    def _settle(self, written: pl.LazyFrame) -> pl.LazyFrame:
        """Mark finished parents without any row, so that they are not offered again."""
        unit = list(self.work.plan.unit)
        finished = self.increment.finished().to_native().select(*unit, PROVENANCE_BY_FIELD)
        left = finished.join(written, on=unit, how="anti")
        if self._failed.height:
            failed = _cast(self._failed.lazy(), left.select(unit))
            left = left.join(failed, on=unit, how="anti")
        empty: pl.DataFrame = left.collect()
        if not empty.height:
            return empty.lazy().select(unit)
        with self.store.open("w") as opened:
            types = self._id_types(opened)
            if unknown := [column for column, kind in types.items() if kind is None]:
                self.log.warning(
                    "%s: %s without children, but no child was ever written, so the type "
                    "of %s is not known: they will be offered again. Declare it in the feature.",
                    *(self.work.feature, counted(empty.height, "parent"), ", ".join(unknown)),
                )
                return empty.lazy().select(unit).head(0)
            none = pl.DataFrame(schema=types).with_columns(empty[PROVENANCE_BY_FIELD].head(0))
            opened.write(self.work.feature, none, empty_parents=empty)
        self.childless = empty.height
        said = counted(empty.height, "parent")
        self.log.info("%s: %s without children", self.work.feature, said)
        return empty.lazy().select(unit)

    def _id_types(self, opened: MetadataStore) -> dict[str, Any]:
        """The types of the id columns: as written, as stored, as declared; None for unknown."""
        spec = self.work.plan.spec
        known: dict[str, Any] = {
            column: _TYPES.get(spec.columns.get(column, "")) for column in spec.id_columns
        }
        units = self.increment.todo().to_native().select(self.work.plan.unit)
        known |= dict(units.collect_schema())
        if opened.has_feature(self.work.feature):
            known |= opened.read(self.work.feature).head(0).collect("polars").to_native().schema
        known |= self._schema
        return {column: known[column] for column in spec.id_columns}

    def _outcomes(self, done: pl.LazyFrame, orphans: int) -> dict[str, Outcome]:
        counts, unit = self.increment.counts, list(self.work.plan.unit)
        outcomes = {}
        for status, frame in (("new", self.increment.new), ("stale", self.increment.stale)):
            asked = length(frame)
            both = frame.to_native().select(unit).join(done, on=unit, how="semi")
            processed = length(nw.from_native(both))
            found = max(counts[status], asked)
            outcomes[status] = Outcome(found, processed, found - asked, asked - processed)
        found = counts["orphaned"]
        outcomes["orphaned"] = Outcome(found, orphans, max(found - orphans, 0))
        return outcomes


def _cast(units: pl.LazyFrame, like: pl.LazyFrame) -> pl.LazyFrame:
    """Units with the id types of the increment: functions may give back narrower integers."""
    return units.select(pl.col(name).cast(kind) for name, kind in like.collect_schema().items())
