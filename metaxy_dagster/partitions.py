"""The part of a feature that a partitioned run is about, as typed predicates of the store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import reduce
from operator import or_
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg
import narwhals as nw

from metaxy_core import Buckets, DefinitionError, FeaturePlan, MetadataStore
from metaxy_dagster.buckets import BUCKET, HashBuckets

PartitionBy = str | Mapping[str, str]
"""The column whose values are the partition keys; per dimension, of multi-partitions. `BUCKET`
where they are hash buckets."""

Value = str | int | bool


@dataclass(frozen=True)
class Keys:
    """Partition keys as Dagster has them; compared as the column's own type.

    Attributes:
        windows: for time partitions, beginning (included) and end (excluded) of each run of
            consecutive keys.
        buckets: of hash buckets, those that the keys are.
    """

    keys: tuple[str, ...]
    windows: tuple[tuple[datetime, datetime], ...] = ()
    buckets: Buckets | None = None

    def __str__(self) -> str:
        return self.keys[0] if len(self.keys) == 1 else f"{self.keys[0]} … {self.keys[-1]}"

    def predicate(self, column: str, dtype: nw.dtypes.DType) -> nw.Expr:
        """The rows of these partitions.

        Raises:
            DefinitionError: a key is no value of the column's type, or no whole days of a date.
        """
        if self.buckets is not None:
            return self.buckets.predicate()
        if self.windows and isinstance(dtype, nw.Date):
            self._check_days(column, dtype)
        if self.windows and isinstance(dtype, nw.Date | nw.Datetime):
            pairs = [(_moment(start, dtype), _moment(end, dtype)) for start, end in self.windows]
            parts = [(nw.col(column) >= start) & (nw.col(column) < end) for start, end in pairs]
        else:
            parts = [nw.col(column) == self._value(key, column, dtype) for key in self.keys]
        chosen: nw.Expr = reduce(or_, parts)
        return chosen

    def _check_days(self, column: str, dtype: nw.dtypes.DType) -> None:
        for start, end in self.windows:
            if not (_begins_day(start) and _begins_day(end)):
                raise DefinitionError(
                    f"The column {column!r} is {dtype}, and the partition from {start} to {end} is "
                    "no whole days, so that no date is of it alone. Partition by a column of times "
                    "or by days."
                )

    def _value(self, key: str, column: str, dtype: nw.dtypes.DType) -> Value:
        if dtype.is_integer():
            try:
                return int(key)
            except ValueError:
                raise DefinitionError(
                    f"The partition {key!r} is no value of the column {column!r}, which is {dtype}."
                ) from None
        if dtype == nw.Boolean and key.lower() in ("true", "false"):
            return key.lower() == "true"
        if dtype != nw.String:
            raise DefinitionError(
                f"The column {column!r} is {dtype}: partition by a text, integer, boolean, date or "
                f"time; the partition is {key!r}."
            )
        return key


Part = Mapping[str, Value | Keys]
"""Columns, and the values that samples of a part of a feature have."""


def check_partition_by(
    feature: object, by: PartitionBy | None, partitions: dg.PartitionsDefinition[Any] | None
) -> PartitionBy | None:
    """Refuse partitions that no column of the feature is compared with.

    Hash buckets need no column; the result says so where they are.

    Raises:
        DefinitionError: one of both is missing, or a dimension has no column.
    """
    by = _with_buckets(feature, by, partitions)
    if (by is None) != (partitions is None):
        raise DefinitionError(
            f"Feature '{feature}': partitions_def= and partition_by= (the column that holds the "
            "partition keys) go together."
        )
    if isinstance(partitions, dg.MultiPartitionsDefinition):
        names = set(partitions.partition_dimension_names)
        if not isinstance(by, Mapping) or set(by) != names:
            raise DefinitionError(
                f"Feature '{feature}': partition_by= names a column for each dimension "
                f"({', '.join(sorted(names))}); given: {by!r}"
            )
    elif isinstance(by, Mapping):
        raise DefinitionError(
            f"Feature '{feature}': partition_by= is one column; given: {dict(by)!r}"
        )
    return by


def _with_buckets(feature: object, by: PartitionBy | None, partitions: Any) -> PartitionBy | None:
    """What partitions are by, with `BUCKET` where they are hash buckets."""
    if isinstance(partitions, HashBuckets):
        if by not in (None, BUCKET):
            raise DefinitionError(
                f"Feature '{feature}': hash buckets are made from the ids of its samples, not from "
                f"a column; given: partition_by={by!r}"
            )
        return BUCKET
    if not isinstance(partitions, dg.MultiPartitionsDefinition):
        return by
    hashed = [
        d.name for d in partitions.partitions_defs if isinstance(d.partitions_def, HashBuckets)
    ]
    if not hashed or not isinstance(by or {}, Mapping):
        return by
    if len(hashed) > 1:
        raise DefinitionError(
            f"Feature '{feature}': one dimension may be hash buckets; {', '.join(hashed)} are."
        )
    return {**dict(by or {}), hashed[0]: BUCKET}  # type: ignore[arg-type]  # a mapping here


def partition_arguments(given: Any) -> dict[str, Any]:
    """The arguments of `feature_asset` for a partitions definition, or a pair of it and columns."""
    definition, by = given if isinstance(given, tuple) else (given, None)
    return {"partitions_def": definition, "partition_by": by}


def part_of_run(context: dg.AssetExecutionContext, by: PartitionBy | None) -> dict[str, Keys]:
    """The part that the partitions of a run choose; nothing where there are none.

    A range that a single run covers is the union of its partitions.
    """
    if by is None or not (context.has_partition_key or context.has_partition_key_range):
        return {}
    return _part(context.assets_def.partitions_def, list(context.partition_keys), by)


def part_of_input(context: dg.InputContext, by: PartitionBy | None) -> dict[str, Keys]:
    """The part of an upstream feature that the partitions of a step choose."""
    if not by or not context.has_asset_partitions:
        return {}
    keys, definition = list(context.asset_partition_keys), context.asset_partitions_def
    return _part(definition, keys, by)


def parts_of_output(context: dg.OutputContext, by: PartitionBy | None) -> dict[str, Part]:
    """The part that each partition of a step's output is, by its key."""
    if not by or not context.has_asset_partitions:
        return {}
    definition = context.asset_partitions_def
    return {str(key): _part(definition, [key], by) for key in context.asset_partition_keys}


def part_filters(part: Part, types: Mapping[str, nw.dtypes.DType]) -> Sequence[nw.Expr]:
    """The predicates that choose a part's rows; `types` are those of the columns.

    Buckets are none of them: see `part_buckets`.
    """
    return [
        value.predicate(column, types.get(column, nw.String()))
        if isinstance(value, Keys)
        else nw.col(column) == value
        for column, value in part.items()
        if column != BUCKET
    ]


def part_buckets(part: Part) -> Buckets | None:
    """The buckets that a part is in, as stores take them; None for all."""
    found = part.get(BUCKET)
    return found.buckets if isinstance(found, Keys) else None


def types_of(opened: MetadataStore, plan: FeaturePlan) -> dict[str, nw.dtypes.DType]:
    """The columns that filters on a feature may ask for: its own, and its parents'."""
    found: dict[str, nw.dtypes.DType] = {}
    for key in (*(edge.parent.key for edge in plan.edges), plan.key):
        if opened.has_feature(key, allow_fallback=True):
            found |= dict(opened.read(key).collect_schema())
    return found


def shown(part: Part) -> dict[str, Value]:
    """A part in words, for metadata and messages."""
    return {name: str(value) if isinstance(value, Keys) else value for name, value in part.items()}


def _part(definition: Any, keys: Sequence[Any], by: PartitionBy) -> dict[str, Keys]:
    if isinstance(by, str):
        return {by: _keys(definition, keys)}
    dimensions = {}
    for one in definition.partitions_defs:
        own = dict.fromkeys(key.keys_by_dimension[one.name] for key in keys)
        dimensions[by[one.name]] = _keys(one.partitions_def, list(own))
    return dimensions


def _keys(definition: Any, keys: Sequence[str]) -> Keys:
    if isinstance(definition, HashBuckets):
        return Keys(tuple(keys), buckets=definition.chosen(keys))
    if not isinstance(definition, dg.TimeWindowPartitionsDefinition):
        return Keys(tuple(keys))
    windows: list[tuple[datetime, datetime]] = []
    for key in sorted(keys):
        window = definition.time_window_for_partition_key(key)
        start, end = window.start, window.end
        if windows and windows[-1][1] == start:
            windows[-1] = (windows[-1][0], end)
        else:
            windows.append((start, end))
    return Keys(tuple(keys), tuple(windows))


def _begins_day(moment: datetime) -> bool:
    """Whether it is a day's first moment; where clocks go forward then, that is not midnight."""
    before = (moment.astimezone(UTC) - timedelta(microseconds=1)).astimezone(moment.tzinfo)
    return before.date() < moment.date()


def _moment(moment: datetime, dtype: nw.dtypes.DType) -> Any:
    """A time as the column's type: days and times without a zone are the partition's own."""
    if isinstance(dtype, nw.Date):
        return moment.date()
    zone = dtype.time_zone if isinstance(dtype, nw.Datetime) else None
    return moment.astimezone(ZoneInfo(zone)) if zone else moment.replace(tzinfo=None)
