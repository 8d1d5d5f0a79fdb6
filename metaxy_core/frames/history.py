"""The stored rows of units among append-only rows: one place, for every reader.

The rule is docs/semantics.md, section 4. A commit is a number the store assigned; rows of one
write share it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import narwhals as nw

from metaxy_core.columns import COMMIT, DELETED_AT, FEATURE_VERSION, OPEN
from metaxy_core.frames.dialect import Dialect, LazyFrame

COUNTING: Final = (COMMIT, DELETED_AT, FEATURE_VERSION, OPEN)
"""What decides which rows count."""
_BARRIER = "metaxy_barrier"
_CHOSEN = "metaxy_chosen"
_COUNT = "metaxy_rows"
_LAST = "metaxy_last"
_NONE = -1
"""Less than any commit number."""
_PREFERRED = "metaxy_preferred"


def stored_rows(rows: LazyFrame, unit: Sequence[str], version: str) -> LazyFrame:
    """Keep the stored rows of each unit.

    A commit with a deleted row is a barrier: what the unit had before it counts no more. Among
    the live rows from the barrier on, the last commit at feature version `version` wins, else
    the last one of any version.

    Columns in = columns out; of each unit all live rows of one commit. Open rows count for
    nothing.
    """
    # Whoever has one row has no choice: only the others are joined, and nothing is sorted.
    chosen = _chosen_commits(rows, unit, version)
    with_choice = _live(rows).join(chosen, on=list(unit), how="left")
    is_chosen = nw.col(_CHOSEN).is_null() | (nw.col(_CHOSEN) == nw.col(COMMIT))
    return with_choice.filter(is_chosen).drop(_CHOSEN)


def stored_rows_since(
    rows: LazyFrame,
    columns: Sequence[str],
    unit: Sequence[str],
    version: str,
    wanted: LazyFrame | None,
    since: int,
    dialect: Dialect,
) -> LazyFrame:
    """`stored_rows` of the wanted units, or of all, where those after a commit are looked at first.

    A unit that has a live row of the preferred version after commit `since`, and no deleted row
    after that, is decided: no row before can outrank it. Rows of the others are looked for by
    their unit, which takes engines much longer than by commit. Which `since` is given changes how
    long that takes, and nothing else.

    `columns` have the unit and what is in `COUNTING`. Columns in `wanted`: the unit, or more; a
    unit may be there several times. Columns out: `columns`.
    """
    on = list(unit)
    # Each part begins from the table: engines would read one that is shared as a whole first.
    later = rows.filter(nw.col(COMMIT) > since).select(*columns)
    if wanted is not None:
        later = later.join(wanted, on=on, how="semi")
    decided = _last_commits(later, on, version).filter(_is_from_barrier(_PREFERRED))
    chosen = decided.select(*on, nw.col(_PREFERRED).alias(COMMIT))
    others = (rows if wanted is None else wanted).select(*on).join(chosen, on=on, how="anti")
    parts = [dialect.few_rows(rows, others, on).select(*columns)]
    if wanted is None:  # What has NULL in its unit is equal to nothing, and found by no join.
        is_null = nw.any_horizontal(*(nw.col(c).is_null() for c in on), ignore_nulls=True)
        parts.append(rows.filter(is_null).select(*columns))
    earlier = stored_rows(nw.concat(parts), unit, version)
    return nw.concat([rows_of_commits(later, chosen, on), earlier])


def _chosen_commits(rows: LazyFrame, unit: Sequence[str], version: str) -> LazyFrame:
    """Of each unit with several rows, the commit whose rows count, or none of all commits."""
    units = _last_commits(rows, unit, version)
    choices = [nw.when(_is_from_barrier(c)).then(nw.col(c)) for c in (_PREFERRED, _LAST)]
    units = units.filter(nw.col(_COUNT) > 1)
    return units.select(*unit, nw.coalesce(*choices, nw.lit(_NONE)).alias(_CHOSEN))


def _last_commits(rows: LazyFrame, unit: Sequence[str], version: str) -> LazyFrame:
    """Of each unit: how many rows count, and the last commit that deleted, of a live row, and of
    a live row at the preferred version."""
    commit, is_live = nw.col(COMMIT), nw.col(DELETED_AT).is_null()
    is_preferred = is_live & (nw.col(FEATURE_VERSION) == version)
    last = {_BARRIER: ~is_live, _LAST: is_live, _PREFERRED: is_preferred}
    counting = rows.filter(~nw.col(OPEN))
    units = counting.with_columns(nw.when(of).then(commit).alias(name) for name, of in last.items())
    return units.group_by(*unit).agg(nw.len().alias(_COUNT), *(nw.col(name).max() for name in last))


def live_rows(rows: LazyFrame, unit: Sequence[str]) -> LazyFrame:
    """Keep the live rows of each unit since its last commit with a deleted row."""
    deleted = rows.filter(~nw.col(DELETED_AT).is_null())
    # Few units were ever deleted: a join with those is cheaper than a window over all rows.
    barriers = deleted.group_by(*unit).agg(nw.col(COMMIT).max().alias(_BARRIER))
    return (
        _live(rows)
        .join(barriers, on=list(unit), how="left")
        .filter(_is_from_barrier(COMMIT))
        .drop(_BARRIER)
    )


def rows_of_commits(rows: LazyFrame, wanted: LazyFrame, on: Sequence[str]) -> LazyFrame:
    """Keep the live rows that `wanted` names by columns and commit, which were chosen before.

    Columns in `wanted`: `on` and the commit.
    """
    return _live(rows).join(wanted, on=[*on, COMMIT], how="semi")


def _live(rows: LazyFrame) -> LazyFrame:
    return rows.filter(~nw.col(OPEN) & nw.col(DELETED_AT).is_null())


def _is_from_barrier(commit: str) -> nw.Expr:
    """Whether a commit is not before the unit's last one with a deleted row, if it has one."""
    return nw.col(commit) >= nw.coalesce(nw.col(_BARRIER), nw.lit(_NONE))


def last_rows(rows: LazyFrame, unit: Sequence[str]) -> LazyFrame:
    """Keep the last committed rows of each unit, whole, deleted ones included."""
    return last_ranked(rows.filter(~nw.col(OPEN)), unit, COMMIT)


def last_ranked(rows: LazyFrame, by: Sequence[str], rank: str) -> LazyFrame:
    """Keep the rows of each group that have its highest rank."""
    highest = nw.col(rank).max().over(*by).alias("metaxy_highest")
    ranked = rows.with_columns(highest)
    return ranked.filter(nw.col(rank) == nw.col("metaxy_highest")).drop("metaxy_highest")
