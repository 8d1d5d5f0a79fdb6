"""The rounds of automation conditions: which ticks go on with what the one before had left.

A sensor keeps its round in its cursor. A condition is evaluated for one asset at a time and sees
the cursor of that asset alone, so this process remembers which ticks left something. One that has
just started knows of none and begins a new round.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock

_KEPT = 1000
"""Between two ticks of one sensor come those of others."""


@dataclass
class _Ended:
    round: float
    left: bool = False


@dataclass
class Rounds:
    """Ticks by the time that Dagster evaluates them as of: the one thing a later tick knows.

    >>> from datetime import UTC, timedelta
    >>> first, minute = datetime(2030, 1, 1, tzinfo=UTC), timedelta(minutes=1)
    >>> rounds = Rounds()
    >>> begun = rounds.begin(first, None)
    >>> rounds.goes_on(first)
    >>> rounds.begin(first + minute, first) == begun
    True
    >>> rounds.begin(first + 2 * minute, first + minute) == begun
    False
    """

    _ticks: dict[float, _Ended] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def begin(self, now: datetime, before: datetime | None) -> float:
        """The round of a tick: that of the tick before, where it left a feature; else a new one.

        Args:
            now, before: what the two are evaluated as of.
        """
        with self._lock:
            last = self._ticks.get(_key(before)) if before else None
            found = last.round if last and last.left else now.timestamp()
            self._ticks[_key(now)] = _Ended(found)
            for old in list(self._ticks)[:-_KEPT]:
                del self._ticks[old]
        return found

    def goes_on(self, now: datetime) -> None:
        """Note that a tick left a feature that it had no time for."""
        with self._lock:
            if (tick := self._ticks.get(_key(now))) is not None:
                tick.left = True


def _key(moment: datetime) -> float:
    # Kept in a cursor and read from it again: as exact as that is.
    return round(moment.timestamp(), 3)
