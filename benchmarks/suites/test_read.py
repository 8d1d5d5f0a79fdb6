"""Read: the rows of a feature that count, as a Polars frame."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl
import pytest

from benchmarks import by_hand
from benchmarks.suites.datasets import SMALL, Dataset, Shelf, size
from benchmarks.suites.measure import Measure
from benchmarks.suites.test_resolve import connection_of


@dataclass(frozen=True)
class Case:
    """A dataset."""

    dataset: Dataset


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    most = metafunc.config.getoption("samples")
    sizes = sorted({min(SMALL, most), size(most)})
    metafunc.parametrize("case", [Case(Dataset(samples)) for samples in sizes])


def test_read(case: Case, shelf: Shelf, measure: Measure) -> None:
    samples, (root,) = case.dataset.samples, case.dataset.shape.roots
    columns = ["id", "path", "metaxy_provenance", "metaxy_data_version"]
    query = by_hand.read(root)
    with shelf.changed(case.dataset, 0) as store:
        connection = connection_of(store)

        def ours() -> int:
            return len(store.read(root.key, columns=columns).collect("polars"))

        def theirs() -> int:
            found: pl.DataFrame = connection.sql(query).pl()
            return found.height

        assert ours() == theirs() == samples
        measure("read, simple", samples, ours, theirs)
