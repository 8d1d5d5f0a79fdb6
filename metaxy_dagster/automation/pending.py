"""How much a feature has to do: the store is asked, for a moment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from metaxy_core import (
    Cost,
    FeatureKey,
    FeatureNotFoundError,
    Graph,
    MetadataStore,
    StoreUnavailableError,
)
from metaxy_dagster.automation.targets import Target
from metaxy_dagster.partitions import Part, part_buckets, part_filters
from metaxy_dagster.reports.preview import said_cost, said_counts
from metaxy_dagster.resource import MetaxyStore

ROOTS = "The samples of a root are known only when it runs."


@dataclass(frozen=True)
class Pending:
    """Units per status that a run of the feature would find.

    Attributes:
        waiting: units that wait for a parent to run again, see `metaxy_core.Increment.waiting`.
        failed: units left out because they failed, see `metaxy_core.LazyIncrement.failed`.
        reason: why nothing could be counted, in words; empty where it was.
        groups: new and stale units by the values of columns: the values, status and number.
        since: see `metaxy_core.LazyIncrement.pending_since`.
        cost: what the new and stale ones will take, where the store estimates.
    """

    new: int = 0
    stale: int = 0
    orphaned: int = 0
    waiting: int = 0
    reason: str = ""
    failed: int = 0
    cost: Cost = field(default_factory=Cost)
    groups: Sequence[tuple[Any, ...]] = ()
    since: datetime | None = None

    @property
    def todo(self) -> int:
        """New and stale units."""
        return self.new + self.stale

    @property
    def said(self) -> str:
        """The counts in words."""
        counts = {"new": self.new, "stale": self.stale, "orphaned": self.orphaned}
        counts |= {"waiting": self.waiting, "failed": self.failed}
        return self.reason or said_counts(counts) or "nothing to do"

    @property
    def told(self) -> str:
        """The counts, and what they will take where that is known."""
        cost = said_cost(self.cost)
        return f"{self.said} ({cost})" if cost else self.said


def count(
    opened: MetadataStore,
    feature: FeatureKey,
    part: Part | None = None,
    *,
    estimate: bool = False,
    columns: Sequence[str] = (),
    age: bool = False,
) -> Pending:
    """Count what a feature has to do, in the database; also by the values of `columns`.

    `age` asks since when, too.

    A root, and a feature whose parents were never materialised, has nothing that can be counted;
    the reason says so.
    """
    if opened.graph[feature].is_root:
        return Pending(reason=ROOTS)
    filters, buckets = part_filters(part or {}, {}), part_buckets(part or {})
    try:
        increment = opened.resolve_update(
            feature, lazy=True, global_filters=filters, buckets=buckets
        )
    except FeatureNotFoundError as error:
        return Pending(reason=f"Its parent {error.feature} was never materialised.")
    found = increment.counts
    counts = (found["new"], found["stale"], found["orphaned"], found["waiting"])
    todo = found["new"] + found["stale"]
    cost = opened.cost_per_unit(feature).times(todo) if estimate and todo else Cost()
    groups = increment.count_by(*columns).rows() if columns and todo else ()
    since = increment.pending_since if age else None
    return Pending(*counts, failed=increment.failed, cost=cost, groups=groups, since=since)


def look(store: MetaxyStore, graph: Graph, target: Target, columns: Sequence[str] = ()) -> Pending:
    """Open the store for a moment and count; a store that does not exist yet has nothing.

    Raises:
        StoreUnavailableError: it cannot be opened now, see `is_locked`.
    """
    try:
        with store.open("r", graph=graph) as opened:
            return count(
                opened, target.feature, target.part, estimate=store.estimates, columns=columns
            )
    except StoreUnavailableError as error:
        if error.reason != "missing":
            raise
        return Pending(reason="The store does not exist yet.")


def is_locked(error: StoreUnavailableError) -> bool:
    """Whether another process has the file just now, so that asking later will do."""
    return error.reason == "locked"


def impatient(store: MetaxyStore, seconds: float = 2.0) -> MetaxyStore:
    """The store, waiting no longer than this for other processes: a tick has little time."""
    if store.lock_timeout <= seconds:
        return store
    return store.model_copy(update={"lock_timeout": seconds})
