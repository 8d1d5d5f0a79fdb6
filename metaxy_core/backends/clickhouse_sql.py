"""ClickHouse's SQL, where it is not what Ibis makes of it: types, names, literals, results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC
from typing import Any, cast

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir
import pyarrow as pa
import sqlglot.expressions as sge
from ibis.backends.clickhouse import Backend
from ibis.backends.sql.compilers.clickhouse import ClickHouseCompiler
from ibis.backends.sql.datatypes import ClickHouseType
from ibis.backends.sql.dialects import ClickHouse

from metaxy_core.frames.ibis import IbisDialect, SqlFunctions
from metaxy_core.hashing import HashAlgorithm


class ClickHouseTypes(ClickHouseType):
    """ClickHouse's types, with the ranges that Polars has."""

    @classmethod
    def _from_ibis_Date(cls, dtype: dt.Date) -> sge.DataType:  # noqa: N802  # Ibis' name
        return sge.DataType(this=sge.DataType.Type.DATE32)

    @classmethod
    def _from_ibis_Timestamp(cls, dtype: dt.Timestamp) -> sge.DataType:  # noqa: N802  # Ibis' name
        # Without a scale it would be whole seconds from 1970 to 2106.
        precise = dtype.copy(scale=6) if dtype.scale is None else dtype
        return super()._from_ibis_Timestamp(precise)


class SQL(ClickHouse):
    """The SQL that ClickHouse reads: a backslash in a name is an escape there."""

    class Generator(ClickHouse.Generator):
        """See `sqlglot.Generator`."""

        def identifier_sql(self, expression: sge.Identifier) -> str:
            """A name between quotes, as it is."""
            escaped = expression.copy()
            escaped.set("this", expression.name.replace("\\", "\\\\"))
            return str(super().identifier_sql(escaped))


class _Compiler(ClickHouseCompiler):  # type: ignore[no-untyped-call]  # as Ibis makes its own
    """Ibis' ClickHouse, with dates and times before 1970, and NULL left out where texts join."""

    dialect = SQL
    type_mapper = ClickHouseTypes

    def visit_StringJoin(self, op: Any, *, sep: Any, arg: Sequence[Any]) -> Any:  # noqa: N802
        return self.f.arrayStringConcat(self.f.array(*arg), sep)

    def visit_NonNullLiteral(self, op: Any, *, value: Any, dtype: Any) -> Any:  # noqa: N802
        if dtype.is_date():
            return self.f.toDate32(value.isoformat())
        if dtype.is_timestamp():
            utc = value.astimezone(UTC) if value.tzinfo else value
            moment = utc.replace(tzinfo=None).isoformat(sep=" ", timespec="microseconds")
            return self.f.toDateTime64(moment, 6, "UTC")
        above: Any = super()
        return above.visit_NonNullLiteral(op, value=value, dtype=dtype)


class Connection(Backend):
    """Ibis' ClickHouse, which reads results as Arrow instead of one Python object per value."""

    compiler = _Compiler()

    def to_pyarrow(
        self, expr: Any, /, *, params: Any = None, limit: Any = None, **options: Any
    ) -> Any:
        """The result of an expression as Arrow, with the types that the expression has."""
        text = self.compile(expr.as_table(), params=params, limit=limit)
        found = self.con.raw_query(text, fmt="Arrow", **options)
        return expr.__pyarrow_result__(pa.ipc.open_file(pa.BufferReader(found)).read_all())


def _hashed(algorithm: str) -> Callable[[ir.StringValue], ir.StringValue]:
    """`lower(hex(MD5(x)))`, or another algorithm's."""

    def digest(text: ir.StringValue) -> ir.StringValue:
        return cast("ir.StringValue", _hex(text.hashbytes(algorithm))).lower()  # type: ignore[arg-type]  # one of Ibis' names

    return digest


def _join_sorted(texts: ir.StringColumn, separator: str) -> ir.StringScalar:
    """`arrayStringConcat(arraySort(groupArray(x)), separator)`; ClickHouse sorts bytes."""
    return cast("ir.StringScalar", texts.collect().sort().join(separator))


@ibis.udf.scalar.builtin(name="hex")
def _hex(value: bytes) -> str:
    return ""  # never called: Ibis writes the function's name into the query


DIALECT = IbisDialect(
    "clickhouse",
    SqlFunctions(
        digests={
            HashAlgorithm.MD5: _hashed("md5"),
            HashAlgorithm.SHA256: _hashed("sha256"),
        },
        join_sorted=_join_sorted,
        has_structs=False,
    ),
)
