"""Arrow tables in and out of PostgreSQL by COPY, as CSV: texts quoted, NULL as nothing.

What CSV has no form for travels as text or as a number: times as microseconds, bytes as hex
digits, lists as PostgreSQL's array literals in and as JSON out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import ibis
import polars as pl
import psycopg
import pyarrow as pa
import pyarrow.csv as pa_csv

from metaxy_core.backends.sql import text_with_nul, unkept
from metaxy_core.frames.dialect import DataFrame

_ROWS, _BYTES = 50_000, 16_000_000


def copy_in(connection: psycopg.Connection[Any], into: str, rows: pa.Table) -> None:
    """Insert rows; `into` is `COPY <table> (<columns>)`, in the order of theirs."""
    how = pa_csv.WriteOptions(include_header=False)
    with (
        connection.cursor() as cursor,
        cursor.copy(f"{into} FROM STDIN (FORMAT csv)") as copy,
    ):
        for start in range(0, rows.num_rows, _ROWS):
            part = rows.slice(start, _ROWS)
            sink = pa.BufferOutputStream()
            pa_csv.write_csv(_as_csv(part), sink, how)
            copy.write(memoryview(sink.getvalue()))


def copy_out(
    connection: psycopg.Connection[Any], query: str, schema: ibis.Schema
) -> Iterator[pa.RecordBatch]:
    """The rows of a query that gives these columns."""
    kinds = list(schema.items())
    names = [f"c{position}" for position in range(len(kinds))]
    chosen = ", ".join(_selected(n, dtype) for n, (_, dtype) in zip(names, kinds, strict=True))
    text = f"COPY (SELECT {chosen} FROM ({query}) q({', '.join(names)})) TO STDOUT (FORMAT csv)"  # noqa: S608  # a compiled query
    with connection.cursor() as cursor, cursor.copy(text) as copy:
        part: list[bytes] = []
        size = 0
        for row in copy:
            part.append(bytes(row))
            size += len(row)
            if size >= _BYTES:
                yield _parsed(b"".join(part), schema)
                part, size = [], 0
        if part:
            yield _parsed(b"".join(part), schema)


def not_copied(rows: DataFrame) -> str | None:
    """Why PostgreSQL cannot keep the rows as they are, naming the column."""
    frame: pl.DataFrame = rows.to_native()
    for column in frame:
        values = column.explode() if isinstance(column.dtype, pl.List) else column
        if values.dtype.is_nested():
            return f"column {column.name!r} is a list of {values.dtype}; lists hold plain values."
    return text_with_nul(rows, "PostgreSQL") or unkept(rows)


def _as_csv(rows: pa.Table) -> pa.Table:
    return pa.table([_written(column) for column in rows.columns], names=rows.column_names)


def _written(column: pa.ChunkedArray) -> pa.ChunkedArray:
    kind = column.type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _text(_literals(pl.Series(column)))
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return _text(_hex(pl.Series(column)))
    if pa.types.is_dictionary(kind) or pa.types.is_null(kind):
        return column.cast(pa.large_string())
    if pa.types.is_timestamp(kind):
        return column.cast(pa.timestamp("us", kind.tz))
    return column


def _text(series: pl.Series) -> pa.Array:
    return series.to_arrow()


def _hex(data: pl.Series) -> pl.Series:
    return "\\x" + data.bin.encode("hex")


def _literals(lists: pl.Series) -> pl.Series:
    """Lists as array literals: `{"a","b",NULL}`, everything quoted but NULL."""
    one = pl.element()
    assert isinstance(lists.dtype, pl.List)
    if lists.dtype.inner == pl.Binary:
        one = pl.lit("\\x") + one.bin.encode("hex")
    escaped = one.cast(pl.String).str.replace_all(r'(["\\])', r"\${1}")
    quoted = pl.concat_str(pl.lit('"'), escaped, pl.lit('"')).fill_null("NULL")
    joined = pl.col("lists").list.eval(quoted).list.join(",")
    whole = pl.concat_str(pl.lit("{"), joined, pl.lit("}"))
    return pl.DataFrame({"lists": lists}).select(whole).to_series()


def _selected(name: str, dtype: Any) -> str:
    """A column in a form that comes through CSV unchanged."""
    if dtype.is_timestamp():
        return f"(extract(epoch FROM {name}) * 1000000)::bigint"
    if dtype.is_date():
        return f"{name} - DATE '1970-01-01'"
    if dtype.is_binary():
        return f"encode({name}, 'hex')"
    if dtype.is_array():
        return f"to_json({name}::text[])"
    return name if _plain(dtype) else f"{name}::text"


def _plain(dtype: Any) -> bool:
    return bool(dtype.is_numeric() or dtype.is_boolean() or dtype.is_string())


def _parsed(data: bytes, schema: ibis.Schema) -> pa.RecordBatch:
    target, kinds = schema.to_pyarrow(), [dtype for _, dtype in schema.items()]
    names = [str(position) for position in range(len(kinds))]
    table = pa_csv.read_csv(
        pa.BufferReader(data),
        # One block: a text may be longer than any block.
        read_options=pa_csv.ReadOptions(column_names=names, block_size=len(data) + 1),
        parse_options=pa_csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
        convert_options=pa_csv.ConvertOptions(
            column_types={n: _in_csv(d) for n, d in zip(names, kinds, strict=True)},
            null_values=[""],
            true_values=["t"],
            false_values=["f"],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    )
    columns = [_read(c, d, f.type) for c, d, f in zip(table.columns, kinds, target, strict=True)]
    return pa.RecordBatch.from_arrays(columns, schema=target)


def _in_csv(dtype: Any) -> pa.DataType:
    if dtype.is_timestamp():
        return pa.int64()
    if dtype.is_date():
        return pa.int32()
    if dtype.is_array() or not _plain(dtype):
        return pa.string()
    return dtype.to_pyarrow()


def _read(column: pa.ChunkedArray, dtype: Any, target: pa.DataType) -> pa.Array:
    if dtype.is_binary():
        read = pl.Series(column).str.decode("hex").to_arrow()
    elif dtype.is_array():
        read = _lists(pl.Series(column), pl.Series(pa.array([], target)).dtype)
    else:
        read = column.combine_chunks()
    return read.cast(target)


def _lists(texts: pl.Series, dtype: Any) -> pa.Array:
    """Lists out of JSON, whose elements are PostgreSQL's texts of them."""
    one, inner = pl.element(), dtype.inner
    lists = texts.str.json_decode(pl.List(pl.String)).alias("lists")
    if inner == pl.Boolean:
        one = one == "true"
    elif inner == pl.Binary:
        one = one.str.slice(2).str.decode("hex")
    elif inner == pl.Date:
        one = one.str.to_date("%Y-%m-%d")
    elif isinstance(inner, pl.Datetime):
        one = one.str.to_datetime("%Y-%m-%d %H:%M:%S%.f%#z" if inner.time_zone else None)
    else:
        one = one.cast(inner)
    return (
        pl.DataFrame(lists)
        .select(pl.col("lists").list.eval(one))
        .to_series()
        .cast(dtype)
        .to_arrow()
    )
