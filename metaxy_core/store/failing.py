"""Samples that failed: noted, listed, offered again, forgotten."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import narwhals as nw
import polars as pl

from metaxy_core.columns import COMMIT, MADE_FROM
from metaxy_core.errors import MetadataSchemaError
from metaxy_core.frames.dialect import DataFrame, LazyFrame
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
    frame = nw.from_native(_without_done(store, plan, found).lazy()).drop(MADE_FROM, COMMIT)
    return apply(frame, filters, frame.collect_schema().names()).collect()


def held_back(store: BaseStore, plan: FeaturePlan) -> LazyFrame | None:
    """The units that are not to be offered now, and what they were made from; None for none."""
    found = _without_done(store, plan, failures.held_back(store.backend, plan))
    return nw.from_native(found.select(*plan.unit, MADE_FROM).lazy()) if found.height else None


def _without_done(store: BaseStore, plan: FeaturePlan, failed: pl.DataFrame) -> pl.DataFrame:
    """Leave out units that were stored since, whatever they were made from.

    Columns in: the unit, `metaxy_commit`.
    """
    table = store.backend.scan(plan.key.to_table()) if failed.height else None
    if table is None:
        return failed
    unit, version = list(plan.unit), store.graph.versions[plan.key].feature
    units = store.backend.load(nw.from_native(failed.select(unit).lazy()))
    known = complete(plan, table).join(units, on=unit, how="semi")
    rows = stored_with_marks(plan, known, version)
    stored = rows.select(*unit, nw.col(COMMIT).alias("stored")).unique().collect("polars")
    store.backend.release(units)
    both = failed.join(stored.to_native(), on=unit, how="inner")
    return failed.join(both.filter(pl.col("stored") > pl.col(COMMIT)), on=unit, how="anti")


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
