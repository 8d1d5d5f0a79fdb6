"""`python -m benchmarks.report`: measure, and write docs/performance.md's tables and picture anew.

`--kept` writes what was measured last by `make bench`, `make bench-large` and `make bench-peer`;
`--large` measures 10 M samples as well.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import __main__ as bench
from benchmarks import figures, picture
from benchmarks.peer import __main__ as peer

DOCS = Path(__file__).parents[1] / "docs"
PAGE, PICTURE = DOCS / "performance.md", DOCS / "pictures" / "performance.svg"
LARGE = 10_000_000


def written(page: str) -> str:
    """The page with the figures that are kept, each table between its own comments."""
    for name, names, rows in (
        ("bench", bench.NAMES, bench.table),
        ("bench-large", bench.NAMES, bench.table),
        ("peer", peer.NAMES, peer.rows),
    ):
        found = figures.kept(name)
        if found:
            lines = [described(found["machine"]), "", *markdown(names, rows(found["rows"]))]
            page = replaced(page, name, "\n".join(lines))
    return page


def described(machine: dict[str, str]) -> str:
    """The machine in a sentence."""
    facts = dict(machine)
    where = ", ".join(facts.pop(name) for name in ("memory", "system"))
    cores, load = facts.pop("cores"), facts.pop("load")
    versions = ", ".join(f"{name} {number}" for name, number in facts.items())
    return (
        f"{cores} cores, {where}; {versions}. Load when it ended (the measured processes "
        f"themselves and others): {load}."
    )


def markdown(names: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A table."""
    lines = [names, ["---", *("--:" for _ in names[1:])], *rows]
    return [f"| {' | '.join(line)} |" for line in lines]


def replaced(page: str, name: str, text: str) -> str:
    """The page with other text between the comments of a name.

    Raises:
        ValueError: it has no such comments.
    """
    opening, closing = f"<!-- {name} -->", f"<!-- /{name} -->"
    between = re.compile(f"{re.escape(opening)}.*?{re.escape(closing)}", re.S)
    if not between.search(page):
        raise ValueError(f"The page has no comments {opening} and {closing}.")
    return between.sub(lambda _: f"{opening}\n{text}\n{closing}", page)


def drawn(outcomes: Sequence[dict[str, Any]]) -> str:
    """The picture of what the peer was measured at."""
    groups = [(one["what"], one["seconds"]) for one in outcomes]
    return picture.draw("Seconds in one run, in turns; each group to its own scale", groups)


def main() -> None:
    """Measure, and write."""
    parser = argparse.ArgumentParser(prog="benchmarks.report", description=__doc__)
    parser.add_argument("--kept", action="store_true", help="measure nothing")
    parser.add_argument("--large", action="store_true", help="measure 10 M samples as well")
    asked = parser.parse_args()
    if not asked.kept:
        peer.measure()
        bench.measure(1_000_000, "bench")
        if asked.large:
            bench.measure(LARGE, "bench-large")
    PAGE.write_text(written(PAGE.read_text()))
    if found := figures.kept("peer"):
        PICTURE.write_text(drawn(found["rows"]))


if __name__ == "__main__":
    main()
