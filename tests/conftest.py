"""Stores to test on: one per engine, and DuckDB on a file besides memory."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from metaxy_core import DuckDBMetadataStore, InMemoryMetadataStore, MetadataStore

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
