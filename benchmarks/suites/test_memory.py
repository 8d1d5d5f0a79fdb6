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
BUCKETS = 4
LIMIT = "1GB"
"""Of memory for DuckDB."""


@dataclass(frozen=True)
class Case:
    """A dataset, compared at once, or bucket by bucket in as little memory as is wanted."""

    dataset: Dataset
    is_limited: bool

    def __str__(self) -> str:
        way = f"in {BUCKETS} buckets, {LIMIT} for DuckDB" if self.is_limited else "at once"
        return f"peak memory of a resolve, {self.dataset}, 10 % changed, {way}"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    samples = size(metafunc.config.getoption("samples"))
    found = [
        Case(Dataset(samples, name), is_limited)
        for name in ("simple", "wide", "N:1", "1:N")
        for is_limited in (False, True)
    ]
    metafunc.parametrize("case", found, ids=str)


def test_memory(case: Case, shelf: Shelf, measure: Measure) -> None:
    samples = case.dataset.samples
    with shelf.changed_file(case.dataset, samples // 10) as path:
        command = [sys.executable, "-m", peak.__name__, path, case.dataset.name]
        command += [BUCKETS, LIMIT] if case.is_limited else []

        def child() -> int:
            return int(subprocess.check_output([str(part) for part in command], cwd=ROOT))

        wanted = Reach(GIGABYTES * 1e9, "bytes") if case.is_limited else None
        measure.peak(str(case), samples, child, wanted)
