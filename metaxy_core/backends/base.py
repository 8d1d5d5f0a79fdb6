"""The contract of a backend: everything a store asks of a system that keeps tables.

A backend knows nothing of features. Tables are named rows of append-only records; every append
belongs to a commit, and a commit is atomic.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeVar

import narwhals as nw

from metaxy_core.columns import COMMIT
from metaxy_core.frames.dialect import DataFrame, Dialect, LazyFrame

Mode = Literal["r", "w"]
Capability = Literal[
    "native engine",
    "atomic commits",
    "several writers",
    "reading beside a writer",
    "lists",
    "structs",
    "decimals",
    "unsigned integers",
    "NUL in texts",
]
"""What users ask of a store before they choose one; see `Backend.gaps`."""


@dataclass(frozen=True)
class Gap:
    """Something a backend does not do; see `notyet` and `never`."""

    kind: Literal["not yet", "never"]
    reason: str


def notyet(reason: str) -> Gap:
    """What nobody has built so far."""
    return Gap("not yet", reason)


def never(reason: str) -> Gap:
    """What the system itself has no way to do."""
    return Gap("never", reason)


@dataclass(frozen=True)
class Reach:
    """How far a table goes.

    Attributes:
        rows: how many rows it has.
        beyond: how many of them have a higher commit number than the one asked for.
        last: the highest of these numbers; the one asked for, where no row has a higher one.
    """

    rows: int
    beyond: int
    last: int


T = TypeVar("T")


class Backend(Protocol):
    """A system that keeps tables.

    An unopened backend is a cheap description that pickles; frames it gives are valid while it is
    open. Opening is not re-entrant: the store counts.
    """

    @property
    def dialect(self) -> Dialect:
        """The frame functions of this system's engine."""
        ...

    @property
    def gaps(self) -> Mapping[Capability, Gap]:
        """What this system does not do, and why; the docs' table of stores is made from it."""
        ...

    @property
    def failures(self) -> tuple[type[Exception], ...]:
        """The exceptions by which the system says that it failed, whatever was asked."""
        ...

    @property
    def unstorable(self) -> tuple[type[nw.dtypes.DType], ...]:
        """Types of columns, and of what is in them, that the system cannot keep as they are."""
        ...

    def refusal(self, rows: DataFrame) -> str | None:
        """Why the system cannot keep rows of storable types as they are, naming the column; None
        where it can. Asked before anything is stored or compared."""
        ...

    @property
    def one_thread(self) -> bool:
        """Whether an open backend may be used by the thread that opened it alone."""
        ...

    def open(self, mode: Mode) -> AbstractContextManager[None]:
        """Connect, for reading or for writing.

        Raises:
            StoreUnavailableError: missing, locked beyond the bounded wait, corrupt, read-only.
        """
        ...

    def tables(self) -> Sequence[str]:
        """The names of all tables, sorted."""
        ...

    def scan(self, table: str) -> LazyFrame | None:
        """The rows of a table, lazily; None where there is no such table."""
        ...

    def rows(self, table: str) -> int:
        """How many rows a table has; 0 where there is no such table."""
        ...

    def reach(self, table: str, commit: int) -> Reach | None:
        """How far a table goes beyond a commit; None where there is no such table, or it has no
        commits."""
        ...

    def last_rounds(self, ids: Mapping[str, Sequence[str]]) -> Mapping[str, int]:
        """Per table that keeps many rows of each sample: a commit after which about every sample
        was written once more. No more than a guess; a table of which nothing is known has none.

        `ids` are the id columns of each table.
        """
        ...

    def commit(self, work: Callable[[Sequence[int]], T], numbers: int = 1) -> T:
        """Do `work` in one atomic commit: what it appends becomes visible all or nothing.

        `work` is given as many commit numbers as asked for, ascending and greater than those of
        every commit seen before. A system whose writers may come between each other does it
        again, from the start and with other numbers, when they did.
        """
        ...

    def append(self, table: str, rows: LazyFrame, key: Sequence[str] = ()) -> int:
        """Insert rows by column name; creates the table, adds missing columns. Rows inserted.

        Called inside `commit`. Columns the frame does not have become NULL. `key` are the columns
        that rows are looked for by, in order, for systems that sort or index a table they create;
        they may hold NULL, and need not be unique.
        """
        ...

    def delete(self, table: str, ids: LazyFrame) -> int:
        """Remove the rows that agree with a row of `ids` on all its columns, which hold no NULL.

        Called inside `commit`. Rows removed.
        """
        ...

    def drop(self, table: str) -> None:
        """Remove a table; nothing happens where there is none."""
        ...

    def load(self, frame: LazyFrame) -> LazyFrame:
        """Bring a frame of another engine into this one; valid while the backend is open."""
        ...

    def hold(
        self,
        build: Callable[..., LazyFrame],
        key: Hashable | None = None,
        uses: Sequence[LazyFrame] = (),
        numbers: Sequence[int] = (),
    ) -> LazyFrame:
        """Compute a frame once and keep the result while the backend is open; see `Hold`."""
        ...

    def take(
        self,
        build: Callable[..., LazyFrame],
        key: Hashable | None = None,
        uses: Sequence[LazyFrame] = (),
        numbers: Sequence[int] = (),
    ) -> DataFrame:
        """Compute a frame into memory, over Polars; see `Take`."""
        ...

    def release(self, frame: LazyFrame) -> None:
        """Let go of a held frame; it is not used any more."""
        ...

    def shape(self) -> Hashable:
        """What changes when any table is created, altered or dropped; for the keys of `hold`."""
        ...

    def describe(self) -> Mapping[str, str]:
        """Where the tables live: `type` and `uri`, never a secret."""
        ...


def reach_of(rows: LazyFrame | None, commit: int) -> Reach | None:
    """`Backend.reach` for systems whose rows are scanned by Polars."""
    if rows is None or COMMIT not in rows.collect_schema():
        return None
    number = nw.col(COMMIT)
    found = rows.select(
        nw.len().alias("rows"),
        (number > commit).sum().alias("beyond"),
        nw.max_horizontal(number.max(), nw.lit(commit)).alias("last"),
    ).collect("polars")
    return Reach(*(int(value) for value in found.row(0)))


def rows_of(rows: LazyFrame | None) -> int:
    """`Backend.rows` for systems whose rows are scanned by Polars."""
    return 0 if rows is None else int(rows.select(nw.len()).collect("polars").item())


def to_polars(frame: Any) -> LazyFrame:
    """Any frame that Narwhals wraps, as a Narwhals lazy frame over Polars."""
    wrapped = nw.from_native(frame, pass_through=True)
    if not isinstance(wrapped, nw.DataFrame | nw.LazyFrame):
        raise TypeError(
            f"A frame is expected (Polars, pandas, PyArrow, Ibis, DuckDB ...); given: {type(frame)}"
        )
    if wrapped.implementation.is_polars():
        return wrapped.lazy()
    return wrapped.lazy().collect("polars").lazy()
