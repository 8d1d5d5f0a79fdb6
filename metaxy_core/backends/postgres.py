"""PostgreSQL: one schema of a database is a store; the engine works inside the server.

Rows travel by COPY in both directions (`postgres_copy`). Commits of one schema follow each other
under an advisory lock, so commit numbers become visible in their order, and tables and columns
are made once however many writers meet in an empty schema. Text columns compare bytewise, as on
every other engine.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import ibis
import ibis.expr.operations as ops
import narwhals as nw
import psycopg
import pyarrow as pa
import tenacity
from psycopg import errors
from pydantic import SecretStr
from sqlglot import exp

from metaxy_core.backends.base import Capability, Gap, Mode, T, never, notyet
from metaxy_core.backends.files import MAKE_IT
from metaxy_core.backends.postgres_copy import copy_in, not_copied
from metaxy_core.backends.postgres_ibis import DIALECT, IbisConnection, short_name
from metaxy_core.backends.postgres_session import Connection, address, connect, read_parameters
from metaxy_core.backends.sql import HELD, SqlBackend
from metaxy_core.errors import EngineUnavailableError, StoreUnavailableError
from metaxy_core.frames.dialect import DataFrame, LazyFrame

_SEQUENCE = "metaxy_commit_order"
_LOCK = 0x6D657461  # "meta": the upper half of the advisory lock's number, below it the schema's
_REDONE = (errors.SerializationFailure, errors.DeadlockDetected)
_AT_MOST = 5
_PLANNER = {"enable_nestloop": "off", "jit": "off"}
"""Comparisons join whole tables and steps whose sizes the server cannot guess: nested loops, its
choice for few rows, would be quadratic. Compiling such queries takes longer than running them."""


class PostgresBackend(SqlBackend):
    """See `Backend`.

    Args:
        dsn: a connection URI or `key=value` text, as libpq reads it.
        schema: holds the store's tables; created at the first write.
        parameters: libpq's connection parameters; they win over those of the DSN.
        connect_timeout: seconds to wait for the server.
        lock_timeout: seconds to wait for other writers' commits.

    Raises:
        ConfigError: the DSN cannot be read; the message does not repeat it.
    """

    dialect = DIALECT
    failures: tuple[type[Exception], ...] = (OSError, psycopg.Error, StoreUnavailableError)
    gaps: Mapping[Capability, Gap] = {
        "structs": notyet("they would be JSON, which does not give back the types of members"),
        "unsigned integers": never("its largest integer is that of 64 bits with a sign"),
        "NUL in texts": never("its texts end there"),
    }
    unstorable = (nw.Struct, nw.UInt64)

    def __init__(
        self,
        dsn: SecretStr | str = "",
        *,
        schema: str = "public",
        parameters: Mapping[str, Any] | None = None,
        connect_timeout: float = 10.0,
        lock_timeout: float = 300.0,
    ) -> None:
        super().__init__()
        self.schema = schema
        self.lock_timeout = lock_timeout
        self._parameters = {
            "connect_timeout": max(2, round(connect_timeout)),  # libpq waits two seconds at least
            **read_parameters(dsn, parameters or {}),
        }

    def __getstate__(self) -> dict[str, Any]:
        if self._ibis is not None:
            raise TypeError("An open PostgreSQL store cannot be pickled; close it first.")
        return self.__dict__ | {"_texts": {}}

    @contextmanager
    def connected(self, mode: Mode) -> Iterator[Any]:
        """See `SqlBackend.connected`."""
        with connect(self._parameters, self.describe()["uri"]) as connection:
            self._ibis = IbisConnection.from_connection(connection)
            try:
                self._settle(mode)
                yield self._ibis
            finally:
                self._ibis = None

    def prepare(self) -> None:
        """See `SqlBackend.prepare`."""
        if self._sequence_is_there():
            return
        with self._alone():
            # Privileges are asked for even where the object is there already, hence the looking.
            if not self._schema_is_there():
                self.run(f"CREATE SCHEMA {self.quoted(self.schema)}")
            if not self._sequence_is_there():
                self.run(f"CREATE SEQUENCE {self.quoted(_SEQUENCE)}")

    def commit(self, work: Callable[[Sequence[int]], T], numbers: int = 1) -> T:
        """See `Backend.commit`; done again when the server chose this commit to break a tie."""
        redoing = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(_AT_MOST),
            wait=tenacity.wait_random_exponential(multiplier=0.02, max=0.5),
            retry=tenacity.retry_if_exception_type(_REDONE),
            reraise=True,
        )
        done: T = redoing(super().commit, work, numbers)
        return done

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """See `SqlBackend.transaction`; one at a time for each schema."""
        with self._alone():
            yield

    def numbers(self, count: int) -> Sequence[int]:
        """See `SqlBackend.numbers`: a sequence's next values."""
        taken = self._ask(
            "SELECT nextval(%s::regclass) FROM generate_series(1, %s)",
            self.quoted(_SEQUENCE),
            count,
        )
        return sorted(number for (number,) in taken)

    def create(
        self,
        table: str,
        schema: ibis.Schema,
        key: Sequence[str] = (),
        *,
        temporary: bool = False,
    ) -> None:
        """See `SqlBackend.create`."""
        columns = ", ".join(f"{self.quoted(name)} {self._kind(schema[name])}" for name in schema)
        what = "TEMPORARY TABLE" if temporary else "TABLE"
        self.run(f"CREATE {what} {self.quoted(table)} ({columns})")
        if not temporary:
            self._note("TABLE", table)
            for name in schema:
                self._note("COLUMN", table, name)

    def add(self, table: str, column: str, dtype: Any) -> None:
        """See `SqlBackend.add`."""
        self.run(
            f"ALTER TABLE {self.quoted(table)} ADD COLUMN {self.quoted(column)} {self._kind(dtype)}"
        )
        self._note("COLUMN", table, column)

    def keep(self, query: str, schema: ibis.Schema) -> LazyFrame:
        """See `SqlBackend.keep`."""
        with self._own():
            return super().keep(query, schema)

    def load(self, frame: LazyFrame) -> LazyFrame:
        """See `Backend.load`."""
        with self._own():
            return super().load(frame)

    def release(self, frame: LazyFrame) -> None:
        """See `Backend.release`."""
        with self._own():
            super().release(frame)

    def insert(self, table: str, rows: pa.Table) -> None:
        """See `SqlBackend.insert`: COPY."""
        columns = ", ".join(map(self.quoted, rows.column_names))
        copy_in(self._native, f"COPY {self.quoted(table)} ({columns})", rows)

    def drop(self, table: str) -> None:
        """See `Backend.drop`."""
        with self._alone():
            super().drop(table)

    def tables(self) -> Sequence[str]:
        """See `Backend.tables`."""
        found = self._ask(
            "SELECT relname, obj_description(oid, 'pg_class') FROM pg_class "
            "WHERE relkind IN ('r', 'p') AND relnamespace = to_regnamespace(%s)",
            self.quoted(self.schema),
        )
        return sorted(_whole_name(*row) for row in found)

    def columns(self, table: str) -> ibis.Schema | None:
        """See `SqlBackend.columns`; what temporary tables hide is not asked for."""
        found = self._columns(short_name(table))
        return ibis.schema(found[0][1]) if found else None

    def place(self, table: str) -> ops.Namespace:
        """See `SqlBackend.place`."""
        return ops.Namespace(database="pg_temp" if table.startswith(HELD) else self.schema)

    def shape(self) -> Hashable:
        """See `Backend.shape`."""
        return tuple((table, tuple(columns.items())) for table, columns in self._columns())

    def forget(self) -> None:
        """See `SqlBackend.forget`: temporary tables end with their session."""
        self._held.clear()

    def refusal(self, rows: DataFrame) -> str | None:
        """See `Backend.refusal`."""
        return not_copied(rows)

    def describe(self) -> Mapping[str, str]:
        """See `Backend.describe`; put together from harmless parameters alone."""
        return {"type": "postgres", "uri": address(self._parameters, self.schema)}

    @property
    def _native(self) -> Connection:
        connection: Connection = self.connection.con
        return connection

    def _ask(self, query: str, *values: Any) -> list[Any]:
        return list(self._native.execute(query, values).fetchall())

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """A transaction, while no other one of this schema is going on."""
        with self._native.transaction():
            self._ask(
                "SELECT pg_advisory_xact_lock((%s::bigint << 32) | "
                "coalesce(to_regnamespace(%s)::oid, 0)::bigint)",
                _LOCK,
                self.quoted(self.schema),
            )
            yield

    @contextmanager
    def _own(self) -> Iterator[None]:
        """A transaction for the session's own tables, which one for reading may make too.

        Raises:
            EngineUnavailableError: the role may not make any, or the server is a hot standby.
        """
        try:
            with self._native.transaction():
                self._native.execute("SET TRANSACTION READ WRITE")
                yield
        except (StoreUnavailableError, errors.FeatureNotSupported) as error:
            if isinstance(error, StoreUnavailableError) and error.reason != "read-only":
                raise
            raise EngineUnavailableError(
                self.describe()["uri"], f"temporary tables are refused ({error})."
            ) from error

    def _settle(self, mode: Mode) -> None:
        """Give the session its schema, and check that it can be a store."""
        settings = {
            **_PLANNER,
            "search_path": self.quoted(self.schema),
            "lock_timeout": f"{round(self.lock_timeout * 1000)}",
        }
        if mode == "r":
            settings["default_transaction_read_only"] = "on"
        self._ask(
            f"SELECT {', '.join(['set_config(%s, %s, false)'] * len(settings))}",
            *(text for setting in settings.items() for text in setting),
        )
        uri = self.describe()["uri"]
        [(encoding,)] = self._ask("SHOW server_encoding")
        if encoding != "UTF8":
            raise StoreUnavailableError(
                uri,
                "unreachable",
                f"the database keeps texts as {encoding}; create one with ENCODING 'UTF8'.",
            )
        if mode == "r" and not self._schema_is_there():
            raise StoreUnavailableError(
                uri, "missing", f"there is no schema {self.schema!r}. {MAKE_IT}"
            )

    # The tables of the catalog are asked, as they are after a wait for others; to_regnamespace
    # and to_regclass may give what the session remembers from before it.

    def _schema_is_there(self) -> bool:
        return bool(
            self._ask("SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = %s::name", self.schema)
        )

    def _sequence_is_there(self) -> bool:
        return bool(
            self._ask(
                "SELECT 1 FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n "
                "ON n.oid = c.relnamespace WHERE relname = %s::name AND nspname = %s::name",
                _SEQUENCE,
                self.schema,
            )
        )

    def _kind(self, dtype: Any) -> str:
        """A column's type; texts compare bytewise, whatever the database's language is."""
        if dtype.is_string() or dtype.is_null():
            return 'TEXT COLLATE "C"'
        if dtype.is_unsigned_integer():
            return "BIGINT"
        return str(self.connection.compiler.type_mapper.to_string(dtype))

    def _note(self, what: str, table: str, *column: str) -> None:
        """Write down a name that is longer than PostgreSQL keeps."""
        whole = (*column, table)[0]
        if whole != short_name(whole):
            name = ".".join(map(self.quoted, (table, *column)))
            text = exp.Literal.string(whole).sql(self.connection.dialect)
            self.run(f"COMMENT ON {what} {name} IS {text}")

    def _columns(self, only: str | None = None) -> list[tuple[str, dict[str, Any]]]:
        """The columns of all tables, or of one: names and Ibis types, per table."""
        found = self._ask(
            "SELECT c.relname, obj_description(c.oid, 'pg_class'), a.attname, "
            "col_description(c.oid, a.attnum), format_type(a.atttypid, a.atttypmod) "
            "FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid "
            "WHERE c.relkind IN ('r', 'p') AND c.relnamespace = to_regnamespace(%s) "
            "AND c.relname = coalesce(%s, c.relname) "
            "AND a.attnum > 0 AND NOT a.attisdropped ORDER BY c.relname, a.attnum",
            self.quoted(self.schema),
            only,
        )
        read = self.connection.compiler.type_mapper.from_string
        tables: dict[str, dict[str, Any]] = {}
        for table, noted, column, described, kind in found:
            columns = tables.setdefault(_whole_name(table, noted), {})
            columns[_whole_name(column, described)] = read(kind)
        return list(tables.items())


def _whole_name(kept: str, comment: str | None) -> str:
    """The name of a table or column, longer than the one kept where a comment says so."""
    return comment if comment is not None and short_name(comment) == kept else kept
