"""Stores by name: a backend handed to `MetadataStore`, a few lines each."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from metaxy_core.backends.memory import MemoryBackend
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
        dsn: `"clickhouse://user:password@host:port/database"`, or `clickhouses` for TLS; what is
            given beside it wins.
        path: a folder for the engine in this process (chDB), instead of a server.
        options: as `ClickHouseBackend` and `MetadataStore`.
    """

    def __init__(
        self,
        dsn: SecretStr | str | None = None,
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
        **options: Any,
    ) -> None:
        from metaxy_core.backends.clickhouse import ClickHouseBackend

        backend = ClickHouseBackend(
            host,
            port,
            user=user,
            password=password,
            database=database,
            secure=secure,
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
