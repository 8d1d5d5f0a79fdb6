"""How far a step has come, told often enough and never too often."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from logging import Logger

from metaxy_core import FeatureKey, said_duration
from metaxy_dagster.reports.preview import counted

_FREE = 10
"""So many chunks are told one by one,"""
_SECONDS = 5.0
"""then there are as many seconds between two lines,"""
_SHARE = 0.05
"""or this share of the time so far, where it is more: the lines grow with its logarithm."""


@dataclass
class Pace:
    """A line in the log per chunk, while there are few of them.

    A step of any length and of any number of chunks says some hundred lines at most.

    >>> import logging
    >>> told = Pace(logging.getLogger("doctest"), FeatureKey("crop"), clock=lambda: 0.0)
    >>> sum(told.is_due() for _ in range(10_000))
    10
    """

    log: Logger
    feature: FeatureKey
    clock: Callable[[], float] = time.monotonic
    began: float = field(init=False)
    _told: int = 0
    _last: float = 0.0

    def __post_init__(self) -> None:
        self.began = self.clock()

    @property
    def seconds(self) -> float:
        """Since it was made."""
        return self.clock() - self.began

    def is_due(self) -> bool:
        """Whether a line is worth its place now; if so it counts as told."""
        seconds = self.seconds
        if self._told >= _FREE and seconds - self._last < max(_SECONDS, _SHARE * seconds):
            return False
        self._told, self._last = self._told + 1, seconds
        return True

    def tell(self, rows: int, done: int, of: int) -> None:
        """Say what is written, what is left, how fast it goes and when it will be done.

        The last chunk is not told: `finish` is, at once.

        Args:
            rows: written so far.
            done: samples (1:N: parents) done so far, of those asked for.
        """
        if not done or done >= of or not self.is_due():
            return
        rate = done / max(self.seconds, 1e-6)
        self.log.info(
            "%s: %s written, %s of %s left, %s, %s to go",
            *(self.feature, counted(rows, "row"), f"{of - done:,}", counted(of, "sample")),
            *(said_rate(rate), said_duration((of - done) / rate)),
        )

    def finish(self, rows: int, done: int) -> None:
        """Say what was written in all."""
        if done:
            rate = done / max(self.seconds, 1e-6)
            self.log.info(
                "%s: done, %s written for %s in %s, %s",
                *(self.feature, counted(rows, "row"), counted(done, "sample")),
                *(said_duration(self.seconds), said_rate(rate)),
            )


def said_rate(per_second: float) -> str:
    """Samples per second, or per minute or hour where they are fewer.

    >>> said_rate(812.4), said_rate(2.5), said_rate(0.2), said_rate(0.001)
    ('812 samples/s', '2.5 samples/s', '12.0 samples/min', '3.6 samples/h')
    """
    for unit, seconds in (("s", 1), ("min", 60)):
        if per_second * seconds >= 1:
            rate = per_second * seconds
            return f"{rate:,.0f} samples/{unit}" if rate >= 100 else f"{rate:.1f} samples/{unit}"
    return f"{per_second * 3600:.1f} samples/h"
