"""The stores that need nothing but the library pass the conformance suite."""

from __future__ import annotations

from itertools import count

import pytest

from metaxy_core import DuckDBMetadataStore, InMemoryMetadataStore
from metaxy_core.testing.conformance import StoreConformance


class TestMemory(StoreConformance):
    @pytest.fixture
    def make_store(self):
        return lambda graph, **options: InMemoryMetadataStore(graph=graph, **options)


@pytest.mark.slow
class TestDuckDB(StoreConformance):
    @pytest.fixture
    def make_store(self, tmp_path):
        numbers = count()
        return lambda graph, **options: DuckDBMetadataStore(
            tmp_path / f"{next(numbers)}.duckdb", graph=graph, **options
        )
