"""What work takes: seconds and money, estimated from recorded runs, and how it is said."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict

from metaxy_core.work.plan import Estimate, total

_UNITS = (("d", 86400), ("h", 3600), ("min", 60))


class Cost(BaseModel):
    """What some units of a feature take; see `MetadataStore.cost_per_unit`.

    Attributes:
        seconds, money: None where nothing is known of them.

    >>> per_unit = Cost(seconds=Estimate(p50=2, p90=3, runs=12), money=Estimate(p50=0.02, p90=0.02))
    >>> print(per_unit.times(900))
    30.0 min – 45.0 min, costs 18.00
    >>> print(Cost())
    <BLANKLINE>
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    seconds: Estimate | None = None
    money: Estimate | None = None

    def times(self, units: int) -> Cost:
        """The same for so many units."""
        return Cost(seconds=_times(self.seconds, units), money=_times(self.money, units))

    @classmethod
    def total(cls, costs: Iterable[Cost]) -> Cost:
        """The sum over features, of those that something is known of."""
        known = list(costs)
        return cls(
            seconds=total([one.seconds for one in known if one.seconds]),
            money=total([one.money for one in known if one.money]),
        )

    def __str__(self) -> str:
        money = said_money(self.money)
        return ", ".join(filter(None, [said_time(self.seconds), money and f"costs {money}"]))


def said_time(seconds: Estimate | None) -> str:
    """The median and the ninth decile, once where they read the same; empty for None."""
    if seconds is None:
        return ""
    low, high = said_duration(seconds.p50), said_duration(seconds.p90)
    return low if low == high else f"{low} – {high}"


def said_money(money: Estimate | None) -> str:
    """As `said_time`; money has no currency here."""
    if money is None:
        return ""
    low, high = f"{money.p50:,.2f}", f"{money.p90:,.2f}"
    return low if low == high else f"{low} – {high}"


def said_duration(seconds: float) -> str:
    """A time in its largest unit.

    >>> said_duration(90), said_duration(0.04), said_duration(5 * 3600)
    ('1.5 min', '< 0.1 s', '5.0 h')
    """
    for unit, size in _UNITS:
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s" if seconds >= 0.05 or not seconds else "< 0.1 s"


def _times(one: Estimate | None, units: int) -> Estimate | None:
    if one is None:
        return None
    return Estimate(p50=one.p50 * units, p90=one.p90 * units, runs=one.runs)
