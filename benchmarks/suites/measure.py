"""How the suites measure: the library and its partner in turns, within one test."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal

from benchmarks.clock import seconds
from benchmarks.figures import median_ratio
from benchmarks.suites.datasets import SMALL

Unit = Literal["s", "ratio", "over", "bytes"]


@dataclass(frozen=True)
class Reach:
    """What a figure has to be at most: seconds, a ratio, seconds over the partner's, bytes."""

    most: float
    unit: Unit = "ratio"


@dataclass(frozen=True)
class Figure:
    """What one test measured.

    Attributes:
        value: seconds (the median), or bytes.
        partner: the same of what it is measured beside.
        ratio: the median of the ratios, turn by turn.
    """

    what: str
    samples: int
    value: float
    beside: str = ""
    partner: float | None = None
    ratio: float | None = None
    most: float | None = None
    unit: Unit = "s"

    @property
    def reached(self) -> bool | None:
        """Whether it is what it has to be; None where it has to be nothing."""
        if self.most is None:
            return None
        over = self.value - (self.partner or 0)
        found = {"s": self.value, "bytes": self.value, "ratio": self.ratio, "over": over}
        return (found[self.unit] or 0) <= self.most


class Measure:
    """Measures one test, and leaves its figure in pytest-benchmark's extra information."""

    def __init__(self, benchmark: Any) -> None:
        self._benchmark = benchmark

    def __call__(
        self,
        what: str,
        samples: int,
        work: Callable[[], object],
        partner: Callable[[], object] | None = None,
        *,
        beside: str = "by hand",
        reach: Reach | None = None,
        rounds: int | None = None,
    ) -> None:
        """Run the work and its partner in turns; the first turn warms up."""
        times: list[float] = []

        def turn() -> None:
            if partner:
                times.append(seconds(partner))

        often = rounds or (15 if samples <= SMALL else 5 if samples <= 1_000_000 else 3)
        self._benchmark.pedantic(work, setup=turn, rounds=often, warmup_rounds=1)
        if self._benchmark.stats is None:  # only tried, not measured
            return
        ours: list[float] = self._benchmark.stats.stats.data
        self._leave(
            Figure(
                what,
                samples,
                statistics.median(ours),
                beside if partner else "",
                statistics.median(times[1:]) if partner else None,
                median_ratio(ours, times[1:]) if partner else None,
                reach.most if reach else None,
                reach.unit if reach else "s",
            )
        )

    def peak(self, what: str, samples: int, work: Callable[[], int], reach: Reach | None) -> None:
        """Run work that says how many bytes it took."""
        taken = self._benchmark.pedantic(work)
        if self._benchmark.stats is not None:
            most = reach.most if reach else None
            self._leave(Figure(what, samples, taken, most=most, unit="bytes"))

    def _leave(self, figure: Figure) -> None:
        self._benchmark.extra_info["figure"] = asdict(figure)
