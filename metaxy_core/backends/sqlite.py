"""SQLite: one file or memory; the engine works inside the library that the file is read with.

One process writes at a time, others wait, bounded and with jitter; readers never wait and are
never waited for (write-ahead log). Digests are Python functions that SQLite calls.
"""

from __future__ import annotations

import os
import sqlite3
import weakref
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.operations as ops
import narwhals as nw
import pyarrow as pa
import tenacity

from metaxy_core.backends.base import Capability, Gap, Mode, never, notyet
from metaxy_core.backends.files import MAKE_IT, make_folder
from metaxy_core.backends.sql import HELD, SqlBackend, name_of, unkept
from metaxy_core.backends.sqlite_ibis import (
    DIALECT,
    IbisConnection,
    kind_of,
    register,
    type_of,
    written,
)
from metaxy_core.backends.waiting import telling
from metaxy_core.errors import StoreUnavailableError
from metaxy_core.frames.dialect import DataFrame, LazyFrame

MEMORY = ":memory:"
_COUNTER = "metaxy_commit_order"
_BUSY = ("database is locked", "database table is locked", "database schema is locked")


class SQLiteBackend(SqlBackend):
    """See `Backend`.

    Args:
        path: the file, or `":memory:"` for tables that live as long as this object.
        lock_timeout: seconds to wait for other writers to let go of the file.
    """

    dialect = DIALECT
    failures = (OSError, sqlite3.Error, StoreUnavailableError)
    gaps: Mapping[Capability, Gap] = {
        "several writers": never("one connection writes at a time: others wait for it"),
        "lists": notyet("they would be JSON, which does not give back the types of elements"),
        "structs": notyet("they would be JSON, which does not give back the types of members"),
        "decimals": never("its numbers are 64-bit integers and floats"),
        "unsigned integers": never("its largest integer is that of 64 bits with a sign"),
    }
    unstorable = (nw.List, nw.Struct, nw.Decimal, nw.UInt64)

    def __init__(self, path: str | Path = MEMORY, *, lock_timeout: float = 60.0) -> None:
        super().__init__()
        self.path = str(path)
        self.lock_timeout = lock_timeout
        self._memory: Any = None

    def __getstate__(self) -> dict[str, Any]:
        if self._ibis is not None or self._memory is not None:
            raise TypeError("An open or in-memory SQLite store cannot be pickled; close it first.")
        return self.__dict__ | {"_texts": {}}

    @contextmanager
    def connected(self, mode: Mode) -> Iterator[Any]:
        """See `SqlBackend.connected`; read mode opens the file read-only."""
        if self.path == MEMORY:
            if self._memory is None:
                connection = sqlite3.connect(MEMORY, **_OPTIONS)
                weakref.finalize(self, connection.close)
                self._memory = _ibis(connection)
            yield self._memory
            return
        if mode == "r" and not Path(self.path).exists():
            raise StoreUnavailableError(self.path, "missing", f"there is no such file. {MAKE_IT}")
        if mode == "w":
            make_folder(self.path)
        connection = self._waiting(self._connect, mode)
        try:
            yield _ibis(connection)
        finally:
            connection.close()

    def prepare(self) -> None:
        """See `SqlBackend.prepare`."""
        if self.columns(_COUNTER) is None:
            with self.transaction():
                self.run(f"CREATE TABLE IF NOT EXISTS {_COUNTER} (last BIGINT NOT NULL)")
                self.run(
                    f"INSERT INTO {_COUNTER} SELECT 0 "  # noqa: S608  # our own name
                    f"WHERE NOT EXISTS (SELECT 1 FROM {_COUNTER})"
                )

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """See `SqlBackend.transaction`; the file is this connection's to write from the start."""
        self._waiting(self._begin)
        try:
            yield
            self._waiting(self.run, "COMMIT")
        except BaseException as error:
            if self.connection.con.in_transaction:  # a full disk ends it by itself
                self.run("ROLLBACK")
            if isinstance(error, sqlite3.OperationalError) and "readonly" in str(error):
                raise _unavailable(self.path, error, self.lock_timeout) from error
            raise

    def numbers(self, count: int) -> Sequence[int]:
        """See `SqlBackend.numbers`: a counter that the commit raises."""
        self.run(f"UPDATE {_COUNTER} SET last = last + {count:d}")  # noqa: S608  # our own name
        [(last,)] = self.fetch(f"SELECT last FROM {_COUNTER}")  # noqa: S608
        return range(last - count + 1, last + 1)

    def create(
        self,
        table: str,
        schema: ibis.Schema,
        key: Sequence[str] = (),
        *,
        temporary: bool = False,
    ) -> None:
        """See `SqlBackend.create`."""
        columns = ", ".join(f"{self.quoted(name)} {kind_of(schema[name])}" for name in schema)
        what = "TEMPORARY TABLE" if temporary else "TABLE"
        self.run(f"CREATE {what} {self.quoted(table)} ({columns})")

    def add(self, table: str, column: str, dtype: Any) -> None:
        """See `SqlBackend.add`."""
        self.run(
            f"ALTER TABLE {self.quoted(table)} ADD COLUMN {self.quoted(column)} {kind_of(dtype)}"
        )

    def delete(self, table: str, ids: LazyFrame) -> int:
        """See `Backend.delete`; IN makes an index, where EXISTS would be asked for every row."""
        wanted = self.load(ids)
        names = ", ".join(map(self.quoted, wanted.collect_schema().names()))
        source = self.quoted(name_of(wanted))
        with self.connection._safe_raw_sql(
            f"DELETE FROM {self.quoted(table)} "  # noqa: S608  # quoted
            f"WHERE ({names}) IN (SELECT {names} FROM {source})"
        ) as cursor:
            deleted = int(cursor.rowcount)
        self.release(wanted)
        return deleted

    def insert(self, table: str, rows: pa.Table) -> None:
        """See `SqlBackend.insert`."""
        columns = ", ".join(map(self.quoted, rows.column_names))
        places = ", ".join("?" * rows.num_columns)
        into = f"INSERT INTO {self.quoted(table)} ({columns}) VALUES ({places})"  # noqa: S608
        for part in rows.to_batches(max_chunksize=50_000):
            values = map(written, pa.table(part).columns)
            self.connection.con.executemany(into, zip(*values, strict=True))

    def tables(self) -> Sequence[str]:
        """See `Backend.tables`."""
        found = self.fetch(
            "SELECT name FROM main.sqlite_master WHERE type = 'table' "
            "AND name NOT LIKE 'sqlite@_%' ESCAPE '@' ORDER BY name"
        )
        return [name for (name,) in found if name != _COUNTER]

    def columns(self, table: str) -> ibis.Schema | None:
        """See `SqlBackend.columns`."""
        found = self.connection.con.execute(
            "SELECT name, type FROM pragma_table_info(?, 'main')", (table,)
        )
        columns = {name: type_of(kind) for name, kind in found}
        return ibis.schema(columns) if columns else None

    def place(self, table: str) -> ops.Namespace:
        """See `SqlBackend.place`."""
        return ops.Namespace(database="temp" if table.startswith(HELD) else "main")

    def shape(self) -> Hashable:
        """See `Backend.shape`: the texts that made the tables."""
        return tuple(
            self.fetch("SELECT name, sql FROM main.sqlite_master WHERE type = 'table' ORDER BY 1")
        )

    def refusal(self, rows: DataFrame) -> str | None:
        """See `Backend.refusal`."""
        return unkept(rows)

    def describe(self) -> Mapping[str, str]:
        """See `Backend.describe`."""
        return {"type": "sqlite", "uri": f"sqlite://{self.path}"}

    def _connect(self, mode: Mode) -> sqlite3.Connection:
        path = Path(self.path).absolute()
        address = f"{path.as_uri()}?mode={'ro' if mode == 'r' else 'rwc'}"
        if mode == "r" and not os.access(path.parent, os.W_OK):
            # Readers of a log share memory through a file beside it, where one can be made.
            address += "" if Path(f"{path}-wal").exists() else "&immutable=1"
        connection: sqlite3.Connection = sqlite3.connect(address, uri=True, **_OPTIONS)
        try:
            connection.execute(f"PRAGMA busy_timeout = {self._moment}")
            if mode == "w":
                connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("SELECT count(*) FROM sqlite_master")
        except BaseException:
            connection.close()
            raise
        return connection

    def _begin(self) -> None:
        """Begin at once, or fail: SQLite's own waiting has no jitter."""
        self.run("PRAGMA busy_timeout = 0")
        try:
            self.run("BEGIN IMMEDIATE")
        finally:
            self.run(f"PRAGMA busy_timeout = {self._moment}")

    @property
    def _moment(self) -> int:
        """Milliseconds to wait for others who open, close or recover the file, not for writers."""
        return round(min(self.lock_timeout, 5.0) * 1000)

    def _waiting(self, attempt: Any, *given: Any) -> Any:
        """Try until nobody else is writing, for `lock_timeout` at most."""
        trying = tenacity.Retrying(
            stop=tenacity.stop_after_delay(self.lock_timeout),
            wait=tenacity.wait_random_exponential(multiplier=0.005, max=0.25),
            retry=tenacity.retry_if_exception(_is_busy),
            before_sleep=telling(self.describe()["uri"]),
            reraise=True,
        )
        try:
            return trying(attempt, *given)
        except sqlite3.DatabaseError as error:
            raise _unavailable(self.path, error, self.lock_timeout) from error


_OPTIONS: dict[str, Any] = {
    "isolation_level": None,  # transactions are ours to begin
    "check_same_thread": False,  # Polars collects where it likes, one frame at a time
}


def _ibis(connection: sqlite3.Connection) -> IbisConnection:
    register(connection)
    connection.execute("PRAGMA temp_store = MEMORY")
    made: IbisConnection = IbisConnection.from_connection(connection)
    return made


def _is_busy(error: BaseException) -> bool:
    return isinstance(error, sqlite3.OperationalError) and str(error).startswith(_BUSY)


def _unavailable(path: str, error: sqlite3.DatabaseError, waited: float) -> StoreUnavailableError:
    text = str(error)
    if _is_busy(error):
        return StoreUnavailableError(
            path,
            "locked",
            f"somebody else was writing for {waited:g} s. Wait for it, or raise lock_timeout. "
            f"({text})",
        )
    if "not a database" in text or "malformed" in text:
        return StoreUnavailableError(
            path, "corrupt", f"the file is not a readable SQLite database. ({text})"
        )
    if "readonly" in text:
        return StoreUnavailableError(
            path, "read-only", f"the file cannot be written here. ({text})"
        )
    return StoreUnavailableError(path, "unreachable", text)
