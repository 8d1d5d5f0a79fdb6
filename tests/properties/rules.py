"""The machine as Hypothesis runs it: graphs and edits are drawn, and what fails shrinks.

The details of an edit come from a drawn seed; the script that replays a failing run is printed
beside its steps.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
    run_state_machine_as_test,
)

from metaxy_core.testing.strategies import random_graph
from tests.properties.drawing import KINDS, first_edits
from tests.properties.edits import Edit, script
from tests.properties.machine import Machine, MakeStore

LONG = os.environ.get("METAXY_FUZZ") == "long"

_LIKELIEST_FIRST = sorted(KINDS, key=lambda name: -KINDS[name].weight)
_KINDS = [name for name in _LIKELIEST_FIRST for _ in range(KINDS[name].weight)]


class Rules(RuleBasedStateMachine):
    """One engine and the oracle, compared after every step; all features once more at the end."""

    def __init__(self, make_store: MakeStore) -> None:
        super().__init__()
        self.make_store = make_store
        self.done: list[Edit] = []
        self.failed = False

    @initialize(features=st.integers(1, 8), seed=st.integers(0, 2**16 - 1))
    def declare(self, features: int, seed: int) -> None:
        """A graph, and the first samples of its roots."""
        # The first features are the same, however many follow.
        self.declared = random_graph(random.Random(seed), features)
        self.machine = Machine.of(self.make_store(self.declared), self.declared)
        for edit in first_edits(random.Random(seed), self.machine.world):
            self.do(edit)

    # One rule, because Hypothesis runs most machines without half of their rules; few seeds,
    # because shrinking tries them all.
    @rule(kind=st.sampled_from(_KINDS), seed=st.integers(0, 2**10 - 1))
    def happens(self, kind: str, seed: int) -> None:
        """An edit of a kind, where there is something for it to do."""
        world = self.machine.world
        if KINDS[kind].applies(world):
            edit = KINDS[kind].draw(random.Random(seed), world)
            if edit is not None:
                self.do(edit)

    def do(self, edit: Edit) -> None:
        """Do an edit on both sides and compare."""
        self.done.append(edit)
        with self._telling():
            self.machine.apply(edit)

    def teardown(self) -> None:
        if self.done and not self.failed:
            with self._telling():
                self.machine.compare_all()

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """A failure says how to replay it."""
        try:
            yield
        except Exception as error:
            self.failed = True
            error.add_note(script(self.declared, self.done))
            raise


def run(make_store: MakeStore, seeds: Iterable[int], steps: int) -> None:
    """Check a random graph per seed with so many steps; the long profile knows no seeds.

    Raises:
        MismatchError: engine and oracle disagree; its notes are the steps and a script.
    """
    profile = settings(
        # The simplest test case, then a random one: later ones would vary those before.
        max_examples=2,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        derandomize=not LONG,
        report_multiple_bugs=False,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )

    def machine() -> Rules:
        return Rules(make_store)

    for one in seeds:
        run_state_machine_as_test(machine if LONG else seed(one)(machine), settings=profile)
