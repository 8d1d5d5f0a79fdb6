"""Which edit comes next: every kind drawn from a `random.Random` and from what is there.

A kind that cannot happen now draws nothing.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from metaxy_core.spec import FeatureSpec
from metaxy_core.testing import Cell, Ids, Predicate, Reference, Trees, UnwrittenParentError
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
from tests.properties.edits import (
    Child,
    Delete,
    Edit,
    Forget,
    Hold,
    Lend,
    Look,
    Made,
    Process,
    Put,
    Redeclare,
    Undelete,
)

Draw = Callable[[random.Random, "World"], Edit | None]


@dataclass
class World:
    """What the user has at hand: declarations, earlier ones, samples, increments held."""

    declared: Declared
    reference: Reference
    past: list[Declared] = field(default_factory=list)
    samples: dict[str, dict[Ids, Sample]] = field(default_factory=dict)
    held: dict[str, Mapping[Ids, Trees]] = field(default_factory=dict)

    @property
    def specs(self) -> dict[str, FeatureSpec]:
        return {str(spec.key): spec for spec in self.declared.specs}

    def roots(self) -> list[str]:
        """The features that the user gives the samples of."""
        return [key for key, spec in self.specs.items() if spec.is_root]

    def derived(self) -> list[str]:
        """The features made from others."""
        return [key for key, spec in self.specs.items() if not spec.is_root]

    def expansions(self) -> list[str]:
        """The features whose units hold any number of rows."""
        return [key for key in self.specs if self.reference.is_expansion(key)]

    def sampled(self) -> list[str]:
        """The roots that the user has samples of now."""
        return [key for key, samples in self.samples.items() if samples]

    def written(self) -> list[str]:
        """The features that the store has a table of."""
        return [key for key in self.specs if self.reference.is_written(key)]

    def stored(self) -> list[str]:
        """The features that have stored rows."""
        return [key for key in self.written() if self.reference.read(key)]

    def texts(self, key: str) -> dict[Ids, dict[str, str]]:
        """The texts of a root's samples, for the fields declared today."""
        return {ids: self.text(key, one) for ids, one in self.samples.get(key, {}).items()}

    def text(self, key: str, sample: Sample) -> dict[str, str]:
        """A sample's text for each field declared today."""
        names = [str(declared.key) for declared in self.specs[key].fields]
        return {name: sample.texts.get(name, "later") for name in names}


@dataclass(frozen=True)
class Kind:
    """A kind of edit: how it is drawn, how often it is tried, whether it can happen at all."""

    draw: Draw
    weight: int
    applies: Callable[[World], object]


KINDS: dict[str, Kind] = {}


def _kind(weight: int, applies: Callable[[World], object] = lambda world: True) -> Any:
    def named(draw: Draw) -> Draw:
        KINDS[draw.__name__] = Kind(draw, weight, applies)
        return draw

    return named


def first_edits(rng: random.Random, world: World) -> Iterator[Edit]:
    """Most roots get their first samples, in the fallback store or here; draw after doing."""
    for key in world.roots():
        chance = rng.random()
        if chance < 0.08:
            yield Lend(key, tuple(random_samples(rng, world.specs[key], 5)))
        elif chance < 0.9:
            equal = _samples_of_a_twin(rng, world, key) if rng.random() < 0.5 else ()
            yield Put(key, equal or tuple(random_samples(rng, world.specs[key], 5)))


def random_edit(rng: random.Random, world: World) -> Edit:
    """An edit that is likely to matter now."""
    kinds = [kind for kind in KINDS.values() if kind.applies(world)]
    weights = [kind.weight for kind in kinds]
    for _ in range(10):
        if (edit := rng.choices(kinds, weights)[0].draw(rng, world)) is not None:
            return edit
    return Look(rng.choice(list(world.specs)))


@_kind(2)
def put(rng: random.Random, world: World) -> Edit | None:
    """New samples, or the ids of some that are known with everything else made up."""
    key = rng.choice(world.roots())
    samples = random_samples(rng, world.specs[key], rng.randint(1, 3))
    return Put(key, tuple(samples), write=rng.random() < 0.85, retried=rng.random() < 0.1)


@_kind(2, World.sampled)
def put_again(rng: random.Random, world: World) -> Edit | None:
    """Known samples: the same texts, or new ones, with other user columns."""
    key = rng.choice(world.sampled())
    spec, known = world.specs[key], world.texts(key)
    rows = []
    for ids in rng.sample(list(known), min(2, len(known))):
        drawn = random_samples(rng, spec, 1)[0]
        values = random_values(rng, spec, dict(zip(spec.id_columns, ids, strict=True)))
        texts = known[ids] if rng.random() < 0.4 else drawn.texts
        rows.append(dataclasses.replace(drawn, values=values, texts=texts))
    return Put(key, tuple(rows), write=rng.random() < 0.85)


@_kind(1, World.sampled)
def put_as_elsewhere(rng: random.Random, world: World) -> Edit | None:
    """A root gets the samples of another, so that rows of both have equal data versions."""
    key = rng.choice(world.roots())
    samples = _samples_of_a_twin(rng, world, key)
    return Put(key, samples) if samples else None


def _samples_of_a_twin(rng: random.Random, world: World, key: str) -> tuple[Sample, ...]:
    spec = world.specs[key]
    same = [k for k in world.samples if k != key and world.specs[k].id_columns == spec.id_columns]
    if not same:
        return ()
    other = rng.choice(same)
    return tuple(
        dataclasses.replace(
            sample, values=random_values(rng, spec, dict(zip(spec.id_columns, ids, strict=True)))
        )
        for ids, sample in world.samples[other].items()
    )


@_kind(1, World.sampled)
def forget(rng: random.Random, world: World) -> Edit | None:
    """A sample is not in the user's list any more."""
    key = rng.choice(world.sampled())
    return Forget(key, tuple(rng.sample(list(world.samples[key]), 1)))


@_kind(1)
def lend(rng: random.Random, world: World) -> Edit | None:
    """A fallback store has samples of a root that this store does not have, or hides."""
    unwritten = [key for key in world.roots() if not world.reference.is_written(key)]
    key = rng.choice(unwritten or world.roots())
    return Lend(key, tuple(random_samples(rng, world.specs[key], 3)))


@_kind(6, World.derived)
def process(rng: random.Random, world: World) -> Edit | None:
    """A job does all there is to do."""
    return _process(rng, world, world.derived())


@_kind(4, World.derived)
def process_some(rng: random.Random, world: World) -> Edit | None:
    """A job does some of what there is to do."""
    return _process(rng, world, world.derived(), some=True)


@_kind(3, World.expansions)
def process_partly(rng: random.Random, world: World) -> Edit | None:
    """A job makes some children of some parents."""
    return _process(rng, world, world.expansions(), some=rng.random() < 0.5, partial=True)


@_kind(1, lambda world: world.held)
def process_held(rng: random.Random, world: World) -> Edit | None:
    """A job writes what it has resolved long ago."""
    key = rng.choice(list(world.held))
    units = rng.sample(list(world.held[key]), rng.randint(1, len(world.held[key])))
    return Process(key, tuple(made_of(rng, world, key, unit) for unit in units), held=True)


def _process(
    rng: random.Random,
    world: World,
    keys: Collection[str],
    *,
    some: bool = False,
    partial: bool = False,
) -> Process | None:
    for key in rng.sample(list(keys), len(keys)):
        try:
            result = world.reference.resolve(key, skip_comparison=rng.random() < 0.1)
        except UnwrittenParentError:
            continue
        if units := [*result.new, *result.stale]:
            if some:
                units = rng.sample(units, rng.randint(1, len(units)))
            made = tuple(made_of(rng, world, key, unit, partial) for unit in units)
            return Process(key, made, partial, retried=rng.random() < 0.1)
    return None


def made_of(rng: random.Random, world: World, key: str, unit: Ids, partial: bool = False) -> Made:
    """What a job makes of a unit: one row, or up to three children."""
    spec, columns = world.specs[key], world.reference.unit_columns(key)
    named: dict[str, Cell] = dict(zip(columns, unit, strict=True))
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


@_kind(2, World.stored)
def delete(rng: random.Random, world: World) -> Edit | None:
    """One stored row or two, named by their ids."""
    key = rng.choice(world.stored())
    stored = list(world.reference.read(key))
    ids = rng.sample(stored, rng.choice((1, 1, min(2, len(stored)))))
    return Delete(key, tuple(ids), soft=rng.random() < 0.7)


@_kind(1, World.stored)
def delete_where(rng: random.Random, world: World) -> Edit | None:
    """The stored rows that a filter chooses."""
    key = rng.choice(world.stored())
    return Delete(key, (), rng.random() < 0.7, random_predicate(rng, _columns(world, key)))


@_kind(1, World.written)
def undelete(rng: random.Random, world: World) -> Edit | None:
    """All that was deleted of a feature comes back, or one row's unit."""
    key = rng.choice(world.written())
    deleted = world.reference.deleted(key)
    chosen = rng.sample(deleted, 1) if deleted and rng.random() < 0.5 else None
    return Undelete(key, chosen and tuple(chosen))


@_kind(3)
def redeclare(rng: random.Random, world: World) -> Edit | None:
    """The code changes."""
    changed = random_change(rng, world.declared)
    return None if changed is None else Redeclare(changed)


@_kind(1, lambda world: world.past)
def go_back(rng: random.Random, world: World) -> Edit | None:
    """The code is again what it once was."""
    return Redeclare(rng.choice(world.past))


@_kind(1, World.derived)
def hold(rng: random.Random, world: World) -> Edit | None:
    """A job resolves, and keeps what it was told."""
    return Hold(rng.choice(world.derived()))


@_kind(3)
def look(rng: random.Random, world: World) -> Edit | None:
    """Somebody resolves with options that choose."""
    key = rng.choice(list(world.specs))
    parents = [str(dep.feature) for dep in world.specs[key].deps]
    # Filters over tables that do not exist are another matter.
    written = [one for one in parents if world.reference.is_written(one, or_elsewhere=True)]
    own = [key] if world.reference.is_written(key) else []
    filters = {
        one: (random_predicate(rng, _columns(world, one)),)
        for one in (*own, *written)
        if rng.random() < 0.5
    }
    return Look(
        key,
        filters,
        global_filters=_sometimes(rng, world, written if parents else [key]),
        staleness_predicates=_sometimes(rng, world, own),
        skip_comparison=rng.random() < 0.2,
    )


def _sometimes(rng: random.Random, world: World, keys: list[str]) -> tuple[Predicate, ...]:
    """A predicate on the columns of one of the features, or none."""
    if not keys or rng.random() < 0.6:
        return ()
    return (random_predicate(rng, _columns(world, rng.choice(keys))),)


def _columns(world: World, key: str) -> list[str]:
    return [*world.specs[key].id_columns, *user_columns(world.specs[key])]
