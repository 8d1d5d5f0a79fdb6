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
        ConfigError: the DSN cannot be read.
    """

    def __init__(
        self,
        dsn: SecretStr | str = "",
        *,
        host: str | None = None,
        port: int | None = None,
        user: str | None = None,
        password: SecretStr | str | None = None,
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


class DuckLakeMetadataStore(MetadataStore):
    """A store in a DuckLake: Parquet files and a catalog, computed by DuckDB.

    Args:
        catalog: a DuckDB file, `sqlite:PATH`, or `postgres:dbname=... host=...`.
        data_path: the folder of the Parquet files, or its address; by default beside the catalog.
        lock_timeout: seconds to wait for other processes to let go of the catalog.
        options: as `MetadataStore`.
    """

    def __init__(
        self,
        catalog: str | Path,
        *,
        data_path: str | Path | None = None,
        lock_timeout: float = 60.0,
        config: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        from metaxy_core.backends.ducklake import DuckLakeBackend

        backend = DuckLakeBackend(
            catalog, data_path=data_path, lock_timeout=lock_timeout, config=config
        )
        super().__init__(backend, **options)


class DeltaMetadataStore(MetadataStore):
    """A store in Delta Lake tables, one per feature, computed by Polars; see `DeltaBackend`.

    Args:
        uri: the folder of the tables, or its address.
        storage_options: credentials and settings of an object store.
        options: as `MetadataStore`.
    """

    def __init__(
        self, uri: str | Path, *, storage_options: Mapping[str, str] | None = None, **options: Any
    ) -> None:
        backends = _extra("DeltaMetadataStore", "delta")
        super().__init__(backends.DeltaBackend(uri, storage_options=storage_options), **options)


class IcebergMetadataStore(MetadataStore):
    """A store in Iceberg tables, one per feature, computed by Polars; see `IcebergBackend`.

    Args:
        warehouse: the folder of the tables, or its address.
        catalog: PyIceberg's properties of a catalog; by default one in SQLite in the warehouse.
        namespace: where in the catalog the tables are.
        options: as `MetadataStore`.
    """

    def __init__(
        self,
        warehouse: str | Path,
        *,
        catalog: Mapping[str, str] | None = None,
        namespace: str = "metaxy",
        **options: Any,
    ) -> None:
        backends = _extra("IcebergMetadataStore", "iceberg")
        backend = backends.IcebergBackend(warehouse, catalog=catalog, namespace=namespace)
        super().__init__(backend, **options)


class LanceDBMetadataStore(MetadataStore):
    """A store in LanceDB tables, one per feature, computed by Polars; see `LanceDBBackend`.

    Args:
        uri: the folder of the tables, or its address.
        storage_options: credentials and settings of an object store.
        options: as `MetadataStore`.
    """

    def __init__(
        self, uri: str | Path, *, storage_options: Mapping[str, str] | None = None, **options: Any
    ) -> None:
        backends = _extra("LanceDBMetadataStore", "lancedb")
        super().__init__(backends.LanceDBBackend(uri, storage_options=storage_options), **options)


class IbisMetadataStore(MetadataStore):
    """A store in any other database that Ibis speaks to; see `ConnectionBackend`.

    Args:
        connection: an open Ibis connection, or a function that makes one (such a store pickles).
        functions: what its engine calls our functions; known for BigQuery, Databricks, DuckDB,
            PySpark, Snowflake and Trino.
        options: as `MetadataStore`.
    """

    def __init__(self, connection: Any, *, functions: Any = None, **options: Any) -> None:
        from metaxy_core.backends.connection import ConnectionBackend

        super().__init__(ConnectionBackend(connection, functions=functions), **options)


def _extra(store: str, extra: str) -> Any:
    """The module of a backend whose packages an extra of the same name brings."""
    try:
        return import_module(f"metaxy_core.backends.{extra}")
    except ModuleNotFoundError as error:
        raise MissingExtraError(store, str(error.name), extra) from error
