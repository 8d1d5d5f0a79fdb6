"""Stores by name: a backend handed to `MetadataStore`, a few lines each."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from metaxy_core.backends.memory import MemoryBackend
from metaxy_core.errors import MissingExtraError
from metaxy_core.store.store import MetadataStore


class DuckDBMetadataStore(MetadataStore):
    """A store in one DuckDB file, or in memory with `":memory:"`; see `DuckDBBackend`.

    Args:
        path: the file; created at the first write.
        lock_timeout: seconds to wait for other processes to let go of the file.
        config: DuckDB settings.
        options: as `MetadataStore`.
    """

    def __init__(
        self,
        path: str | Path = ":memory:",
        *,
        lock_timeout: float = 60.0,
        config: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        from metaxy_core.backends.duckdb import DuckDBBackend

        backend = DuckDBBackend(path, lock_timeout=lock_timeout, config=config)
        super().__init__(backend, **options)


class PostgresMetadataStore(MetadataStore):
    """A store in one schema of a PostgreSQL database; see `PostgresBackend`.

    Args:
        dsn: a connection URI or `key=value` text; what it leaves out comes from `host`, `port`,
            `user`, `password` and `database`, or from libpq's environment (`PGHOST`, …).
        schema: holds the store's tables; created at the first write.
        connect_timeout: seconds to wait for the server.
        lock_timeout: seconds to wait for other writers' commits.
        parameters: more of libpq's parameters, such as `sslmode`.
        options: as `MetadataStore`.

    Raises:
        MissingExtraError: psycopg is not installed.
    """

    def __init__(
        self,
        dsn: str = "",
        *,
        host: str | None = None,
        port: int | None = None,
        user: str | None = None,
        password: str | None = None,
        database: str | None = None,
        schema: str = "public",
        connect_timeout: float = 10.0,
        lock_timeout: float = 300.0,
        parameters: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        backends = _extra("PostgresMetadataStore", "postgres")
        named = {"host": host, "port": port, "user": user, "password": password}
        backend = backends.PostgresBackend(
            dsn,
            schema=schema,
            parameters={**named, "dbname": database, **(parameters or {})},
            connect_timeout=connect_timeout,
            lock_timeout=lock_timeout,
        )
        super().__init__(backend, **options)


class SQLiteMetadataStore(MetadataStore):
    """A store in one SQLite file, or in memory with `":memory:"`; see `SQLiteBackend`.

    Args:
        path: the file; created at the first write.
        lock_timeout: seconds to wait for other writers to let go of the file.
        options: as `MetadataStore`.

    Raises:
        MissingExtraError: Ibis' part for SQLite is not installed.
    """

    def __init__(
        self, path: str | Path = ":memory:", *, lock_timeout: float = 60.0, **options: Any
    ) -> None:
        backends = _extra("SQLiteMetadataStore", "sqlite")
        super().__init__(backends.SQLiteBackend(path, lock_timeout=lock_timeout), **options)


class InMemoryMetadataStore(MetadataStore):
    """A store in this process's memory, computed by Polars: for tests and notebooks."""

    def __init__(self, **options: Any) -> None:
        super().__init__(MemoryBackend(), **options)


def _extra(store: str, extra: str) -> Any:
    """The module of a backend whose packages an extra of the same name brings."""
    try:
        return import_module(f"metaxy_core.backends.{extra}")
    except ModuleNotFoundError as error:
        raise MissingExtraError(store, extra, error.name) from error
