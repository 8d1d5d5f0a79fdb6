"""The plan of a whole graph says what the increments are once everything above has really run."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from metaxy_core.backends.duckdb import DuckDBBackend
from metaxy_core.backends.memory import MemoryBackend
from metaxy_core.store import MetadataStore
from metaxy_core.testing import UnwrittenParentError
from metaxy_core.testing.strategies import random_graph
from metaxy_core.work import PlannedFeature
from tests.properties.drawing import first_edits, made_of, random_edit
from tests.properties.edits import Process, Put
from tests.properties.machine import Machine
from tests.properties.rules import LONG

pytestmark = pytest.mark.slow

ENGINES = {
    "polars": (MemoryBackend, 400 if LONG else 15),
    "duckdb": (lambda: DuckDBBackend(":memory:"), 40 if LONG else 1),
}


def machine_after_edits(backend, seed, edits=8):
    rng = random.Random(seed)
    declared = random_graph(rng, rng.randint(2, 7))
    machine = Machine.of(MetadataStore(backend, graph=declared.graph), declared)
    for edit in first_edits(rng, machine.world):
        machine.apply(edit)
    for _ in range(edits):
        machine.apply(random_edit(rng, machine.world))
    return machine


def run_all(machine, check):
    """Run every feature, parents first; what is overridden, or what children appear, is not."""
    world = machine.world
    for key in map(str, world.declared.graph):
        try:
            result = world.reference.resolve(key, machine._given_samples(key))
        except UnwrittenParentError:
            check(key, None)
            continue
        check(key, result)
        todo = [*result.new, *result.stale]
        if world.specs[key].is_root:
            samples = world.samples.get(key, {})
            machine.apply(Put(key, tuple(replace(samples[ids], overrides={}) for ids in todo)))
        elif todo:
            made = [made_of(random.Random(f"{key}{unit}"), world, key, unit) for unit in todo]
            plain = [
                replace(one, children=tuple(replace(c, overrides={}) for c in one.children))
                for one in made
            ]
            machine.apply(Process(key, tuple(plain)))


@pytest.mark.parametrize("engine", ENGINES)
def test_the_plan_equals_what_the_oracle_says_after_really_running(engine):
    make, graphs = ENGINES[engine]
    exact = pending = 0
    for seed in range(graphs):
        machine = machine_after_edits(make(), seed)
        roots = machine.world.roots()
        with machine.store.open("r"):
            samples = {key: machine._samples(key) for key in roots}
            plan = machine.store.plan(samples=samples)

        def check(key, result, plan=plan, seed=seed):
            nonlocal exact, pending
            planned: PlannedFeature = plan.of(key)
            where = f"seed {seed}, {key}: {planned}"
            if planned.inexact or planned.unknown:
                return
            if result is None:
                assert planned.then is None, where
                return
            assert planned.then is not None, where
            found = (planned.then.new, planned.then.stale, planned.then.waiting)
            assert found == (len(result.new), len(result.stale), len(result.waiting)), where
            causes = {"new": 0, "stale": 0}
            for cause in planned.causes:
                causes[cause.status] += cause.samples
            assert (causes["new"], causes["stale"]) == found[:2], where
            exact += 1
            pending += bool(found[0] + found[1])

        run_all(machine, check)
    assert exact > graphs
    assert pending >= graphs
