"""Marks: how far a feature was compared, and what of it was still pending then.

A mark is a shortcut, never a truth: whoever reads one checks that it still fits the tables. The
last row of a feature counts; those before it are removed now and then.
"""

from __future__ import annotations

import json
from collections import Counter
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


@dataclass(frozen=True)
class Extent:
    """How far a table went.

    Attributes:
        rows: how many rows it had.
        last: the highest commit among them, or a higher one that was seen before.
        removals: how often rows were removed of it.
    """

    rows: int
    last: int
    removals: int = 0


@dataclass(frozen=True)
class Mark:
    """What a comparison saw and found.

    Attributes:
        feature, store: of what, and where.
        key: what it depends on besides rows: declarations and code.
        tables: how far each table went.
        pending: the ids of the units that had a status, sorted; None where they were too many
            to be listed. Such a mark is never recorded.
    """

    feature: str
    store: str
    key: str
    tables: Mapping[str, Extent]
    pending: Sequence[Sequence[Any]] | None = ()


def load(
    backend: Backend, feature: FeatureKey, tables: Sequence[str]
) -> tuple[Mark | None, Mapping[str, int]]:
    """The last mark of a feature, if there is one, and how often rows were removed of tables."""
    found = backend.scan(MARKS)
    if found is None:
        return None, {}
    subjects = [str(feature), *map(_removals, tables)]
    native = found.filter(nw.col("subject").is_in(subjects)).collect("polars").to_native()
    rows = native.sort(COMMIT).rows(named=True)
    removed = Counter(row["subject"] for row in rows)
    counts = {table: removed[_removals(table)] for table in tables}
    own = [row["mark"] for row in rows if row["subject"] == str(feature)]
    if not own:
        return None, counts
    told = json.loads(own[-1])
    extents = {name: Extent(**extent) for name, extent in told.pop("tables").items()}
    return Mark(**told, tables=extents), counts


def record(backend: Backend, mark: Mark) -> None:
    """Put a mark in the place of those before it; the store must be open for writing."""
    table = backend.scan(MARKS)
    own = None if table is None else table.filter(nw.col("subject") == mark.feature)
    is_crowded = own is not None and len(own.select("subject").collect("polars")) >= _MOST
    row = {"subject": mark.feature, "mark": json.dumps(asdict(mark))}

    def append(numbers: Sequence[int]) -> None:
        if is_crowded:
            backend.delete(MARKS, nw.from_native(pl.LazyFrame({"subject": [mark.feature]})))
        stamped = pl.LazyFrame([row | {COMMIT: numbers[0]}])
        backend.append(MARKS, nw.from_native(stamped))

    backend.commit(append)


def note_removal(backend: Backend, table: str, commit: int) -> None:
    """Note that rows of a table go. Called inside the commit that removes them, before it does.

    Marks made before it do not fit any more: the number of rows alone would not tell, if as many
    came late as were removed.
    """
    row = {"subject": _removals(table), "mark": "", COMMIT: commit}
    backend.append(MARKS, nw.from_native(pl.LazyFrame([row])))


def _removals(table: str) -> str:
    """What stands in place of a feature in a note; no key begins so."""
    return f"-{table}"
