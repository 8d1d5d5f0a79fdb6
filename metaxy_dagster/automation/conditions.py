"""An automation condition that asks the store: is there anything new or stale for this asset?"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from weakref import WeakKeyDictionary

import dagster as dg

from metaxy_core import FeatureGraph, Graph, StoreUnavailableError, active_graph
from metaxy_dagster.automation.partitioned import by_partition, columns_of, of_node
from metaxy_dagster.automation.pending import impatient, is_locked, look
from metaxy_dagster.automation.rounds import Rounds, Turn
from metaxy_dagster.automation.targets import Target, target_of
from metaxy_dagster.automation.tick import Seen, Tick
from metaxy_dagster.reports.metadata import FEATURE
from metaxy_dagster.resource import MetaxyStore, frozen


@dataclass(frozen=True, eq=False)
class IncrementPending(dg.AutomationCondition[dg.AssetKey]):
    """True while a feature's asset has samples to process that no run was requested for yet.

    A tick first compares the data versions that Dagster knows of the asset and its parents with
    those of the tick before, and asks the store only when one moved. So after a run that failed
    nothing is requested again until a parent, the asset or the declaration changes. Where Dagster
    knows no version of a parent, the store is asked at every tick that has time for it.

    A root is never pending: its samples are known only when it runs. Of a partitioned asset the
    partitions that have something to do are pending, found in one query; `min_samples` is of each.
    Conditions get no resources, so the store is given here; a store that
    another process has locked is asked again at the next tick, and so is what a tick did not come
    to in 20 seconds: no feature is asked a second time before all have been asked.

    Args:
        store: a short-lived connection is made from it.
        graph: the features; by default the store's, else the active graph.
        min_samples: it is true from as many new and stale units on,
        max_wait: or when there has been any for as long as this.

    >>> condition = IncrementPending(MetaxyStore.memory()) & ~dg.AutomationCondition.in_progress()
    >>> condition.children[0].name
    'increment_pending'
    """

    store: MetaxyStore
    graph: Graph | FeatureGraph | None = None
    min_samples: int = 1
    max_wait: timedelta | None = None

    @property
    def name(self) -> str:
        """How the Automation tab calls it."""
        return "increment_pending"

    @property
    def description(self) -> str:
        """What the Automation tab says of it."""
        waits = f", or for {self.max_wait} any" if self.max_wait else ""
        at_least = f"at least {self.min_samples} samples" if self.min_samples > 1 else "samples"
        return f"There are {at_least} to process{waits}; no run was requested for them yet"

    def get_label(self) -> str:
        """What the page of an evaluation shows: the name, and what is waited for.

        The counts are in the log of the tick; an evaluation has no place for them.
        """
        knobs = [f"min_samples={self.min_samples}"] if self.min_samples > 1 else []
        knobs += [f"max_wait={self.max_wait}"] if self.max_wait else []
        return f"{self.name}({', '.join(knobs)})" if knobs else self.name

    def evaluate(self, context: Any) -> Any:
        """Decide for one asset; called by an automation sensor in user code."""
        memory = _Memory.from_cursor(context.cursor)
        requested = context.get_previous_requested_subset(context.key)
        if requested is not None and not requested.is_empty and memory.position:
            memory.handled = memory.position
            memory.since = None
        target = self._target(context)
        if target is not None and target.partitions is not None and target.by is not None:
            return self._evaluate_partitions(context, target, memory)
        known = self._remember(context, target, memory)
        pending = known and self._is_due(memory, context.evaluation_time)
        return dg.AutomationResult(
            context,
            context.candidate_subset if pending else context.get_empty_subset(),
            cursor=memory.to_cursor(),
        )

    @property
    def _features(self) -> Graph:
        return frozen(self.graph or self.store.bound_graph or active_graph())

    def _target(self, context: Any) -> Target | None:
        """The feature's asset; None where it is none, or a root."""
        target = target_of(context.asset_graph, self._features, context.key)
        if target is None or self._features[target.feature].is_root:
            return None
        return of_node(target, context.asset_graph.get(context.key))

    def _evaluate_partitions(self, context: Any, target: Target, memory: _Memory) -> Any:
        """The partitions that have something to do, for which no run was requested since then."""
        requested = context.get_previous_requested_subset(context.key)
        for key in requested.expensively_compute_partition_keys() if requested else ():
            memory.asked[key] = memory.partitions.get(key, 0)
        if not self._remember(context, target, memory):
            due = set()
        else:
            due = memory.due(self.min_samples, self.max_wait, context.evaluation_time)
        definition = context.asset_graph.get(context.key).partitions_def
        chosen = context.asset_graph_view.get_subset_from_partition_keys(
            context.key, definition, due
        )
        return dg.AutomationResult(
            context,
            context.candidate_subset.compute_intersection(chosen),
            cursor=memory.to_cursor(),
        )

    def _remember(self, context: Any, target: Target | None, memory: _Memory) -> bool:
        """Bring the memory up to date, asking the store if need be; False where it cannot be."""
        if target is None:
            return False
        features, (tick, turn) = self._features, _tick(context, memory)
        memory.going, memory.resumed = turn.round, turn.resumed
        now = tick.position(features, target)
        if not memory.holds(now, tick.round):
            if tick.is_over:
                context.log.info("%s: asked at the next tick; this one took long", target.feature)
                turn.left = True
                return False
            if self.store in tick.locked:
                return False
            try:
                found = look(impatient(self.store), features, target, columns_of(target))
            except StoreUnavailableError as error:
                if not is_locked(error):
                    raise
                context.log.info("The store is locked by another process; asking again next tick.")
                tick.locked.append(self.store)
                return False
            memory.see(now, found, tick.round)
            memory.todo = found.todo
            context.log.info("%s: %s", target.feature, found.told)
            if target.partitions is not None:
                counted = by_partition(target, found, context.asset_graph_view)
                inputs = tick.position(features, replace(target, key=_NO_ASSET)).text
                memory.keep({key: one.todo for key, one in counted.items()}, inputs)
        if not memory.todo:
            memory.since = memory.handled = None
        elif memory.since is None:
            memory.since = context.evaluation_time.timestamp()
        return True

    def _is_due(self, memory: _Memory, now: datetime) -> bool:
        if not memory.todo or memory.position == memory.handled:
            return False
        if memory.todo >= self.min_samples:
            return True
        waited = now.timestamp() - (memory.since or now.timestamp())
        return self.max_wait is not None and waited >= self.max_wait.total_seconds()


_NO_ASSET = dg.AssetKey(["metaxy", "no_asset"])
"""Its version is never known: for a position that is the inputs' alone."""
_TICKS: WeakKeyDictionary[Any, tuple[Tick, Turn]] = WeakKeyDictionary()
"""Per view of the asset graph: Dagster makes one for each tick."""
_ROUNDS = Rounds()


def _tick(context: Any, memory: _Memory) -> tuple[Tick, Turn]:
    """The tick that an evaluation belongs to; begun by the first of it, which has this memory."""
    view = context.asset_graph_view
    if view not in _TICKS:
        # Not twice in a row: where each tick has a process of its own, no round would ever end.
        last = None if memory.resumed else memory.going
        turn = _ROUNDS.begin(context.evaluation_time, context.previous_evaluation_time, last)
        tick = Tick.begin(view.instance, _looked_at(context.asset_graph), turn.round)
        _TICKS[view] = tick, turn
    return _TICKS[view]


def _looked_at(asset_graph: Any) -> Iterator[dg.AssetKey]:
    """The features' assets that have a condition, and what those are made from."""
    for key in asset_graph.get_all_asset_keys():
        node = asset_graph.get(key)
        if FEATURE in node.metadata and node.automation_condition is not None:
            yield key
            yield from node.parent_keys


@dataclass
class _Memory(Seen):
    """What is kept between ticks.

    Attributes:
        todo: new and stale units when the store was asked.
        since: when there was something to do first, as a timestamp.
        handled: the position that a run was requested for.
        going: the round that the last tick was part of,
        resumed: and whether that went on because this memory said so.
        partitions: of a partitioned asset, what each partition had to do then,
        asked: what it had when its run was requested last,
        inputs: and the position without the asset's own.
    """

    todo: int = 0
    since: float | None = None
    handled: str | None = None
    going: float | None = None
    resumed: bool = False
    partitions: dict[str, int] = field(default_factory=dict)
    asked: dict[str, int] = field(default_factory=dict)
    inputs: str | None = None

    def keep(self, partitions: dict[str, int], inputs: str) -> None:
        """What each partition has to do now; where the inputs moved, all may be requested again."""
        if inputs != self.inputs:
            self.asked.clear()
        self.partitions, self.inputs = partitions, inputs
        self.asked = {key: n for key, n in self.asked.items() if key in partitions}

    def due(self, least: int, longest: timedelta | None, now: datetime) -> set[str]:
        """The partitions to request: not requested before with as much to do as they have."""
        left = {key: n for key, n in self.partitions.items() if self.asked.get(key) != n}
        if not left:
            self.since = None
            return set()
        if self.since is None:
            self.since = now.timestamp()
        waited = now.timestamp() - self.since
        if longest is not None and waited >= longest.total_seconds():
            return set(left)
        return {key for key, n in left.items() if n >= least}

    @classmethod
    def from_cursor(cls, cursor: str | None) -> _Memory:
        return cls(**json.loads(cursor)) if cursor else cls()

    def to_cursor(self) -> str:
        return json.dumps(asdict(self))
