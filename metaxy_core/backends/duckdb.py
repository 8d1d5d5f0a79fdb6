"""DuckDB: the embedded default, one file or memory; the engine works inside the database.

One process may write a file at a time, and a reader keeps writers out: open late, close early.
Opening waits for the lock, bounded and with jitter. Extensions are never downloaded.
"""

from __future__ import annotations

import math
import re
import threading
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import duckdb
import ibis
import ibis.expr.datatypes as dt
import ibis.expr.operations as ops
import narwhals as nw
import polars as pl
import pyarrow as pa
import tenacity
from ibis.backends.sql.datatypes import DuckDBType
from ibis.formats.polars import PolarsData

from metaxy_core.addresses import harmless
from metaxy_core.backends.base import Capability, Gap, Mode, never
from metaxy_core.backends.files import MAKE_IT, make_folder
from metaxy_core.backends.sql import HELD, SqlBackend
from metaxy_core.backends.waiting import telling
from metaxy_core.columns import COMMIT
from metaxy_core.errors import StoreUnavailableError
from metaxy_core.frames.dialect import DataFrame, LazyFrame
from metaxy_core.frames.ibis import (
    IbisDialect,
    SqlFunctions,
    builtin,
    few_rows_by_position,
    join_sorted_text,
)
from metaxy_core.hashing import HashAlgorithm

MEMORY = ":memory:"
_MOTHERDUCK = ("md:", "motherduck:")
# Ibis keeps its options for the whole process.
_COMPILING = threading.Lock()
_SEQUENCE = "metaxy_commit_order"
OFFLINE = {"autoinstall_known_extensions": False, "autoload_known_extensions": False}
_CORRUPT = ("not a valid DuckDB", "Corrupt", "checksum", "Checksum", "Could not read enough bytes")
_PUSHED = 10_000
"""Up to so many positions of rows that are looked for are pushed into a scan."""
_ROW_GROUP = 122_880
"""Rows that DuckDB keeps together."""
_MANY, _DEEP = 300_000, 3
"""Rows of a table, and of each of its samples, from which on its last round is looked at first."""
_GROWN = 1.25
"""A table's samples are counted again when it has so many times the rows."""
_ERROR = 0.15
"""Of DuckDB's estimate of how many values there are."""
_DISTINCT = re.compile(r"Approx Unique: (\d+)")
"""In what DuckDB's function `stats` says of a column."""
FUNCTIONS = SqlFunctions(
    digests={name: builtin(name.value) for name in HashAlgorithm},
    join_sorted=join_sorted_text,
)


class DuckDBBackend(SqlBackend):
    """See `Backend`.

    Args:
        path: the file, or `":memory:"` for tables that live as long as this object.
        lock_timeout: seconds to wait for other processes to let go of the file.
        config: DuckDB settings, as `duckdb.connect` takes them.
    """

    dialect = IbisDialect("duckdb", replace(FUNCTIONS, few_rows=few_rows_by_position))
    failures = (OSError, duckdb.Error)
    gaps: Mapping[Capability, Gap] = {
        "several writers": never("a file is one process's at a time: others wait for it"),
        "reading beside a writer": never("a file is one process's at a time: others wait for it"),
    }

    def __init__(
        self,
        path: str | Path = MEMORY,
        *,
        lock_timeout: float = 60.0,
        config: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.path = str(path)
        self.lock_timeout = lock_timeout
        self.config = dict(config or {})
        self._memory: Any = None
        self._rounds: dict[str, tuple[int, int | None]] = {}

    def __getstate__(self) -> dict[str, Any]:
        if self._ibis is not None or self._memory is not None:
            raise TypeError("An open or in-memory DuckDB store cannot be pickled; close it first.")
        return self.__dict__ | {"_texts": {}}

    @contextmanager
    def connected(self, mode: Mode) -> Iterator[Any]:
        """See `SqlBackend.connected`; read mode opens the file read-only."""
        if self.path == MEMORY:
            if self._memory is None:
                connection = duckdb.connect(MEMORY, config=OFFLINE | self.config)
                self._memory = self._wrapped(connection)
            yield self._memory
        else:
            with self._connect(mode) as connection:
                yield self._wrapped(connection)

    def _wrapped(self, connection: duckdb.DuckDBPyConnection) -> Any:
        # Not in `config`, in which all connections of a process to a file have to agree.
        if "dynamic_or_filter_threshold" not in self.config:
            connection.execute(f"SET SESSION dynamic_or_filter_threshold = {_PUSHED}")
        return ibis.duckdb.from_connection(connection)

    def prepare(self) -> None:
        """See `SqlBackend.prepare`."""
        self.run(f"CREATE SEQUENCE IF NOT EXISTS {_SEQUENCE}")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """See `SqlBackend.transaction`."""
        connection = self._native
        connection.begin()
        try:
            yield
        except BaseException:
            connection.rollback()
            raise
        connection.commit()

    def numbers(self, count: int) -> Sequence[int]:
        """See `SqlBackend.numbers`: a sequence's next values."""
        taken = self._native.execute("SELECT nextval(?) FROM range(?)", [_SEQUENCE, count])
        return sorted(number for (number,) in taken.fetchall())

    def insert(self, table: str, rows: pa.Table) -> None:
        """See `SqlBackend.insert`; Arrow is read where it is."""
        with self._registered(rows) as source:
            self.run(f"INSERT INTO {self.quoted(table)} BY NAME FROM {source}")

    def reaching(self, table: str, commit: int) -> str:
        """See `SqlBackend.reaching`: DuckDB knows its rows, and skips blocks below a commit."""
        number = self.quoted(COMMIT)
        return (
            f"SELECT (SELECT count(*) FROM {table}), count(*), max({number}) "  # noqa: S608  # quoted
            f"FROM {table} WHERE {number} > {commit}"
        )

    def last_rounds(self, ids: Mapping[str, Sequence[str]]) -> Mapping[str, int]:
        """See `Backend.last_rounds`: samples are counted where statistics say that it pays, once
        while this object lives and the table has not grown much."""
        sizes = self.fetch(
            "SELECT table_name, estimated_size FROM duckdb_tables() "  # noqa: S608  # a number
            "WHERE database_name = current_database() AND schema_name = 'main' "
            f"AND estimated_size >= {_MANY}"
        )
        found = {}
        for table, rows in sizes:
            if table not in ids or not {COMMIT, *ids[table]} <= {*(self.columns(table) or ())}:
                continue
            if self._guessed(table, ids[table]) * _DEEP > rows:
                continue
            known, _ = self._rounds.get(table, (0, None))
            if not known <= rows <= known * _GROWN:
                self._rounds[table] = rows, self._last_round(table, ids[table])
            if (commit := self._rounds[table][1]) is not None:
                found[table] = commit
        return found

    def _guessed(self, table: str, columns: Sequence[str]) -> float:
        """How many values columns have together, by statistics that are at hand and too low where
        values are there many times; infinite where there are none."""
        asked = ", ".join(f"stats({self.quoted(name)})" for name in columns)
        told = self.fetch(f"SELECT {asked} FROM {self.quoted(table)} LIMIT 1")  # noqa: S608  # quoted
        counts = [_DISTINCT.search(text) for row in told for text in row]
        if not counts or None in counts:
            return math.inf
        return math.prod(int(count[1]) for count in counts if count)

    def _last_round(self, table: str, ids: Sequence[str]) -> int | None:
        """The commit after which about as many rows were written as there are samples, or up to
        half as many more; None where these are no small part of the table."""
        commit, source = self.quoted(COMMIT), self.quoted(table)
        sample = ", ".join(map(self.quoted, ids))
        ((samples,),) = self.fetch(
            f"SELECT approx_count_distinct(hash({sample})) FROM {source}"  # noqa: S608  # quoted
        )
        counts = self.fetch(
            f"SELECT {commit}, count(*) FROM {source} WHERE {commit} IS NOT NULL "  # noqa: S608  # quoted
            "GROUP BY ALL ORDER BY ALL DESC"
        )
        first, later = None, 0
        for number, rows in counts:
            if later >= samples * (1 - _ERROR) and later + rows > samples * 1.5:
                break
            first, later = number, later + rows
        is_small = later * _DEEP <= sum(rows for _, rows in counts)
        return int(first) - 1 if first is not None and is_small else None

    def load(self, frame: LazyFrame) -> LazyFrame:
        """See `Backend.load`: a temporary table."""
        if frame.implementation.is_ibis() and frame.to_native().get_backend() is self.connection:
            return frame
        arrow = self.taken(frame)
        with self._registered(arrow) as source:
            return self.keep(f"FROM {source}", ibis.Schema.from_pyarrow(arrow.schema))

    def tables(self) -> Sequence[str]:
        """See `Backend.tables`."""
        found = self.fetch(
            "SELECT table_name FROM duckdb_tables() "
            "WHERE schema_name = 'main' AND NOT temporary ORDER BY 1"
        )
        return [name for (name,) in found]

    def columns(self, table: str) -> ibis.Schema | None:
        """See `SqlBackend.columns`; every write asks several times, so types are read once."""
        if table not in self.tables():
            return None
        described = self.fetch(f"DESCRIBE {self.quoted(table)}")
        types = {name: _type(kind, null == "YES") for name, kind, null, *_ in described}
        return ibis.schema(types)

    def compile(self, expression: ibis.Table) -> str:
        """See `SqlBackend.compile`: Ibis does not merge nested selects, DuckDB does, and faster."""
        options = ibis.options.sql
        with _COMPILING:
            asked, options.fuse_selects = options.fuse_selects, False
            try:
                return super().compile(expression)
            finally:
                options.fuse_selects = asked

    def take(
        self,
        build: Callable[..., LazyFrame],
        key: Hashable | None = None,
        uses: Sequence[LazyFrame] = (),
        numbers: Sequence[int] = (),
    ) -> DataFrame:
        """See `Backend.take`; the text is run as it was compiled."""
        text, schema = self.compiled(build, key, uses, numbers)
        arrow = self._native.execute(text).to_arrow_table()
        rows: DataFrame = nw.from_native(PolarsData.convert_table(pl.DataFrame(arrow), schema))
        return rows

    def shape(self) -> Hashable:
        """See `Backend.shape`."""
        return tuple(
            self.fetch(
                "SELECT table_name, column_name, data_type FROM duckdb_columns() "
                "WHERE NOT internal AND database_name <> 'temp' ORDER BY ALL"
            )
        )

    def place(self, table: str) -> ops.Namespace:
        """See `SqlBackend.place`."""
        return ops.Namespace() if HELD in table else ops.Namespace(database="main")

    def describe(self) -> Mapping[str, str]:
        """See `Backend.describe`."""
        return {"type": "duckdb", "uri": f"duckdb://{harmless(self.path)}"}

    @property
    def _native(self) -> duckdb.DuckDBPyConnection:
        connection: duckdb.DuckDBPyConnection = self.connection.con
        return connection

    @contextmanager
    def _registered(self, rows: pa.Table) -> Iterator[str]:
        """Show rows to DuckDB under a name for the time of one statement.

        A batch is read by one thread. Batches as long as row groups are read by all, and stored as
        they come; others would have to be put together first.
        """
        name = "metaxy_incoming"
        batches = rows.to_batches(max_chunksize=_ROW_GROUP)
        self._native.register(name, pa.Table.from_batches(batches, rows.schema))
        try:
            yield name
        finally:
            self._native.unregister(name)

    @contextmanager
    def _connect(self, mode: Mode) -> Iterator[duckdb.DuckDBPyConnection]:
        is_file = not self.path.startswith(_MOTHERDUCK)
        if mode == "r" and is_file and not Path(self.path).exists():
            raise StoreUnavailableError(
                harmless(self.path), "missing", f"there is no such file. {MAKE_IT}"
            )
        if mode == "w" and is_file:
            make_folder(self.path)
        retry = tenacity.Retrying(
            stop=tenacity.stop_after_delay(self.lock_timeout),
            wait=tenacity.wait_random_exponential(multiplier=0.02, max=0.5),
            retry=tenacity.retry_if_exception(is_lock),
            before_sleep=telling(self.describe()["uri"]),
            reraise=True,
        )
        try:
            connection = retry(self._connect_once, mode == "r")
        except duckdb.Error as error:
            refused = _unavailable(self.path, error, self.lock_timeout)
            # The driver's own words repeat the path.
            raise refused from (error if refused.uri == self.path else None)
        try:
            yield connection
        finally:
            connection.close()

    def _connect_once(self, read_only: bool) -> duckdb.DuckDBPyConnection:
        config = OFFLINE | self.config
        try:
            return duckdb.connect(self.path, read_only=read_only, config=config)
        except duckdb.ConnectionException as error:
            if not (read_only and is_lock(error)):
                raise
            # This process has the file open for writing: share its instance.
            return duckdb.connect(self.path, config=config)


@lru_cache(maxsize=1024)
def _type(text: str, nullable: bool) -> dt.DataType:
    return DuckDBType.from_string(text, nullable=nullable)


def is_lock(error: BaseException) -> bool:
    """Whether another process, or this one in the other mode, has the file open."""
    if isinstance(error, duckdb.ConnectionException):
        return "different configuration" in str(error)
    return isinstance(error, duckdb.IOException) and "lock" in str(error).lower()


def _unavailable(path: str, error: duckdb.Error, waited: float) -> StoreUnavailableError:
    text, shown = str(error), harmless(path)
    told = text if shown == path else type(error).__name__
    first = told.partition("\n")[0]
    if is_lock(error):
        return StoreUnavailableError(
            shown,
            "locked",
            f"somebody else had it open for {waited:g} s. Close it, or raise lock_timeout. "
            f"({first})",
        )
    if any(sign in text for sign in _CORRUPT):
        return StoreUnavailableError(
            shown, "corrupt", f"the file is not a readable DuckDB database. ({first})"
        )
    if "read-only" in text.lower() or "permission" in text.lower():
        return StoreUnavailableError(
            shown, "read-only", f"the file cannot be written here. ({first})"
        )
    return StoreUnavailableError(shown, "unreachable", told)
