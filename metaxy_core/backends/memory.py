"""Tables in this process's memory, computed by Polars: for tests and notebooks."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import narwhals as nw
import polars as pl

from metaxy_core.backends.base import (
    Capability,
    Gap,
    Mode,
    Reach,
    T,
    never,
    reach_of,
    rows_of,
    to_polars,
)
from metaxy_core.frames.dialect import DataFrame, LazyFrame
from metaxy_core.frames.engine import hold_in_memory, take_in_memory
from metaxy_core.frames.polars import PolarsDialect


class MemoryBackend:
    """See `Backend`. Tables live as long as this object; pickling it is refused by its lock."""

    dialect = PolarsDialect()
    one_thread = False
    gaps: Mapping[Capability, Gap] = {
        "several writers": never("the tables are in one process's memory"),
    }
    failures = (MemoryError,)
    unstorable = ()

    def __init__(self) -> None:
        self._tables: dict[str, pl.DataFrame] = {}
        self._commits = 0
        self._lock = threading.RLock()

    def refusal(self, rows: DataFrame) -> str | None:
        """See `Backend.refusal`."""
        return None

    @contextmanager
    def open(self, mode: Mode) -> Iterator[None]:
        """See `Backend.open`."""
        yield

    def tables(self) -> Sequence[str]:
        """See `Backend.tables`."""
        return sorted(self._tables)

    def scan(self, table: str) -> LazyFrame | None:
        """See `Backend.scan`."""
        found = self._tables.get(table)
        return None if found is None else nw.from_native(found.lazy())

    def rows(self, table: str) -> int:
        """See `Backend.rows`."""
        return rows_of(self.scan(table))

    def reach(self, table: str, commit: int) -> Reach | None:
        """See `Backend.reach`."""
        return reach_of(self.scan(table), commit)

    def last_rounds(self, ids: Mapping[str, Sequence[str]]) -> Mapping[str, int]:
        """See `Backend.last_rounds`: there are no statistics."""
        return {}

    def commit(self, work: Callable[[Sequence[int]], T], numbers: int = 1) -> T:
        """See `Backend.commit`."""
        with self._lock:
            before = dict(self._tables)
            first = self._commits + 1
            self._commits += numbers
            try:
                return work(range(first, first + numbers))
            except BaseException:
                self._tables = before
                raise

    def append(self, table: str, rows: LazyFrame, key: Sequence[str] = ()) -> int:
        """See `Backend.append`."""
        new = _collected(rows)
        old = self._tables.get(table)
        parts = [new] if old is None else [old, new]
        self._tables[table] = pl.concat(parts, how="diagonal_relaxed")
        return new.height

    def delete(self, table: str, ids: LazyFrame) -> int:
        """See `Backend.delete`."""
        gone = _collected(ids)
        old = self._tables[table]
        self._tables[table] = old.join(gone, on=gone.columns, how="anti", nulls_equal=True)
        return old.height - self._tables[table].height

    def drop(self, table: str) -> None:
        """See `Backend.drop`."""
        self._tables.pop(table, None)

    def load(self, frame: LazyFrame) -> LazyFrame:
        """See `Backend.load`."""
        return to_polars(frame)

    hold = staticmethod(hold_in_memory)
    take = staticmethod(take_in_memory)

    def release(self, frame: LazyFrame) -> None:
        """See `Backend.release`; memory is freed with the frame."""

    def shape(self) -> Hashable:
        """See `Backend.shape`."""
        return tuple((name, tuple(table.columns)) for name, table in sorted(self._tables.items()))

    def describe(self) -> Mapping[str, str]:
        """See `Backend.describe`."""
        return {"type": "memory", "uri": "memory://"}


def _collected(frame: LazyFrame) -> pl.DataFrame:
    collected: pl.DataFrame = to_polars(frame).collect().to_native()
    return collected
