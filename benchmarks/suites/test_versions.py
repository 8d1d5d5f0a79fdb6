"""What needs no data: the versions of a large graph, and the import."""

from __future__ import annotations

import subprocess
import sys

from benchmarks.ours import layered
from benchmarks.suites.measure import Measure, Reach
from metaxy_core import Graph

FEATURES = 1_000


def test_versions(measure: Measure) -> None:
    specs = layered(FEATURES)
    measure(
        f"all versions of a graph of {FEATURES:,} features",
        0,
        lambda: Graph(specs).versions,
        reach=Reach(0.100, "s"),
    )


def test_import(measure: Measure) -> None:
    measure(
        "import metaxy_core, over an empty script",
        0,
        lambda: _run("import metaxy_core"),
        lambda: _run("pass"),
        beside="empty script",
        reach=Reach(0.300, "over"),
        rounds=7,
    )


def _run(code: str) -> None:
    subprocess.run([sys.executable, "-c", code], check=True)
