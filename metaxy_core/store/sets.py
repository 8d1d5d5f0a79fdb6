"""1:N: what a parent's set of children is while it is written, and when it is closed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import narwhals as nw

from metaxy_core.columns import (
    COMMIT,
    FEATURE_VERSION,
    MATERIALIZATION_ID,
    OPEN,
    SNAPSHOT_VERSION,
    WRITE_ID,
    is_system,
    provenance_of,
)
from metaxy_core.errors import MetadataSchemaError, SetClosedError
from metaxy_core.frames.dialect import DataFrame
from metaxy_core.frames.nesting import with_missing
from metaxy_core.frames.types import STORED_TYPES
from metaxy_core.graph import FeaturePlan
from metaxy_core.hashing import HashScheme
from metaxy_core.store.incoming import accept
from metaxy_core.store.reading import complete, stored_with_marks
from metaxy_core.store.request import Write

if TYPE_CHECKING:
    from metaxy_core.store.base import BaseStore


def with_empty_parents(one: Write, rows: DataFrame, scheme: HashScheme) -> DataFrame:
    """Add a row per childless parent, marked by NULL in the child's own id columns."""
    empty = accept(one.plan, one.empty_parents, scheme, ids=one.plan.unit)
    provenances = [provenance_of(field.key) for field in one.plan.fields]
    unit = list(one.plan.unit)
    marks = empty.select(*unit, *provenances).lazy()
    both = marks.join(rows.lazy().select(*unit), on=unit, how="semi").collect()
    if len(both):
        raise MetadataSchemaError(
            str(one.plan.key),
            f"{len(both)} of the parents given as empty have children in the same write, such as "
            f"{both.select(*unit).rows()[0]}.",
        )
    schema = rows.schema
    missing = {name: schema[name] for name in rows.columns if name not in marks.columns}
    whole = with_missing(marks, missing).select(*rows.columns).collect()
    if not len(rows):
        return whole
    return nw.concat([rows, whole], how="vertical")


def check_sets(plan: FeaturePlan, frame: DataFrame) -> None:
    """One provenance per parent in a write."""
    unit = list(plan.unit)
    sets = frame.select(*unit, *(provenance_of(field.key) for field in plan.fields)).unique()
    if len(sets) != len(sets.select(*unit).unique()):
        raise MetadataSchemaError(
            str(plan.key), "the children of one parent must carry the same provenance."
        )


def check_closed(
    store: BaseStore,
    one: Write,
    frame: DataFrame,
    materialization_id: str | None,
    write_id: str,
) -> None:
    """One plain write per parent and writer, in the commit that stores it.

    Raises:
        SetClosedError: names the parent.
    """
    plan, unit = one.plan, list(one.plan.unit)
    table = store.backend.scan(plan.key.to_table())
    if table is None or one.partial:
        return
    provenances = [provenance_of(field.key) for field in plan.fields]
    sets = frame.select(*unit, *provenances).unique()
    writer = write_id.split(":")[0]
    same = nw.col(WRITE_ID).str.starts_with(f"{writer}:")
    if materialization_id is not None:
        same = same | (nw.col(MATERIALIZATION_ID) == materialization_id)
    version = store.graph.versions[plan.key].feature
    stored = stored_with_marks(plan, complete(plan, table), version)
    again = (
        stored.filter(same & (nw.col(WRITE_ID) != write_id))
        .select(*unit, *provenances)
        .unique(unit, keep="any")
        .join(store.backend.load(sets.lazy()), on=[*unit, *provenances], how="semi")
        .head(3)
        .collect("polars")
    )
    if len(again):
        raise SetClosedError(
            f"Feature '{plan.key}': the children of {again.select(*unit).rows()[0]} "
            f"({', '.join(unit)}) were "
            "already written by this writer or run. A write replaces a parent's whole set: give "
            "all its children at once, or use partial=True until the last write."
        )


def with_open_rows(store: BaseStore, one: Write, rows: DataFrame) -> DataFrame:
    """Let the open rows of the parents written now join their set, in the closing commit."""
    plan, unit = one.plan, list(one.plan.unit)
    table = store.backend.scan(plan.key.to_table())
    if one.partial or table is None:
        return rows
    provenances = [provenance_of(field.key) for field in plan.fields]
    sets = store.backend.load(rows.select(*unit, *provenances).unique().lazy())
    all_rows = complete(plan, table)
    closed = nw.when(~nw.col(OPEN)).then(nw.col(COMMIT)).max().over(*unit)
    waiting = (
        all_rows.join(sets.select(*unit).unique(unit, keep="any"), on=unit, how="semi")
        .with_columns(closed.fill_null(-1).alias("metaxy_closed"))
        .filter(nw.col(OPEN) & (nw.col(COMMIT) > nw.col("metaxy_closed")))
        .drop("metaxy_closed")
        .join(sets, on=[*unit, *provenances], how="semi")
        .collect("polars")
    )
    if not len(waiting):
        return rows
    ids = list(plan.spec.id_columns)
    last = waiting.sort(COMMIT).unique(ids, keep="last", maintain_order=True)
    joining = last.lazy().join(rows.lazy().select(*ids), on=ids, how="anti").collect()
    # The set is of one version and one commit: that of the write that closes it.
    own = (FEATURE_VERSION, SNAPSHOT_VERSION, MATERIALIZATION_ID, WRITE_ID, OPEN)
    joining = joining.with_columns(
        nw.lit(rows[name][0]).cast(STORED_TYPES[name]).alias(name) for name in own
    )
    settled = rows
    if len(joining):
        children = joining.lazy().select(*unit).unique(unit, keep="any")
        mark = nw.col(next(c for c in ids if c not in unit)).is_null()
        marks = rows.lazy().filter(mark).join(children, on=unit, how="anti")
        settled = nw.concat([rows.lazy().filter(~mark), marks]).collect()
    # Fields that the closing write does not declare would be known of some children only.
    foreign = [name for name in joining.columns if is_system(name) and name not in rows.columns]
    return _stacked(settled, joining.drop(*foreign))


def _stacked(first: DataFrame, second: DataFrame) -> DataFrame:
    return nw.concat([first, second], how="diagonal")
