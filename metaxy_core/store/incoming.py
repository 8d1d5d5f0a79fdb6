"""What users hand in, checked at the door: columns, ids, field versions, types.

Everything is refused before anything is stored, with what was given and what was expected.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import narwhals as nw

from metaxy_core.backends.base import Backend, to_polars
from metaxy_core.columns import (
    DATA_VERSION,
    DATA_VERSION_BY_FIELD,
    PROVENANCE,
    PROVENANCE_BY_FIELD,
    STALE_FIELDS,
    STATUS,
    STORED,
    data_version_of,
    is_system,
    provenance_of,
)
from metaxy_core.errors import MetadataSchemaError
from metaxy_core.frames.dialect import DataFrame, LazyFrame
from metaxy_core.frames.nesting import flatten
from metaxy_core.frames.polars import PolarsDialect
from metaxy_core.graph import FeaturePlan
from metaxy_core.hashing import SEPARATOR, HashScheme
from metaxy_core.versioning.upstream import id_text

Rows = Any
"""Any frame that Narwhals wraps, eager or lazy."""
OnDuplicate = Literal["error", "first", "last"]

_DIALECT = PolarsDialect()
_SMALL = (nw.Int8, nw.Int16, nw.Int32, nw.UInt8, nw.UInt16, nw.UInt32)
_STORABLE = (
    *_SMALL,
    *(nw.Int64, nw.UInt64, nw.Float32, nw.Float64, nw.Decimal, nw.Boolean, nw.String),
    *(nw.Categorical, nw.Enum, nw.Binary, nw.Date, nw.Datetime, nw.Unknown),
)
"""What every engine stores and gives back as it was; lists and structs of these as well."""
_KNOWN = {*STORED, PROVENANCE_BY_FIELD, DATA_VERSION_BY_FIELD, STALE_FIELDS, STATUS}


def accept(
    plan: FeaturePlan,
    rows: Rows,
    scheme: HashScheme,
    *,
    ids: Sequence[str] | None = None,
    on_duplicate: OnDuplicate = "error",
) -> DataFrame:
    """Check rows and flatten their by-field values.

    Columns in: the id columns (or `ids`), `metaxy_provenance_by_field` (or the columns of
    `provenance_from`), `metaxy_data_version_by_field` where overridden, user columns. Columns
    out: the ids, user columns, `metaxy_provenance__<field>`, and `metaxy_data_version__<field>`
    where overrides were given; over Polars.

    Raises:
        MetadataSchemaError: columns are missing or of a wrong type, ids or field versions are
            NULL, a sample is there twice.
    """
    ids = plan.spec.id_columns if ids is None else ids
    frame = to_polars(rows).collect()
    _check_columns(plan, frame, ids)
    frame = _with_provenance_from(plan, frame.lazy(), scheme).collect()
    given = _struct_members(plan, frame, PROVENANCE_BY_FIELD)
    keys = {str(field.key): field.key for field in plan.fields}
    flat = flatten(
        frame.lazy(), PROVENANCE_BY_FIELD, {m: provenance_of(k) for m, k in keys.items()}, given
    )
    if DATA_VERSION_BY_FIELD in frame.columns:
        overridden = _struct_members(plan, frame, DATA_VERSION_BY_FIELD, complete=False)
        columns = {m: data_version_of(k) for m, k in keys.items()}
        flat = flatten(flat, DATA_VERSION_BY_FIELD, columns, overridden)
    flat = flat.drop(*(c for c in (STALE_FIELDS, STATUS) if c in frame.columns))
    frame = flat.collect()
    _check_ids(plan, frame, ids)
    _check_versions(plan, frame, scheme)
    return _without_duplicates(plan, frame, ids, on_duplicate)


def are_read_back(frame: DataFrame) -> bool:
    """Whether rows came from `read`: they carry the sample's own digest, so by-field values are
    digests already and are taken as they are."""
    return PROVENANCE in frame.columns


def check_types(
    plan: FeaturePlan,
    frame: DataFrame,
    stored: Mapping[str, nw.dtypes.DType],
    unstorable: tuple[type[nw.dtypes.DType], ...],
) -> DataFrame:
    """Cast columns to their stored types where nothing is lost; leave out columns without a type.

    Raises:
        MetadataSchemaError: a column's type is not that of the stored table.
    """
    casts, untyped = [], []
    folded = {name.lower(): name for name in stored}
    for name, dtype in frame.schema.items():
        known = stored.get(name)
        if known is None and (other := folded.get(name.lower())) is not None:
            raise MetadataSchemaError(
                str(plan.key), f"column {name!r} differs only in case from the stored {other!r}."
            )
        if dtype == nw.Unknown:
            untyped.append(name)
        elif known is None:
            if not _is_storable(dtype, unstorable):
                raise MetadataSchemaError(
                    str(plan.key),
                    f"column {name!r} has the type {dtype}, which this store cannot keep. "
                    "Cast it, to text or a number for example.",
                )
            if dtype.is_integer() and dtype != nw.UInt64:
                casts.append(nw.col(name).cast(nw.Int64()))  # room for what comes later
        elif dtype != known:
            if not _fits(dtype, known):
                raise MetadataSchemaError(
                    str(plan.key),
                    f"column {name!r} is stored as {known}, the rows given have {dtype}.",
                )
            casts.append(nw.col(name).cast(known))
    try:
        return frame.drop(*untyped).with_columns(*casts) if casts or untyped else frame
    except nw.exceptions.InvalidOperationError as error:
        raise MetadataSchemaError(
            str(plan.key),
            f"the rows given have values that their stored types cannot hold: {error}",
        ) from error


def check_values(plan: FeaturePlan, frame: DataFrame, backend: Backend) -> None:
    """Refuse values that the store's system cannot keep as they are.

    Raises:
        MetadataSchemaError: names the column.
    """
    if (reason := backend.refusal(frame)) is not None:
        raise MetadataSchemaError(str(plan.key), reason)


def _is_storable(dtype: nw.dtypes.DType, unstorable: tuple[type[nw.dtypes.DType], ...]) -> bool:
    if isinstance(dtype, unstorable):
        return False
    if isinstance(dtype, nw.List):
        return _is_storable(_instance(dtype.inner), unstorable)
    if isinstance(dtype, nw.Struct):
        members = (_instance(member.dtype) for member in dtype.fields)
        return all(_is_storable(member, unstorable) for member in members)
    return isinstance(dtype, _STORABLE)


def _instance(dtype: Any) -> nw.dtypes.DType:
    made: nw.dtypes.DType = dtype() if isinstance(dtype, type) else dtype
    return made


def _fits(given: nw.dtypes.DType, stored: nw.dtypes.DType) -> bool:
    numbers = given.is_integer() and stored.is_integer()
    floats = stored == nw.Float64 and (given == nw.Float32 or isinstance(given, _SMALL))
    nested = given.is_nested() and type(given) is type(stored)
    times = (
        isinstance(given, nw.Datetime)
        and isinstance(stored, nw.Datetime)
        and (given.time_zone is None) == (stored.time_zone is None)
    )
    text = {type(given), type(stored)} <= {nw.String, nw.Categorical, nw.Enum}
    return numbers or floats or nested or times or text


def _check_columns(plan: FeaturePlan, frame: DataFrame, ids: Sequence[str]) -> None:
    names = frame.columns
    missing = [column for column in ids if column not in names]
    if missing:
        raise MetadataSchemaError(
            str(plan.key),
            f"the rows given have no id column {', '.join(missing)}. Its id columns are: "
            f"{', '.join(ids)}. Columns given: {', '.join(names) or 'none'}.",
        )
    unknown = [name for name in names if is_system(name) and name not in _KNOWN]
    if unknown:
        raise MetadataSchemaError(
            str(plan.key), f"names that begin with 'metaxy_' are taken: {', '.join(unknown)}."
        )
    folded: dict[str, str] = {}
    for name in names:
        if (other := folded.setdefault(name.lower(), name)) != name:
            raise MetadataSchemaError(
                str(plan.key), f"the columns {other!r} and {name!r} differ only in case."
            )


def _with_provenance_from(plan: FeaturePlan, rows: LazyFrame, scheme: HashScheme) -> LazyFrame:
    """Make a root's provenance texts from its columns, each value framed by its own digest."""
    wanted = plan.spec.provenance_from
    schema = rows.collect_schema()
    if not wanted or PROVENANCE_BY_FIELD in schema:
        return rows
    members = []
    for key, columns in wanted.items():
        for column in columns:
            _check_text(plan, f"provenance_from column {column!r}", schema.get(column))
        texts = [f"metaxy_text{position}" for position in range(len(columns))]
        rows = rows.with_columns(
            id_text(column, schema[column]).alias(text)
            for column, text in zip(columns, texts, strict=True)
        )
        rows = _DIALECT.digest(rows, texts, scheme.algorithm).with_columns(
            nw.concat_str(*map(nw.col, texts), separator=SEPARATOR).alias(f"metaxy_of__{key}")
        )
        rows = rows.drop(*texts)
        members.append(nw.col(f"metaxy_of__{key}").alias(str(key)))
    rows = rows.with_columns(nw.struct(*members).alias(PROVENANCE_BY_FIELD))
    return rows.drop(*(f"metaxy_of__{key}" for key in wanted))


def _struct_members(
    plan: FeaturePlan, frame: DataFrame, column: str, *, complete: bool = True
) -> list[str]:
    expected = [str(field.key) for field in plan.fields]
    dtype = frame.schema.get(column)
    if dtype is None:
        how = "text of your own per field" if plan.spec.is_root else "as the increment gives it"
        raise MetadataSchemaError(
            str(plan.key),
            f"the rows given have no column {column!r}: a struct with the members "
            f"{', '.join(expected)} ({how}). Columns given: {', '.join(frame.columns)}.",
        )
    if dtype == nw.Unknown and not complete:
        return []
    if not isinstance(dtype, nw.Struct):
        raise MetadataSchemaError(
            str(plan.key),
            f"{column!r} must be a struct with the members {', '.join(expected)}; given: {dtype}.",
        )
    given = {member.name: member.dtype for member in dtype.fields}
    extra = sorted(given.keys() - set(expected))
    missing = sorted(set(expected) - given.keys()) if complete else []
    if extra or missing:
        raise MetadataSchemaError(
            str(plan.key),
            f"the members of {column!r} must be the fields {', '.join(expected)}; "
            f"missing: {', '.join(missing) or 'none'}; unknown: {', '.join(extra) or 'none'}.",
        )
    for name, member in given.items():
        if member != nw.Unknown:
            _check_text(
                plan,
                f"member {name!r} of {column!r}",
                member() if isinstance(member, type) else member,
            )
    return list(given)


def _check_text(plan: FeaturePlan, what: str, dtype: nw.dtypes.DType | None) -> None:
    if dtype is None:
        raise MetadataSchemaError(str(plan.key), f"the rows given have no {what}.")
    if not (dtype == nw.String or dtype == nw.Boolean or dtype.is_integer()):
        raise MetadataSchemaError(
            str(plan.key), f"{what} must be text, integer or boolean; given: {dtype}."
        )


def _check_ids(plan: FeaturePlan, frame: DataFrame, ids: Sequence[str]) -> None:
    for column in ids:
        dtype = frame.schema[column]
        if len(frame) and dtype != nw.Unknown:
            _check_text(plan, f"id column {column!r}", dtype)
        if nulls := frame[column].null_count():
            raise MetadataSchemaError(
                str(plan.key),
                f"id column {column!r} is NULL in {nulls} of the {len(frame)} rows given.",
            )


def _check_versions(plan: FeaturePlan, frame: DataFrame, scheme: HashScheme) -> None:
    final = are_read_back(frame) or not plan.spec.is_root
    for field in plan.fields:
        column = frame[provenance_of(field.key)]
        if nulls := column.null_count():
            raise MetadataSchemaError(
                str(plan.key),
                f"the provenance of field '{field.key}' is NULL in {nulls} of the {len(frame)} "
                "rows given.",
            )
        if final and len(frame) and not column.str.contains(_digests(scheme)).all():
            raise MetadataSchemaError(
                str(plan.key),
                f"the provenance of field '{field.key}' is not a digest of the store's scheme "
                f"{scheme}. A derived feature's provenance comes from the increment, unchanged.",
            )
        name = data_version_of(field.key)
        if DATA_VERSION in frame.columns and name in frame.columns:
            version = frame[name].drop_nulls()
            if len(version) and not version.str.contains(_digests(scheme)).all():
                raise MetadataSchemaError(
                    str(plan.key),
                    f"the rows came from read(), but the data version of field '{field.key}' is "
                    f"no digest any more. Drop {DATA_VERSION!r} and {PROVENANCE!r} to override it.",
                )


def _digests(scheme: HashScheme) -> str:
    return f"^[0-9a-f]{{{scheme.algorithm.hex_length}}}$"


def _without_duplicates(
    plan: FeaturePlan, frame: DataFrame, ids: Sequence[str], on_duplicate: OnDuplicate
) -> DataFrame:
    if frame.select(*ids).unique().shape[0] == len(frame):
        return frame
    if on_duplicate != "error":
        return frame.unique(list(ids), keep=on_duplicate, maintain_order=True)
    twice = frame.filter(
        nw.struct(*map(nw.col, ids)).is_duplicated()
        if len(ids) > 1
        else nw.col(ids[0]).is_duplicated()
    )
    shown = [tuple(row) for row in twice.select(*ids).unique().head(3).rows()]
    raise MetadataSchemaError(
        str(plan.key),
        f"{len(twice)} of the {len(frame)} rows given share their id ({', '.join(ids)}), such as "
        f"{', '.join(map(str, shown))}. Give each sample once, or say on_duplicate='last'.",
    )
