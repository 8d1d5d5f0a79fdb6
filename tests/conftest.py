"""Stores to test on: one per engine, and DuckDB on a file besides memory."""

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
)

Open = Callable[..., MetadataStore]


@pytest.fixture(autouse=True)
def _spool_dir(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Rows that cannot be stored are kept with the test."""
    monkeypatch.setenv("METAXY_SPOOL_DIR", str(tmp_path / "spool"))


@pytest.fixture(params=["memory", "duckdb", "duckdb file"])
def make_store(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    """Make stores of one engine; each engine in turn."""
    numbers = count()

    def make(graph: Any, **options: Any) -> MetadataStore:
        match request.param:
            case "memory":
                return InMemoryMetadataStore(graph=graph, **options)
            case "duckdb":
                return DuckDBMetadataStore(graph=graph, **options)
        path = tmp_path / f"store{next(numbers)}.duckdb"
        store = DuckDBMetadataStore(path, graph=graph, **options)
        with store.open("w"):
            pass
        return store

    return make


@pytest.fixture(scope="session")
def chdb_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of ClickHouse's engine in this process, which has one at a time."""
    return tmp_path_factory.mktemp("clickhouse")


@pytest.fixture(scope="session")
def clickhouse(chdb_folder: Path) -> Iterator[Open]:
    """Make ClickHouse stores, each in a database of its own unless it is named.

    They are on the server that METAXY_TEST_CLICKHOUSE names (a DSN), else on the engine in this
    process, which takes a second to start: all tests share it.
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
