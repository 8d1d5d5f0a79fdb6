"""Written once, the increment is empty; any order and chunking of writes ends in the same rows."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace

import pytest

from metaxy_core.backends.duckdb import DuckDBBackend
from metaxy_core.backends.memory import MemoryBackend
from metaxy_core.store import MetadataStore
from metaxy_core.testing import Ids, UnwrittenParentError
from metaxy_core.testing.strategies import Declared, random_graph
from tests.properties.drawing import World, first_edits, made_of
from tests.properties.edits import Made, Process
from tests.properties.machine import Machine

pytestmark = pytest.mark.slow

GRAPHS = 12


def drawn(seed: int) -> Declared:
    rng = random.Random(seed)
    return random_graph(rng, rng.randint(1, 5))


def memory(declared: Declared) -> Machine:
    return Machine.of(MetadataStore(MemoryBackend(), graph=declared.graph), declared)


def duckdb(declared: Declared) -> Machine:
    return Machine.of(MetadataStore(DuckDBBackend(":memory:"), graph=declared.graph), declared)


def start(machine: Machine, seed: int) -> None:
    """The same samples for the same seed."""
    for edit in first_edits(random.Random(seed), machine.world):
        machine.apply(edit)


def todo(world: World, key: str) -> list[Ids]:
    try:
        result = world.reference.resolve(key)
    except UnwrittenParentError:
        return []
    return [*result.new, *result.stale]


def made(world: World, key: str, unit: Ids) -> Made:
    """What a job makes of a unit depends on the unit alone."""
    return made_of(random.Random(f"{key}{unit}"), world, key, unit)


def at_once(world: World) -> Iterator[Process]:
    """Every feature, parents first, everything in one write."""
    for key in map(str, world.declared.graph):
        if units := todo(world, key) if not world.specs[key].is_root else []:
            yield Process(key, tuple(made(world, key, unit) for unit in units))


def in_pieces(world: World, seed: int) -> Iterator[Process]:
    """Features in any order, some units at a time, sets of children in several writes."""
    rng = random.Random(seed)
    while work := {
        key: units
        for key, spec in world.specs.items()
        if not spec.is_root and (units := todo(world, key))
    }:
        key = rng.choice(list(work))
        units = rng.sample(work[key], rng.randint(1, len(work[key])))
        for unit in units:
            whole = made(world, key, unit)
            first, rest = whole.children[:1], whole.children[1:]
            if rest and rng.random() < 0.5:
                yield Process(key, (replace(whole, children=first),), partial=True)
                whole = replace(whole, children=rest)
            yield Process(key, (whole,))


def stored(machine: Machine) -> dict[str, list[str]]:
    """All stored rows: ids, user columns and data versions, as text."""
    rows = {}
    with machine.store.open("r"):
        for key in machine.world.specs:
            if machine.reference.is_written(key):
                found = machine.store.read(key).collect("polars").rows(named=True)
                users = [
                    {k: v for k, v in row.items() if not k.startswith("metaxy_") or "by_field" in k}
                    for row in found
                ]
                rows[key] = sorted(str(sorted(row.items())) for row in users)
    return rows


@pytest.mark.parametrize("seed", range(GRAPHS))
def test_any_order_and_chunking_ends_in_the_same_rows(seed: int) -> None:
    whole, pieces = memory(drawn(seed)), memory(drawn(seed))
    start(whole, seed)
    start(pieces, seed)
    for edit in at_once(whole.world):
        whole.apply(edit)
    for edit in in_pieces(pieces.world, seed):
        pieces.apply(edit)
    for key, spec in whole.world.specs.items():
        assert spec.is_root or not todo(whole.world, key)
    whole.compare_all()
    pieces.compare_all()
    assert stored(whole) == stored(pieces)


@pytest.mark.parametrize("seed", range(4))
def test_duckdb_and_polars_store_the_same_bits(seed: int) -> None:
    in_memory, in_duckdb = memory(drawn(seed)), duckdb(drawn(seed))
    for machine in (in_memory, in_duckdb):
        start(machine, seed)
        for edit in at_once(machine.world):
            machine.apply(edit)
    assert stored(in_memory) == stored(in_duckdb)
