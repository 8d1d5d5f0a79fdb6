"""Rows of a feature as users and the engine see them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import narwhals as nw

from metaxy_core.columns import (
    COMMIT,
    DATA_VERSION_BY_FIELD,
    DELETED_AT,
    FEATURE_VERSION,
    OPEN,
    PROVENANCE_BY_FIELD,
    WRITE_ID,
    data_version_of,
    is_by_field,
    provenance_of,
)
from metaxy_core.errors import MetadataSchemaError
from metaxy_core.frames.dialect import LazyFrame
from metaxy_core.frames.history import last_ranked, live_rows, stored_rows
from metaxy_core.frames.nesting import nest, with_missing
from metaxy_core.frames.types import STORED_TYPES
from metaxy_core.graph import FeaturePlan

_HIDDEN = (COMMIT, WRITE_ID, OPEN)


def complete(plan: FeaturePlan, table: LazyFrame) -> LazyFrame:
    """A feature's table with every column that the plan knows; those never stored are NULL.

    Raises:
        MetadataSchemaError: see `check_table`.
    """
    check_table(plan, table.collect_schema())
    return filled(plan, table)


def filled(plan: FeaturePlan, table: LazyFrame) -> LazyFrame:
    """Add the columns of the plan that a table does not have, as NULLs."""
    by_field = {provenance_of(field.key): nw.String() for field in plan.fields}
    by_field |= {data_version_of(field.key): nw.String() for field in plan.fields}
    return with_missing(table, {**STORED_TYPES, **by_field})


def check_table(plan: FeaturePlan, schema: Mapping[str, nw.dtypes.DType]) -> None:
    """Refuse a table that is not this feature's, or not as the library made it.

    Raises:
        MetadataSchemaError: somebody else made the table, it lacks an id column, or the type of a
            system column was changed.
    """
    table = plan.key.to_table()
    if COMMIT not in schema:
        raise MetadataSchemaError(
            str(plan.key),
            f"the table {table!r} has no column {COMMIT!r}: it was not made by this library. "
            "Rename that table, or give the feature another key. Its columns: "
            f"{', '.join(schema)}.",
        )
    if missing := [column for column in plan.spec.id_columns if column not in schema]:
        raise MetadataSchemaError(
            str(plan.key),
            f"the stored table has no id column {', '.join(missing)}. Its rows were written under "
            "other id columns; drop the feature, or store it under another key.",
        )
    for name, dtype in STORED_TYPES.items():
        found = schema.get(name, dtype)
        if type(found) is not type(dtype):
            raise MetadataSchemaError(
                str(plan.key),
                f"the column {name!r} of the table {table!r} is {found}, it was made as {dtype}: "
                "somebody changed its type. Change it back.",
            )


def own_rows(plan: FeaturePlan, rows: LazyFrame) -> LazyFrame:
    """Leave out the marks of settled parents without children: their own id columns are NULL."""
    if not plan.is_expansion:
        return rows
    own = next(column for column in plan.spec.id_columns if column not in plan.unit)
    return rows.filter(~nw.col(own).is_null())


def stored_with_marks(plan: FeaturePlan, table: LazyFrame, version: str) -> LazyFrame:
    """The stored rows of a complete table, marks of settled childless parents included."""
    return stored_rows(table, plan.unit, version)


def stored(plan: FeaturePlan, table: LazyFrame, version: str) -> LazyFrame:
    """The stored rows of a complete table: samples, without marks of childless parents."""
    return own_rows(plan, stored_with_marks(plan, table, version))


def select_rows(
    plan: FeaturePlan,
    rows: LazyFrame,
    version: str,
    *,
    only_version: str | None,
    feature_history: bool,
    sample_history: bool,
    deleted: bool,
) -> LazyFrame:
    """The rows that `read` is asked for; see `MetadataStore.read`."""
    ids = list(plan.spec.id_columns)
    chosen = counting = stored_with_marks(plan, rows, only_version or version)
    if only_version is not None:
        chosen = counting = counting.filter(nw.col(FEATURE_VERSION) == only_version)
    if sample_history or feature_history:
        chosen = _history(plan, rows, counting, feature_history, sample_history)
    if deleted:
        gone = rows.filter(~nw.col(DELETED_AT).is_null()).join(counting, on=ids, how="anti")
        if only_version is not None:
            gone = gone.filter(nw.col(FEATURE_VERSION) == only_version)
        chosen = nw.concat([chosen, gone if sample_history else last_ranked(gone, ids, COMMIT)])
    return own_rows(plan, chosen)


def shown(plan: FeaturePlan, rows: LazyFrame, columns: Sequence[str] | None = None) -> LazyFrame:
    """Rows as users see them: by-field values as structs, the store's own columns left out."""
    members = {str(field.key): field.key for field in plan.fields}
    rows = rows.drop(*(name for name in rows.collect_schema().names() if _is_hidden(plan, name)))
    rows = nest(rows, PROVENANCE_BY_FIELD, {m: provenance_of(k) for m, k in members.items()})
    rows = nest(rows, DATA_VERSION_BY_FIELD, {m: data_version_of(k) for m, k in members.items()})
    return rows if columns is None else rows.select(*columns)


def _is_hidden(plan: FeaturePlan, column: str) -> bool:
    """Store-internal columns, and those of fields that are no longer declared."""
    declared = {provenance_of(field.key) for field in plan.fields}
    declared |= {data_version_of(field.key) for field in plan.fields}
    return column in _HIDDEN or (is_by_field(column) and column not in declared)


def _history(
    plan: FeaturePlan,
    rows: LazyFrame,
    stored: LazyFrame,
    feature_history: bool,
    sample_history: bool,
) -> LazyFrame:
    unit = list(plan.unit)
    units = stored.select(*unit).unique(unit, keep="any")
    live = live_rows(rows, unit).join(units, on=unit, how="semi")
    if not feature_history:
        same = stored.select(*unit, FEATURE_VERSION).unique([*unit, FEATURE_VERSION], keep="any")
        live = live.join(same, on=[*unit, FEATURE_VERSION], how="semi")
    return live if sample_history else last_ranked(live, [*unit, FEATURE_VERSION], COMMIT)
