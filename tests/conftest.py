"""Stores to test on: one per engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from metaxy_core import DuckDBMetadataStore, InMemoryMetadataStore, MetadataStore

Open = Callable[..., MetadataStore]
ENGINES: dict[str, Callable[..., MetadataStore]] = {
    "memory": InMemoryMetadataStore,
    "duckdb": DuckDBMetadataStore,
}


@pytest.fixture(params=sorted(ENGINES))
def make_store(request: pytest.FixtureRequest) -> Open:
    """Make stores of one engine; each engine in turn."""

    def make(graph: Any, **options: Any) -> MetadataStore:
        return ENGINES[request.param](graph=graph, **options)

    return make
