"""`make bench`: the suites, and one table of what they measured beside what there is to reach.

`python -m benchmarks --samples 10000 -k read` measures some of it: what is not known here is
pytest's.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from benchmarks import figures
from benchmarks.figures import many, seconds
from benchmarks.suites.measure import Figure

LARGEST = 1_000_000
SUITES = Path(__file__).parent / "suites"
NAMES = ("what", "samples", "metaxy", "beside", "ratio", "to reach")


def measure(samples: int, name: str | None, *options: str) -> None:
    """Run the suites, print the table, and keep the figures under a name, if there is one."""
    with tempfile.TemporaryDirectory() as temporary:
        result = Path(temporary) / "result.json"
        asked = [str(SUITES), f"--samples={samples}", f"--benchmark-json={result}"]
        quiet = ["--benchmark-quiet", "--benchmark-disable-gc", f"--basetemp={temporary}/files"]
        quiet += ["-W", "ignore:Not saving anything"]
        code = pytest.main([*asked, *quiet, *options])
        found = json.loads(result.read_text())["benchmarks"] if result.exists() else []
    rows = [one["extra_info"]["figure"] for one in found]
    figures.show("metaxy on DuckDB, this machine", NAMES, table(rows))
    if code:  # a test failed, or the run was interrupted
        sys.exit(int(code))
    if name is not None:
        figures.keep(name, rows)


def table(rows: list[dict[str, Any]]) -> list[list[str]]:
    """What the table says of figures that were kept."""
    return [_row(Figure(**row)) for row in rows]


def _row(one: Figure) -> list[str]:
    shown = f"{one.value / 1e9:.2f} GB" if one.unit == "bytes" else seconds(one.value)
    beside = f"{one.beside} {seconds(one.partner)}" if one.partner is not None else "–"
    ratio = "–" if one.ratio is None else f"{one.ratio:.2f}×"
    if one.ratio is not None and one.ratio < 0.2:
        ratio = f"1/{1 / one.ratio:.0f}"
    mark = "" if one.reached is None else " ✓" if one.reached else " ✗"
    samples = many(one.samples) if one.samples else "–"
    return [one.what, samples, shown, beside, ratio, _wanted(one) + mark]


def _wanted(one: Figure) -> str:
    if one.most is None:
        return "told"
    if one.unit == "ratio":
        return f"≤ {one.most:g}×" if one.most >= 1 else f"≤ 1/{1 / one.most:.0f}"
    if one.unit == "bytes":
        return f"≤ {one.most / 1e9:g} GB"
    return f"≤ {'+' if one.unit == 'over' else ''}{seconds(one.most)}"


def main() -> None:
    """Measure with as many samples as are asked for."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--samples", type=int, default=LARGEST, help="of the largest dataset")
    parser.add_argument("--name", help="under which the figures are kept; 'bench' for all suites")
    asked, options = parser.parse_known_args()
    is_whole = not options and asked.samples == LARGEST
    measure(asked.samples, asked.name or ("bench" if is_whole else None), *options)


if __name__ == "__main__":
    main()
