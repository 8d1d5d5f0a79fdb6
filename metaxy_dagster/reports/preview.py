"""What work there is and what it will cost: in words, as tags of runs, as metadata."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from metaxy_core import Cost

NEW, STALE, TIME, COST = "metaxy/new", "metaxy/stale", "metaxy/time", "metaxy/cost"


def said_counts(counts: Mapping[str, int]) -> str:
    """The counts that are not zero; empty where there are none.

    >>> said_counts({"new": 1200, "stale": 0, "failed": 2})
    '1,200 new, 2 failed and waiting'
    """
    words = {"failed": "failed and waiting", "waiting": "waiting for a parent"}
    return ", ".join(
        f"{count:,} {words.get(name, name)}" for name, count in counts.items() if count
    )


def counted(number: int, noun: str) -> str:
    """A number with its noun.

    >>> counted(1, "row"), counted(1200, "sample")
    ('1 row', '1,200 samples')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def said_cost(cost: Cost) -> str:
    """What it takes and how that is known; empty where nothing is known.

    >>> from metaxy_core import Estimate
    >>> said_cost(Cost(seconds=Estimate(p50=60, p90=90, runs=1)))
    '1.0 min – 1.5 min, as in 1 run'
    """
    known = [one.runs for one in (cost.seconds, cost.money) if one is not None]
    if not known:
        return ""
    runs = max(known)
    source = f"as in {counted(runs, 'run')}" if runs else "as declared"
    return f"{cost}, {source}"


def work_tags(new: int, stale: int, cost: Cost) -> dict[str, str]:
    """The tags of a run that say what it will find: samples, and time and money where known."""
    tags = {NEW: str(new), STALE: str(stale)}
    if cost.seconds is not None and new + stale:
        tags[TIME] = str(Cost(seconds=cost.seconds))
    if cost.money is not None and new + stale:
        tags[COST] = str(Cost(money=cost.money)).removeprefix("costs ")
    return tags


def cost_metadata(cost: Cost, prefix: str = "metaxy/") -> dict[str, Any]:
    """The medians, as numbers to be plotted beside what it took."""
    metadata: dict[str, Any] = {}
    if cost.seconds is not None:
        metadata[f"{prefix}estimated_seconds"] = round(cost.seconds.p50, 3)
    if cost.money is not None:
        metadata[f"{prefix}estimated_cost"] = round(cost.money.p50, 4)
    return metadata
