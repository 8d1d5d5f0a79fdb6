"""From checked rows to stored rows: digests, stamps, closed sets, one atomic commit."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import narwhals as nw

from metaxy_core.columns import (
    COMMIT,
    CREATED_AT,
    DATA_VERSION,
    DELETED_AT,
    FEATURE_VERSION,
    MATERIALIZATION_ID,
    OPEN,
    PROVENANCE,
    SNAPSHOT_VERSION,
    UPDATED_AT,
    WRITE_ID,
    data_version_of,
    is_system,
    provenance_of,
)
from metaxy_core.errors import MetadataSchemaError, SetClosedError
from metaxy_core.frames.dialect import DataFrame
from metaxy_core.frames.nesting import with_missing
from metaxy_core.frames.polars import PolarsDialect
from metaxy_core.frames.types import STORED_TYPES
from metaxy_core.graph import FeaturePlan
from metaxy_core.hashing import HashScheme
from metaxy_core.keys import FieldKey
from metaxy_core.store.incoming import (
    OnDuplicate,
    Rows,
    accept,
    are_read_back,
    check_types,
    check_values,
)
from metaxy_core.store.reading import complete, stored_with_marks
from metaxy_core.versioning.provenance import with_overrides, with_root_provenance, with_total

if TYPE_CHECKING:
    from metaxy_core.store.store import MetadataStore

_DIALECT = PolarsDialect()


@dataclass(frozen=True)
class Write:
    """One feature's part of a write.

    Attributes:
        partial: add to open 1:N sets, which count for nothing until a plain write closes them.
        empty_parents: units (their id columns and `metaxy_provenance_by_field`) that have no
            children.
    """

    plan: FeaturePlan
    rows: Rows
    partial: bool = False
    empty_parents: Rows | None = None
    on_duplicate: OnDuplicate = "error"


def write(
    store: MetadataStore,
    writes: Sequence[Write],
    materialization_id: str | None,
    write_id: str,
    *,
    may_be_stored: bool,
) -> dict[str, int]:
    """Check everything, then store it in one commit. Rows stored, per feature key.

    `may_be_stored` says that the caller named the write, which may have got through before.
    """
    prepared = [(one, _prepared(store, one, materialization_id, write_id)) for one in writes]
    counts = {str(one.plan.key): 0 for one in writes}
    if not any(len(rows) for _, rows in prepared):
        return counts

    def store_all(numbers: Sequence[int]) -> None:
        for one, rows in prepared:
            if not len(rows) or (may_be_stored and _is_stored(store, one.plan, write_id)):
                continue
            joined = _with_open_rows(store, one, rows) if one.plan.is_expansion else rows
            stamped = joined.with_columns(nw.lit(numbers[0], nw.Int64()).alias(COMMIT))
            store.backend.append(one.plan.key.to_table(), stamped.lazy())
            counts[str(one.plan.key)] = len(rows)

    store.backend.commit(store_all)
    return counts


def new_write_id(writer: str) -> str:
    """A fresh idempotency id; its beginning says who writes."""
    return f"{writer}:{uuid.uuid4().hex}"


def with_versions(plan: FeaturePlan, frame: DataFrame, scheme: HashScheme) -> DataFrame:
    """Add or finish the by-field digests and the sample's own."""
    rows = frame.lazy()
    final = are_read_back(frame)
    if plan.spec.is_root and not final:
        rows = with_root_provenance(rows, plan, scheme, _DIALECT)
    provenance = {field.key: provenance_of(field.key) for field in plan.fields}
    versions = {field.key: data_version_of(field.key) for field in plan.fields}
    rows = with_total(rows, PROVENANCE, list(provenance.values()), scheme, _DIALECT)
    given = [name for name in versions.values() if name in frame.columns]
    if not given:
        same = [nw.col(provenance[key]).alias(name) for key, name in versions.items()]
        rows = rows.with_columns(*same, nw.col(PROVENANCE).alias(DATA_VERSION))
        return rows.collect()
    overrides: Mapping[FieldKey, str] = {k: name for k, name in versions.items() if name in given}
    if DATA_VERSION in frame.columns:
        rows = rows.with_columns(
            nw.coalesce(nw.col(name), nw.col(provenance[key])) for key, name in overrides.items()
        )
    else:
        rows = with_overrides(rows, overrides, scheme, _DIALECT)
    total = with_total(rows, DATA_VERSION, list(versions.values()), scheme, _DIALECT)
    return total.collect()


def stamp(
    store: MetadataStore,
    plan: FeaturePlan,
    frame: DataFrame,
    materialization_id: str | None,
    write_id: str,
) -> DataFrame:
    """Say who wrote the rows, when, and under which versions."""
    now = nw.lit(datetime.now(UTC)).cast(STORED_TYPES[CREATED_AT])
    values: dict[str, nw.Expr] = {
        FEATURE_VERSION: nw.lit(store.graph.versions[plan.key].feature),
        SNAPSHOT_VERSION: nw.lit(store.graph.snapshot_version),
        CREATED_AT: now,
        UPDATED_AT: now,
        DELETED_AT: nw.lit(None).cast(STORED_TYPES[DELETED_AT]),
        MATERIALIZATION_ID: nw.lit(materialization_id).cast(nw.String()),
        WRITE_ID: nw.lit(write_id),
        OPEN: nw.lit(False),
    }
    return frame.with_columns(value.alias(name) for name, value in values.items())


def _prepared(
    store: MetadataStore, one: Write, materialization_id: str | None, write_id: str
) -> DataFrame:
    plan = one.plan
    rows = accept(plan, one.rows, store.scheme, on_duplicate=one.on_duplicate)
    if (one.partial or one.empty_parents is not None) and not plan.is_expansion:
        raise MetadataSchemaError(
            str(plan.key), "partial= and empty_parents= are for features with a 1:N edge."
        )
    if one.empty_parents is not None:
        rows = _with_empty_parents(store, one, rows)
    frame = stamp(
        store, plan, with_versions(plan, rows, store.scheme), materialization_id, write_id
    ).with_columns(nw.lit(one.partial).alias(OPEN))
    table = store.backend.scan(plan.key.to_table())
    if table is None and not store.auto_create_tables:
        raise MetadataSchemaError(
            str(plan.key), "there is no table for it and auto_create_tables is off."
        )
    stored = {} if table is None else table.collect_schema()
    frame = check_types(plan, frame, stored, store.backend.unstorable)
    check_values(plan, frame, store.backend)
    if plan.is_expansion:
        _check_sets(store, one, frame, materialization_id, write_id)
    return frame


def _with_empty_parents(store: MetadataStore, one: Write, rows: DataFrame) -> DataFrame:
    """Add a row per childless parent, marked by NULL in the child's own id columns."""
    empty = accept(one.plan, one.empty_parents, store.scheme, ids=one.plan.unit)
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


def _check_sets(
    store: MetadataStore,
    one: Write,
    frame: DataFrame,
    materialization_id: str | None,
    write_id: str,
) -> None:
    """One provenance per parent in a write, and one plain write per parent and writer."""
    plan, unit = one.plan, list(one.plan.unit)
    provenances = [provenance_of(field.key) for field in plan.fields]
    sets = frame.select(*unit, *provenances).unique()
    if len(sets) != len(sets.select(*unit).unique()):
        raise MetadataSchemaError(
            str(plan.key), "the children of one parent must carry the same provenance."
        )
    table = store.backend.scan(plan.key.to_table())
    if table is None or one.partial or not len(frame):
        return
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


def _with_open_rows(store: MetadataStore, one: Write, rows: DataFrame) -> DataFrame:
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


def _is_stored(store: MetadataStore, plan: FeaturePlan, write_id: str) -> bool:
    """Whether a retried write got through the first time."""
    table = store.backend.scan(plan.key.to_table())
    if table is None:
        return False
    return len(table.filter(nw.col(WRITE_ID) == write_id).head(1).collect("polars")) > 0
