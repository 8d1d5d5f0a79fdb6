"""SQLite passes the conformance suite."""

from __future__ import annotations

from itertools import count

import pytest

from metaxy_core import SQLiteMetadataStore
from metaxy_core.testing.conformance import StoreConformance

pytestmark = pytest.mark.slow


class TestSQLite(StoreConformance):
    @pytest.fixture
    def make_store(self, tmp_path):
        numbers = count()
        return lambda graph, **options: SQLiteMetadataStore(
            tmp_path / f"{next(numbers)}.sqlite", graph=graph, **options
        )
