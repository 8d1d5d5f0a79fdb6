"""Random edits on random graphs: Polars over tables in memory says what the oracle says."""

from __future__ import annotations

import pytest

from metaxy_core.backends.memory import MemoryBackend
from metaxy_core.store import MetadataStore
from metaxy_core.testing.strategies import Declared
from tests.properties.rules import LONG, run
from tests.properties.shortcuts import guessing

CHUNKS = 20
GRAPHS, EDITS = (20_000, 30) if LONG else (240, 20)


def make_store(declared: Declared) -> MetadataStore:
    return MetadataStore(MemoryBackend(), graph=declared.graph)


def make_guessing(declared: Declared) -> MetadataStore:
    return guessing(make_store(declared))


@pytest.mark.slow
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_increments_equal_the_oracles_after_every_edit(chunk: int) -> None:
    make = make_guessing if chunk % 4 == 1 else make_store
    run(make, range(chunk, GRAPHS, CHUNKS), EDITS)


def test_a_few_graphs_agree() -> None:
    run(make_store, range(GRAPHS, GRAPHS + 4), EDITS)
