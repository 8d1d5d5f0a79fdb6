"""Filters as values: each knows its text in the filter language and what it says of a row.

The engine parses the text; the oracle asks `holds`. Neither sees the other's reading.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

Cell = str | int | bool | None
"""A value of a metadata column, as far as the oracle goes."""

Operator = Literal["=", "!=", "<>", "<", "<=", ">", ">="]

_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class Predicate(Protocol):
    """A filter: its text, its columns, and SQL's three-valued answer about a row."""

    @property
    def text(self) -> str:
        """The filter in the filter language."""

    @property
    def columns(self) -> frozenset[str]:
        """The columns it names."""

    def holds(self, row: Mapping[str, Cell]) -> bool | None:
        """True, False, or None where SQL says NULL."""


@dataclass(frozen=True)
class Compare:
    """`column operator literal`.

    >>> Compare("kind", "=", "it's").text, Compare("x", ">", 3).holds({"x": None})
    ("kind = 'it''s'", None)
    """

    column: str
    operator: Operator
    literal: Cell

    @property
    def text(self) -> str:
        """The filter in the filter language."""
        return f"{self.column} {self.operator} {literal_text(self.literal)}"

    @property
    def columns(self) -> frozenset[str]:
        """The columns it names."""
        return frozenset({self.column})

    def holds(self, row: Mapping[str, Cell]) -> bool | None:
        """NULL where the column is; else what the operator says."""
        value = row[self.column]
        if value is None or self.literal is None:
            return None
        return _OPERATORS[self.operator](value, self.literal)


@dataclass(frozen=True)
class Among:
    """`column [NOT] IN (literals)`.

    >>> Among("x", (1, 2), negated=True).text
    'x NOT IN (1, 2)'
    """

    column: str
    literals: tuple[Cell, ...]
    negated: bool = False

    @property
    def text(self) -> str:
        """The filter in the filter language."""
        listed = ", ".join(map(literal_text, self.literals))
        return f"{self.column} {'NOT ' if self.negated else ''}IN ({listed})"

    @property
    def columns(self) -> frozenset[str]:
        """The columns it names."""
        return frozenset({self.column})

    def holds(self, row: Mapping[str, Cell]) -> bool | None:
        """NULL where the column is; else membership."""
        value = row[self.column]
        return None if value is None else (value in self.literals) is not self.negated


@dataclass(frozen=True)
class Missing:
    """`column IS [NOT] NULL`: never NULL itself.

    >>> Missing("x", negated=True).holds({"x": None})
    False
    """

    column: str
    negated: bool = False

    @property
    def text(self) -> str:
        """The filter in the filter language."""
        return f"{self.column} IS {'NOT ' if self.negated else ''}NULL"

    @property
    def columns(self) -> frozenset[str]:
        """The columns it names."""
        return frozenset({self.column})

    def holds(self, row: Mapping[str, Cell]) -> bool | None:
        """Whether the column is NULL."""
        return (row[self.column] is None) is not self.negated


@dataclass(frozen=True)
class Within:
    """`column BETWEEN low AND high`.

    >>> Within("x", 1, 3).holds({"x": 3})
    True
    """

    column: str
    low: int
    high: int

    @property
    def text(self) -> str:
        """The filter in the filter language."""
        return f"{self.column} BETWEEN {self.low} AND {self.high}"

    @property
    def columns(self) -> frozenset[str]:
        """The columns it names."""
        return frozenset({self.column})

    def holds(self, row: Mapping[str, Cell]) -> bool | None:
        """NULL where the column is; else whether it lies in the closed interval."""
        value = row[self.column]
        return None if value is None else self.low <= int(value) <= self.high


@dataclass(frozen=True)
class Negation:
    """`NOT (predicate)`.

    >>> Negation(Compare("x", "=", 1)).holds({"x": None}) is None
    True
    """

    negated: Predicate

    @property
    def text(self) -> str:
        """The filter in the filter language."""
        return f"NOT ({self.negated.text})"

    @property
    def columns(self) -> frozenset[str]:
        """The columns it names."""
        return self.negated.columns

    def holds(self, row: Mapping[str, Cell]) -> bool | None:
        """The opposite; NULL stays NULL."""
        answer = self.negated.holds(row)
        return None if answer is None else not answer


@dataclass(frozen=True)
class Junction:
    """Two predicates joined by `AND` or `OR`, without parentheses around `AND`.

    >>> Junction("OR", Compare("x", "=", 1), Missing("y")).holds({"x": 1, "y": None})
    True
    """

    word: Literal["AND", "OR"]
    left: Predicate
    right: Predicate

    @property
    def text(self) -> str:
        """The filter in the filter language."""
        return f"({self.left.text}) {self.word} ({self.right.text})"

    @property
    def columns(self) -> frozenset[str]:
        """The columns it names."""
        return self.left.columns | self.right.columns

    def holds(self, row: Mapping[str, Cell]) -> bool | None:
        """Kleene's three-valued AND and OR, as in SQL."""
        answers = {self.left.holds(row), self.right.holds(row)}
        deciding = self.word == "OR"
        if deciding in answers:
            return deciding
        return None if None in answers else not deciding


def literal_text(value: Cell) -> str:
    """A literal of the filter language.

    >>> literal_text("it's"), literal_text(True), literal_text(-3)
    ("'it''s'", 'TRUE', '-3')
    """
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return str(value).upper()
    return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else str(value)
