"""The stored rows of units among append-only rows: one place, for every reader.

The rule is docs/semantics.md, section 4. A commit is a number the store assigned; rows of one
write share it.
"""

from __future__ import annotations

from collections.abc import Sequence

import narwhals as nw

from metaxy_core.columns import COMMIT, DELETED_AT, FEATURE_VERSION, OPEN
from metaxy_core.frames.dialect import LazyFrame

_BARRIER = "metaxy_barrier"
_PREFERRED = "metaxy_is_preferred"
_RANK = "metaxy_rank"
_VERSION_WEIGHT = 2**62
"""More than any commit number: a row of the preferred version outranks all others."""


def stored_rows(rows: LazyFrame, unit: Sequence[str], version: str, *, one_each: bool) -> LazyFrame:
    """Keep the stored rows of each unit.

    A commit with a deleted row is a barrier: what the unit had before it counts no more. Among
    the live rows from the barrier on, the last commit at feature version `version` wins, else
    the last one of any version. `one_each` says that a commit has one row per unit (1:1, N:1),
    which engines find faster than a set of rows (1:N).

    Columns in = columns out; of each unit all live rows of one commit. Open rows count for
    nothing.
    """
    preferred = (nw.col(FEATURE_VERSION) == version).cast(nw.Int64())
    live = live_rows(rows, unit)
    if one_each:
        live = live.with_columns(preferred.alias(_PREFERRED))
        last = live.unique(list(unit), keep="last", order_by=[_PREFERRED, COMMIT])
        return last.drop(_PREFERRED)
    rank = nw.col(COMMIT) + preferred * _VERSION_WEIGHT
    return last_ranked(live.with_columns(rank.alias(_RANK)), unit, _RANK).drop(_RANK)


def live_rows(rows: LazyFrame, unit: Sequence[str]) -> LazyFrame:
    """Keep the live rows of each unit since its last commit with a deleted row."""
    deleted = rows.filter(~nw.col(DELETED_AT).is_null())
    # Few units were ever deleted: a join with those is cheaper than a window over all rows.
    barriers = deleted.group_by(*unit).agg(nw.col(COMMIT).max().alias(_BARRIER))
    return (
        rows.filter(~nw.col(OPEN) & nw.col(DELETED_AT).is_null())
        .join(barriers, on=list(unit), how="left")
        .filter(nw.col(COMMIT) >= nw.coalesce(nw.col(_BARRIER), nw.lit(-1)))
        .drop(_BARRIER)
    )


def last_rows(rows: LazyFrame, unit: Sequence[str]) -> LazyFrame:
    """Keep the last committed rows of each unit, whole, deleted ones included."""
    return last_ranked(rows.filter(~nw.col(OPEN)), unit, COMMIT)


def last_ranked(rows: LazyFrame, by: Sequence[str], rank: str) -> LazyFrame:
    """Keep the rows of each group that have its highest rank."""
    highest = nw.col(rank).max().over(*by).alias("metaxy_highest")
    ranked = rows.with_columns(highest)
    return ranked.filter(nw.col(rank) == nw.col("metaxy_highest")).drop("metaxy_highest")
