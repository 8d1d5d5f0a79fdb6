"""Random edits, compared from marks on: the increments are the oracle's all the same.

Those on other stores are among theirs, in `test_machine_stores.py`.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from metaxy_core import DuckDBMetadataStore, InMemoryMetadataStore
from metaxy_core.store import MetadataStore
from metaxy_core.testing.strategies import Declared
from tests.properties.rules import LONG, run
from tests.properties.shortcuts import from_marks_on, guessing, settled

POLARS = (2_000, 20) if LONG else (40, 20)
DUCKDB = (400, 15) if LONG else (2, 15)

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def used() -> Iterator[list[bool]]:
    with from_marks_on() as seen:
        yield seen


@pytest.mark.parametrize("chunk", range(4))
def test_on_polars(chunk: int) -> None:
    graphs, edits = POLARS
    run(_in_memory, range(700_000 + chunk, 700_000 + graphs, 4), edits)


def test_on_duckdb() -> None:
    graphs, edits = DUCKDB
    run(_in_duckdb, range(800_002, 800_002 + graphs), edits)


def _in_memory(declared: Declared) -> MetadataStore:
    return guessing(settled(InMemoryMetadataStore(graph=declared.graph)))


def _in_duckdb(declared: Declared) -> MetadataStore:
    return guessing(settled(DuckDBMetadataStore(":memory:", graph=declared.graph)))
