"""Random edits on random graphs: every other store says what the oracle says.

A graph and a few edits each from marks on, in every run; the long profile does many, and as many
that compare everything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from metaxy_core import (
    DeltaMetadataStore,
    DuckLakeMetadataStore,
    IcebergMetadataStore,
    LanceDBMetadataStore,
    MetadataStore,
    SQLiteMetadataStore,
)
from metaxy_core.testing.strategies import Declared
from tests.properties.machine import first_failure
from tests.properties.rules import LONG, run
from tests.properties.shortcuts import from_marks_on, guessing, settled

pytestmark = pytest.mark.slow

FOLDERS: dict[str, Callable[..., MetadataStore]] = {
    "ducklake": DuckLakeMetadataStore,
    "delta": DeltaMetadataStore,
    "iceberg": IcebergMetadataStore,
    "lancedb": LanceDBMetadataStore,
    "sqlite": SQLiteMetadataStore,
}
SERVERS = ("clickhouse", "postgres")
# PostgreSQL and SQLite have a short run among their own tests.
HERE = [*FOLDERS, *SERVERS] if LONG else ["ducklake", "delta", "iceberg", "lancedb", "clickhouse"]
GRAPHS, EDITS = 40, 15
SHORT_GRAPH, SHORT_EDITS = 8, 5


@pytest.fixture(params=["from marks", "in full"] if LONG else ["from marks"])
def ready(request: pytest.FixtureRequest) -> Iterator[Callable[[MetadataStore], MetadataStore]]:
    """What is done with a store before it is used."""
    if request.param == "in full":
        yield lambda store: store
        return
    with from_marks_on():
        yield lambda store: guessing(settled(store))


@pytest.mark.parametrize("engine", HERE)
def test_increments_equal_the_oracles_after_every_edit(
    engine: str,
    ready: Callable[[MetadataStore], MetadataStore],
    request: pytest.FixtureRequest,
    tmp_path: Path,
) -> None:
    numbers = count()
    server: Any = request.getfixturevalue(engine) if engine in SERVERS else None

    def make_store(declared: Declared) -> MetadataStore:
        if server is not None:
            return ready(server(graph=declared.graph))
        return ready(FOLDERS[engine](tmp_path / str(next(numbers)), graph=declared.graph))

    if LONG:
        run(make_store, range(200_000, 200_000 + GRAPHS), EDITS)
    else:
        # A lake is opened anew for each edit, and slowly.
        edits = 3 if engine == "ducklake" else SHORT_EDITS
        assert first_failure(make_store, [SHORT_GRAPH], edits) is None
