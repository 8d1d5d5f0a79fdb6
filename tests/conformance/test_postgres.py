"""PostgreSQL passes the conformance suite."""

from __future__ import annotations

import pytest

from metaxy_core.testing.conformance import StoreConformance

pytestmark = pytest.mark.slow


class TestPostgres(StoreConformance):
    @pytest.fixture
    def make_store(self, postgres):
        return lambda graph, **options: postgres(graph=graph, **options)
