"""What backends over an Ibis connection share; each of them adds what its system does otherwise.

All SQL that is not made by Ibis is written here and in the files of the systems, with names
quoted by `SqlBackend.quoted`; values are parameters or come out of frames.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import ibis
import ibis.expr.operations as ops
import polars as pl
import pyarrow as pa
import sqlglot as sg

from metaxy_core.backends.base import Capability, Gap, Mode, Reach, to_polars
from metaxy_core.columns import COMMIT
from metaxy_core.errors import EngineUnavailableError, StoreNotOpenError
from metaxy_core.frames.dialect import DataFrame, LazyFrame, lazy
from metaxy_core.frames.ibis import IbisDialect

T = TypeVar("T")
_MOST_TEXTS = 256
HELD = "metaxy_held_"
_PLACE = 8_400_000_000_000_000_000
"""Numbers from here on stand for those that a compiled text is used with."""


@dataclass(frozen=True)
class Compiled:
    """A query, the columns it gives, and the held tables that it was compiled with."""

    text: str
    schema: ibis.Schema
    uses: tuple[str, ...]


class SqlBackend:
    """A system that an Ibis connection speaks to; see `Backend`.

    A subclass gives `dialect`, `connected`, `transaction`, `numbers` and `insert`, and replaces
    what its system has a better way for.
    """

    one_thread = True
    gaps: Mapping[Capability, Gap] = {}
    failures: tuple[type[Exception], ...] = (OSError,)
    unstorable: tuple[type[Any], ...] = ()
    dialect: IbisDialect

    def __init__(self) -> None:
        self._ibis: Any = None
        self._holding = 0
        self._held: set[str] = set()
        self._texts: dict[Hashable, Compiled] = {}

    # -- what a system says ----------------------------------------------------------------------

    def connected(self, mode: Mode) -> AbstractContextManager[Any]:
        """Connect; yields the Ibis connection.

        Raises:
            StoreUnavailableError: see `Backend.open`.
        """
        raise NotImplementedError

    def prepare(self) -> None:
        """Make what commits need; called once when opened for writing."""

    def transaction(self) -> AbstractContextManager[None]:
        """All or nothing: what is run inside."""
        raise NotImplementedError

    def numbers(self, count: int) -> Sequence[int]:
        """Fresh commit numbers, ascending and greater than all earlier ones; in a transaction."""
        raise NotImplementedError

    def insert(self, table: str, rows: pa.Table) -> None:
        """Insert rows by column name; the table has all their columns."""
        raise NotImplementedError

    def describe(self) -> Mapping[str, str]:
        """See `Backend.describe`."""
        raise NotImplementedError

    def refusal(self, rows: DataFrame) -> str | None:
        """See `Backend.refusal`."""
        return None

    # -- the contract ----------------------------------------------------------------------------

    @contextmanager
    def open(self, mode: Mode) -> Iterator[None]:
        """See `Backend.open`."""
        with self.connected(mode) as connection:
            self._ibis = connection
            try:
                if mode == "w":
                    self.prepare()
                yield
            finally:
                self.forget()
                self._ibis = None

    def tables(self) -> Sequence[str]:
        """See `Backend.tables`."""
        return sorted(name for name in self.connection.list_tables() if HELD not in name)

    def scan(self, table: str) -> LazyFrame | None:
        """See `Backend.scan`."""
        schema = self.columns(table)
        return None if schema is None else lazy(self.named(table, schema))

    def rows(self, table: str) -> int:
        """See `Backend.rows`."""
        if table not in self.tables():
            return 0
        ((rows,),) = self.fetch(f"SELECT count(*) FROM {self.quoted(table)}")  # noqa: S608  # quoted
        return int(rows)

    def reach(self, table: str, commit: int) -> Reach | None:
        """See `Backend.reach`: one query, too small to be compiled by Ibis."""
        if COMMIT not in (self.columns(table) or ()):
            return None
        ((rows, beyond, last),) = self.fetch(self.reaching(self.quoted(table), int(commit)))
        return Reach(int(rows), int(beyond), int(last or commit))

    def reaching(self, table: str, commit: int) -> str:
        """The query of `reach`: rows, those beyond, and the last commit among these or NULL.

        It must see one state of the table, which writers may be changing. `table` is quoted.
        """
        number = self.quoted(COMMIT)
        later = f"CASE WHEN {number} > {commit} THEN {number} END"
        return f"SELECT count(*), count({later}), max({later}) FROM {table}"  # noqa: S608  # quoted

    def last_rounds(self, ids: Mapping[str, Sequence[str]]) -> Mapping[str, int]:
        """See `Backend.last_rounds`: no statistics are asked."""
        return {}

    def commit(self, work: Callable[[Sequence[int]], T], numbers: int = 1) -> T:
        """See `Backend.commit`."""
        with self.transaction():
            return work(self.numbers(numbers))

    def append(self, table: str, rows: LazyFrame, key: Sequence[str] = ()) -> int:
        """See `Backend.append`; Arrow goes straight into the engine."""
        arrow = to_arrow(rows)
        schema, known = ibis.Schema.from_pyarrow(arrow.schema), self.columns(table)
        if known is None:
            self.create(table, schema, key)
        else:
            for name, dtype in schema.items():
                if name not in known:
                    self.add(table, name, dtype)
        self.insert(table, arrow)
        return int(arrow.num_rows)

    def create(
        self,
        table: str,
        schema: ibis.Schema,
        key: Sequence[str] = (),
        *,
        temporary: bool = False,
    ) -> None:
        """Create a table of an Ibis schema; `key` as in `Backend.append`."""
        self.connection.create_table(table, schema=schema, temp=temporary)

    def add(self, table: str, column: str, dtype: Any) -> None:
        """Add a column of an Ibis type to a table."""
        kind = self.connection.compiler.type_mapper.to_string(dtype)
        self.run(f"ALTER TABLE {self.quoted(table)} ADD COLUMN {self.quoted(column)} {kind}")

    def delete(self, table: str, ids: LazyFrame) -> int:
        """See `Backend.delete`."""
        wanted = self.load(ids)
        names = wanted.collect_schema().names()
        agree = " AND ".join(
            f"{self.quoted(table)}.{self.quoted(name)} = s.{self.quoted(name)}" for name in names
        )
        source, rows = self.quoted(name_of(wanted)), self.quoted(table)
        where = f"WHERE EXISTS (SELECT 1 FROM {source} s WHERE {agree})"  # noqa: S608  # quoted
        counted = self.fetch(f"SELECT count(*) FROM {rows} {where}")  # noqa: S608  # quoted
        self.run(f"DELETE FROM {rows} {where}")  # noqa: S608  # quoted
        self.release(wanted)
        return int(counted[0][0])

    def drop(self, table: str) -> None:
        """See `Backend.drop`."""
        self.run(f"DROP TABLE IF EXISTS {self.quoted(table)}")

    def load(self, frame: LazyFrame) -> LazyFrame:
        """See `Backend.load`: a temporary table."""
        if frame.implementation.is_ibis() and frame.to_native().get_backend() is self.connection:
            return frame
        arrow = self.taken(frame)
        name = self._new_name()
        schema = ibis.Schema.from_pyarrow(arrow.schema)
        self.create(name, schema, temporary=True)
        self._held.add(name)
        self.insert(name, arrow)
        return lazy(self.named(name, schema))

    def hold(
        self,
        build: Callable[..., LazyFrame],
        key: Hashable | None = None,
        uses: Sequence[LazyFrame] = (),
        numbers: Sequence[int] = (),
    ) -> LazyFrame:
        """See `Backend.hold`: a temporary table."""
        return self.keep(*self.compiled(build, key, uses, numbers))

    def take(
        self,
        build: Callable[..., LazyFrame],
        key: Hashable | None = None,
        uses: Sequence[LazyFrame] = (),
        numbers: Sequence[int] = (),
    ) -> DataFrame:
        """See `Backend.take`; by way of a temporary table, because Ibis compiles what it reads."""
        held = self.hold(build, key, uses, numbers)
        rows: DataFrame = held.collect("polars")
        self.release(held)
        return rows

    def release(self, frame: LazyFrame) -> None:
        """See `Backend.release`: drops the temporary table."""
        if frame.implementation.is_ibis() and name_of(frame) in self._held:
            self._drop_held(name_of(frame))

    def shape(self) -> Hashable:
        """See `Backend.shape`."""
        return tuple((name, self.columns(name)) for name in self.tables())

    # -- for subclasses --------------------------------------------------------------------------

    @property
    def connection(self) -> Any:
        """The open Ibis connection.

        Raises:
            StoreNotOpenError: the store is not open.
        """
        if self._ibis is None:
            raise StoreNotOpenError(f"The store at {self.describe()['uri']} is not open.")
        return self._ibis

    def quoted(self, name: str) -> str:
        """Quote an identifier: the one place where names become SQL."""
        return str(sg.to_identifier(name, quoted=True).sql(self.connection.dialect))

    def run(self, statement: str) -> None:
        """Run a statement that gives no rows."""
        with self.connection._safe_raw_sql(statement):
            pass

    def fetch(self, query: str) -> list[tuple[Any, ...]]:
        """Run a query and fetch all its rows."""
        with self.connection._safe_raw_sql(query) as cursor:
            return list(cursor.fetchall())

    def columns(self, table: str) -> ibis.Schema | None:
        """The columns of a table and their types; None where there is no such table."""
        return self.connection.table(table).schema() if table in self.tables() else None

    def named(self, table: str, schema: ibis.Schema) -> ibis.Table:
        """A table as an Ibis expression; the database is not asked."""
        node: Any = ops.DatabaseTable(
            name=table, schema=schema, source=self.connection, namespace=self.place(table)
        )
        return cast("ibis.Table", node.to_expr())

    def place(self, table: str) -> ops.Namespace:
        """Where a table is, for systems in which Ibis' names of subqueries could hide it."""
        return ops.Namespace()

    def compile(self, expression: ibis.Table) -> str:
        """The text of a query."""
        return str(self.connection.compile(expression))

    def keep(self, query: str, schema: ibis.Schema) -> LazyFrame:
        """Compute a query that gives these columns into a temporary table."""
        name = self._new_name()
        self.run(f"CREATE TEMPORARY TABLE {self.quoted(name)} AS {query}")
        self._held.add(name)
        return lazy(self.named(name, schema))

    def compiled(
        self,
        build: Callable[..., LazyFrame],
        key: Hashable | None,
        uses: Sequence[LazyFrame],
        numbers: Sequence[int] = (),
    ) -> tuple[str, ibis.Schema]:
        """The text of a frame and the columns it gives; compiled once per key."""
        places = [_PLACE + position for position in range(len(numbers))]
        names = [name_of(frame) for frame in uses]
        known = self._texts.get(key)
        if known is None:
            expression = build(*places).to_native()
            known = Compiled(self.compile(expression), expression.schema(), tuple(names))
            if key is not None:
                while len(self._texts) >= _MOST_TEXTS:
                    del self._texts[next(iter(self._texts))]
                self._texts[key] = known
        text = known.text
        for old, new in zip(known.uses, names, strict=True):
            text = text.replace(old, new)
        for place, number in zip(places, numbers, strict=True):
            text = text.replace(str(place), str(int(number)))
        return text, known.schema

    def forget(self) -> None:
        """Drop the temporary tables; for connections that go on without this opening."""
        for name in list(self._held):
            self._drop_held(name)

    def taken(self, frame: LazyFrame) -> pa.Table:
        """A frame from elsewhere as Arrow, if the system can keep what is in it.

        Raises:
            EngineUnavailableError: names the column.
        """
        uri = self.describe()["uri"]
        for name, dtype in frame.collect_schema().items():
            if isinstance(dtype, self.unstorable):
                raise EngineUnavailableError(uri, f"column {name!r} has the type {dtype}.")
        rows = to_polars(frame).collect()
        if (reason := self.refusal(rows)) is not None:
            raise EngineUnavailableError(uri, reason)
        return to_arrow(rows.lazy())

    def _new_name(self) -> str:
        self._holding += 1
        return f"{HELD}{self._holding:06}"

    def _drop_held(self, name: str) -> None:
        self._held.discard(name)
        self.run(f"DROP TABLE IF EXISTS {self.quoted(name)}")


def to_arrow(rows: LazyFrame) -> pa.Table:
    """A frame of any engine as an Arrow table, in one batch."""
    table: pa.Table = to_polars(rows).collect().to_native().rechunk().to_arrow()
    return table


def text_with_nul(rows: DataFrame, system: str) -> str | None:
    """Why a system without NUL in its texts cannot keep the rows."""
    frame: pl.DataFrame = rows.to_native()
    for column in frame:
        values = column.explode() if isinstance(column.dtype, pl.List) else column
        is_text = values.dtype in (pl.String, pl.Categorical, pl.Enum)
        if is_text and values.cast(pl.String).str.contains("\x00", literal=True).any():
            return f"column {column.name!r} has a text with NUL, which {system} cannot keep."
    return None


def unkept(rows: DataFrame) -> str | None:
    """Why a system of signed integers, microseconds and years of four digits cannot keep rows."""
    frame: pl.DataFrame = rows.to_native()
    for column in frame:
        values = column.explode() if isinstance(column.dtype, pl.List) else column
        if values.dtype == pl.UInt64 and (values >= 2**63).any():
            return f"column {column.name!r} has integers beyond those of 64 bits with a sign."
        if values.dtype == pl.Datetime("ns") and (values.dt.timestamp("ns") % 1000 != 0).any():
            return f"column {column.name!r} has nanoseconds; this store keeps microseconds."
        if isinstance(values.dtype, pl.Datetime) and values.dtype.time_zone:
            values = values.dt.convert_time_zone("UTC")  # as it is kept
        if values.dtype.is_temporal() and not values.dt.year().is_between(1, 9999).all():
            return f"column {column.name!r} has years outside 1 to 9999."
    return None


def name_of(frame: LazyFrame) -> str:
    """The name of a table that a frame is, nothing else."""
    return str(frame.to_native().op().name)
