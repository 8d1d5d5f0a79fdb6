"""DuckDB: the embedded default, one file or memory; the engine works inside the database.

One process may write a file at a time, and a reader keeps writers out: open late, close early.
Opening waits for the lock, bounded and with jitter. Extensions are never downloaded.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, cast

import duckdb
import ibis
import ibis.expr.types as ir
import tenacity

from metaxy_core.backends.base import Mode, to_polars
from metaxy_core.errors import StoreNotOpenError, StoreUnavailableError
from metaxy_core.frames.dialect import LazyFrame, lazy
from metaxy_core.frames.ibis import IbisDialect, SqlFunctions, join_sorted_text
from metaxy_core.hashing import HashAlgorithm

MEMORY = ":memory:"
_SEQUENCE = "metaxy_commit_order"
_MOST_TEXTS = 256
_OFFLINE = {"autoinstall_known_extensions": False, "autoload_known_extensions": False}


def _function(name: str) -> Callable[[ir.StringValue], ir.StringValue]:
    """A text function of DuckDB's own, for Ibis expressions."""

    def digest(text: str) -> str:
        return text  # never called: Ibis writes the function's name into the query

    made = ibis.udf.scalar.builtin(name=name)(digest)
    return cast("Callable[[ir.StringValue], ir.StringValue]", made)


_DIALECT = IbisDialect(
    "duckdb",
    SqlFunctions(
        digests={name: _function(name.value) for name in HashAlgorithm},
        join_sorted=join_sorted_text,
    ),
)


class DuckDBBackend:
    """See `Backend`.

    Args:
        path: the file, or `":memory:"` for tables that live as long as this object.
        lock_timeout: seconds to wait for other processes to let go of the file.
        config: DuckDB settings, as `duckdb.connect` takes them.
    """

    dialect = _DIALECT
    one_thread = True

    def __init__(
        self,
        path: str | Path = MEMORY,
        *,
        lock_timeout: float = 60.0,
        config: Mapping[str, Any] | None = None,
    ) -> None:
        self.path = str(path)
        self.lock_timeout = lock_timeout
        self.config = dict(config or {})
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._ibis: Any = None
        self._memory: tuple[duckdb.DuckDBPyConnection, Any] | None = None
        self._holding = 0
        self._held: set[str] = set()
        self._texts: dict[Hashable, tuple[str, list[str]]] = {}

    def __getstate__(self) -> dict[str, Any]:
        if self._connection is not None or self._memory is not None:
            raise TypeError("An open or in-memory DuckDB store cannot be pickled; close it first.")
        return self.__dict__ | {"_texts": {}}

    @contextmanager
    def open(self, mode: Mode) -> Iterator[None]:
        """See `Backend.open`; read mode opens the file read-only."""
        with ExitStack() as stack:
            if self.path == MEMORY:
                if self._memory is None:
                    connection = duckdb.connect(MEMORY, config=_OFFLINE | self.config)
                    self._memory = (connection, ibis.duckdb.from_connection(connection))
                self._connection, self._ibis = self._memory
            else:
                connection = stack.enter_context(self._connect(mode))
                self._connection, self._ibis = connection, ibis.duckdb.from_connection(connection)
            try:
                if mode == "w":
                    self._run(f"CREATE SEQUENCE IF NOT EXISTS {_SEQUENCE}")
                yield
            finally:
                for name in list(self._held):
                    self._drop_held(name)
                self._connection = self._ibis = None

    def tables(self) -> Sequence[str]:
        """See `Backend.tables`."""
        found = self._open.execute(
            "SELECT table_name FROM information_schema.tables "
            "WHERE table_schema = 'main' AND table_type = 'BASE TABLE' ORDER BY 1"
        )
        return [name for (name,) in found.fetchall()]

    def scan(self, table: str) -> LazyFrame | None:
        """See `Backend.scan`."""
        if table not in self.tables():
            return None
        return lazy(self._ibis.table(table))

    @contextmanager
    def commit(self, numbers: int = 1) -> Iterator[int]:
        """See `Backend.commit`: one transaction; the number is a sequence's next value."""
        connection = self._open
        connection.begin()
        try:
            taken = connection.execute("SELECT nextval(?) FROM range(?)", [_SEQUENCE, numbers])
            yield min(number for (number,) in taken.fetchall())
        except BaseException:
            connection.rollback()
            raise
        connection.commit()

    def append(self, table: str, rows: LazyFrame) -> int:
        """See `Backend.append`; Arrow goes straight into the engine."""
        source = self._registered(rows)
        try:
            if table not in self.tables():
                self._run(f"CREATE TABLE {_quoted(table)} AS FROM {source}")
            else:
                known = self._columns(table)
                for column, kind in self._columns(source).items():
                    if column not in known:
                        self._run(
                            f"ALTER TABLE {_quoted(table)} ADD COLUMN {_quoted(column)} {kind}"
                        )
                self._run(f"INSERT INTO {_quoted(table)} BY NAME FROM {source}")
            return self._count(source)
        finally:
            self._open.unregister(source)

    def delete(self, table: str, ids: LazyFrame) -> int:
        """See `Backend.delete`."""
        source = self._registered(ids)
        try:
            agree = " AND ".join(
                f"t.{_quoted(column)} IS NOT DISTINCT FROM s.{_quoted(column)}"
                for column in self._columns(source)
            )
            statement = f"DELETE FROM {_quoted(table)} t USING {source} s WHERE {agree}"  # noqa: S608  # names are quoted
            row = self._open.execute(statement).fetchone()
            return int(row[0]) if row else 0
        finally:
            self._open.unregister(source)

    def drop(self, table: str) -> None:
        """See `Backend.drop`."""
        self._run(f"DROP TABLE IF EXISTS {_quoted(table)}")

    def load(self, frame: LazyFrame) -> LazyFrame:
        """See `Backend.load`: a temporary table."""
        if frame.implementation.is_ibis() and frame.to_native().get_backend() is self._ibis:
            return frame
        source = self._registered(frame)
        try:
            return self._kept(f"FROM {source}")
        finally:
            self._open.unregister(source)

    def hold(
        self,
        build: Callable[[], LazyFrame],
        key: Hashable | None = None,
        uses: Sequence[LazyFrame] = (),
    ) -> LazyFrame:
        """See `Backend.hold`: a temporary table, also on a read-only connection."""
        names = [_quoted(frame.to_native().op().name) for frame in uses]
        text, known = self._texts.get(key, ("", []))
        if not text:
            text, known = str(ibis.to_sql(build().to_native(), dialect="duckdb")), names
            if key is not None:
                while len(self._texts) >= _MOST_TEXTS:
                    del self._texts[next(iter(self._texts))]
                self._texts[key] = text, known
        for old, new in zip(known, names, strict=True):
            text = text.replace(old, new)
        return self._kept(text)

    def release(self, frame: LazyFrame) -> None:
        """See `Backend.release`: drops the temporary table."""
        if frame.implementation.is_ibis() and frame.to_native().op().name in self._held:
            self._drop_held(frame.to_native().op().name)

    def shape(self) -> Hashable:
        """See `Backend.shape`."""
        found = self._open.execute(
            "SELECT table_name, column_name, data_type FROM duckdb_columns() "
            "WHERE NOT internal AND database_name <> 'temp' ORDER BY ALL"
        )
        return tuple(found.fetchall())

    def describe(self) -> Mapping[str, str]:
        """See `Backend.describe`."""
        return {"type": "duckdb", "uri": f"duckdb://{_without_secrets(self.path)}"}

    @property
    def _open(self) -> duckdb.DuckDBPyConnection:
        if self._connection is None:
            raise StoreNotOpenError(f"The DuckDB store {self.path} is not open.")
        return self._connection

    def _run(self, statement: str) -> None:
        self._open.execute(statement)

    def _kept(self, query: str) -> LazyFrame:
        self._holding += 1
        name = f"metaxy_held_{self._holding:06}"
        self._run(f"CREATE OR REPLACE TEMP TABLE {name} AS {query}")
        self._held.add(name)
        return lazy(self._ibis.table(name, database="temp"))

    def _drop_held(self, name: str) -> None:
        self._held.discard(name)
        self._run(f"DROP TABLE IF EXISTS temp.{_quoted(name)}")

    def _registered(self, rows: LazyFrame) -> str:
        """Show a frame to DuckDB under a name for the time of one statement."""
        name = "metaxy_incoming"
        self._open.register(name, to_polars(rows).collect().to_native().to_arrow())
        return name

    def _columns(self, table: str) -> dict[str, str]:
        described = self._open.execute(f"DESCRIBE {_quoted(table)}").fetchall()
        return {row[0]: row[1] for row in described}

    def _count(self, table: str) -> int:
        row = self._open.execute(f"SELECT count(*) FROM {_quoted(table)}").fetchone()  # noqa: S608  # quoted
        return int(row[0]) if row else 0

    @contextmanager
    def _connect(self, mode: Mode) -> Iterator[duckdb.DuckDBPyConnection]:
        path = Path(self.path)
        if mode == "r" and not path.exists():
            raise StoreUnavailableError(
                self.path, "missing", "there is no such file. Write to the store first."
            )
        retry = tenacity.Retrying(
            stop=tenacity.stop_after_delay(self.lock_timeout),
            wait=tenacity.wait_random_exponential(multiplier=0.02, max=0.5),
            retry=tenacity.retry_if_exception(_is_lock),
            reraise=True,
        )
        try:
            connection = retry(self._connect_once, mode == "r")
        except duckdb.Error as error:
            raise _unavailable(_without_secrets(self.path), error, self.lock_timeout) from error
        try:
            yield connection
        finally:
            connection.close()

    def _connect_once(self, read_only: bool) -> duckdb.DuckDBPyConnection:
        config = _OFFLINE | self.config
        try:
            return duckdb.connect(self.path, read_only=read_only, config=config)
        except duckdb.ConnectionException as error:
            if not (read_only and _is_lock(error)):
                raise
            # This process has the file open for writing: share its instance.
            return duckdb.connect(self.path, config=config)


def _is_lock(error: BaseException) -> bool:
    """Whether another process, or this one in the other mode, has the file open."""
    if isinstance(error, duckdb.ConnectionException):
        return "different configuration" in str(error)
    return isinstance(error, duckdb.IOException) and "lock" in str(error).lower()


def _without_secrets(path: str) -> str:
    """A path or MotherDuck address without its query, where tokens are."""
    return path.partition("?")[0]


def _unavailable(path: str, error: duckdb.Error, waited: float) -> StoreUnavailableError:
    text = str(error)
    if _is_lock(error):
        return StoreUnavailableError(
            path,
            "locked",
            f"somebody else had it open for {waited:g} s. Close it, or raise lock_timeout. "
            f"({text.splitlines()[0]})",
        )
    if "not a valid DuckDB" in text or "Corrupt" in text or "checksum" in text.lower():
        return StoreUnavailableError(
            path, "corrupt", f"the file is not a readable DuckDB database. ({text.splitlines()[0]})"
        )
    if "read-only" in text.lower() or "permission" in text.lower():
        return StoreUnavailableError(
            path, "read-only", f"the file cannot be written here. ({text.splitlines()[0]})"
        )
    return StoreUnavailableError(path, "unreachable", text)


def _quoted(name: str) -> str:
    """Quote an identifier; the one place of this file where names become SQL."""
    return '"' + name.replace('"', '""') + '"'
