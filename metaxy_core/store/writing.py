"""From checked rows to stored rows: digests, stamps, closed sets, one atomic commit."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
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
    provenance_of,
)
from metaxy_core.errors import MetadataSchemaError
from metaxy_core.frames.dialect import DataFrame
from metaxy_core.frames.polars import PolarsDialect
from metaxy_core.frames.types import STORED_TYPES
from metaxy_core.graph import FeaturePlan
from metaxy_core.hashing import HashScheme
from metaxy_core.keys import FieldKey
from metaxy_core.store.incoming import accept, are_read_back, check_types, check_values
from metaxy_core.store.reading import check_table
from metaxy_core.store.request import Write
from metaxy_core.store.sets import check_closed, check_sets, with_empty_parents, with_open_rows
from metaxy_core.store.tables import check_id_types, sorted_by
from metaxy_core.versioning.provenance import with_overrides, with_root_provenance, with_total

if TYPE_CHECKING:
    from metaxy_core.store.base import BaseStore

_DIALECT = PolarsDialect()


def write(
    store: BaseStore,
    writes: Sequence[Write],
    materialization_id: str | None,
    write_id: str,
    *,
    may_be_stored: bool,
) -> dict[str, int]:
    """Check everything, then store it in one commit. Rows stored, per feature key.

    Rows are compared with what is stored before the commit, so that what does not fit waits for
    nobody, and inside it, because other writers may have come between.
    `may_be_stored` says that the caller named the write, which may have got through before.
    """
    prepared = [(one, _prepared(store, one, materialization_id, write_id)) for one in writes]
    for one, rows in prepared:
        check_values(one.plan, _fitted(store, one.plan, rows), store.backend)
    counts = {str(one.plan.key): 0 for one in writes}
    if not any(len(rows) for _, rows in prepared):
        return counts

    def store_all(numbers: Sequence[int]) -> dict[str, int]:
        stored = dict(counts)
        for one, rows in prepared:
            if not len(rows) or (may_be_stored and is_stored(store, one.plan, write_id)):
                continue
            fitted = _fitted(store, one.plan, rows)
            if one.plan.is_expansion:
                check_closed(store, one, fitted, materialization_id, write_id)
                fitted = with_open_rows(store, one, fitted)
            stamped = fitted.with_columns(nw.lit(numbers[0], nw.Int64()).alias(COMMIT))
            store.backend.append(one.plan.key.to_table(), stamped.lazy(), sorted_by(one.plan))
            stored[str(one.plan.key)] = len(rows)
        return stored

    return store.backend.commit(store_all)


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
    store: BaseStore,
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
    store: BaseStore, one: Write, materialization_id: str | None, write_id: str
) -> DataFrame:
    """The rows of a write, checked by themselves, with digests and stamps."""
    plan = one.plan
    rows = accept(plan, one.rows, store.scheme, on_duplicate=one.on_duplicate)
    if (one.partial or one.empty_parents is not None) and not plan.is_expansion:
        raise MetadataSchemaError(
            str(plan.key), "partial= and empty_parents= are for features with a 1:N edge."
        )
    if one.empty_parents is not None:
        rows = with_empty_parents(one, rows, store.scheme)
    frame = stamp(
        store, plan, with_versions(plan, rows, store.scheme), materialization_id, write_id
    ).with_columns(nw.lit(one.partial).alias(OPEN))
    if plan.is_expansion:
        check_sets(plan, frame)
    return frame


def _fitted(store: BaseStore, plan: FeaturePlan, rows: DataFrame) -> DataFrame:
    """The rows with the types of the feature's table as it is now.

    Raises:
        MetadataSchemaError: they do not fit the table, or it is not this feature's.
    """
    table = store.backend.scan(plan.key.to_table())
    check_id_types(store, plan, rows, table)
    if table is None and not store.auto_create_tables:
        raise MetadataSchemaError(
            str(plan.key), "there is no table for it and auto_create_tables is off."
        )
    stored = {} if table is None else table.collect_schema()
    if table is not None:
        check_table(plan, stored)
    return check_types(plan, rows, stored, store.backend.unstorable)


def is_stored(store: BaseStore, plan: FeaturePlan, write_id: str) -> bool:
    """Whether a retried write got through the first time."""
    table = store.backend.scan(plan.key.to_table())
    if table is None:
        return False
    return len(table.filter(nw.col(WRITE_ID) == write_id).head(1).collect("polars")) > 0
