"""The dialect of SQL engines, out of a small record of functions that each backend gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias, cast

import ibis
import ibis.expr.operations as ops
import ibis.expr.types as ir
import narwhals as nw

from metaxy_core.frames.deferred import deferred
from metaxy_core.frames.dialect import LazyFrame, few_rows, full_join, lazy
from metaxy_core.frames.nesting import with_missing
from metaxy_core.hashing import SEPARATOR, HashAlgorithm

Joined: TypeAlias = Callable[[LazyFrame, LazyFrame, Sequence[str]], LazyFrame]


@dataclass(frozen=True)
class SqlFunctions:
    """What one SQL engine calls the functions that the engine needs.

    Attributes:
        digests: per algorithm, text to lower-case hex.
        join_sorted: texts of a group, sorted bytewise, joined by the separator.
    has_structs: whether a query may give structs and lists.
    full_join, few_rows: see `Dialect`.
    """

    digests: Mapping[HashAlgorithm, Callable[[ir.StringValue], ir.StringValue]]
    join_sorted: Callable[[ir.StringColumn, str], ir.StringScalar]
    has_structs: bool = True
    full_join: Joined = full_join
    few_rows: Joined = few_rows


class IbisDialect:
    """See `Dialect`."""

    def __init__(self, name: str, functions: SqlFunctions) -> None:
        self.name = name
        self.functions = functions
        self.algorithms = frozenset(functions.digests)
        self.full_join = functions.full_join
        self.few_rows = functions.few_rows

    def presentable(self, frame: LazyFrame) -> LazyFrame:
        """See `Dialect.presentable`."""
        return frame if self.functions.has_structs else deferred(frame)

    def digest(
        self, frame: LazyFrame, columns: Sequence[str], algorithm: HashAlgorithm
    ) -> LazyFrame:
        """See `Dialect.digest`; one projection, because Ibis nests a query per impure function."""
        table = _native(frame)
        function = self.functions.digests[algorithm]
        return lazy(table.mutate(**{column: function(table[column]) for column in columns}))

    def gather(
        self, frame: LazyFrame, by: Sequence[str], texts: Sequence[str], flags: Sequence[str]
    ) -> LazyFrame:
        """See `Dialect.gather`."""
        table = _native(frame)
        joined = {text: self.functions.join_sorted(table[text], SEPARATOR) for text in texts}
        anyone = {flag: table[flag].any() for flag in flags}
        return lazy(table.group_by(*by).agg(**joined, **anyone))


def builtin(name: str) -> Callable[[ir.StringValue], ir.StringValue]:
    """A text function of the engine's own, by its name, for Ibis expressions."""

    def digest(text: str) -> str:
        return text  # never called: Ibis writes the function's name into the query

    made = ibis.udf.scalar.builtin(name=name)(digest)
    return cast("Callable[[ir.StringValue], ir.StringValue]", made)


def join_sorted_text(texts: ir.StringColumn, separator: str) -> ir.StringScalar:
    """`string_agg(x, separator ORDER BY x)`: for engines that sort text bytewise."""
    joined: ir.StringScalar = texts.group_concat(sep=separator, order_by=texts)
    return joined


def full_join_by_group(left: LazyFrame, right: LazyFrame, on: Sequence[str]) -> LazyFrame:
    """`Dialect.full_join` where a FULL JOIN compares every row with every other: both sides below
    each other, then one row per `on`, which has each value at most once."""
    columns = {
        name: dtype
        for side in (left, right)
        for name, dtype in side.collect_schema().items()
        if name not in on
    }
    sides = [with_missing(side, columns).select(*on, *columns) for side in (left, right)]
    return nw.concat(sides).group_by(*on).agg(nw.col(name).max() for name in columns)


def few_rows_by_position(rows: LazyFrame, wanted: LazyFrame, on: Sequence[str]) -> LazyFrame:
    """`Dialect.few_rows` where an engine reads all columns of a table before it joins: the
    positions of the rows are found first, by `on` alone.

    Only a table as it is has positions, and only as long as no column of its own hides them.
    """
    table = _native(rows)
    hidden = any(name.lower() == "rowid" for name in table.columns)
    if hidden or not isinstance(table.op(), ops.DatabaseTable):
        return few_rows(rows, wanted, on)
    position = "metaxy_position"
    placed = table.select(*on, table.rowid().name(position))
    found = placed.semi_join(_native(wanted), list(on))[position]
    return lazy(table.filter(table.rowid().isin(found)))


def _native(frame: LazyFrame) -> ibis.Table:
    table: ibis.Table = frame.to_native()
    return table
