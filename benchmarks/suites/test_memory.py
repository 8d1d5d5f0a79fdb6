"""Peak memory of a resolve, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmarks.suites import peak
from benchmarks.suites.datasets import Dataset, Shelf, size
from benchmarks.suites.measure import Measure, Reach

ROOT = Path(__file__).parents[2]
GIGABYTES = 2
PER_BUCKET = 1_000_000


@dataclass(frozen=True)
class Case:
    """A dataset, compared at once or bucket by bucket."""

    dataset: Dataset
    buckets: int

    def __str__(self) -> str:
        way = f"in {self.buckets} buckets" if self.buckets > 1 else "at once"
        return f"peak memory of a resolve, {self.dataset}, 10 % changed, {way}"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    samples = size(metafunc.config.getoption("samples"))
    several = max(2, samples // PER_BUCKET)
    found = [
        Case(Dataset(samples, name), buckets)
        for name in ("simple", "wide", "N:1", "1:N")
        for buckets in (1, several)
    ]
    metafunc.parametrize("case", found, ids=str)


def test_memory(case: Case, shelf: Shelf, measure: Measure) -> None:
    samples = case.dataset.samples
    with shelf.changed_file(case.dataset, samples // 10) as path:
        command = [sys.executable, "-m", peak.__name__, path, case.dataset.name, case.buckets]

        def child() -> int:
            return int(subprocess.check_output([str(part) for part in command], cwd=ROOT))

        measure.peak(str(case), samples, child, Reach(GIGABYTES * 1e9, "bytes"))
