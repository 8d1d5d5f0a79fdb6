"""Retention: rows that no reader asks for any more are removed; nothing that counts changes.

Of each unit and feature version the last commits are kept, of now and, where the unit was
deleted, of what `undelete` would bring back. So increments, reads, a return to an earlier code
version and `undelete` say the same as before.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import narwhals as nw

from metaxy_core.columns import COMMIT, DELETED_AT, FEATURE_VERSION, OPEN
from metaxy_core.frames.dialect import DataFrame, LazyFrame
from metaxy_core.graph import FeaturePlan
from metaxy_core.store import fallback
from metaxy_core.store.reading import complete
from metaxy_core.system import marks

if TYPE_CHECKING:
    from metaxy_core.store.base import BaseStore

_BARRIER = "metaxy_is_barrier"
_LAST, _PREVIOUS = "metaxy_last_barrier", "metaxy_previous_barrier"
_EPOCH, _RANK, _CLOSED = "metaxy_epoch", "metaxy_rank", "metaxy_last_closed"


def compact(store: BaseStore, plan: FeaturePlan, keep: int, *, dry_run: bool) -> int:
    """Remove a feature's superseded rows from this very store. Rows removed, or that would be."""
    found = fallback.find(store, plan.key, allow_fallback=False)
    if found is None:
        return 0
    table, unit = complete(plan, found[1]), list(plan.unit)
    gone = superseded(_commits(table, unit), unit, keep)
    if not len(gone):
        return 0
    keys = [*unit, COMMIT]
    if dry_run:
        here = store.backend.load(gone.lazy())
        counted = table.join(here, on=keys, how="semi").select(nw.len().alias("n"))
        removed = int(counted.collect("polars")["n"][0])
        store.backend.release(here)
        return removed

    def remove(numbers: Sequence[int]) -> int:
        removed = store.backend.delete(plan.key.to_table(), gone.lazy())
        marks.note_removal(store.backend, numbers[0])
        return removed

    return store.backend.commit(remove)


def superseded(commits: DataFrame, unit: list[str], keep: int) -> DataFrame:
    """The commits of units that nobody asks for. Columns out: the unit and `metaxy_commit`.

    Columns in: the unit, `metaxy_commit`, `metaxy_feature_version`, `metaxy_open`, and whether a
    row of the commit is deleted; one row per unit and commit.
    """
    closed = commits.filter(~nw.col(OPEN))
    barrier = nw.when(nw.col(_BARRIER)).then(nw.col(COMMIT))
    marked = closed.with_columns(barrier.max().over(*unit).fill_null(-1).alias(_LAST))
    earlier = nw.when(nw.col(_BARRIER) & (nw.col(COMMIT) < nw.col(_LAST))).then(nw.col(COMMIT))
    marked = marked.with_columns(earlier.max().over(*unit).fill_null(-1).alias(_PREVIOUS))
    # Only where the last commit is the deleting one is there anything for `undelete`.
    deleted = nw.col(COMMIT).max().over(*unit) == nw.col(_LAST)
    epoch = (
        nw.when(nw.col(COMMIT) >= nw.col(_LAST))
        .then(nw.lit(2))
        .otherwise(
            nw.when(deleted & (nw.col(COMMIT) >= nw.col(_PREVIOUS)))
            .then(nw.lit(1))
            .otherwise(nw.lit(0))
        )
    )
    marked = marked.with_columns(epoch.alias(_EPOCH))
    rank = nw.col(COMMIT).rank("dense", descending=True).over(*unit, FEATURE_VERSION, _EPOCH)
    kept = (nw.col(_EPOCH) > 0) & ((rank <= keep) | (nw.col(COMMIT) == nw.col(_LAST)))
    superseded = marked.with_columns(kept.alias("kept")).filter(~nw.col("kept"))
    last = closed.group_by(*unit).agg(nw.col(COMMIT).max().alias(_CLOSED))
    # Open rows that a plain write has passed by can join no set any more.
    dead = (
        commits.filter(nw.col(OPEN))
        .join(last, on=unit, how="inner")
        .filter(nw.col(COMMIT) < nw.col(_CLOSED))
    )
    return nw.concat([superseded.select(*unit, COMMIT), dead.select(*unit, COMMIT)])


def _commits(table: LazyFrame, unit: list[str]) -> DataFrame:
    flagged = table.with_columns((~nw.col(DELETED_AT).is_null()).alias(_BARRIER))
    return (
        flagged.group_by(*unit, COMMIT, OPEN)
        .agg(nw.col(_BARRIER).max(), nw.col(FEATURE_VERSION).max())
        .collect("polars")
    )
