"""The lakehouse stores pass the conformance suite."""

from __future__ import annotations

from itertools import count

import pytest

from metaxy_core import (
    DeltaMetadataStore,
    DuckLakeMetadataStore,
    IcebergMetadataStore,
    LanceDBMetadataStore,
)
from metaxy_core.testing.conformance import StoreConformance

pytestmark = pytest.mark.slow


def in_folders(store, tmp_path, suffix=""):
    numbers = count()
    return lambda graph, **options: store(
        tmp_path / f"{next(numbers)}{suffix}", graph=graph, **options
    )


class TestDuckLake(StoreConformance):
    @pytest.fixture
    def make_store(self, tmp_path):
        return in_folders(DuckLakeMetadataStore, tmp_path, ".ducklake")


class TestDelta(StoreConformance):
    @pytest.fixture
    def make_store(self, tmp_path):
        return in_folders(DeltaMetadataStore, tmp_path)


class TestIceberg(StoreConformance):
    @pytest.fixture
    def make_store(self, tmp_path):
        return in_folders(IcebergMetadataStore, tmp_path)


class TestLanceDB(StoreConformance):
    @pytest.fixture
    def make_store(self, tmp_path):
        return in_folders(LanceDBMetadataStore, tmp_path)
