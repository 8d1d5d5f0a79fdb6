"""Marks: how far a feature was compared, and what of it was still pending then.

A mark is a shortcut, never a truth: whoever reads one checks that it still fits the tables. The
last row of a feature counts; those before it are removed now and then.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import narwhals as nw
import polars as pl

from metaxy_core.backends.base import Backend
from metaxy_core.columns import COMMIT
from metaxy_core.keys import FeatureKey
from metaxy_core.system.tables import PREFIX

MARKS: Final = f"{PREFIX}marks"
_MOST = 16
"""Rows of one feature; some systems are slow to remove rows."""
_REMOVED: Final = ""
"""In place of a feature, in rows that say that rows were removed."""


@dataclass(frozen=True)
class Mark:
    """What a comparison saw and found.

    Attributes:
        key: what it depends on besides rows: declarations and code.
        tables: per table its rows, and the highest commit among them.
        removed: the last commit that removed rows of any table; 0 where none did.
        pending: the ids of the units that had a status.
    """

    key: str
    tables: Mapping[str, tuple[int, int]]
    removed: int = 0
    pending: Sequence[Sequence[Any]] = ()


def load(backend: Backend, feature: FeatureKey) -> tuple[Mark | None, int]:
    """The last mark of a feature, if there is one, and the last commit that removed rows."""
    table = backend.scan(MARKS)
    if table is None:
        return None, 0
    found = table.filter(nw.col("feature").is_in([str(feature), _REMOVED])).collect("polars")
    rows = found.to_native().sort(COMMIT).rows(named=True)
    removed = max((row[COMMIT] for row in rows if row["feature"] == _REMOVED), default=0)
    own = [row for row in rows if row["feature"] != _REMOVED]
    if not own:
        return None, removed
    told = json.loads(own[-1]["mark"])
    tables = {name: (count, last) for name, (count, last) in told["tables"].items()}
    return Mark(told["key"], tables, told["removed"], told["pending"]), removed


def record(backend: Backend, feature: FeatureKey, mark: Mark) -> None:
    """Put a mark in the place of those before it; the store must be open for writing."""
    table = backend.scan(MARKS)
    own = None if table is None else table.filter(nw.col("feature") == str(feature))
    is_crowded = own is not None and len(own.select("feature").collect("polars")) >= _MOST
    row = {"feature": str(feature), "mark": json.dumps(asdict(mark))}

    def append(numbers: Sequence[int]) -> None:
        if is_crowded:
            backend.delete(MARKS, nw.from_native(pl.LazyFrame({"feature": [str(feature)]})))
        stamped = pl.LazyFrame([row | {COMMIT: numbers[0]}])
        backend.append(MARKS, nw.from_native(stamped))

    backend.commit(append)


def note_removal(backend: Backend, commit: int) -> None:
    """Note that rows are gone. Called inside the commit that removes them.

    Marks made before it do not fit any more: the number of rows alone would not tell, if as many
    came late as were removed.
    """
    row = {"feature": _REMOVED, "mark": "", COMMIT: commit}
    backend.append(MARKS, nw.from_native(pl.LazyFrame([row])))
