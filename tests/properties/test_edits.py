"""Edits are values: what the machine prints for a failure makes the same edits again."""

from __future__ import annotations

import random

from metaxy_core import spec, testing
from metaxy_core.backends.memory import MemoryBackend
from metaxy_core.store import MetadataStore
from metaxy_core.testing import strategies
from metaxy_core.testing.strategies import Declared, random_graph
from tests.properties import edits
from tests.properties.drawing import first_edits, random_edit
from tests.properties.edits import Edit, script
from tests.properties.machine import Machine


def test_a_script_makes_the_same_edits_again() -> None:
    replayed: list[tuple[Declared, list[Edit]]] = []
    names = {**vars(spec), **vars(testing), **vars(strategies), **vars(edits)}
    names |= {"make_store": None, "replay": lambda _, *given: replayed.append(given)}
    for seed in range(4):
        rng = random.Random(seed)
        declared = random_graph(rng, 4)
        machine = Machine.of(MetadataStore(MemoryBackend(), graph=declared.graph), declared)
        done = []
        for edit in first_edits(rng, machine.world):
            done.append(edit)
            machine.apply(edit)
        for _ in range(10):
            done.append(random_edit(rng, machine.world))
            machine.apply(done[-1])
        exec(script(declared, done), dict(names))
        assert replayed[-1] == (declared, done)
