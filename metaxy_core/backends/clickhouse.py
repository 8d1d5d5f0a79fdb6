"""ClickHouse: a server, or the same engine in this process; it computes inside the database.

There are no transactions: what a commit appends to one table is one INSERT, which is one block
and so one part, visible whole or not at all. Deletes are lightweight and waited for.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote

import clickhouse_connect
import ibis
import ibis.expr.datatypes as dt
import ibis.expr.operations as ops
import narwhals as nw
import pyarrow as pa
import sqlglot as sg
import tenacity
from clickhouse_connect.driver.exceptions import Error, OperationalError, ProgrammingError
from pydantic import SecretStr

from metaxy_core.backends.base import Capability, Gap, Mode, T, never, notyet
from metaxy_core.backends.clickhouse_sql import DIALECT, SQL, ClickHouseTypes, Connection
from metaxy_core.backends.files import MAKE_IT
from metaxy_core.backends.sql import HELD, SqlBackend, to_arrow
from metaxy_core.columns import COMMIT, FEATURE_VERSION, MATERIALIZATION_ID, OPEN, SNAPSHOT_VERSION
from metaxy_core.errors import ConfigError, StoreUnavailableError
from metaxy_core.frames.dialect import LazyFrame, lazy

_EPOCH = 1_767_225_600_000 << 22
"""2026-01-01 as a Snowflake id: commit numbers count from it and stay below 2**62 until 2060."""
_SESSION: Mapping[str, Any] = {
    "async_insert": 0,
    "input_format_null_as_default": 0,
    "join_use_nulls": 1,
    "lightweight_deletes_sync": 2,
    "output_format_arrow_low_cardinality_as_dictionary": 0,
    "output_format_arrow_string_as_string": 1,
    "session_timezone": "UTC",
}
_SESSION_SECONDS = 3600
"""How long a server keeps the temporary tables of a session that asks for nothing."""
_ONE_BLOCK: Mapping[str, Any] = {
    "max_insert_block_size": 1 << 40,
    "min_insert_block_size_bytes": 0,
    "min_insert_block_size_rows": 1 << 40,
}
_COMPRESSED = pa.ipc.IpcWriteOptions(compression="lz4")
_OF_FOLDERS: Mapping[Capability, Gap] = {
    "several writers": never("a folder is one process's at a time"),
    "reading beside a writer": never("a folder is one process's at a time"),
}
_BYTES = "bytes"
"""The comment of a column that keeps bytes: ClickHouse has one type for texts and bytes."""
_NEVER_NULL = (COMMIT, OPEN)
_REPEATED = (FEATURE_VERSION, MATERIALIZATION_ID, SNAPSHOT_VERSION)
_REFUSED = {192, 193, 194, 497, 516}
_NO_DATABASE = 81
_READ_ONLY = 164
_OTHER_FOLDER = "already initialized with path"
_OTHER_PROCESS = "Error initializing EmbeddedServer: . (BAD_ARGUMENTS)"
_DSN = re.compile(
    r"(?P<scheme>clickhouses?|https?)://"
    r"(?:(?P<user>[^:@/?#]*)(?::(?P<password>[^@/?#]*))?@)?"
    r"(?P<host>\[[0-9A-Fa-f:.%]+\]|[^:@/?#\[\]]+)(?::(?P<port>\d{1,5}))?"
    r"(?:/(?P<database>[^@/?#]*))?(?:\?(?P<query>[^@#]*))?"
)
_PARAMETERS = ("user", "password", "database")
_PASSING = {159, 209, 210, 319, 373}
"""Errors of the moment: a timeout, the network, an insert of unknown outcome, a busy session."""


class ClickHouseBackend(SqlBackend):
    """See `Backend`.

    Args:
        host: a server's name.
        port: its HTTP port; 8123, or 8443 where `secure`.
        user: who connects.
        password: carried to workers, never shown.
        database: where the tables are; it exists already, except in a folder.
        secure: whether to speak TLS.
        path: a folder for the engine in this process, instead of a server.
        settings: ClickHouse settings of every query.
        client: more of what `clickhouse_connect.get_client` takes.
        connect_timeout: seconds to wait for the server to answer at all.
        retry_timeout: seconds to repeat an insert that the network cut off.
    """

    dialect = DIALECT
    failures = (OSError, Error)
    unstorable = (nw.List, nw.Struct)
    gaps: Mapping[Capability, Gap] = {
        "atomic commits": never("there are no transactions: each table is atomic for itself"),
        "lists": notyet("an array cannot be NULL: a missing list would come back as an empty one"),
        "structs": notyet("a tuple that can be NULL is an experiment of ClickHouse 26"),
    }

    def __init__(
        self,
        *,
        host: str = "localhost",
        port: int | None = None,
        user: str = "default",
        password: SecretStr | str = "",
        database: str = "default",
        secure: bool = False,
        path: str | Path | None = None,
        settings: Mapping[str, Any] | None = None,
        client: Mapping[str, Any] | None = None,
        connect_timeout: float = 10.0,
        retry_timeout: float = 60.0,
    ) -> None:
        super().__init__()
        self.host, self.port, self.user = host, port or (8443 if secure else 8123), user
        self.password = SecretStr(password) if isinstance(password, str) else password
        self.database, self.secure = database, secure
        self.path = None if path is None else Path(path)
        self.settings, self.client = dict(settings or {}), dict(client or {})
        self.connect_timeout, self.retry_timeout = connect_timeout, retry_timeout
        self._appended: list[tuple[str, pa.Table, Sequence[str]]] = []
        if self.path is not None:
            self.gaps = {**self.gaps, **_OF_FOLDERS}

    def __getstate__(self) -> dict[str, Any]:
        if self._ibis is not None:
            raise TypeError("An open ClickHouse store cannot be pickled; close it first.")
        return self.__dict__ | {"_texts": {}}

    @contextmanager
    def connected(self, mode: Mode) -> Iterator[Any]:
        """See `SqlBackend.connected`; a server's database has to be there, a folder's is made."""
        try:
            client = self._server() if self.path is None else self._folder(self.path, mode)
        except Error as error:
            raise self._unavailable(error) from error
        try:
            yield Connection.from_connection(client)
        finally:
            client.close()

    def commit(self, work: Callable[[Sequence[int]], T], numbers: int = 1) -> T:
        """See `Backend.commit`; nothing is sent before `work` is done."""
        self._appended = []
        try:
            made = work(self.numbers(numbers))
            for table, rows, key in self._appended:
                self._store(table, rows, key)
        finally:
            self._appended = []
        return made

    def numbers(self, count: int) -> Sequence[int]:
        """See `SqlBackend.numbers`: Snowflake ids, of the server's clock."""
        taken = self._client.query(
            "SELECT generateSnowflakeID() FROM numbers({count:UInt32})", parameters={"count": count}
        ).result_rows
        return sorted(number - _EPOCH for (number,) in taken)

    def append(self, table: str, rows: LazyFrame, key: Sequence[str] = ()) -> int:
        """See `Backend.append`."""
        arrow = _plain(to_arrow(rows))
        self._appended.append((table, arrow, key))
        return int(arrow.num_rows)

    def create(
        self,
        table: str,
        schema: ibis.Schema,
        key: Sequence[str] = (),
        *,
        temporary: bool = False,
    ) -> None:
        """See `SqlBackend.create`: sorted by the key, and not partitioned, so a block is a part."""
        columns = ", ".join(
            f"{self.quoted(name)} {self._kind(name, dtype)}" for name, dtype in schema.items()
        )
        if temporary:
            self.run(f"CREATE TEMPORARY TABLE {self.quoted(table)} ({columns}) ENGINE = Memory")
            return
        order = ", ".join(self.quoted(name) for name in key if name in schema)
        self.run(
            f"CREATE TABLE IF NOT EXISTS {self.quoted(table)} ({columns}) ENGINE = MergeTree "
            f"ORDER BY ({order}) "
            # Ids of marks are NULL; a repeated INSERT is known by its token.
            "SETTINGS allow_nullable_key = 1, non_replicated_deduplication_window = 100"
        )

    def insert(self, table: str, rows: pa.Table) -> None:
        """See `SqlBackend.insert`: one INSERT of one block, repeated where the network fails.

        A token says that it is the same; a token of its own for each call, because rows may be
        written, removed and written again.
        """
        settings = {**_ONE_BLOCK, "insert_deduplication_token": uuid.uuid4().hex}
        self._retry(self._send, table, rows, settings)

    def load(self, frame: LazyFrame) -> LazyFrame:
        """See `Backend.load`: a temporary table, another one at each try, as it knows no tokens."""
        if frame.implementation.is_ibis() and frame.to_native().get_backend() is self.connection:
            return frame
        arrow = _plain(self.taken(frame))
        schema = ibis.Schema.from_pyarrow(arrow.schema)

        def loaded() -> str:
            name = self._new_name()
            self._held.add(name)
            self.create(name, schema, temporary=True)
            self._send(name, arrow, {})
            return name

        return lazy(self.named(self._retry(loaded), schema))

    def delete(self, table: str, ids: LazyFrame) -> int:
        """See `Backend.delete`; a mutation sees no temporary tables, so the ids get a real one."""
        wanted = to_arrow(ids)
        names = ", ".join(self.quoted(name) for name in wanted.column_names)
        chosen = f"{HELD}{uuid.uuid4().hex}"
        where = f"WHERE ({names}) IN (SELECT {names} FROM {self.quoted(chosen)})"  # noqa: S608
        self.create(chosen, ibis.Schema.from_pyarrow(wanted.schema), wanted.column_names)
        try:
            self.insert(chosen, wanted)
            counted = self.fetch(f"SELECT count() FROM {self.quoted(table)} {where}")  # noqa: S608
            if counted[0][0]:
                self.run(f"DELETE FROM {self.quoted(table)} {where}")  # noqa: S608
        finally:
            self.drop(chosen)
        return int(counted[0][0])

    def tables(self) -> Sequence[str]:
        """See `Backend.tables`."""
        found = self.fetch(
            "SELECT name FROM system.tables WHERE database = currentDatabase() ORDER BY name"
        )
        return [name for (name,) in found if not name.startswith(HELD)]

    def columns(self, table: str) -> ibis.Schema | None:
        """See `SqlBackend.columns`."""
        found = self._client.query(
            "SELECT name, type, comment FROM system.columns "
            "WHERE database = currentDatabase() AND table = {table:String} ORDER BY position",
            parameters={"table": table},
        ).result_rows
        types = {name: _type(kind, comment) for name, kind, comment in found}
        return ibis.schema(types) if types else None

    def add(self, table: str, column: str, dtype: Any) -> None:
        """See `SqlBackend.add`."""
        self.run(
            f"ALTER TABLE {self.quoted(table)} "
            f"ADD COLUMN IF NOT EXISTS {self.quoted(column)} {self._kind(column, dtype)}"
        )

    def place(self, table: str) -> ops.Namespace:
        """See `SqlBackend.place`; temporary tables are in no database."""
        return ops.Namespace(database=None if table.startswith(HELD) else self.database)

    def shape(self) -> Hashable:
        """See `Backend.shape`."""
        found = self.fetch(
            "SELECT table, name, type FROM system.columns WHERE database = currentDatabase() "
            "ORDER BY table, position"
        )
        return tuple(column for column in found if not column[0].startswith(HELD))

    def describe(self) -> Mapping[str, str]:
        """See `Backend.describe`."""
        if self.path is not None:
            return {"type": "clickhouse", "uri": f"chdb://{self.path}/{self.database}"}
        scheme = "clickhouses" if self.secure else "clickhouse"
        host = f"[{self.host}]" if ":" in self.host else self.host
        uri = f"{scheme}://{self.user}@{host}:{self.port}/{self.database}"
        return {"type": "clickhouse", "uri": uri}

    def quoted(self, name: str) -> str:
        """See `SqlBackend.quoted`."""
        return str(sg.to_identifier(name, quoted=True).sql(SQL))

    def run(self, statement: str) -> None:
        """See `SqlBackend.run`."""
        self._client.command(statement)

    def fetch(self, query: str) -> list[tuple[Any, ...]]:
        """See `SqlBackend.fetch`."""
        return [tuple(row) for row in self._client.query(query).result_rows]

    @property
    def _client(self) -> Any:
        return self.connection.con

    @property
    def _retry(self) -> tenacity.Retrying:
        return tenacity.Retrying(
            stop=tenacity.stop_after_delay(self.retry_timeout),
            wait=tenacity.wait_random_exponential(multiplier=0.1, max=5),
            retry=tenacity.retry_if_exception(_is_passing),
            reraise=True,
        )

    def _send(self, table: str, rows: pa.Table, settings: Mapping[str, Any]) -> None:
        block = pa.BufferOutputStream()
        with pa.ipc.new_file(block, rows.schema, options=_COMPRESSED) as file:
            file.write_table(rows)
        self._client.raw_insert(
            self.quoted(table),
            [self.quoted(name) for name in rows.column_names],
            block.getvalue(),
            {"wait_end_of_query": 1, **settings},
            "Arrow",
        )

    def _store(self, table: str, rows: pa.Table, key: Sequence[str]) -> None:
        schema, known = ibis.Schema.from_pyarrow(rows.schema), self.columns(table)
        if known is None:
            self.create(table, schema, key)
            known = self.columns(table) or schema
        for name, dtype in schema.items():
            if name not in known:
                self.add(table, name, dtype)
        self.insert(table, rows)

    def _kind(self, column: str, dtype: dt.DataType) -> str:
        if dtype.is_null():
            return "Nullable(String)"
        kind = ClickHouseTypes.to_string(dtype.copy(nullable=column not in _NEVER_NULL))
        if dtype.is_binary():
            return f"{kind} COMMENT '{_BYTES}'"
        return f"LowCardinality({kind})" if column in _REPEATED and dtype.is_string() else kind

    def _server(self) -> Any:
        return clickhouse_connect.get_client(
            host=self.host,
            port=self.port,
            username=self.user,
            password=self.password.get_secret_value(),
            database=self.database,
            secure=self.secure,
            connect_timeout=self.connect_timeout,
            query_limit=0,
            autogenerate_session_id=True,
            settings={**self.settings, **_SESSION, "session_timeout": _SESSION_SECONDS},
            **self.client,
        )

    def _folder(self, path: Path, mode: Mode) -> Any:
        if mode == "r" and not path.exists():
            raise StoreUnavailableError(
                self.describe()["uri"], "missing", "there is no such folder. Write to it first."
            )
        settings = {**self.settings, **_SESSION}
        connect = partial(clickhouse_connect.get_client, interface="chdb", path=str(path))
        with closing(connect()) as engine:
            if mode == "w":
                engine.command(f"CREATE DATABASE IF NOT EXISTS {self.quoted(self.database)}")
            return connect(database=self.database, settings=settings)

    def _unavailable(self, error: Error) -> StoreUnavailableError:
        uri, text = self.describe()["uri"], str(error).partition("\n")[0]
        if error.code == _NO_DATABASE:
            made = MAKE_IT if self.path else "Create it first."
            advice = f"there is no database {self.database!r}. {made}"
            return StoreUnavailableError(uri, "missing", advice)
        if error.code == _READ_ONLY or (isinstance(error, ProgrammingError) and not self.path):
            # The driver itself refuses to send a setting that the server would.
            advice = (
                f"the profile of {self.user!r} may not change settings (readonly = 1). ({text})"
            )
            return StoreUnavailableError(uri, "read-only", advice)
        if error.code in _REFUSED:
            advice = f"the server refuses {self.user!r}: no such user, another password or right."
            return StoreUnavailableError(uri, "unreachable", advice)
        if self.path is not None and _OTHER_FOLDER in text:
            advice = "this process has another folder open: a process has one at a time."
            return StoreUnavailableError(uri, "locked", advice)
        if self.path is not None and text.endswith(_OTHER_PROCESS):
            advice = "another process has the folder open. Close it there."
            return StoreUnavailableError(uri, "locked", advice)
        return StoreUnavailableError(uri, "unreachable", text)


def _plain(rows: pa.Table) -> pa.Table:
    """Categories as texts: a file of Arrow has one dictionary for all its batches."""
    for position, field in enumerate(rows.schema):
        if pa.types.is_dictionary(field.type):
            texts = rows.column(position).cast(pa.large_string())
            rows = rows.set_column(position, field.name, texts)
    return rows


def _type(kind: str, comment: str) -> dt.DataType:
    return dt.binary if comment == _BYTES else ClickHouseTypes.from_string(kind).copy(nullable=True)


def read_dsn(dsn: SecretStr | str) -> dict[str, Any]:
    """What a DSN says, as arguments of `ClickHouseBackend`.

    Raises:
        ConfigError: it is none of ClickHouse's; the message repeats nothing that may be secret.
    """
    text = dsn.get_secret_value() if isinstance(dsn, SecretStr) else dsn
    found = _DSN.fullmatch(text)
    if found is None:
        raise ConfigError(
            "The DSN of a ClickHouse store cannot be read. It looks like "
            "clickhouse://user:password@host:8123/database, or clickhouses:// for TLS; write "
            "reserved characters such as '/' or '@' in a password with percent signs."
        )
    said: dict[str, Any] = {name: unquote(found[name]) for name in _PARAMETERS if found[name]}
    said |= {"host": found["host"].strip("[]"), "secure": found["scheme"][-1] == "s"}
    if found["port"]:
        said["port"] = int(found["port"])
    for name, value in parse_qsl(found["query"] or "", keep_blank_values=True):
        if name not in (*_PARAMETERS, "secure"):
            raise ConfigError(
                "The DSN of a ClickHouse store has a parameter that is not one of: secure, "
                f"{', '.join(_PARAMETERS)}. Give settings= or client= instead."
            )
        said[name] = value.lower() in ("1", "true", "yes") if name == "secure" else value
    if "password" in said:
        said["password"] = SecretStr(said["password"])
    return said


def _is_passing(error: BaseException) -> bool:
    return isinstance(error, Error) and (
        error.code in _PASSING or (error.code is None and isinstance(error, OperationalError))
    )
