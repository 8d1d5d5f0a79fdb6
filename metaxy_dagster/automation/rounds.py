"""The rounds of automation conditions: which ticks go on with what the one before had left.

A sensor keeps its round in its cursor. A condition is evaluated for one asset at a time and sees
the cursor of that asset alone, so this process remembers which ticks left something. A process that
has just started, as those of code locations do now and then, goes on with the round that a cursor
names: at worst it was at its end, and one tick asks nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock

_KEPT = 1000
"""Between two ticks of one sensor come those of others."""


@dataclass
class Turn:
    """What a tick is to a round.

    Attributes:
        round: which one it is part of: the time when that began.
        resumed: whether only a cursor told that it goes on.
        left: whether it had no time for some feature.
    """

    round: float
    resumed: bool = False
    left: bool = False


@dataclass
class Rounds:
    """Ticks by the time that Dagster evaluates them as of: the one thing a later tick knows.

    >>> from datetime import UTC, timedelta
    >>> first, minute = datetime(2030, 1, 1, tzinfo=UTC), timedelta(minutes=1)
    >>> rounds = Rounds()
    >>> one = rounds.begin(first, None)
    >>> one.left = True
    >>> two = rounds.begin(first + minute, first)
    >>> three = rounds.begin(first + 2 * minute, first + minute)
    >>> two.round == one.round, three.round == one.round
    (True, False)
    >>> Rounds().begin(first + minute, first, one.round).round == one.round
    True
    """

    _ticks: dict[float, Turn] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def begin(self, now: datetime, before: datetime | None, last: float | None = None) -> Turn:
        """The turn of a tick: in the round of the tick before where that left a feature.

        Args:
            now, before: what the two are evaluated as of.
            last: the round that the tick before was part of, as a cursor says; it goes on where
                this process does not know that tick. None where it is not to.
        """
        with self._lock:
            known = self._ticks.get(_key(before)) if before else None
            if known is not None:
                turn = Turn(known.round if known.left else now.timestamp())
            else:
                turn = Turn(now.timestamp() if last is None else last, last is not None)
            self._ticks[_key(now)] = turn
            for old in list(self._ticks)[:-_KEPT]:
                del self._ticks[old]
        return turn


def _key(moment: datetime) -> float:
    # Kept in a cursor and read from it again: as exact as that is.
    return round(moment.timestamp(), 3)
