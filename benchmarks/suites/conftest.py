"""What the suites share; `--samples` says how large the largest dataset may be."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.suites.datasets import SMALL, Dataset, Shelf
from benchmarks.suites.measure import Measure


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--samples", type=int, default=SMALL, help="of the largest dataset")
    parser.addoption("--once", action="store_true", help="one case of each test")


@pytest.fixture
def measure(benchmark: Any) -> Measure:
    return Measure(benchmark)


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shelf]:
    folder = tmp_path_factory.mktemp("stores")
    yield Shelf(folder)
    for path in folder.iterdir():
        path.unlink()


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """An empty folder whose files go after the test."""
    yield tmp_path
    for path in tmp_path.iterdir():
        path.unlink()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests of one dataset follow each other, so that it is made once; small ones first."""
    if config.getoption("once"):
        first = {_function(item): item for item in reversed(items)}
        items[:] = [item for item in items if first[_function(item)] is item]
    items.sort(key=_dataset)


def _function(item: pytest.Item) -> str:
    return item.nodeid.partition("[")[0]


def _dataset(item: pytest.Item) -> Dataset:
    call = getattr(item, "callspec", None)
    case = call.params.get("case") if call else None
    found: Dataset = getattr(case, "dataset", Dataset(0))
    return found
