"""What is stored of a feature, in numbers; nothing is compared with what it should be."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import narwhals as nw

from metaxy_core.columns import CREATED_AT, DELETED_AT, FEATURE_VERSION, OPEN
from metaxy_core.graph import FeaturePlan
from metaxy_core.store import fallback
from metaxy_core.store.reading import complete, stored

if TYPE_CHECKING:
    from metaxy_core.store.base import BaseStore


@dataclass(frozen=True)
class Inventory:
    """The rows of one feature in one store.

    Attributes:
        store: the store that they are in: this one, or one that it falls back to.
        samples: rows that count now.
        current: those of them written under the feature version as it stands.
        rows: all rows, superseded and deleted ones too.
        tombstones: rows that say that a sample was deleted.
        open: rows of 1:N sets that are not closed yet.
        written_at: when the newest row was written; UTC.
    """

    store: str
    samples: int
    current: int
    rows: int
    tombstones: int
    open: int
    written_at: datetime | None


def take(store: BaseStore, plan: FeaturePlan, *, allow_fallback: bool) -> Inventory | None:
    """Count what is stored; None where no store has a table of the feature."""
    found = fallback.find(store, plan.key, allow_fallback=allow_fallback)
    if found is None:
        return None
    where, table = found[0], complete(plan, found[1])
    version = store.graph.versions[plan.key].feature
    known = table.select(
        nw.len().alias("rows"),
        (~nw.col(DELETED_AT).is_null()).cast(nw.Int64()).sum().alias("tombstones"),
        nw.col(OPEN).cast(nw.Int64()).sum().alias("open"),
        nw.col(CREATED_AT).max().alias("written_at"),
    ).collect("polars")
    is_current = (nw.col(FEATURE_VERSION) == version).cast(nw.Int64())
    counting = (
        stored(plan, table, version)
        .select(nw.len().alias("samples"), is_current.sum().alias("current"))
        .collect("polars")
    )
    (all_rows,), (live,) = known.rows(named=True), counting.rows(named=True)
    return Inventory(
        where.display(),
        int(live["samples"]),
        int(live["current"] or 0),
        int(all_rows["rows"]),
        int(all_rows["tombstones"] or 0),
        int(all_rows["open"] or 0),
        all_rows["written_at"],
    )
