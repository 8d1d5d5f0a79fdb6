"""PostgreSQL: one schema of a database is a store; the engine works inside the server.

Rows travel by COPY in both directions (`postgres_copy`). Commits of one schema follow each other under
an advisory lock, so commit numbers become visible in their order, and tables and columns are
made once however many writers meet in an empty schema. Text columns compare bytewise, as on every
other engine.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, urlencode

import ibis
import ibis.expr.datatypes as dt
import narwhals as nw
import psycopg
import pyarrow as pa
import tenacity
from ibis.backends.postgres import Backend as IbisPostgres
from ibis.backends.sql.compilers.postgres import PostgresCompiler
from ibis.backends.sql.dialects import Postgres
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import Conninfo
from sqlglot import exp, transforms

from metaxy_core.backends.base import Capability, Gap, Mode, T, never, notyet
from metaxy_core.backends.postgres_copy import copy_in, copy_out, not_copied, short_name
from metaxy_core.backends.sql import SqlBackend
from metaxy_core.errors import StoreUnavailableError
from metaxy_core.frames.dialect import DataFrame
from metaxy_core.frames.ibis import IbisDialect, SqlFunctions, builtin
from metaxy_core.hashing import HashAlgorithm

_SEQUENCE = "metaxy_commit_order"
_LOCK = 0x6D657461  # "meta": the upper half of the advisory lock's number, below it the schema's
_REDONE = (errors.SerializationFailure, errors.DeadlockDetected)
_AT_MOST = 5
_BOUNDED = {
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}
"""A server that has gone silent is noticed after a minute; a DSN may say otherwise."""


class PostgresBackend(SqlBackend):
    """See `Backend`.

    Args:
        dsn: a connection URI or `key=value` text, as libpq reads it.
        schema: holds the store's tables; created at the first write.
        parameters: libpq's connection parameters; they win over those of the DSN.
        connect_timeout: seconds to wait for the server.
        lock_timeout: seconds to wait for other writers' commits.

    Raises:
        ValueError: the DSN cannot be read; the message does not repeat it.
    """

    gaps: Mapping[Capability, Gap] = {
        "structs": notyet("they would be JSON, which does not give back the types of members"),
        "unsigned integers": never("its largest integer is that of 64 bits with a sign"),
        "NUL in texts": never("its texts end there"),
    }
    unstorable = (nw.Struct, nw.UInt64)

    def __init__(
        self,
        dsn: str = "",
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
            **_BOUNDED,
            "connect_timeout": max(2, round(connect_timeout)),  # libpq waits two seconds at least
            "application_name": "metaxy",
            **_read(dsn),
            **{key: value for key, value in (parameters or {}).items() if value is not None},
        }
        _check(self._parameters)

    def __getstate__(self) -> dict[str, Any]:
        if self._ibis is not None:
            raise TypeError("An open PostgreSQL store cannot be pickled; close it first.")
        return self.__dict__ | {"_texts": {}}

    @contextmanager
    def connected(self, mode: Mode) -> Iterator[Any]:
        """See `SqlBackend.connected`."""
        uri = self.describe()["uri"]
        try:
            connection = _Connection.connect(
                **self._parameters, autocommit=True, prepare_threshold=None
            )
        except psycopg.Error as error:
            raise StoreUnavailableError(
                uri, "unreachable", _without(str(error), self._parameters.get("password"))
            ) from None  # the driver's own error may repeat the parameters
        connection.uri = uri
        # A commit's statements must see what was committed while it waited for its turn.
        connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
        with connection:
            made = _Ibis.from_connection(connection)
            self._settle(made, mode)
            yield made

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
        return redoing(super().commit, work, numbers)

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

    def create(self, table: str, schema: ibis.Schema, *, temporary: bool = False) -> None:
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
        found = self._columns("AND c.relname = %s", short_name(table))
        return ibis.Schema(found[0][1]) if found else None

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
        defaults = {
            option.keyword.decode(): option.val.decode()
            for option in Conninfo.get_defaults()
            if option.val is not None
        }
        known = defaults | {key: str(value) for key, value in self._parameters.items()}
        user, host = known.get("user", ""), known.get("host") or "localhost"
        where = quote(host, safe=":,") if not host.startswith("/") else ""
        port = f":{known['port']}" if where and "port" in known else ""
        asked = {"schema": self.schema} if self.schema != "public" else {}
        asked |= {"host": host} if not where else {}
        path = quote(known.get("dbname") or user, safe="")
        more = f"?{urlencode(asked, safe='/')}" if asked else ""
        return {
            "type": "postgres",
            "uri": f"postgresql://{quote(user, safe='')}@{where}{port}/{path}{more}",
        }

    @property
    def _native(self) -> _Connection:
        connection: _Connection = self.connection.con
        return connection

    def _ask(self, query: str, *values: Any) -> list[Any]:
        return list(self._native.execute(query, values).fetchall())  # type: ignore[call-overload]

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

    def _settle(self, made: Any, mode: Mode) -> None:
        """Give the session its schema, and check that it can be a store."""
        self._ibis = made  # what quotes names is there from now on
        self._ask(
            "SELECT set_config('search_path', %s, false), set_config('lock_timeout', %s, false)",
            self.quoted(self.schema),
            f"{round(self.lock_timeout * 1000)}",
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
                uri, "missing", f"there is no schema {self.schema!r}. Write to the store first."
            )

    def _schema_is_there(self) -> bool:
        return self._ask("SELECT to_regnamespace(%s)", self.quoted(self.schema)) != [(None,)]

    def _sequence_is_there(self) -> bool:
        name = f"{self.quoted(self.schema)}.{self.quoted(_SEQUENCE)}"
        return self._ask("SELECT to_regclass(%s)", name) != [(None,)]

    def _kind(self, dtype: Any) -> str:
        """A column's type; texts compare bytewise, whatever the database's language is."""
        kind = str(self.connection.compiler.type_mapper.to_string(dtype))
        return 'TEXT COLLATE "C"' if dtype.is_string() else kind

    def _note(self, what: str, table: str, *column: str) -> None:
        """Write down a name that is longer than PostgreSQL keeps."""
        whole = (*column, table)[0]
        if whole != short_name(whole):
            name = ".".join(map(self.quoted, (table, *column)))
            text = exp.Literal.string(whole).sql(self.connection.dialect)
            self.run(f"COMMENT ON {what} {name} IS {text}")

    def _columns(self, which: str = "", *values: Any) -> list[tuple[str, dict[str, Any]]]:
        """The columns of the tables chosen: names and Ibis types, per table."""
        found = self._ask(
            "SELECT c.relname, obj_description(c.oid, 'pg_class'), a.attname, "
            "col_description(c.oid, a.attnum), format_type(a.atttypid, a.atttypmod) "
            "FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid "
            "WHERE c.relkind IN ('r', 'p') AND c.relnamespace = to_regnamespace(%s) "
            f"AND a.attnum > 0 AND NOT a.attisdropped {which} ORDER BY c.relname, a.attnum",
            self.quoted(self.schema),
            *values,
        )
        read = self.connection.compiler.type_mapper.from_string
        tables: dict[str, dict[str, Any]] = {}
        for table, noted, column, described, kind in found:
            columns = tables.setdefault(_whole_name(table, noted), {})
            columns[_whole_name(column, described)] = read(kind)
        return list(tables.items())


class _Connection(psycopg.Connection[Any]):
    """Gives the library's own errors; every wait for the server passes here."""

    uri = ""

    def wait(self, gen: Generator[Any, Any, Any], *how: Any, **more: Any) -> Any:
        try:
            return super().wait(gen, *how, **more)
        except errors.LockNotAvailable as error:
            raise StoreUnavailableError(
                self.uri,
                "locked",
                "another session had its tables locked for longer than lock_timeout. Wait for it, "
                f"or raise lock_timeout. ({error})",
            ) from error
        except psycopg.OperationalError as error:
            if not self.closed:
                raise
            raise StoreUnavailableError(
                self.uri, "unreachable", f"the connection was lost. ({error})"
            ) from error


def _without_semi_joins(select: exp.Expression) -> exp.Expression:
    """SEMI and ANTI joins as EXISTS; SQLGlot's function leaves every second one of a query."""
    while any(join.kind in ("SEMI", "ANTI") for join in select.args.get("joins") or ()):
        select = transforms.eliminate_semi_and_anti_joins(select)
    return select


class _Words(Postgres):
    """Ibis' PostgreSQL, with names that are longer than 63 bytes, which it cuts in silence."""

    class Generator(Postgres.Generator):
        TRANSFORMS = {
            **Postgres.Generator.TRANSFORMS,
            exp.Select: transforms.preprocess([_without_semi_joins, transforms.eliminate_qualify]),
        }

        def identifier_sql(self, expression: exp.Identifier) -> str:
            short = short_name(expression.name)
            if short != expression.name:
                expression = exp.to_identifier(short, quoted=True)
            return super().identifier_sql(expression)


class _Compiler(PostgresCompiler):
    __slots__ = ()
    dialect = _Words

    def visit_Cast(self, op: Any, *, arg: Any, to: Any) -> Any:  # noqa: N802  # Ibis calls it
        """Casts; a boolean becomes a large integer by way of a small one."""
        if op.arg.dtype.is_boolean() and to.is_integer():
            arg = self.cast(arg, dt.int32)
        return super().visit_Cast(op, arg=arg, to=to)


class _Ibis(IbisPostgres):
    """Ibis' own, but results are copied out: fetching row by row takes five times as long."""

    compiler = _Compiler()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._one_at_a_time = threading.RLock()

    def to_pyarrow_batches(
        self, expr: Any, /, *, params: Any = None, limit: Any = None, **_: Any
    ) -> pa.ipc.RecordBatchReader:
        schema = expr.as_table().schema()
        query = self.compile(expr, limit=limit, params=params)
        with self._one_at_a_time:
            batches = list(copy_out(self.con, query, schema))
        return pa.RecordBatchReader.from_batches(schema.to_pyarrow(), batches)


def _sha256(text: Any) -> Any:
    return _encode(_sha256_of(_bytes(text, "UTF8")), "hex")


def _join_sorted(texts: Any, separator: str) -> Any:
    # The database's language may sort otherwise than bytes do.
    return texts.group_concat(sep=separator, order_by=_bytes(texts, "UTF8"))


@ibis.udf.scalar.builtin(name="convert_to")
def _bytes(text: str, encoding: str) -> bytes:
    """The text's bytes."""


@ibis.udf.scalar.builtin(name="sha256")
def _sha256_of(data: bytes) -> bytes:
    """The digest."""


@ibis.udf.scalar.builtin(name="encode")
def _encode(data: bytes, how: str) -> str:
    """The bytes as text."""


PostgresBackend.dialect = IbisDialect(
    "postgres",
    SqlFunctions(
        digests={HashAlgorithm.MD5: builtin("md5"), HashAlgorithm.SHA256: _sha256},
        join_sorted=_join_sorted,
        has_structs=False,
    ),
)


def _whole_name(kept: str, comment: str | None) -> str:
    """The name of a table or column, longer than the one kept where a comment says so."""
    return comment if comment is not None and short_name(comment) == kept else kept


def _read(dsn: str) -> dict[str, Any]:
    try:
        return dict(conninfo_to_dict(dsn))
    except psycopg.ProgrammingError:
        raise ValueError(
            "The DSN is neither a URI (postgresql://user:password@host:5432/database) nor a "
            "key=value text (host=… dbname=…) that PostgreSQL's client reads."
        ) from None  # the driver's message repeats parts of it


def _check(parameters: Mapping[str, Any]) -> None:
    try:
        make_conninfo("", **parameters)
    except psycopg.ProgrammingError:
        raise ValueError(
            f"PostgreSQL's client does not know all of these parameters: {', '.join(parameters)}."
        ) from None


def _without(message: str, secret: Any) -> str:
    text = " ".join(message.split())
    return text.replace(str(secret), "***") if secret else text
