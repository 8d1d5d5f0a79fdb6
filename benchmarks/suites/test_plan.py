"""Plan: what a whole graph has to do, before anything runs."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from benchmarks.suites.datasets import SMALL, Dataset, Shelf, size
from benchmarks.suites.measure import Measure


@dataclass(frozen=True)
class Case:
    """A dataset."""

    dataset: Dataset


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    most = metafunc.config.getoption("samples")
    found = [Case(Dataset(min(SMALL, most), "wide")), Case(Dataset(size(most, 10), "deep"))]
    metafunc.parametrize("case", found, ids=[str(one.dataset) for one in found])


def test_plan(case: Case, shelf: Shelf, measure: Measure) -> None:
    samples = case.dataset.samples
    changed = samples // 10
    with shelf.changed(case.dataset, changed) as store:
        last = case.dataset.shape.features[-1].key
        assert store.plan().of(last).planned == changed
        measure(f"plan, {case.dataset}, 10 % changed", samples, store.plan)
