"""Which partitions of an asset have samples to process: one query per feature, whatever they are.

The units to do are counted by the values of the partitions' columns, and the values are looked up
among the partition keys; no partition is asked for by itself.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any, Protocol
from zoneinfo import ZoneInfo

import dagster as dg

from metaxy_core import SLOT
from metaxy_dagster.automation.pending import Pending
from metaxy_dagster.automation.targets import Target
from metaxy_dagster.buckets import BUCKET, HashBuckets
from metaxy_dagster.reports.metadata import PARTITION_BY, declared

_RANGE = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


class HasInstance(Protocol):
    """The context of a sensor or schedule, or the asset graph's view of a condition."""

    @property
    def instance(self) -> dg.DagsterInstance:
        """The Dagster instance that it is of."""
        ...


def columns_of(target: Target) -> list[str]:
    """The columns by which the units of a partitioned asset are counted; none of another."""
    if target.partitions is None or target.by is None:
        return []
    if isinstance(target.partitions, dg.MultiPartitionsDefinition):
        by = [target.by[one.name] for one in target.partitions.partitions_defs]  # type: ignore[index]  # of dimensions
    else:
        by = [str(target.by)]
    return [SLOT if column == BUCKET else column for column in by]


def by_partition(target: Target, found: Pending, context: HasInstance) -> dict[str, Pending]:
    """What each partition has to do, by its key; units that are in no partition are left out.

    Args:
        context: of a tick; its instance has the keys of dynamic partitions.
    """
    new: defaultdict[str, int] = defaultdict(int)
    stale: defaultdict[str, int] = defaultdict(int)
    known = _Known(context)
    for *values, status, n in found.groups:
        key = _key(target.partitions, values, known)
        if key is not None:
            (new if status == "new" else stale)[key] += n
    keys = sorted({*new, *stale})
    return {key: Pending(new.get(key, 0), stale.get(key, 0)) for key in keys}


def requests_of(
    target: Target, pending: Mapping[str, Pending], context: HasInstance
) -> Iterator[tuple[str, dict[str, Any], list[Pending]]]:
    """The runs that do some partitions: a name, how `RunRequest` asks for it, what it finds.

    One per partition; where one run covers a range, one per range of consecutive keys.
    """
    if not target.single_run or isinstance(target.partitions, dg.MultiPartitionsDefinition):
        for key, found in pending.items():
            yield key, {"partition_key": key}, [found]
        return
    assert target.partitions is not None
    every = _keys(target.partitions, context)
    for run in _runs([key in pending for key in every]):
        keys = every[run.start : run.stop]
        tags = dict(zip(_RANGE, (keys[0], keys[-1]), strict=True))
        yield f"{keys[0]}...{keys[-1]}", {"tags": tags}, [pending[key] for key in keys]


def with_partitions(targets: Iterable[Target], context: Any) -> list[Target]:
    """Targets with what the code location knows of their partitions.

    Args:
        context: of a sensor or schedule.
    """
    try:
        repository = context.repository_def
    except dg.DagsterInvariantViolationError:
        repository = None  # a schedule's context that a test has built
    if repository is None:
        return list(targets)
    graph = repository.asset_graph
    known = graph.get_all_asset_keys()
    return [of_node(one, graph.get(one.key)) if one.key in known else one for one in targets]


def of_node(target: Target, node: Any) -> Target:
    """A target with what the asset graph's node says of its partitions."""
    policy = node.backfill_policy
    single = policy is not None and policy.policy_type.name == "SINGLE_RUN"
    by = declared(node.metadata, PARTITION_BY)
    return replace(target, partitions=node.partitions_def, by=by, single_run=single)


def _keys(definition: Any, context: HasInstance) -> Sequence[str]:
    # Only these are known to an instance, and not every context of a test has one.
    is_dynamic = isinstance(definition, dg.DynamicPartitionsDefinition)
    keys: Sequence[str] = definition.get_partition_keys(
        dynamic_partitions_store=context.instance if is_dynamic else None
    )
    return keys


@dataclass
class _Known:
    """The keys of partitions that have a list of them; each is listed once."""

    context: HasInstance
    _listed: dict[int, frozenset[str]] = field(default_factory=dict)

    def has(self, definition: Any, key: str) -> bool:
        """Whether there is a partition of this key."""
        if isinstance(definition, dg.TimeWindowPartitionsDefinition):
            return bool(definition.has_partition_key(key))
        if id(definition) not in self._listed:
            self._listed[id(definition)] = frozenset(_keys(definition, self.context))
        return key in self._listed[id(definition)]


def _key(definition: Any, values: Sequence[Any], known: _Known) -> str | None:
    """The partition key of values; None where they are in no partition."""
    if not isinstance(definition, dg.MultiPartitionsDefinition):
        found = (key for key in _candidates(definition, values[0]) if known.has(definition, key))
        return next(found, None)
    keys: dict[str, str] = {}
    for one, value in zip(definition.partitions_defs, values, strict=True):
        key = _key(one.partitions_def, [value], known)
        if key is None:
            return None
        keys[one.name] = key
    return dg.MultiPartitionKey(keys)


def _candidates(definition: Any, value: Any) -> list[str]:
    """What the key of a value may be."""
    if value is None:
        return []
    if isinstance(definition, HashBuckets):
        return [definition.key_of(value)]
    if isinstance(definition, dg.TimeWindowPartitionsDefinition) and isinstance(value, date):
        zone = ZoneInfo(definition.timezone)
        if not isinstance(value, datetime):
            # Where dates are compared partitions are whole days: noon is in the right one.
            value = datetime(value.year, value.month, value.day, 12)
        moment = value if value.tzinfo else value.replace(tzinfo=zone)
        if moment < definition.start:
            return []
        return [definition.get_partition_key_for_timestamp(moment.timestamp())]
    if isinstance(value, bool):
        return [str(value), str(value).lower()]
    return [str(value)]


def _runs(chosen: Sequence[bool]) -> Iterator[range]:
    """The ranges of consecutive true values."""
    start = None
    for index, one in enumerate((*chosen, False)):
        if one and start is None:
            start = index
        elif not one and start is not None:
            yield range(start, index)
            start = None
