"""One tick of automation: what Dagster knows as it begins, and for how long stores are asked.

Where there is more to ask than a tick has time for, a round takes several ticks: no feature is
asked again before every other one has had its turn.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import dagster as dg

from metaxy_core import Graph
from metaxy_dagster.automation.pending import Pending
from metaxy_dagster.automation.targets import Target
from metaxy_dagster.resource import MetaxyStore

SECONDS = 20.0
"""How long the stores of one tick are asked; Dagster gives a tick a minute."""
_DATA_VERSION = "dagster/data_version"


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


@dataclass
class Seen:
    """What is remembered of the last time that the store was asked about a feature.

    Attributes:
        position: see `Position.after`; as of then.
        text: the position's own.
        round: the round it was in.
    """

    position: str | None = None
    text: str | None = None
    round: float | None = None

    def holds(self, now: Position, current: float) -> bool:
        """Whether the store need not be asked again.

        Where Dagster does not know every parent, something may have moved all the same. Then it is
        asked once a round.
        """
        if now.is_complete:
            return self.position == now.text
        return (self.text, self.round) == (now.text, current)

    def see(self, now: Position, found: Pending, current: float) -> None:
        """Remember what was found just now."""
        self.position, self.text, self.round = now.after(found), now.text, current


@dataclass
class Tick:
    """What is shared by the features that one tick looks at.

    Attributes:
        records: of all assets that it looks at and their parents, fetched at once: a question per
            asset is what makes ticks of large graphs slow.
        round: the round that it is part of; it goes on while a tick leaves a feature.
        locked: the stores that another process was found to have; none is waited for twice.
        seconds: see `SECONDS`; what was not asked in time is asked at the next tick.
    """

    records: Mapping[dg.AssetKey, dg.AssetRecord]
    round: float = 0
    locked: list[MetaxyStore] = field(default_factory=list)
    seconds: float = SECONDS
    _began: float = field(default_factory=time.monotonic)

    @classmethod
    def begin(
        cls, instance: dg.DagsterInstance, keys: Iterable[dg.AssetKey], current: float = 0
    ) -> Tick:
        """Fetch the records of some assets, for a tick of the round `current`."""
        wanted = list(dict.fromkeys(keys))
        found = instance.get_asset_records(wanted) if wanted else ()
        return cls({record.asset_entry.asset_key: record for record in found}, current)

    @property
    def is_over(self) -> bool:
        """Whether no store is to be asked any more."""
        return time.monotonic() - self._began > self.seconds

    def position(self, graph: Graph, target: Target) -> Position:
        """Where a feature's asset stands; no store is asked.

        Made from the feature's declaration and the data versions that Dagster knows of the asset
        and its parents.
        """
        keys = [target.key, *sorted(target.parents)]
        versions = [_data_version(self.records.get(key)) for key in keys]
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
