"""Random edits on random graphs: DuckDB, computing in the database, says what the oracle says."""

from __future__ import annotations

import pytest

from metaxy_core.backends import duckdb
from metaxy_core.backends.duckdb import DuckDBBackend
from metaxy_core.store import MetadataStore
from metaxy_core.testing.strategies import Declared
from tests.properties.rules import LONG, run
from tests.properties.shortcuts import guessing

CHUNKS = 20
GRAPHS, EDITS = (2_000, 20) if LONG else (40, 15)


def make_store(declared: Declared) -> MetadataStore:
    return MetadataStore(DuckDBBackend(":memory:"), graph=declared.graph)


def make_guessing(declared: Declared) -> MetadataStore:
    return guessing(make_store(declared))


@pytest.mark.slow
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_increments_equal_the_oracles_after_every_edit(
    chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if chunk % 4 == 0:  # its own guesses, as of large tables
        monkeypatch.setattr(duckdb, "_MANY", 1)
        monkeypatch.setattr(duckdb, "_DEEP", 1)
    # Other graphs than Polars has: what only the graph decides is seen there.
    make = make_guessing if chunk % 4 == 1 else make_store
    run(make, range(100_000 + chunk, 100_000 + GRAPHS, CHUNKS), EDITS)
