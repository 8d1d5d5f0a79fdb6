"""What user functions give back: one frame, many, or none; made ready to be stored."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import dagster as dg
import polars as pl

from metaxy_core import PROVENANCE_BY_FIELD, FeaturePlan, MetadataSchemaError
from metaxy_dagster.frames import is_frame
from metaxy_dagster.steps.parameters import GIVES

_KNOWN = "metaxy_known"


@contextmanager
def given_by(function: str) -> Iterator[None]:
    """Errors about rows say which function gave them."""
    try:
        yield
    except MetadataSchemaError as error:
        error.add_note(f"The function {function} gave the rows.")
        raise


def items(feature: object, result: Any, function: str | None = None) -> Iterator[Any]:
    """The frames and Dagster events that a function returned or yields, one by one.

    Raises:
        TypeError: something else came; names the feature and the function, where it is known.
    """
    if result is None:
        return
    if is_frame(result):
        yield result
        return
    if not isinstance(result, Iterator | list | tuple):
        raise _unknown(feature, result, function)
    for item in result:
        if is_event(item) or is_frame(item):
            yield item
        elif item is not None:
            raise _unknown(feature, item, function)


def is_event(value: Any) -> bool:
    """Whether it is something to hand on to Dagster."""
    return isinstance(value, dg.AssetObservation | dg.AssetCheckResult)


def with_provenance(
    plan: FeaturePlan, rows: pl.DataFrame, todo: pl.LazyFrame, *, strict: bool
) -> pl.DataFrame:
    """Join `metaxy_provenance_by_field` to rows that lost it, by the unit's id columns.

    Columns in `todo`: the unit and its provenance. Rows of other units are left out, or refused
    where `strict`. Rows that have the column, or lack an id column, are given back as they are:
    the store judges them.

    Raises:
        MetadataSchemaError: rows of units that the increment does not have.
    """
    unit = list(plan.unit)
    if PROVENANCE_BY_FIELD in rows.columns or not set(unit) <= set(rows.columns):
        return rows
    casts = [pl.col(column).cast(rows.schema[column]) for column in unit]
    # The list may be long and the chunk short: the rest of the list never meets the left join.
    mine = todo.with_columns(*casts).join(rows.lazy().select(unit), on=unit, how="semi").collect()
    known = mine.lazy().with_columns(pl.lit(value=True).alias(_KNOWN))
    joined = rows.lazy().join(known, on=unit, how="left", maintain_order="left").collect()
    foreign = joined.filter(pl.col(_KNOWN).is_null())
    if strict and foreign.height:
        raise MetadataSchemaError(
            str(plan.key),
            f"{foreign.height} of the {rows.height} rows given are not of the increment, such as "
            f"{_shown(foreign, unit)}. Give rows of its units only, with the ids "
            f"({', '.join(unit)}) as they came.",
        )
    return joined.filter(pl.col(_KNOWN)).drop(_KNOWN)


def _shown(rows: pl.DataFrame, columns: Sequence[str]) -> str:
    return ", ".join(str(row) for row in rows.select(columns).unique().head(3).rows())


def _unknown(feature: object, value: Any, function: str | None) -> TypeError:
    named = f"{function}, the function of feature '{feature}'," if function else ""
    who = named or f"The function of feature '{feature}'"
    return TypeError(f"{who} gave a {type(value).__name__}. {GIVES}")
