"""Delete and undelete: acts on units, whatever version their rows have.

What is deleted is chosen inside the commit: other writers come before it or after it, not between.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import narwhals as nw

from metaxy_core.backends.base import to_polars
from metaxy_core.columns import COMMIT, DELETED_AT, OPEN, UPDATED_AT, WRITE_ID
from metaxy_core.errors import FallbackDeleteError, MetadataSchemaError
from metaxy_core.frames.dialect import DataFrame, LazyFrame
from metaxy_core.frames.filters import Predicate, apply
from metaxy_core.frames.history import last_rows
from metaxy_core.frames.types import STORED_TYPES
from metaxy_core.graph import FeaturePlan
from metaxy_core.store import fallback
from metaxy_core.store.incoming import Rows
from metaxy_core.store.reading import complete, own_rows, stored_with_marks
from metaxy_core.store.writing import new_write_id
from metaxy_core.system import marks

if TYPE_CHECKING:
    from metaxy_core.store.base import BaseStore


def soft_delete(
    store: BaseStore, plan: FeaturePlan, filters: Sequence[Predicate], samples: Rows | None
) -> int:
    """Mark stored rows as deleted, in one commit that keeps what is left of their units."""
    _own_table(store, plan)
    ids = list(plan.spec.id_columns)
    version = store.graph.versions[plan.key].feature

    def mark(numbers: Sequence[int]) -> int:
        stored = stored_with_marks(plan, _own_table(store, plan), version)
        chosen = _chosen(store, plan, own_rows(plan, stored), filters, samples).select(*ids)
        units = chosen.select(*plan.unit).unique(list(plan.unit), keep="any")
        rows = stored.join(units, on=list(plan.unit), how="semi").collect("polars")
        gone = chosen.collect("polars").with_columns(nw.lit(True).alias("metaxy_gone"))
        if not len(gone):
            return 0
        now = nw.lit(datetime.now(UTC)).cast(STORED_TYPES[UPDATED_AT])
        deleted = nw.when(nw.col("metaxy_gone")).then(now)
        marked = rows.join(gone, on=ids, how="left").with_columns(
            deleted.alias(DELETED_AT), now.alias(UPDATED_AT)
        )
        _put_back(store, plan, marked.drop("metaxy_gone"), nw.lit(numbers[0]))
        return len(gone)

    return store.backend.commit(mark)


def hard_delete(
    store: BaseStore, plan: FeaturePlan, filters: Sequence[Predicate], samples: Rows | None
) -> int:
    """Remove samples with all their rows, of every version; soft-deleted ones as well."""
    _own_table(store, plan)
    ids = list(plan.spec.id_columns)

    def remove(numbers: Sequence[int]) -> int:
        table = _own_table(store, plan)
        known = _hard(store, plan, table)
        chosen = _chosen(store, plan, known, filters, samples)
        gone = chosen.select(*ids).unique(ids, keep="any").collect("polars")
        if not len(gone):
            return 0
        # A unit of which nothing is left goes whole: its older rows must not come back.
        left = known.join(chosen.select(*ids), on=ids, how="anti").collect("polars")
        units = gone.lazy().select(*plan.unit).unique()
        whole = units.join(left.lazy(), on=list(plan.unit), how="anti").collect("polars")
        store.backend.delete(plan.key.to_table(), gone.lazy())
        store.backend.delete(plan.key.to_table(), whole.lazy())
        marks.note_removal(store.backend, numbers[0])
        return len(gone)

    return store.backend.commit(remove)


def count(
    store: BaseStore,
    plan: FeaturePlan,
    filters: Sequence[Predicate],
    samples: Rows | None,
    *,
    soft: bool,
) -> int:
    """How many samples a delete would choose as the store stands."""
    table = _own_table(store, plan)
    known = _soft(store, plan, table) if soft else _hard(store, plan, table)
    ids = list(plan.spec.id_columns)
    chosen = _chosen(store, plan, known, filters, samples).select(*ids).unique(ids, keep="any")
    return int(chosen.select(nw.len().alias("n")).collect("polars")["n"][0])


def undelete(
    store: BaseStore, plan: FeaturePlan, filters: Sequence[Predicate], samples: Rows | None
) -> int:
    """Restore units as they were before their tombstone: their rows again, in their old order."""
    _own_table(store, plan)
    unit = list(plan.unit)
    order = nw.col(COMMIT).rank("dense").cast(nw.Int64()) - 1

    def restore(numbers: Sequence[int]) -> tuple[int, int]:
        """How many units, and how many numbers it takes; nothing is done with fewer."""
        table = _own_table(store, plan)
        last = last_rows(table, unit)
        live = last.filter(nw.col(DELETED_AT).is_null()).select(*unit)
        gone = last.join(live, on=unit, how="anti")
        chosen = _chosen(store, plan, gone, filters, samples)
        units = chosen.select(*unit).unique(unit, keep="any")
        history = table.join(units, on=unit, how="semi").filter(~nw.col(OPEN)).collect("polars")
        restored = _before_the_tombstone(history, unit)
        numbered = restored.with_columns(order.alias("metaxy_order"))
        needed = numbered["metaxy_order"].n_unique()
        if 0 < needed <= len(numbers):
            commits = nw.col("metaxy_order").replace_strict(
                list(range(needed)), list(numbers[:needed]), return_dtype=nw.Int64()
            )
            _put_back(store, plan, numbered, commits, drop=["metaxy_order"])
        return len(restored.select(*unit).unique()), needed

    given = 1
    while True:
        units, needed = store.backend.commit(restore, numbers=given)
        if needed <= given:
            return units
        given = needed


def _soft(store: BaseStore, plan: FeaturePlan, table: LazyFrame) -> LazyFrame:
    """The rows that count: what a soft delete chooses from."""
    version = store.graph.versions[plan.key].feature
    return own_rows(plan, stored_with_marks(plan, table, version))


def _hard(store: BaseStore, plan: FeaturePlan, table: LazyFrame) -> LazyFrame:
    """Besides, the last rows of what is deleted already."""
    version = store.graph.versions[plan.key].feature
    deleted = last_rows(table, list(plan.unit)).filter(~nw.col(DELETED_AT).is_null())
    stored = stored_with_marks(plan, table, version)
    return own_rows(plan, nw.concat([stored.select(*table.collect_schema().names()), deleted]))


def _own_table(store: BaseStore, plan: FeaturePlan) -> LazyFrame:
    """The feature's table in this very store.

    Raises:
        FallbackDeleteError: the rows live in a fallback store only.
        FeatureNotFoundError: no store has the feature.
    """
    own = fallback.find(store, plan.key, allow_fallback=False)
    if own is not None:
        return complete(plan, own[1])
    where, _ = fallback.locate(store, plan.key)
    raise FallbackDeleteError(
        f"Feature '{plan.key}' lives in the fallback store {where.display()} only, which "
        f"{store.display()} never deletes from. Open that store and delete there."
    )


def _chosen(
    store: BaseStore,
    plan: FeaturePlan,
    rows: LazyFrame,
    filters: Sequence[Predicate],
    samples: Rows | None,
) -> LazyFrame:
    rows = apply(rows, filters)
    if samples is None:
        return rows
    wanted = to_polars(samples)
    names = wanted.collect_schema().names()
    for by in (plan.spec.id_columns, plan.unit):
        if set(by) <= set(names):
            ids = store.backend.load(wanted.select(*by).unique(list(by), keep="any"))
            return rows.join(ids, on=list(by), how="semi")
    raise MetadataSchemaError(
        str(plan.key),
        f"samples= needs the id columns {', '.join(plan.spec.id_columns)}; given: "
        f"{', '.join(names)}.",
    )


def _put_back(
    store: BaseStore,
    plan: FeaturePlan,
    rows: DataFrame,
    commits: nw.Expr,
    drop: Sequence[str] = (),
) -> None:
    stamped = rows.with_columns(commits.cast(nw.Int64()).alias(COMMIT))
    # Of one sample each commit has a name of its own: rows are known by it when they are copied.
    write_id = nw.concat_str(
        nw.lit(new_write_id(uuid.uuid4().hex)), nw.col(COMMIT).cast(nw.String()), separator="-"
    )
    named = stamped.with_columns(write_id.alias(WRITE_ID)).drop(*drop)
    store.backend.append(plan.key.to_table(), named.lazy())


def _before_the_tombstone(history: DataFrame, unit: list[str]) -> DataFrame:
    """The live rows that counted before the last deleting commit of each unit."""
    marked = history.lazy().with_columns(
        nw.when(~nw.col(DELETED_AT).is_null()).then(nw.col(COMMIT)).max().over(*unit).alias("last")
    )
    before = marked.filter(nw.col(COMMIT) < nw.col("last")).with_columns(
        nw.when(~nw.col(DELETED_AT).is_null())
        .then(nw.col(COMMIT))
        .max()
        .over(*unit)
        .fill_null(-1)
        .alias("previous")
    )
    live = nw.col(DELETED_AT).is_null() & (nw.col(COMMIT) >= nw.col("previous"))
    return before.filter(live).drop("last", "previous").collect()
