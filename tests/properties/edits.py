"""What happens to a store, as values: an edit can be drawn, dropped, printed and replayed."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from pydantic import BaseModel

from metaxy_core.keys import FeatureKey, FieldKey
from metaxy_core.spec import FeatureSpec
from metaxy_core.testing import Cell, Ids, Predicate, Reference, UnwrittenParentError
from metaxy_core.testing.strategies import (
    Declared,
    Sample,
    random_change,
    random_overrides,
    random_predicate,
    random_samples,
    random_values,
    user_columns,
)


@dataclass(frozen=True)
class Put:
    """The user's samples of a root change; `write=False`: they are not written yet."""

    feature: str
    rows: tuple[Sample, ...]
    write: bool = True


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
    """A job writes what it made; `held`: of the increment that was held, not of today's."""

    feature: str
    made: tuple[Made, ...]
    partial: bool = False
    held: bool = False


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
    """Somebody resolves with run-time filters, by feature, or without comparison."""

    feature: str
    filters: Mapping[str, tuple[Predicate, ...]] = field(default_factory=dict)
    skip_comparison: bool = False


Edit = Put | Forget | Process | Hold | Delete | Undelete | Redeclare | Look


@dataclass
class World:
    """What the user has at hand: declarations, earlier ones, and the samples of the roots."""

    declared: Declared
    reference: Reference
    past: list[Declared] = field(default_factory=list)
    samples: dict[str, dict[Ids, Sample]] = field(default_factory=dict)

    @property
    def specs(self) -> dict[str, FeatureSpec]:
        return {str(spec.key): spec for spec in self.declared.specs}

    def texts(self, key: str) -> dict[Ids, dict[str, str]]:
        """The samples' texts for the fields declared today."""
        names = [str(declared.key) for declared in self.specs[key].fields]
        return {
            ids: {name: sample.texts.get(name, "later") for name in names}
            for ids, sample in self.samples.get(key, {}).items()
        }


def random_edit(rng: random.Random, world: World) -> Edit:
    """An edit that is likely to matter now."""
    for _ in range(10):
        make = rng.choices(
            (_put, _process, _delete, _undelete, _redeclare, _hold, _look), (4, 11, 3, 1, 4, 1, 2)
        )[0]
        if (edit := make(rng, world)) is not None:
            return edit
    return Look(rng.choice(list(world.specs)))


def first_edits(rng: random.Random, world: World) -> list[Edit]:
    """Most roots get their first samples."""
    roots = [spec for spec in world.declared.specs if spec.is_root and rng.random() < 0.9]
    return [Put(str(spec.key), tuple(random_samples(rng, spec, 5))) for spec in roots]


def _put(rng: random.Random, world: World) -> Edit | None:
    spec = rng.choice([spec for spec in world.declared.specs if spec.is_root])
    key, rows = str(spec.key), random_samples(rng, spec, rng.randint(1, 3))
    known = world.samples.get(key, {})
    if known and rng.random() < 0.15:
        return Forget(key, tuple(rng.sample(list(known), 1)))
    if known and rng.random() < 0.5:
        # Known ids: the same texts again, or new ones, with other user columns.
        chosen = rng.sample(list(known), min(2, len(known)))
        ids = [dict(zip(spec.id_columns, one, strict=True)) for one in chosen]
        drawn = [random_samples(rng, spec, 1)[0] for _ in chosen]
        rows = [
            dataclasses.replace(
                one,
                values=random_values(rng, spec, given),
                texts=world.texts(key)[old] if rng.random() < 0.4 else one.texts,
            )
            for one, given, old in zip(drawn, ids, chosen, strict=True)
        ]
    return Put(key, tuple(rows), write=rng.random() < 0.85)


def _process(rng: random.Random, world: World) -> Edit | None:
    keys = [str(spec.key) for spec in world.declared.specs if not spec.is_root]
    rng.shuffle(keys)
    for key in keys:
        try:
            result = world.reference.resolve(key, skip_comparison=rng.random() < 0.1)
        except UnwrittenParentError:
            continue
        units = [*result.new, *result.stale]
        if not units:
            continue
        if rng.random() < 0.35:
            units = rng.sample(units, rng.randint(1, len(units)))
        partial = world.reference.is_expansion(key) and rng.random() < 0.35
        made = tuple(made_of(rng, world, key, unit, partial) for unit in units)
        return Process(key, made, partial, held=rng.random() < 0.1)
    return None


def made_of(rng: random.Random, world: World, key: str, unit: Ids, partial: bool = False) -> Made:
    """What a job makes of a unit: one row, or up to three children."""
    spec, columns = world.specs[key], world.reference.unit_columns(key)
    named = dict(zip(columns, unit, strict=True))
    children = [named]
    if world.reference.is_expansion(key):
        own = next(column for column in spec.id_columns if column not in columns)
        count = rng.randint(1 if partial else 0, 3)
        children = [{**named, own: number} for number in rng.sample(range(4), count)]
    return Made(
        unit,
        tuple(
            Child(random_values(rng, spec, ids), random_overrides(rng, spec)) for ids in children
        ),
    )


def _delete(rng: random.Random, world: World) -> Edit | None:
    key = rng.choice(list(world.specs))
    stored = world.reference.read(key) if world.reference.is_written(key) else {}
    if not stored:
        return None
    soft = rng.random() < 0.7
    if rng.random() < 0.3:
        where = random_predicate(
            rng, [*world.specs[key].id_columns, *user_columns(world.specs[key])]
        )
        return Delete(key, (), soft, where)
    return Delete(
        key, tuple(rng.sample(list(stored), rng.choice((1, 1, min(2, len(stored)))))), soft
    )


def _undelete(rng: random.Random, world: World) -> Edit | None:
    keys = [key for key in world.specs if world.reference.is_written(key)]
    if not keys:
        return None
    key = rng.choice(keys)
    deleted = world.reference.deleted(key)
    chosen = rng.sample(deleted, 1) if deleted and rng.random() < 0.5 else None
    return Undelete(key, chosen and tuple(chosen))


def _redeclare(rng: random.Random, world: World) -> Edit | None:
    if world.past and rng.random() < 0.3:
        return Redeclare(rng.choice(world.past))
    changed = random_change(rng, world.declared)
    return None if changed is None else Redeclare(changed)


def _hold(rng: random.Random, world: World) -> Edit | None:
    derived = [str(spec.key) for spec in world.declared.specs if not spec.is_root]
    return Hold(rng.choice(derived)) if derived else None


def _look(rng: random.Random, world: World) -> Edit | None:
    key = rng.choice(list(world.specs))
    filters = {}
    for other in [key, *(str(dep.feature) for dep in world.specs[key].deps)]:
        spec = world.specs[other]
        # Filters over tables that do not exist are another matter.
        if rng.random() < 0.6 and world.reference.is_written(other):
            columns = [*spec.id_columns, *user_columns(spec)]
            filters[other] = (random_predicate(rng, columns),)
    return Look(key, filters, rng.random() < 0.3)


# -- printing --------------------------------------------------------------------------------------


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
