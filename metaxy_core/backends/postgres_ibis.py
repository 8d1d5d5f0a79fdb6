"""What Ibis and SQLGlot say otherwise to PostgreSQL: names, joins, casts, digests, results."""

from __future__ import annotations

import hashlib
from typing import Any

import ibis
import ibis.expr.datatypes as dt
import pyarrow as pa
from ibis.backends.postgres import Backend as IbisPostgres
from ibis.backends.sql.compilers.postgres import PostgresCompiler
from sqlglot import exp, transforms
from sqlglot.dialects import Postgres

from metaxy_core.backends.postgres_copy import copy_out
from metaxy_core.frames.ibis import IbisDialect, SqlFunctions, builtin
from metaxy_core.hashing import HashAlgorithm

_LONGEST_NAME = 63


def short_name(name: str) -> str:
    """A name as PostgreSQL keeps it: of 63 bytes at most; a longer one ends in its digest."""
    data = name.encode()
    if len(data) <= _LONGEST_NAME:
        return name
    digest = hashlib.sha256(data).hexdigest()[:12]
    return f"{data[: _LONGEST_NAME - 13].decode(errors='ignore')}_{digest}"


def _without_semi_joins(select: exp.Expression) -> exp.Expression:
    """SEMI and ANTI joins as EXISTS.

    SQLGlot's own function takes a join out of the query that the join names as its own; Ibis puts
    one and the same join into several queries.
    """
    assert isinstance(select, exp.Select)
    joins = select.args.get("joins") or []
    filtering = [join for join in joins if join.kind in ("SEMI", "ANTI")]
    select.set("joins", [join for join in joins if join.kind not in ("SEMI", "ANTI")])
    for join in filtering:
        known = exp.select("1").from_(join.this.copy()).where(join.args["on"].copy())
        found: exp.Expression = exp.Exists(this=known)
        select.where(found.not_() if join.kind == "ANTI" else found, copy=False)
    return select


class _Words(Postgres):
    """Ibis' PostgreSQL, with names that are longer than 63 bytes, which it cuts in silence."""

    class Generator(Postgres.Generator):
        TRANSFORMS = {
            **Postgres.Generator.TRANSFORMS,
            exp.Select: transforms.preprocess([_without_semi_joins, transforms.eliminate_qualify]),
        }

        def identifier_sql(self, expression: exp.Identifier) -> str:
            short = short_name(expression.name)
            if short != expression.name:
                expression = exp.to_identifier(short, quoted=True)
            return str(super().identifier_sql(expression))


class _Compiler(PostgresCompiler):
    __slots__ = ()
    dialect = _Words

    def visit_Cast(self, op: Any, *, arg: Any, to: Any) -> Any:  # noqa: N802  # Ibis calls it
        """Casts; a boolean becomes a large integer by way of a small one."""
        if op.arg.dtype.is_boolean() and to.is_integer():
            arg = self.cast(arg, dt.int32)
        return super().visit_Cast(op, arg=arg, to=to)


class IbisConnection(IbisPostgres):
    """Ibis' own, but results are copied out: fetching row by row takes five times as long."""

    compiler = _Compiler()

    def to_pyarrow_batches(
        self, expr: Any, /, *, params: Any = None, limit: Any = None, **_: Any
    ) -> pa.ipc.RecordBatchReader:
        """The rows of an expression, all of them in memory."""
        schema = expr.as_table().schema()
        query = self.compile(expr, limit=limit, params=params)
        batches = list(copy_out(self.con, query, schema))
        return pa.RecordBatchReader.from_batches(schema.to_pyarrow(), batches)


def _sha256(text: Any) -> Any:
    return _encode(_sha256_of(_bytes(text, "UTF8")), "hex")


def _join_sorted(texts: Any, separator: str) -> Any:
    # The database's language may sort otherwise than bytes do.
    return texts.group_concat(sep=separator, order_by=_bytes(texts, "UTF8"))


# Ibis writes the names into queries; what these functions do in Python says what they mean.


@ibis.udf.scalar.builtin(name="convert_to")
def _bytes(text: str, encoding: str) -> bytes:
    return text.encode(encoding)


@ibis.udf.scalar.builtin(name="sha256")
def _sha256_of(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


@ibis.udf.scalar.builtin(name="encode")
def _encode(data: bytes, how: str) -> str:
    return {"hex": data.hex()}[how]


DIALECT = IbisDialect(
    "postgres",
    SqlFunctions(
        digests={HashAlgorithm.MD5: builtin("md5"), HashAlgorithm.SHA256: _sha256},
        join_sorted=_join_sorted,
        has_structs=False,
    ),
)
