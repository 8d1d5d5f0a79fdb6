"""The benchmarks run, on next to nothing, and measure what they say; no time is asserted."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from xml.etree import ElementTree

import polars as pl
import pytest

from benchmarks import __main__ as bench
from benchmarks import by_hand, ours, picture, report
from benchmarks.graphs import SHAPES
from benchmarks.suites.measure import Figure

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


def test_a_report_replaces_what_stands_between_its_comments_alone():
    page = "before <!-- peer --> old <!-- /peer --> after"
    assert report.replaced(page, "peer", "new") == (
        "before <!-- peer -->\nnew\n<!-- /peer --> after"
    )
    with pytest.raises(ValueError, match="no comments <!-- bench -->"):
        report.replaced(page, "bench", "new")


def test_the_page_has_a_place_for_every_table():
    page = report.PAGE.read_text()
    for name in ("peer", "bench", "bench-large"):
        assert page != report.replaced(page, name, "new")


def test_a_figure_is_told_beside_what_it_has_to_reach():
    large = Figure("resolve", 10_000_000, 0.2, "by hand", 8.0, 1 / 40, 1 / 30, "ratio")
    over = Figure("resolve", 10_000_000, 0.09, "10 k samples", 0.05, 1.8, 0.02, "over")
    memory = Figure("peak memory", 10_000_000, 2.5e9, most=2e9, unit="bytes")
    told = Figure("read", 10_000, 0.01, "by hand", 0.01, 1.0)
    assert bench.table([asdict(one) for one in (large, over, memory, told)]) == [
        ["resolve", "10 M", "200 ms", "by hand 8.00 s", "1/40", "≤ 1/30 ✓"],
        ["resolve", "10 M", "90 ms", "10 k samples 50 ms", "1.80×", "≤ +20 ms ✗"],
        ["peak memory", "10 M", "2.50 GB", "–", "–", "≤ 2 GB ✗"],
        ["read", "10 k", "10 ms", "by hand 10 ms", "1.00×", "told"],
    ]


def test_the_picture_is_well_formed():
    drawn = picture.draw("a < b", [("write, 1 M", {"metaxy": 1.0, "metaxy 0.1.11": 9.0})])
    tree = ElementTree.fromstring(drawn)
    assert "a < b" in {element.text for element in tree.iter()}
