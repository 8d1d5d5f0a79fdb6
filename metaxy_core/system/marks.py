"""Marks: how far a feature was compared, and what of it was still pending then.

A mark is a shortcut, never a truth: whoever reads one checks that it still fits the tables. The
last row of a feature counts; those before it are removed now and then.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
class Mark:
    """What a comparison saw and found.

    Attributes:
        key: what it depends on besides rows: declarations and code.
        tables: per table its rows, and the highest commit among them.
        pending: the ids of the units that had a status.
    """

    key: str
    tables: Mapping[str, tuple[int, int]]
    pending: Sequence[Sequence[Any]]


def load(backend: Backend, feature: FeatureKey) -> Mark | None:
    """The last mark of a feature; None where there is none."""
    table = backend.scan(MARKS)
    if table is None:
        return None
    found = table.filter(nw.col("feature") == str(feature)).collect("polars")
    if not len(found):
        return None
    row = found.to_native().sort(COMMIT).row(-1, named=True)
    tables = {name: (rows, last) for name, (rows, last) in json.loads(row["tables"]).items()}
    return Mark(row["key"], tables, json.loads(row["pending"]))


def record(backend: Backend, feature: FeatureKey, mark: Mark) -> None:
    """Put a mark in the place of those before it; the store must be open for writing."""
    table = backend.scan(MARKS)
    own = None if table is None else table.filter(nw.col("feature") == str(feature))
    is_crowded = own is not None and len(own.select("feature").collect("polars")) >= _MOST
    row = {
        "feature": str(feature),
        "key": mark.key,
        "tables": json.dumps(dict(mark.tables)),
        "pending": json.dumps(list(mark.pending)),
    }

    def append(numbers: Sequence[int]) -> None:
        if is_crowded:
            backend.delete(MARKS, nw.from_native(pl.LazyFrame({"feature": [str(feature)]})))
        stamped = pl.LazyFrame([row | {COMMIT: numbers[0]}])
        backend.append(MARKS, nw.from_native(stamped))

    backend.commit(append)
