"""ClickHouse passes the conformance suite: in this process, and over HTTP."""

from __future__ import annotations

import os

import pytest

from metaxy_core.testing.conformance import StoreConformance
from tests.backends.clickhouse_server import PASSWORD, USER, serving

pytestmark = pytest.mark.slow


class TestClickHouse(StoreConformance):
    @pytest.fixture
    def make_store(self, clickhouse):
        return clickhouse


@pytest.mark.slow
@pytest.mark.skipif(
    os.environ.get("METAXY_FUZZ") != "long", reason="the same again over HTTP: long profile only"
)
@pytest.mark.skipif(
    "METAXY_TEST_CLICKHOUSE" in os.environ, reason="it is about the engine in this process"
)
class TestClickHouseServer(StoreConformance):
    @pytest.fixture
    def make_store(self, clickhouse, chdb_folder):
        with serving(chdb_folder) as server:
            address = {"path": None, "host": "127.0.0.1", "port": server.server_port}
            yield lambda graph, **options: clickhouse(
                graph, user=USER, password=PASSWORD, **address, **options
            )
