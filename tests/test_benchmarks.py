"""The benchmarks run, on next to nothing, and measure what they say; no time is asserted."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from benchmarks import by_hand, ours
from benchmarks.graphs import SHAPES

ROOT = Path(__file__).parent.parent


@pytest.mark.slow
def test_every_suite_runs_once():
    command = [sys.executable, "-m", "pytest", "benchmarks/suites", "-p", "no:xdist"]
    options = ["--samples=20", "--once", "--benchmark-disable"]
    subprocess.run([*command, *options], cwd=ROOT, check=True)


@pytest.mark.parametrize("name", ["simple", "paired", "wide", "N:1", "1:N"])
def test_sql_by_hand_finds_what_the_library_finds(name, tmp_path):
    shape = SHAPES[name]
    (feature,) = shape.derived
    with ours.store_of(tmp_path / "store.duckdb", shape).open("w") as store:
        ours.fill(store, shape, 20)
        ours.change(store, shape, 2)
        found = store.resolve_update(feature.key, full=True).stale.to_native()
        query = by_hand.resolve(shape, feature.key)
        rows = store.backend.connection.con.sql(query).pl()
    digests = pl.col("metaxy_provenance_by_field").struct.unnest()
    expected = found.select(*feature.unit, digests).sort(*feature.unit)
    assert rows["status"].unique().to_list() == ["stale"]
    assert rows.select(expected.columns).sort(*feature.unit).equals(expected)
