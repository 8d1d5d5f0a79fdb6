"""Write: rows from a Polars frame into an empty file, beside a bare insert of rows made before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest

from benchmarks import ours
from benchmarks.data import samples as samples_of
from benchmarks.graphs import SIMPLE
from benchmarks.suites.datasets import SMALL, size
from benchmarks.suites.measure import Measure, Reach


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    most = metafunc.config.getoption("samples")
    metafunc.parametrize("samples", sorted({min(SMALL, most), min(size(most), 1_000_000)}))


def test_write(samples: int, folder: Path, measure: Measure) -> None:
    (root,) = SIMPLE.roots
    frame = samples_of(root, samples)
    stored = _stored(folder / "stored.duckdb", root.key, frame)

    def write() -> None:
        path = folder / "ours.duckdb"
        path.unlink(missing_ok=True)
        with ours.store_of(path, SIMPLE).open("w") as store:
            assert store.write(root.key, frame) == samples

    def insert() -> None:
        path = folder / "bare.duckdb"
        path.unlink(missing_ok=True)
        with duckdb.connect(str(path)) as connection:
            connection.register("stored", stored)
            connection.execute("CREATE TABLE video AS FROM stored")

    large = samples == 1_000_000
    measure(
        "write, simple",
        samples,
        write,
        insert,
        beside="bare Arrow insert",
        reach=Reach(1.5) if large else None,
    )


def _stored(path: Path, key: str, frame: Any) -> Any:
    with ours.store_of(path, SIMPLE).open("w") as store:
        store.write(key, frame)
    with duckdb.connect(str(path)) as connection:
        return connection.execute(f"FROM {key}").to_arrow_table()
