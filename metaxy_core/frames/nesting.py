"""Flat by-field columns on disk, struct columns at the door."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import narwhals as nw

from metaxy_core.frames.dialect import LazyFrame


def nest(frame: LazyFrame, struct: str, members: Mapping[str, str]) -> LazyFrame:
    """Replace flat columns by one struct column; `members` maps member name to column."""
    fields = [nw.col(column).alias(member) for member, column in members.items()]
    return frame.with_columns(nw.struct(*fields).alias(struct)).drop(*members.values())


def flatten(
    frame: LazyFrame, struct: str, members: Mapping[str, str], present: Sequence[str]
) -> LazyFrame:
    """Replace a struct column by flat text columns; members not in `present` become NULL."""
    column = nw.col(struct)
    return frame.with_columns(
        (column.struct.field(member) if member in present else nw.lit(None))
        .cast(nw.String())
        .alias(flat)
        for member, flat in members.items()
    ).drop(struct)


def with_missing(frame: LazyFrame, columns: Mapping[str, nw.dtypes.DType]) -> LazyFrame:
    """Add columns that the frame does not have, as typed NULLs."""
    known = set(frame.collect_schema().names())
    missing = [
        nw.lit(None).cast(dtype).alias(name) for name, dtype in columns.items() if name not in known
    ]
    return frame.with_columns(missing) if missing else frame
