"""Random edits, compared from marks on: the increments are the oracle's all the same."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from metaxy_core.backends.duckdb import DuckDBBackend
from metaxy_core.backends.memory import MemoryBackend
from metaxy_core.store import LazyIncrement, MetadataStore, settling
from metaxy_core.testing.strategies import Declared
from tests.properties.rules import LONG, run

POLARS = (2_000, 20) if LONG else (40, 20)
DUCKDB = (400, 15) if LONG else (2, 15)


class SettlingStore(MetadataStore):
    """Remembers every comparison."""

    def resolve_update(self, feature: Any, **asked: Any) -> LazyIncrement:  # type: ignore[override]
        found = super().resolve_update(feature, **asked)
        if self._lifetime.is_writable:
            self.settle(found)
        return found


@pytest.fixture(autouse=True)
def used(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bool]]:
    """Marks for the smallest tables; whether each comparison that could have one began from it."""
    monkeypatch.setattr(settling, "FROM_ROWS", 1)
    monkeypatch.setattr(settling, "LARGEST_PART", 1)
    look, seen = settling.look, list[bool]()

    def looked(*arguments: Any) -> settling.Moved:
        moved = look(*arguments)
        if moved.mark is not None:
            seen.append(moved.units is not None)
        return moved

    monkeypatch.setattr(settling, "look", looked)
    yield seen
    assert sum(seen) > len(seen) / 4


@pytest.mark.slow
@pytest.mark.parametrize("chunk", range(4))
def test_on_polars(chunk: int) -> None:
    graphs, edits = POLARS
    run(_in_memory, range(700_000 + chunk, 700_000 + graphs, 4), edits)


@pytest.mark.slow
def test_on_duckdb() -> None:
    graphs, edits = DUCKDB
    run(_in_duckdb, range(800_002, 800_002 + graphs), edits)


def _in_memory(declared: Declared) -> MetadataStore:
    return SettlingStore(MemoryBackend(), graph=declared.graph)


def _in_duckdb(declared: Declared) -> MetadataStore:
    return SettlingStore(DuckDBBackend(":memory:"), graph=declared.graph)
