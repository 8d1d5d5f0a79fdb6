"""Resolve where samples have a history, beside the same samples written once."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from benchmarks.suites.datasets import SMALL, Dataset, Shelf, size
from benchmarks.suites.measure import Measure, Reach


@dataclass(frozen=True)
class Case:
    """A dataset, and what its cost may be beside that of one version."""

    dataset: Dataset
    reach: Reach | None = None
    full: bool = True

    def __str__(self) -> str:
        way = "" if self.full else ", by mark"
        return f"resolve, {self.dataset}, 10 % changed{way}"


def cases(most: int) -> list[Case]:
    """Of 5 and of 20 versions, and compacted, at as many samples as there is room for."""
    samples = size(most, 20)
    by_mark = [Case(Dataset(samples, versions=20), Reach(3), full=False)]
    return [
        Case(Dataset(samples, versions=5)),
        Case(Dataset(samples, versions=20), Reach(3)),
        *(by_mark if samples > SMALL else []),
        Case(Dataset(samples, versions=20, compacted=True), Reach(1.1)),
    ]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    found = cases(metafunc.config.getoption("samples"))
    metafunc.parametrize("case", found, ids=str)


def test_history(case: Case, shelf: Shelf, measure: Measure) -> None:
    samples = case.dataset.samples
    once = Dataset(samples)
    (feature,) = once.shape.derived
    shelf.path(case.dataset)
    with (
        shelf.changed(once, samples // 10) as short,
        shelf.changed(case.dataset, samples // 10) as long,
    ):
        measure(
            str(case),
            samples,
            lambda: long.resolve_update(feature.key, full=case.full),
            lambda: short.resolve_update(feature.key, full=case.full),
            beside="1 version",
            reach=case.reach,
        )
