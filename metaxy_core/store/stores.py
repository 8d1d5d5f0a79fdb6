"""Stores by name: a backend handed to `MetadataStore`, a few lines each."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from pydantic import SecretStr

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


class ClickHouseMetadataStore(MetadataStore):
    """A store in a database of a ClickHouse server, or in a folder; see `ClickHouseBackend`.

    Args:
        dsn: `"clickhouse://user:password@host:port/database"`, `clickhouses` for TLS; what it
            leaves out comes from `host`, `port`, `user`, `password`, `database` and `secure`,
            which also win where both say something.
        path: a folder for the engine in this process (chDB), instead of a server.
        settings: ClickHouse settings of every query, such as `max_memory_usage`.
        client: more of what `clickhouse_connect.get_client` takes, such as `ca_cert`.
        connect_timeout: seconds to wait for the server to answer.
        retry_timeout: seconds to repeat an insert that the network cut off.
        options: as `MetadataStore`.

    Raises:
        MissingExtraError: clickhouse-connect is not installed.
        ConfigError: the DSN cannot be read.
    """

    def __init__(
        self,
        dsn: SecretStr | str | None = None,
        *,
        host: str | None = None,
        port: int | None = None,
        user: str | None = None,
        password: SecretStr | str | None = None,
        database: str | None = None,
        secure: bool | None = None,
        path: str | Path | None = None,
        settings: Mapping[str, Any] | None = None,
        client: Mapping[str, Any] | None = None,
        connect_timeout: float = 10.0,
        retry_timeout: float = 60.0,
        **options: Any,
    ) -> None:
        backends = _extra("ClickHouseMetadataStore", "clickhouse")
        named = {"host": host, "port": port, "user": user, "password": password}
        named |= {"database": database, "secure": secure}
        said = {name: value for name, value in named.items() if value is not None}
        backend = backends.ClickHouseBackend(
            **(backends.read_dsn(dsn) if dsn else {}) | said,
            path=path,
            settings=settings,
            client=client,
            connect_timeout=connect_timeout,
            retry_timeout=retry_timeout,
        )
        super().__init__(backend, **options)


class InMemoryMetadataStore(MetadataStore):
    """A store in this process's memory, computed by Polars: for tests and notebooks."""

    def __init__(self, **options: Any) -> None:
        super().__init__(MemoryBackend(), **options)


def _extra(store: str, extra: str) -> Any:
    """The module of a backend whose packages an extra of the same name brings."""
    try:
        return import_module(f"metaxy_core.backends.{extra}")
    except ModuleNotFoundError as error:
        raise MissingExtraError(store, str(error.name), extra) from error
