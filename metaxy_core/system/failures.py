"""Samples that failed, as state: one table per feature, append-only; the last row of a unit counts.

A failure is of a unit made from certain inputs by certain code: its expected provenance. So it
says nothing any more once that provenance is another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import narwhals as nw
import polars as pl

from metaxy_core.backends.base import Backend
from metaxy_core.columns import COMMIT, MADE_FROM
from metaxy_core.graph import FeaturePlan
from metaxy_core.keys import FeatureKey
from metaxy_core.system.tables import PREFIX

ERROR: Final = "metaxy_error"
MESSAGE: Final = "metaxy_message"
ATTEMPT: Final = "metaxy_attempt"
RUN: Final = "metaxy_run"
FAILED_AT: Final = "metaxy_failed_at"
RETRY_AT: Final = "metaxy_retry_at"
QUARANTINED: Final = "metaxy_quarantined"

_TABLES = f"{PREFIX}failures__"
_NOW = pl.Datetime("us", "UTC")
_LONGEST = 2_000
_HELD = (MADE_FROM, RETRY_AT, QUARANTINED)
_SCHEMA: dict[str, Any] = {
    MADE_FROM: pl.String,
    ERROR: pl.String,
    MESSAGE: pl.String,
    ATTEMPT: pl.Int64,
    RUN: pl.String,
    FAILED_AT: _NOW,
    RETRY_AT: _NOW,
    QUARANTINED: pl.Boolean,
    COMMIT: pl.Int64,
}


@dataclass(frozen=True)
class RetryPolicy:
    """When a unit that failed is offered again.

    Attributes:
        max_attempts: after so many failures of the same inputs and code it is quarantined: only
            `retry`, other inputs or other code bring it back.
        backoff: how long after the first failure it is left out; doubled after every further one.
        longest: the longest it is left out.

    >>> RetryPolicy(backoff=timedelta(minutes=1)).wait(3)
    datetime.timedelta(seconds=240)
    """

    max_attempts: int = 3
    backoff: timedelta = timedelta(minutes=5)
    longest: timedelta = timedelta(days=1)

    def __post_init__(self) -> None:
        if self.max_attempts < 1:
            raise ValueError(f"max_attempts is at least 1; given: {self.max_attempts}")

    def wait(self, attempt: int) -> timedelta:
        """How long a unit is left out after its n-th failure."""
        seconds = self.backoff.total_seconds() * 2.0 ** min(attempt - 1, 60)
        return timedelta(seconds=min(seconds, self.longest.total_seconds()))


DEFAULT_POLICY: Final = RetryPolicy()
"""Three attempts, five minutes after the first and ten after the second."""


def table_of(feature: FeatureKey) -> str:
    """The table of a feature's failures."""
    return f"{_TABLES}{feature.to_table()}"


def record(
    backend: Backend,
    plan: FeaturePlan,
    rows: pl.DataFrame,
    policy: RetryPolicy,
    run: str | None,
) -> int:
    """Note that units failed. How many are quarantined by that.

    Columns in: the unit, `metaxy_made_from`, `metaxy_error` (the class), `metaxy_message`. The
    store must be open for writing.
    """
    unit, now = list(plan.unit), datetime.now(UTC)

    def append(numbers: Sequence[int]) -> int:
        types = {name: rows.schema[name] for name in unit}
        before = latest(backend, plan).select(
            *(pl.col(name).cast(dtype) for name, dtype in types.items()),
            MADE_FROM,
            pl.col(ATTEMPT).alias("before"),
        )
        known = rows.join(before, on=[*unit, MADE_FROM], how="left", nulls_equal=True)
        attempts = (pl.col("before").fill_null(0) + 1).cast(pl.Int64)
        known = known.with_columns(attempts.alias(ATTEMPT))
        waits = {n: policy.wait(n) for n in known[ATTEMPT].unique()}
        noted = known.with_columns(
            pl.col(MESSAGE).str.slice(0, _LONGEST),
            pl.lit(run, pl.String).alias(RUN),
            pl.lit(now, _NOW).alias(FAILED_AT),
            pl.lit(numbers[0], pl.Int64).alias(COMMIT),
        ).with_columns(
            (pl.col(ATTEMPT) >= policy.max_attempts).alias(QUARANTINED),
            pl.col(ATTEMPT)
            .replace_strict({n: now + wait for n, wait in waits.items()}, return_dtype=_NOW)
            .alias(RETRY_AT),
        )
        backend.append(table_of(plan.key), nw.from_native(noted.drop("before").lazy()))
        return int(noted[QUARANTINED].sum())

    return backend.commit(append)


def latest(
    backend: Backend, plan: FeaturePlan, columns: Sequence[str] | None = None
) -> pl.DataFrame:
    """The last row of each unit that failed, those that were retried or succeeded since included.

    `columns` are wanted besides the unit and the commit; all by default.

    Columns: the unit, `metaxy_made_from`, `metaxy_error`, `metaxy_message`, `metaxy_attempt`,
    `metaxy_run`, `metaxy_failed_at`, `metaxy_retry_at`, `metaxy_quarantined`, `metaxy_commit`.
    """
    table = backend.scan(table_of(plan.key))
    unit = list(plan.unit)
    if table is None or not set(unit) <= set(table.collect_schema().names()):
        return pl.DataFrame(schema={**dict.fromkeys(unit, pl.String), **_SCHEMA})
    if columns is not None:
        table = table.select(*unit, *columns, COMMIT)
    rows: pl.DataFrame = table.collect("polars").to_native()
    return rows.sort(COMMIT).unique(unit, keep="last", maintain_order=True)


def held_back(backend: Backend, plan: FeaturePlan) -> pl.DataFrame:
    """The units whose last failure says that they are not to be offered now.

    Columns: the unit, `metaxy_made_from`, `metaxy_retry_at`, `metaxy_quarantined`,
    `metaxy_commit`.
    """
    rows = latest(backend, plan, _HELD)
    return rows.filter(pl.col(QUARANTINED) | (pl.col(RETRY_AT) > datetime.now(UTC)))


def release(backend: Backend, plan: FeaturePlan, units: pl.DataFrame) -> int:
    """Offer units again, from their first attempt on. How many were released.

    Columns in: the unit. The store must be open for writing.
    """
    unit = list(plan.unit)

    def append(numbers: Sequence[int]) -> int:
        rows = latest(backend, plan).join(units.select(unit), on=unit, how="semi")
        again = rows.filter(pl.col(ATTEMPT) > 0).with_columns(
            pl.lit(0, pl.Int64).alias(ATTEMPT),
            pl.lit(value=False).alias(QUARANTINED),
            pl.lit(datetime.now(UTC), _NOW).alias(RETRY_AT),
            pl.lit(numbers[0], pl.Int64).alias(COMMIT),
        )
        if again.height:
            backend.append(table_of(plan.key), nw.from_native(again.lazy()))
        return again.height

    return backend.commit(append)


def clear(backend: Backend, plan: FeaturePlan, units: pl.DataFrame) -> int:
    """Forget the failures of units. How many units were forgotten."""
    table = table_of(plan.key)
    if table not in backend.tables() or not units.height:
        return 0
    known = latest(backend, plan).join(units, on=list(plan.unit), how="semi")
    gone = nw.from_native(known.select(plan.unit).lazy())
    backend.commit(lambda _: backend.delete(table, gone))
    return known.height
