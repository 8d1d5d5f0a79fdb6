"""How much a feature has to do, and whether anything moved since that was last asked."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import dagster as dg

from metaxy_core import (
    FeatureKey,
    FeatureNotFoundError,
    Graph,
    MetadataStore,
    StoreUnavailableError,
)
from metaxy_dagster.automation.targets import Target
from metaxy_dagster.partitions import Part, part_buckets, part_filters
from metaxy_dagster.resource import MetaxyStore

_DATA_VERSION = "dagster/data_version"
ROOTS = "The samples of a root are known only when it runs."


@dataclass(frozen=True)
class Pending:
    """Units per status that a run of the feature would find.

    Attributes:
        waiting: units that wait for a parent to run again, see `metaxy_core.Increment.waiting`.
        failed: units left out because they failed, see `metaxy_core.LazyIncrement.failed`.
        reason: why nothing could be counted, in words; empty where it was.
    """

    new: int = 0
    stale: int = 0
    orphaned: int = 0
    waiting: int = 0
    reason: str = ""
    failed: int = 0

    @property
    def todo(self) -> int:
        """New and stale units."""
        return self.new + self.stale

    @property
    def said(self) -> str:
        """The counts in words."""
        counts = {"new": self.new, "stale": self.stale, "orphaned": self.orphaned}
        counts |= {"waiting": self.waiting, "failed": self.failed}
        found = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
        return self.reason or found or "nothing to do"


def count(opened: MetadataStore, feature: FeatureKey, part: Part | None = None) -> Pending:
    """Count what a feature has to do, in the database.

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
    return Pending(*counts, failed=increment.failed)


def look(store: MetaxyStore, graph: Graph, target: Target) -> Pending:
    """Open the store for a moment and count; a store that does not exist yet has nothing.

    Raises:
        StoreUnavailableError: it cannot be opened now, see `is_locked`.
    """
    try:
        with store.open("r", graph=graph) as opened:
            return count(opened, target.feature, target.part)
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


@dataclass(frozen=True)
class Position:
    """What decides whether counting again can give another answer.

    Attributes:
        text: equal where nothing has moved that Dagster knows of.
        is_complete: whether it knows every parent; somebody else may have written the others.
    """

    text: str
    is_complete: bool

    def after(self, found: Pending) -> str:
        """The position, with the counts where they are all that can move."""
        return self.text if self.is_complete else f"{self.text}-{found.new}-{found.stale}"


def position(instance: dg.DagsterInstance, graph: Graph, target: Target) -> Position:
    """Where a feature's asset stands; no store is asked.

    Made from the feature's declaration and the data versions that Dagster knows of the asset and
    its parents.
    """
    keys = [target.key, *sorted(target.parents)]
    records = {record.asset_entry.asset_key: record for record in instance.get_asset_records(keys)}
    versions = [_data_version(records.get(key)) for key in keys]
    own = graph.versions[target.feature]
    texts = [own.definition, own.feature, *(version or "" for version in versions)]
    text = hashlib.sha256("\x1f".join(texts).encode()).hexdigest()[:16]
    return Position(text, None not in versions[1:])


def _data_version(record: dg.AssetRecord | None) -> str | None:
    """The data version of an asset's latest event."""
    if record is None:
        return None
    entry = record.asset_entry
    made = entry.last_materialization.asset_materialization if entry.last_materialization else None
    if made is not None:
        return _version(made.tags, entry.last_materialization_storage_id)
    seen = entry.last_observation.asset_observation if entry.last_observation else None
    return _version(seen.tags, entry.last_observation_storage_id) if seen is not None else None


def _version(tags: Mapping[str, str] | None, event: int | None) -> str:
    # Events of other code may have no data version: every one is a change then.
    return (tags or {}).get(_DATA_VERSION, f"event {event}")
