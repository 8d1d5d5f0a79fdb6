"""`make bench-peer`: metaxy, metaxy 0.1.11 and SQL written by hand, in turns, on the same samples.

Every system has a process and a file of its own. All must agree on how many samples are new,
stale and orphaned.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks import figures
from benchmarks.figures import many, median_ratio, seconds
from benchmarks.graphs import SHAPES
from benchmarks.peer.protocol import ROOT, Counts, Worker
from metaxy_core.store.settling import FROM_ROWS

PYTHON = ROOT / ".venv-peer" / "bin" / "python"
OURS, MARKED, THEIRS, HAND = "metaxy", "by mark", "metaxy 0.1.11", "by hand"


@dataclass(frozen=True)
class Case:
    """One comparison, and what it has to reach: times faster than the peer, times by hand.

    Attributes:
        changed: samples changed since; None to measure a write.
        at_most: seconds.
    """

    shape: str
    samples: int
    changed: int | None
    rounds: int
    faster: float | None = None
    by_hand: float | None = None
    at_most: float | None = None

    @property
    def name(self) -> str:
        """What is done."""
        if self.changed is None:
            return f"write, {many(self.samples)}"
        part = "10 % changed" if self.changed else "nothing changed"
        return f"resolve, {self.shape}, {many(self.samples)}, {part}"


CASES = (
    Case("simple", 10_000, 1_000, 21, faster=4, at_most=0.060),
    Case("wide", 10_000, 1_000, 21, faster=4, at_most=0.060),
    Case("simple", 1_000_000, 100_000, 5, faster=5, by_hand=1.3),
    Case("wide", 1_000_000, 100_000, 5, faster=5, by_hand=1.3),
    Case("simple", 1_000_000, 0, 5),
    Case("simple", 1_000_000, None, 5, faster=5, by_hand=1.5),
)


@dataclass(frozen=True)
class Outcome:
    """Medians of seconds by system, and medians of ratios, round by round."""

    what: str
    seconds: dict[str, float]
    faster: float
    by_hand: float
    to_reach: dict[str, float]

    @property
    def reached(self) -> bool:
        """Whether everything there is to reach is."""
        wanted = self.to_reach
        return (
            self.faster >= wanted.get("faster", 0)
            and self.by_hand <= wanted.get("by_hand", float("inf"))
            and self.seconds[OURS] <= wanted.get("at_most", float("inf"))
        )


def measured(case: Case, folder: Path) -> Outcome:
    """Measure a case, in processes of its own."""
    with ExitStack() as running:
        ours, hand = (
            running.enter_context(Worker(f"benchmarks.peer.{name}")) for name in ("ours", "hand")
        )
        theirs = running.enter_context(Worker("benchmarks.peer.theirs", PYTHON))
        rounds = _write if case.changed is None else _resolve
        taken: dict[str, list[float]] = {}
        for turn, times in enumerate(rounds(case, folder, ours, theirs, hand)):
            if turn:  # the first one warms up
                for name, time in times.items():
                    taken.setdefault(name, []).append(time)
    wanted = {name: asdict(case)[name] for name in ("faster", "by_hand", "at_most")}
    return Outcome(
        case.name,
        {name: statistics.median(times) for name, times in taken.items()},
        median_ratio(taken[THEIRS], taken[OURS]),
        median_ratio(taken[OURS], taken[HAND]),
        {name: value for name, value in wanted.items() if value is not None},
    )


def _resolve(
    case: Case, folder: Path, ours: Worker, theirs: Worker, hand: Worker
) -> Iterator[dict[str, float]]:
    files = {name: str(folder / f"{name}.duckdb") for name in ("ours", "theirs", "hand")}
    filled = {"shape": case.shape, "samples": case.samples, "changed": case.changed}
    ours.ask("fill", path=files["ours"], **filled)
    theirs.ask("fill", path=files["theirs"], **filled)
    shutil.copy(files["ours"], files["hand"])
    for worker, name in ((ours, "ours"), (theirs, "theirs"), (hand, "hand")):
        worker.ask("open", path=files[name], shape=case.shape)
    (feature,) = SHAPES[case.shape].derived
    turns: dict[str, Callable[[], tuple[float, Counts]]] = {
        OURS: lambda: ours.ask("resolve", key=feature.key, full=True),
        THEIRS: lambda: theirs.ask("resolve", key=feature.key),
        HAND: lambda: hand.ask("resolve", key=feature.key),
    }
    if case.samples >= FROM_ROWS:
        turns[MARKED] = lambda: ours.ask("resolve", key=feature.key)
    for _ in range(case.rounds + 1):
        times = {}
        for name, turn in turns.items():
            times[name], counts = turn()
            if counts != {"new": 0, "stale": case.changed, "orphaned": 0}:
                raise RuntimeError(f"{case.name}: {name} found {counts}.")
        yield times
    for worker in (ours, theirs, hand):
        worker.ask("close")
    for file in files.values():
        Path(file).unlink()


def _write(
    case: Case, folder: Path, ours: Worker, theirs: Worker, hand: Worker
) -> Iterator[dict[str, float]]:
    for _ in range(case.rounds + 1):
        times = {}
        for name, worker in ((OURS, ours), (THEIRS, theirs), (HAND, hand)):
            path = folder / "written.duckdb"
            times[name] = worker.ask(
                "write", path=str(path), shape=case.shape, samples=case.samples
            )
            path.unlink()
        yield times


def rows(outcomes: list[dict[str, Any]]) -> list[list[str]]:
    """What the table says of outcomes that were kept."""
    return [_row(Outcome(**outcome)) for outcome in outcomes]


NAMES = ("what", OURS, MARKED, THEIRS, HAND, "faster than 0.1.11", "/ by hand", "to reach")


def _row(one: Outcome) -> list[str]:
    shown = [
        seconds(one.seconds[name]) if name in one.seconds else "–"
        for name in (OURS, MARKED, THEIRS, HAND)
    ]
    signs = {
        "faster": "≥ {:g}× faster",
        "by_hand": "≤ {:g}× by hand",
        "at_most": "≤ {:g} s",
    }
    wanted = ", ".join(signs[name].format(value) for name, value in one.to_reach.items()) or "told"
    if one.to_reach:
        wanted += " ✓" if one.reached else " ✗"
    return [one.what, *shown, f"{one.faster:.1f}×", f"{one.by_hand:.2f}×", wanted]


def measure(cases: tuple[Case, ...] = CASES) -> None:
    """Measure and print; the figures of all cases are kept."""
    outcomes = []
    with tempfile.TemporaryDirectory() as temporary:
        for case in cases:
            outcomes.append(asdict(measured(case, Path(temporary))))
            Console(width=130).print(*rows(outcomes)[-1], sep="  ")
    if cases == CASES:
        figures.keep("peer", outcomes)
    figures.show("metaxy beside metaxy 0.1.11 and SQL by hand, in turns", NAMES, rows(outcomes))


def main() -> None:
    """Measure all cases, or some."""
    parser = argparse.ArgumentParser(prog="benchmarks.peer", description=__doc__)
    parser.add_argument("only", nargs="*", metavar="word", help="cases whose name has all of these")
    asked = parser.parse_args()
    if not PYTHON.exists():
        sys.exit("The peer has no environment yet: run `make bench-peer`.")
    measure(tuple(case for case in CASES if all(word in case.name for word in asked.only)))


if __name__ == "__main__":
    main()
