"""How often a step says how far it is: every line is an event that Dagster stores."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

SECONDS = 1.0


class Pace:
    """Lets one thing through at once, and the next when some time has passed.

    >>> times = iter([0.0, 0.4, 1.1])
    >>> pace = Pace(seconds=1.0, clock=lambda: next(times))
    >>> pace.is_due(), pace.is_due(), pace.is_due()
    (True, False, True)
    """

    def __init__(
        self, seconds: float = SECONDS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._seconds, self._clock = seconds, clock
        self._last = -math.inf

    def is_due(self) -> bool:
        """Whether it is time again; asking counts where it is."""
        now = self._clock()
        if now - self._last < self._seconds:
            return False
        self._last = now
        return True
