"""ClickHouse passes the conformance suite."""

from __future__ import annotations

from itertools import count

import pytest

from metaxy_core import ClickHouseMetadataStore
from metaxy_core.testing.conformance import StoreConformance


class TestClickHouse(StoreConformance):
    @pytest.fixture
    def make_store(self, tmp_path):
        numbers = count()
        return lambda graph, **options: ClickHouseMetadataStore(
            path=tmp_path / "engine", database=f"store{next(numbers)}", graph=graph, **options
        )
