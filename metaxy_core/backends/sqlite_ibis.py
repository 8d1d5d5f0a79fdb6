"""What Ibis and SQLGlot say otherwise to SQLite: types, times, joins, digests, results."""

from __future__ import annotations

import hashlib
import math
import sqlite3
from datetime import UTC
from typing import Any

import ibis
import ibis.expr.datatypes as dt
import polars as pl
import pyarrow as pa
import sqlglot.expressions as sge
from ibis.backends.sql.compilers.sqlite import SQLiteCompiler
from ibis.backends.sqlite import Backend as IbisSQLite
from sqlglot import exp

from metaxy_core.frames.ibis import IbisDialect, SqlFunctions, builtin, full_join_by_group
from metaxy_core.hashing import SEPARATOR, HashAlgorithm

_NAN = "NaN"  # SQLite would store NULL; as a text it is greater than every number, as elsewhere
_TIME = "%Y-%m-%d %H:%M:%S%.6f"
_KINDS = {
    "BIGINT": dt.int64,
    "BOOLEAN": dt.boolean,
    "DOUBLE": dt.float64,
    "FLOAT": dt.float32,
    "TEXT": dt.string,
    "BLOB": dt.binary,
    "DATE": dt.date,
    "TIMESTAMP": dt.Timestamp(scale=6),
    "TIMESTAMPTZ": dt.Timestamp(timezone="UTC", scale=6),
}
"""What columns are declared as; SQLite keeps the word, and what it says decides how values read."""


def kind_of(dtype: Any) -> str:
    """What a column of an Ibis type is declared as."""
    if dtype.is_integer():
        return "BIGINT"
    if dtype.is_timestamp():
        return "TIMESTAMP" if dtype.timezone is None else "TIMESTAMPTZ"
    return next((kind for kind, known in _KINDS.items() if type(known) is type(dtype)), "TEXT")


def type_of(kind: str) -> Any:
    """The Ibis type of a column declared as this."""
    known = _KINDS.get(kind.upper())
    return SQLiteCompiler.type_mapper.from_string(kind or "BLOB") if known is None else known


def written(column: pa.ChunkedArray) -> list[Any]:
    """Values as SQLite takes them: times as text in UTC, of equal length and so in their order."""
    values = pl.Series(column)
    if isinstance(values.dtype, pl.Datetime):
        utc = values.dt.convert_time_zone("UTC") if values.dtype.time_zone else values
        return utc.dt.strftime(_TIME).to_list()
    if values.dtype == pl.Date:
        return values.dt.strftime("%Y-%m-%d").to_list()
    if values.dtype.is_float():
        return [_NAN if value != value else value for value in values.to_list()]
    return values.to_list()


def _read(values: list[Any], target: pa.DataType) -> pa.Array:
    if pa.types.is_boolean(target):
        return pa.array([None if value is None else bool(value) for value in values], target)
    if pa.types.is_floating(target):
        return pa.array([math.nan if value == _NAN else value for value in values], target)
    if pa.types.is_timestamp(target):
        return pa.array(values, pa.string()).cast(pa.timestamp("us")).cast(pa.int64()).cast(target)
    if pa.types.is_date(target):
        return pa.array(values, pa.string()).cast(target)
    return pa.array(values, target)


class Joined:
    """The aggregate `metaxy_join_sorted(text, separator)`."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.separator = SEPARATOR

    def step(self, text: str | None, separator: str) -> None:
        """Take one text; NULL is left out."""
        self.separator = separator
        if text is not None:
            self.texts.append(text)

    def finalize(self) -> str | None:
        """All of them, sorted bytewise."""
        return self.separator.join(sorted(self.texts)) if self.texts else None


def register(connection: sqlite3.Connection) -> None:
    """Give a connection the functions that SQLite lacks."""
    for algorithm in HashAlgorithm:
        connection.create_function(
            f"metaxy_{algorithm.value}", 1, _digest(algorithm), deterministic=True
        )
    joined: Any = Joined
    connection.create_aggregate("metaxy_join_sorted", 2, joined)


def _digest(algorithm: HashAlgorithm) -> Any:
    make = getattr(hashlib, algorithm.value)

    def digest(text: str | None) -> str | None:
        return None if text is None else make(text.encode(), usedforsecurity=False).hexdigest()

    return digest


def flat(query: exp.Query) -> exp.Query:
    """Name every subquery in one WITH: SQLite's parser refuses what is nested deeply."""
    named: dict[str, exp.Expression] = {}
    for cte in query.ctes:
        _lift(cte.this, named)
        named[cte.alias] = cte.this
    _lift(query, named)
    # What is kept for several uses gets no index where SQLite thinks it small, and its guesses at
    # sizes are bad: computed for each use, every join finds one.
    parts = [
        exp.CTE(this=part, alias=exp.TableAlias(this=_name(name)), materialized=False)
        for name, part in named.items()
    ]
    if parts:
        query.set("with_", exp.With(expressions=parts))
    return query


def _lift(query: exp.Expression, named: dict[str, exp.Expression]) -> None:
    """Move the subqueries below a query, innermost first, to the named ones."""
    # Innermost first: what a join is turned into is a copy.
    for select in reversed(list(query.find_all(exp.Select, bfs=True))):
        _without_semi_joins(select)
    below = [node for node in query.find_all(exp.Subquery, bfs=True) if node.alias]
    for node in reversed(below):
        name, part = node.alias, node.this
        # Ibis gives a subquery an alias of its own, and one used twice the same one.
        while named.setdefault(name, part) != part:
            name += "_"
        node.replace(exp.Table(this=_name(name), alias=exp.TableAlias(this=_name(node.alias))))


def _name(text: str) -> exp.Identifier:
    return exp.to_identifier(text, quoted=True)


def _without_semi_joins(select: exp.Select) -> None:
    """SEMI and ANTI joins as IN: SQLite asks an EXISTS anew for every row, an IN is an index."""
    joins = select.args.get("joins") or []
    # Ibis puts one and the same node into several queries: it cannot be asked where it is.
    select.set("joins", [join for join in joins if join.kind not in ("SEMI", "ANTI")])
    for join in [join for join in joins if join.kind in ("SEMI", "ANTI")]:
        left, right = _keys(join)
        known = exp.Subquery(this=exp.select(*right).from_(join.this))
        found: exp.Expression = exp.In(this=left, query=known)
        if join.kind == "ANTI":  # NULL is equal to nothing, so nothing is found
            found = exp.Coalesce(this=found, expressions=[exp.false()]).not_(copy=False)
        select.where(found, copy=False)


def _keys(join: exp.Join) -> tuple[exp.Expression, list[exp.Expression]]:
    """The two sides of `a.x = b.x AND a.y = b.y`."""
    alias = join.this.alias_or_name
    left, right = [], []
    for equal in join.args["on"].find_all(exp.EQ):
        one, other = equal.left, equal.right
        ours, theirs = (other, one) if one.table == alias else (one, other)
        left.append(ours.copy())
        right.append(theirs.copy())
    return (left[0] if len(left) == 1 else exp.Tuple(expressions=left)), right


class _Compiler(SQLiteCompiler):
    __slots__ = ()

    def to_sqlglot(self, expr: Any, *, limit: Any = None, params: Any = None) -> Any:
        """The query of an expression."""
        return flat(super().to_sqlglot(expr, limit=limit, params=params))

    def visit_NonNullLiteral(self, op: Any, *, value: Any, dtype: Any) -> Any:  # noqa: N802
        """Literals; times as they are stored."""
        if dtype.is_timestamp():
            if value.tzinfo is not None:
                value = value.astimezone(UTC).replace(tzinfo=None)
            return sge.convert(value.isoformat(sep=" ", timespec="microseconds"))
        return super().visit_NonNullLiteral(op, value=value, dtype=dtype)

    def visit_Cast(self, op: Any, *, arg: Any, to: Any) -> Any:  # noqa: N802
        """Casts; a time is stored in one form, whatever its type."""
        return arg if to.is_timestamp() else super().visit_Cast(op, arg=arg, to=to)

    def visit_StringJoin(self, op: Any, *, arg: Any, sep: Any) -> Any:  # noqa: N802
        """Texts joined; NULL is left out, as CONCAT_WS does."""
        parts = [self.f.coalesce(self.f.concat(sep, text), sge.convert("")) for text in arg]
        return self.f.substr(self.f.concat(*parts), self.f.length(sep) + 1)

    def visit_StartsWith(self, op: Any, *, arg: Any, start: Any) -> Any:  # noqa: N802
        """Beginnings, without LIKE's placeholders."""
        return self.f.instr(arg, start).eq(1)

    def visit_EndsWith(self, op: Any, *, arg: Any, end: Any) -> Any:  # noqa: N802
        """Ends, without LIKE's placeholders."""
        size = self.f.length(end)
        return sge.or_(size.eq(0), self.f.substr(arg, sge.Neg(this=size)).eq(end))


class IbisConnection(IbisSQLite):
    """Ibis' own; results are read without pandas, which knows neither these times nor integers
    beside NULL."""

    compiler = _Compiler()

    def to_pyarrow_batches(
        self, expr: Any, /, *, params: Any = None, limit: Any = None, **_: Any
    ) -> pa.ipc.RecordBatchReader:
        """The rows of an expression, all of them in memory."""
        target = expr.as_table().schema().to_pyarrow()
        query = self.compile(expr, limit=limit, params=params)
        with self._safe_raw_sql(query) as cursor:
            columns = list(zip(*cursor.fetchall(), strict=True)) or [()] * len(target)
        arrays = [_read(list(c), f.type) for c, f in zip(columns, target, strict=True)]
        batches = [pa.RecordBatch.from_arrays(arrays, schema=target)]
        return pa.RecordBatchReader.from_batches(target, batches)


def _join_sorted(texts: Any, separator: str) -> Any:
    return _joined(texts, separator)


@ibis.udf.agg.builtin(name="metaxy_join_sorted")
def _joined(text: str, separator: str) -> str:
    return f"{text}{separator}"  # never called: Ibis writes the function's name into the query


DIALECT = IbisDialect(
    "sqlite",
    SqlFunctions(
        digests={name: builtin(f"metaxy_{name.value}") for name in HashAlgorithm},
        join_sorted=_join_sorted,
        has_structs=False,
        full_join=full_join_by_group,
    ),
)
