"""What happens to a store, as values: an edit can be drawn, dropped, printed and replayed."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from pydantic import BaseModel

from metaxy_core.keys import FeatureKey, FieldKey
from metaxy_core.testing import Cell, Ids, Predicate
from metaxy_core.testing.strategies import Declared, Sample


@dataclass(frozen=True)
class Put:
    """The user's samples of a root change; `write=False`: they are not written yet.

    `retried`: the write is done twice, as by a writer who did not hear of its success.
    """

    feature: str
    rows: tuple[Sample, ...]
    write: bool = True
    retried: bool = False


@dataclass(frozen=True)
class Lend:
    """A fallback store gets rows of a root."""

    feature: str
    rows: tuple[Sample, ...]


@dataclass(frozen=True)
class Forget:
    """The user's samples of a root lose some."""

    feature: str
    ids: tuple[Ids, ...]


@dataclass(frozen=True)
class Child:
    """A row that a job made."""

    values: Mapping[str, Cell]
    overrides: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Made:
    """What a job made of one unit."""

    unit: Ids
    children: tuple[Child, ...]


@dataclass(frozen=True)
class Process:
    """A job writes what it made; `held`: of the increment that was held, not of today's.

    `partial`: into open sets of children. `retried`: see `Put`.
    """

    feature: str
    made: tuple[Made, ...]
    partial: bool = False
    held: bool = False
    retried: bool = False


@dataclass(frozen=True)
class Hold:
    """A job resolves, and will write later."""

    feature: str


@dataclass(frozen=True)
class Delete:
    """Stored rows are deleted, chosen by ids or by a filter."""

    feature: str
    ids: tuple[Ids, ...]
    soft: bool = True
    where: Predicate | None = None


@dataclass(frozen=True)
class Undelete:
    """Deleted units come back; `ids=None`: all."""

    feature: str
    ids: tuple[Ids, ...] | None = None


@dataclass(frozen=True)
class Redeclare:
    """The code changes."""

    declared: Declared


@dataclass(frozen=True)
class Look:
    """Somebody resolves with options; see `MetadataStore.resolve_update`."""

    feature: str
    filters: Mapping[str, tuple[Predicate, ...]] = field(default_factory=dict)
    global_filters: tuple[Predicate, ...] = ()
    staleness_predicates: tuple[Predicate, ...] = ()
    skip_comparison: bool = False


Edit = Put | Forget | Lend | Process | Hold | Delete | Undelete | Redeclare | Look


def code(value: Any) -> str:
    """Python text that makes the value; what has its default is left out."""
    match value:
        case FeatureKey() | FieldKey():
            return repr(str(value))
        case Enum() if not isinstance(value, str):
            return str(value)
        case str():
            return repr(str(value))
        case BaseModel():
            given = {name: getattr(value, name) for name in type(value).model_fields}
            defaults = type(value).model_construct().__dict__
            shown = {n: v for n, v in given.items() if n not in defaults or v != defaults[n]}
            return _call(value, shown)
        case Mapping():
            return "{" + ", ".join(f"{code(k)}: {code(v)}" for k, v in value.items()) + "}"
        case tuple():
            return "(" + "".join(f"{code(item)}, " for item in value) + ")"
    if dataclasses.is_dataclass(value):
        given = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
        made = {f.name: f.default_factory for f in dataclasses.fields(value)}
        defaults = {f.name: f.default for f in dataclasses.fields(value)}
        optional = {n for n, factory in made.items() if factory is not dataclasses.MISSING}
        shown = {n: v for n, v in given.items() if v is not defaults[n]}
        return _call(value, {n: v for n, v in shown.items() if v != {} or n not in optional})
    return repr(value)


def _call(value: Any, arguments: Mapping[str, Any]) -> str:
    shown = ", ".join(f"{name}={code(argument)}" for name, argument in arguments.items())
    return f"{type(value).__name__}({shown})"


def script(declared: Declared, edits: Sequence[Edit]) -> str:
    """A test's body that replays the edits."""
    lines = "".join(f"        {code(edit)},\n" for edit in edits)
    return f"replay(\n    make_store,\n    {code(declared)},\n    [\n{lines}    ],\n)\n"
