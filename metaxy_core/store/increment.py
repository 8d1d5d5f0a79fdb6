"""What a feature has to do: the difference between expected and stored, as frames."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

import narwhals as nw

from metaxy_core.aliases import IncrementSpellings
from metaxy_core.columns import STATUS
from metaxy_core.errors import FilterError, StoreError
from metaxy_core.frames.dialect import DataFrame, LazyFrame
from metaxy_core.frames.engine import Engine, Query
from metaxy_core.store.pending import SINCE
from metaxy_core.store.presenting import Presented
from metaxy_core.system.marks import Mark
from metaxy_core.versioning import SLOT, Buckets, with_slots
from metaxy_core.versioning.buckets import MOST
from metaxy_core.versioning.increment import FAILED, NEW, ORPHANED, STALE_STATUS, WAITING_STATUS

_PAGE = 250_000
"""Units fetched at once."""


class LazyIncrement(IncrementSpellings):
    """New, stale and orphaned samples, lazily; valid while the store is open.

    Attributes:
        labels: one row per unit that has a status: the unit, `metaxy_status`,
            `metaxy_stale_fields`, the expected provenance of each field and working columns of
            the comparison.
    """

    def __init__(
        self,
        labels: LazyFrame,
        todo: Query,
        orphaned: Query,
        inputs: Callable[[Any], LazyFrame],
        presented: Presented,
        engine: Engine,
        settle: Callable[[], Mark | None] = lambda: None,
        held: Sequence[LazyFrame] = (),
        oldest: Callable[[], LazyFrame] | None = None,
    ) -> None:
        self.labels, self._presented, self._engine = labels, presented, engine
        self._settle, self._oldest, self._held = settle, oldest, [labels, *held]
        self._to_do, self._gone, self._inputs = todo, orphaned, inputs
        self._is_released = False

    def __repr__(self) -> str:
        return f"<LazyIncrement of {self._presented.plan.key}>"

    @property
    def new(self) -> LazyFrame:
        """One row per new unit.

        Columns: the unit's id columns, the parents' columns, the provenance to be written
        (`metaxy_provenance_by_field`) and `metaxy_stale_fields`: the fields that differ, all of
        them for a new unit, NULL where only a staleness predicate holds. An optional parent that
        no store has gives no columns. Write the rows back with your own columns added.
        """
        return self._todo.filter(nw.col(STATUS) == NEW).drop(STATUS)

    @property
    def stale(self) -> LazyFrame:
        """One row per stale unit; columns as `new`."""
        return self._todo.filter(nw.col(STATUS) == STALE_STATUS).drop(STATUS)

    @cached_property
    def orphaned(self) -> LazyFrame:
        """Stored rows whose unit is not expected any more, as `read` gives them."""
        return self._presented.orphaned(self._engine.dialect.presentable(self._kept(self._gone)))

    @cached_property
    def _todo(self) -> LazyFrame:
        return self._presented.todo(self._engine.dialect.presentable(self._flat))

    @cached_property
    def _flat(self) -> LazyFrame:
        return self._kept(self._to_do)

    def _kept(self, query: Query) -> LazyFrame:
        self._check_held()
        held = query.hold()
        self._held.append(held)
        return held

    @cached_property
    def counts(self) -> Mapping[str, int]:
        """Units per status: new, stale, orphaned, waiting; counted once."""
        names = (NEW, STALE_STATUS, ORPHANED, WAITING_STATUS)
        return {name: self._labelled.get(name, 0) for name in names}

    @cached_property
    def _labelled(self) -> Mapping[str, int]:
        self._check_held()

        def counted() -> LazyFrame:
            return self.labels.group_by(STATUS).agg(nw.len().alias("n"))

        found = Query(self._engine, counted, "counts", [self.labels]).take()
        return dict(zip(found[STATUS].to_list(), found["n"].to_list(), strict=True))

    @cached_property
    def mark(self) -> Mark | None:
        """What `MetadataStore.settle` remembers, so that the next comparison costs what changed.

        None where there is nothing worth it.
        """
        return self._settle()

    @property
    def failed(self) -> int:
        """Units that failed and are not offered now; see `MetadataStore.record_failures`."""
        return self._labelled.get(FAILED, 0)

    @property
    def waiting(self) -> int:
        """Units that wait for a parent that has not run since a field was added to it."""
        return self.counts[WAITING_STATUS]

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do: no new and no stale unit."""
        return self.counts[NEW] + self.counts[STALE_STATUS] == 0

    @cached_property
    def pending_since(self) -> datetime | None:
        """Since when the new or stale unit that is pending for longest is known to be, UTC.

        That is when the newest of the parents' rows that a unit is to be made from was written; it
        may have been pending before that one. Left out are units whose own rows are newer than
        those, because code changed or their rows were deleted: no row tells since when. None where
        nothing is known, and for increments of samples. One query over the rows of these units.
        """
        if self._oldest is None or self.is_empty:
            return None
        self._check_held()
        found: datetime | None = self._oldest().collect("polars")[SINCE][0]
        return found

    def todo(self) -> LazyFrame:
        """New and stale units in one frame."""
        return self._todo.drop(STATUS)

    def count_by(self, *columns: str) -> DataFrame:
        """Count new and stale units by the values of columns, in one query.

        Columns out, over Polars: `columns`, `metaxy_status` and `n`. A unit that has several
        values, such as a group whose members differ, counts for each of them; times are those of
        their minute.

        Args:
            columns: of the parents' rows or the ids; or `SLOT`, which says in which bucket a unit
                is, see `Buckets.number_of`.

        Raises:
            FilterError: no parent has such a column.
        """
        plan = self._presented.plan
        unit, rows = list(plan.unit), self._flat
        lacking = {*columns} - {SLOT, *rows.collect_schema().names()}
        for edge in plan.edges:
            members = self._inputs(edge.parent.key) if lacking else rows
            found = [name for name in members.collect_schema().names() if name in lacking]
            if found:
                members = members.select(*edge.on, *found).unique([*edge.on, *found], keep="any")
                rows = rows.join(members, on=list(edge.on), how="left")
                lacking -= {*found}
        if lacking:
            raise FilterError(
                f"Feature '{plan.key}': no parent has the column {', '.join(sorted(lacking))}, by "
                "which its units are to be counted."
            )
        if SLOT in columns:
            rows = with_slots(rows, unit, self._engine.dialect)
        schema = rows.collect_schema()
        minutes = [nw.col(c).dt.truncate("1m") for c in columns if schema[c] == nw.Datetime]
        kept = list(dict.fromkeys((*unit, STATUS, *columns)))
        rows = rows.with_columns(*minutes) if minutes else rows
        rows = rows.select(*kept).unique(kept, keep="any")
        return rows.group_by(*columns, STATUS).agg(nw.len().alias("n")).collect("polars")

    def iter_batches(self, size: int) -> Iterator[DataFrame]:
        """The units to do, `size` at a time; columns as `new`, over Polars.

        No more than some 250,000 units or `size` are in memory at once. The store must stay open,
        and may be written to in between.

        Raises:
            ValueError: `size` is less than 1.
        """
        _check_size(size)
        todo, unit, left = self._flat, list(self._presented.plan.unit), None
        pages = min(-(-(self.counts[NEW] + self.counts[STALE_STATUS]) // max(size, _PAGE)), MOST)
        for page in range(pages):
            # Pages by hash: no query stays open while the caller works.
            part = Buckets(pages, (page,)).within(todo, unit, self._engine.dialect)
            found = self._presented.todo((todo if pages == 1 else part).collect("polars").lazy())
            rows = found.drop(STATUS).collect()
            rows = rows if left is None else nw.concat([left, rows])
            whole = len(rows) // size * size
            for start in range(0, whole, size):
                yield rows[start : start + size]
            left = rows[whole:]
        if left is not None and len(left):
            yield left

    def inputs(self, parent: Any) -> LazyFrame:
        """The rows of a parent that belong to the units to do, renamed, filtered and selected.

        For an aggregation these are the members of each group.
        """
        self._check_held()
        return self._inputs(parent)

    def release(self) -> None:
        """Let go of what is held in the engine; counts and the mark, if asked for, stay.

        What else is asked for then is a `StoreError`.
        """
        for frame in self._held:
            self._engine.release(frame)
        self._is_released = True
        for name in ("_flat", "_todo", "orphaned"):
            self.__dict__.pop(name, None)

    def _check_held(self) -> None:
        if self._is_released:
            raise StoreError(f"The increment of '{self._presented.plan.key}' was released.")

    def collect(self) -> Increment:
        """The same as frames in memory, over Polars."""
        self._check_held()
        todo, orphaned = self._to_do.take().lazy(), self._gone.take().lazy()
        done = self._presented.todo(todo).collect()
        return Increment(
            done.filter(nw.col(STATUS) == NEW).drop(STATUS),
            done.filter(nw.col(STATUS) == STALE_STATUS).drop(STATUS),
            self._presented.orphaned(orphaned).collect(),
            self.counts,
            self.failed,
            self._inputs,
            self.mark,
        )


@dataclass(frozen=True)
class Increment(IncrementSpellings):
    """New, stale and orphaned samples as Narwhals frames over Polars; columns as `LazyIncrement`.

    Attributes:
        counts: units per status: new, stale, orphaned, waiting.
        failed: units that failed and are not offered now.
        mark: see `LazyIncrement.mark`.
    """

    new: DataFrame
    stale: DataFrame
    orphaned: DataFrame
    counts: Mapping[str, int]
    failed: int
    _inputs: Callable[[Any], LazyFrame]
    mark: Mark | None = None

    def __repr__(self) -> str:
        told = ", ".join(f"{count} {status}" for status, count in self.counts.items())
        return f"<Increment: {told}>"

    @property
    def waiting(self) -> int:
        """Units that wait for a parent that has not run since a field was added to it."""
        return self.counts[WAITING_STATUS]

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do: no new and no stale unit."""
        return len(self.new) + len(self.stale) == 0

    def todo(self) -> DataFrame:
        """New and stale units in one frame."""
        return nw.concat([self.new, self.stale])

    def iter_batches(self, size: int) -> Iterator[DataFrame]:
        """The units to do, `size` at a time.

        Raises:
            ValueError: `size` is less than 1.
        """
        _check_size(size)
        todo = self.todo()
        for start in range(0, len(todo), size):
            yield todo[start : start + size]

    def inputs(self, parent: Any) -> LazyFrame:
        """See `LazyIncrement.inputs`; the store must still be open."""
        return self._inputs(parent)


def _check_size(size: int) -> None:
    if size < 1:
        raise ValueError(f"A batch has 1 unit or more; given: size={size}.")
