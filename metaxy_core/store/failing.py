"""Samples that failed: noted, listed, offered again, forgotten."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import narwhals as nw
import polars as pl

from metaxy_core.columns import COMMIT, MADE_FROM
from metaxy_core.errors import MetadataSchemaError
from metaxy_core.frames.dialect import DataFrame
from metaxy_core.frames.filters import Predicate, apply
from metaxy_core.frames.polars import PolarsDialect
from metaxy_core.graph import FeaturePlan
from metaxy_core.store.incoming import Rows, accept
from metaxy_core.store.reading import complete, stored_with_marks
from metaxy_core.store.request import units_of
from metaxy_core.system import failures
from metaxy_core.system.failures import ATTEMPT, ERROR, MESSAGE, RetryPolicy
from metaxy_core.versioning import made_from, sampled_units

if TYPE_CHECKING:
    from metaxy_core.store.base import BaseStore

Failure = BaseException | str
"""An exception, or what went wrong in words."""


def record(
    store: BaseStore,
    plan: FeaturePlan,
    rows: Rows,
    errors: Failure | Sequence[Failure],
    policy: RetryPolicy,
    run: str | None,
) -> int:
    """See `MetadataStore.record_failures`."""
    samples = accept(plan, rows, store.scheme, ids=plan.unit)
    one = isinstance(errors, BaseException | str)
    told: list[Failure] = [errors] * len(samples) if one else list(errors)  # type: ignore[list-item,arg-type]
    if len(told) != len(samples):
        raise MetadataSchemaError(
            str(plan.key), f"{len(samples)} units failed, but {len(told)} errors are given."
        )
    if not len(samples):
        return 0
    unit = list(plan.unit)
    said = samples.to_native().select(
        *unit,
        pl.Series(ERROR, [_kind(error) for error in told], dtype=pl.String),
        pl.Series(MESSAGE, [_text(error) for error in told], dtype=pl.String),
    )
    units = sampled_units(plan, samples.lazy(), (), store.scheme, PolarsDialect())
    made = units.select(*unit, made_from(plan).alias(MADE_FROM)).collect().to_native()
    noted = made.join(said, on=unit, how="inner")
    return failures.record(store.backend, plan, noted, policy, run)


def standing(store: BaseStore, plan: FeaturePlan, filters: Sequence[Predicate] = ()) -> DataFrame:
    """The failures that say something still: not tried again by hand, not done since."""
    found = failures.latest(store.backend, plan).filter(pl.col(ATTEMPT) > 0)
    table = store.backend.scan(plan.key.to_table())
    if found.height and table is not None:
        version = store.graph.versions[plan.key].feature
        rows = stored_with_marks(plan, complete(plan, table), version)
        done = rows.select(*plan.unit, made_from(plan).alias(MADE_FROM)).unique().collect("polars")
        found = found.join(done.to_native(), on=[*plan.unit, MADE_FROM], how="anti")
    frame = nw.from_native(found.lazy()).drop(MADE_FROM)
    return apply(frame.drop(COMMIT), filters).collect()


def chosen(
    store: BaseStore, plan: FeaturePlan, filters: Sequence[Predicate], units: Rows | None
) -> pl.DataFrame:
    """The units with a standing failure that filters and units choose."""
    found = standing(store, plan, filters).to_native()
    named = units_of(plan, units)
    if named is not None:
        found = found.join(named.to_native(), on=list(plan.unit), how="semi")
    frame: pl.DataFrame = found.select(plan.unit)
    return frame


def _kind(error: Failure) -> str:
    return "Error" if isinstance(error, str) else type(error).__name__


def _text(error: Failure) -> str:
    """A message that every store keeps: no lone surrogates, as of strange file names, no NUL."""
    return str(error).encode("utf-8", "replace").decode().replace("\0", "\ufffd")
