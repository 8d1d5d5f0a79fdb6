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
_CURRENT = "metaxy_last_current"
_ANY = "metaxy_last_any"
_WORKING = (_BARRIER, _CURRENT, _ANY)


def stored_rows(rows: LazyFrame, unit: Sequence[str], version: str | None) -> LazyFrame:
    """Keep the stored rows of each unit.

    A commit with a deleted row is a barrier: what the unit had before it counts no more. Among
    the live rows from the barrier on, the last commit at feature version `version` wins, else
    the last one of any version.

    Columns in = columns out; of each unit all live rows of one commit. Open rows count for
    nothing.
    """
    live = nw.col(DELETED_AT).is_null()
    current = live if version is None else live & (nw.col(FEATURE_VERSION) == version)
    barrier = nw.col(_BARRIER).fill_null(-1)
    wins = nw.when(nw.col(_CURRENT).fill_null(-2) >= barrier).then(nw.col(_CURRENT))
    return (
        rows.filter(~nw.col(OPEN))
        .with_columns(
            _last(~live, unit, _BARRIER),
            _last(current, unit, _CURRENT),
            _last(live, unit, _ANY),
        )
        .filter(
            live & (nw.col(COMMIT) >= barrier) & (nw.col(COMMIT) == wins.otherwise(nw.col(_ANY)))
        )
        .drop(*_WORKING)
    )


def last_rows(rows: LazyFrame, unit: Sequence[str]) -> LazyFrame:
    """Keep the last committed rows of each unit, whole, deleted ones included."""
    return (
        rows.filter(~nw.col(OPEN))
        .with_columns(_last(~nw.col(OPEN), unit, _ANY))
        .filter(nw.col(COMMIT) == nw.col(_ANY))
        .drop(_ANY)
    )


def _last(condition: nw.Expr, unit: Sequence[str], name: str) -> nw.Expr:
    return nw.when(condition).then(nw.col(COMMIT)).max().over(*unit).alias(name)
