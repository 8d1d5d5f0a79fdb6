"""The filter language: a small, safe part of SQL's WHERE, as Narwhals expressions.

A text is parsed with sqlglot and only what is listed here is translated, so nothing of it ever
reaches a database as SQL. Comparisons with NULL are not true, as in SQL.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache, reduce
from operator import and_, eq, ge, gt, le, lt, ne
from typing import TYPE_CHECKING, Any

import narwhals as nw

from metaxy_core.columns import is_system
from metaxy_core.errors import FilterError
from metaxy_core.frames.dialect import LazyFrame

if TYPE_CHECKING:
    from sqlglot import exp
    from sqlglot.errors import SqlglotError

_PASSES = "metaxy_passes"
_LONGEST = 200
"""Characters of a filter that a message repeats."""

Predicate = nw.Expr | str
"""A condition on columns: a Narwhals expression, or a text of the filter language."""


def expression(predicate: Predicate) -> nw.Expr:
    """The Narwhals expression of a predicate; never NULL.

    The language: column names (in double quotes where needed), literals, `= != <> < <= > >=`,
    `AND OR NOT`, `IN (...)`, `IS [NOT] NULL`, `BETWEEN`, `LIKE` with `%` at either end, and
    parentheses.

    Raises:
        FilterError: the text is not in the language.

    >>> import polars as pl
    >>> frame = nw.from_native(pl.DataFrame({"a": [1, 2, None], "b": ["x", "y", "z"]}))
    >>> frame.filter(expression("a >= 2 OR b = 'z'"))["b"].to_list()
    ['y', 'z']
    """
    made = _parse(predicate) if isinstance(predicate, str) else predicate
    return nw.coalesce(made, nw.lit(False))


def everything(predicates: Iterable[Predicate]) -> nw.Expr:
    """All predicates hold; true for none."""
    return reduce(and_, map(expression, predicates), nw.lit(True))


def fits(predicate: Predicate, schema: Mapping[str, nw.dtypes.DType]) -> bool:
    """Whether a predicate asks for no other columns than those of a Narwhals schema.

    Raises:
        FilterError: it compares what cannot be compared, such as a number with a text.
    """
    import polars as pl

    empty = nw.from_native(pl.DataFrame(schema=nw.Schema(schema).to_polars()))
    try:
        empty.with_columns(expression(predicate).alias(_PASSES))
    except nw.exceptions.ColumnNotFoundError:
        return False
    except (nw.exceptions.NarwhalsError, pl.exceptions.PolarsError) as error:
        told = str(error).partition("\n")[0]
        raise FilterError(f"The filter {predicate!r} cannot be applied: {told}") from error
    return True


def columns_of(text: str) -> frozenset[str]:
    """The columns that a filter text asks for.

    Raises:
        FilterError: the text is not in the language.

    >>> sorted(columns_of("height > 720 AND site = 'a'"))
    ['height', 'site']
    """
    import sqlglot
    from sqlglot import exp

    _parse(text)
    return frozenset(
        column.name for column in sqlglot.parse_one(text, read="duckdb").find_all(exp.Column)
    )


def apply(
    frame: LazyFrame, predicates: Sequence[Predicate], named: Sequence[str] = ()
) -> LazyFrame:
    """Keep the rows for which every predicate holds.

    Args:
        named: columns of the library's own that a message is to name beside the user's.

    Raises:
        FilterError: a predicate asks for other columns, or compares what cannot be compared.
    """
    if not predicates:
        return frame
    schema = frame.collect_schema()
    for predicate in predicates:
        if not fits(predicate, schema):
            raise FilterError(
                f"The filter {predicate!r} asks for columns that are not there. Columns: "
                f"{', '.join(one for one in schema if one in named or not is_system(one))}."
            )
    # As a column first, so that a condition on no column holds for every row.
    return (
        frame.with_columns(everything(predicates).alias(_PASSES))
        .filter(nw.col(_PASSES))
        .drop(_PASSES)
    )


@lru_cache(maxsize=512)
def _parse(text: str) -> nw.Expr:
    import sqlglot
    from sqlglot.errors import SqlglotError

    try:
        if any(token.comments for token in sqlglot.tokenize(text, read="duckdb")):
            raise FilterError(f"A filter has no comments; given: {text[:_LONGEST]!r}")
        statements = sqlglot.parse(text, read="duckdb")
        if len(statements) != 1 or statements[0] is None:
            raise FilterError(f'A filter is one condition, like "height > 720"; given: {text!r}')
        return _translate(statements[0], text)
    except SqlglotError as error:
        said = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
        raise FilterError(f"The filter {said!r} cannot be read: {_told(error)}") from error
    except RecursionError as error:
        raise FilterError(f"The filter is nested too deeply: {text[:60]!r}…") from error


def _told(error: SqlglotError) -> str:
    """What sqlglot has to say, without its colours and the text, which it repeats."""
    for one in getattr(error, "errors", ()):
        said = one["description"]
        if said.startswith("Required keyword"):
            said = "something is missing"
        return f"{said} at column {one['col']}."
    cause = str(error.__cause__)
    return cause if cause.startswith("Missing") else "a quote is not closed, or not in its place."


def _compared(function: Callable[[Any, Any], Any]) -> Callable[[exp.Binary, str], nw.Expr]:
    def translate(node: exp.Binary, text: str) -> nw.Expr:
        made: nw.Expr = function(_value(node.this, text), _value(node.expression, text))
        return made

    return translate


def _translate(node: exp.Expression, text: str) -> nw.Expr:
    from sqlglot import exp

    comparisons: dict[type[exp.Expression], Callable[[Any, Any], Any]] = {
        exp.EQ: eq, exp.NEQ: ne, exp.GT: gt, exp.GTE: ge, exp.LT: lt, exp.LTE: le,
    }  # fmt: skip
    if (comparison := comparisons.get(type(node))) is not None:
        return _compared(comparison)(node, text)  # type: ignore[arg-type]  # a Binary by its key
    match node:
        case exp.Paren():
            return _translate(node.this, text)
        case exp.And():
            return _translate(node.this, text) & _translate(node.expression, text)
        case exp.Or():
            return _translate(node.this, text) | _translate(node.expression, text)
        case exp.Not():
            return ~_translate(node.this, text)
        case exp.Is() if isinstance(node.expression, exp.Null):
            return _value(node.this, text).is_null()
        case exp.In() if node.expressions:
            values = [_literal(value, text) for value in node.expressions]
            # Written out, because engines differ on `is_in` over NULL.
            value = _value(node.this, text)
            return reduce(lambda one, other: one | other, [value == nw.lit(v) for v in values])
        case exp.Between():
            value = _value(node.this, text)
            low, high = _value(node.args["low"], text), _value(node.args["high"], text)
            return (value >= low) & (value <= high)
        case exp.Like():
            return _like(node, text)
        case exp.Boolean() | exp.Column():
            return _value(node, text)
    raise FilterError(
        f"The filter {text!r} uses {node.sql()!r}, which is not in the filter language: columns, "
        "literals, comparisons, AND, OR, NOT, IN, IS NULL, BETWEEN, LIKE."
    )


def _like(node: exp.Like, text: str) -> nw.Expr:
    pattern = _literal(node.expression, text)
    body = str(pattern).strip("%")
    if not isinstance(pattern, str) or "%" in body or "_" in body:
        raise FilterError(f"The filter {text!r}: LIKE takes a text with '%' at its ends only.")
    column = _value(node.this, text)
    match pattern.startswith("%"), pattern.endswith("%"):
        case True, True:
            return column.str.contains(body, literal=True)
        case True, False:
            return column.str.ends_with(body)
        case False, True:
            return column.str.starts_with(body)
    return column == body


def _value(node: exp.Expression, text: str) -> nw.Expr:
    from sqlglot import exp

    if isinstance(node, exp.Column) and not node.table:
        return nw.col(node.name)
    if isinstance(node, exp.Paren):
        return _value(node.this, text)
    return nw.lit(_literal(node, text))


def _literal(node: exp.Expression, text: str) -> Any:
    from sqlglot import exp

    match node:
        case exp.Literal() if node.is_string:
            return node.name
        case exp.Literal():
            return (
                float(node.name) if "." in node.name or "e" in node.name.lower() else int(node.name)
            )
        case exp.Boolean():
            return bool(node.this)
        case exp.Neg():
            return -_literal(node.this, text)
    raise FilterError(
        f"The filter {text!r} uses {node.sql()!r} where a column or a literal is expected."
    )
