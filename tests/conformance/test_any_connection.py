"""A store on an Ibis connection of one's own passes the conformance suite, here on DuckDB's."""

from __future__ import annotations

import ibis
import pytest

from metaxy_core import IbisMetadataStore
from metaxy_core.errors import HashAlgorithmNotSupportedError
from metaxy_core.testing.conformance import CHAIN, StoreConformance

pytestmark = pytest.mark.slow


class TestAnyConnection(StoreConformance):
    @pytest.fixture
    def make_store(self):
        return lambda graph, **options: IbisMetadataStore(
            ibis.duckdb.connect(), graph=graph, **options
        )


def test_an_engine_that_nobody_has_described_is_refused():
    with pytest.raises(HashAlgorithmNotSupportedError, match="'polars'.*Known: bigquery"):
        IbisMetadataStore(ibis.polars.connect(), graph=CHAIN)
