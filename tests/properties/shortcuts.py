"""Stores that take the shortcuts of large tables where tables are small."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from random import Random
from typing import Any

import pytest

from metaxy_core.store import LazyIncrement, MetadataStore, settling


class Settling(MetadataStore):
    """Remembers every comparison."""

    def resolve_update(self, feature: Any, **asked: Any) -> LazyIncrement:  # type: ignore[override]
        found = super().resolve_update(feature, **asked)
        if self._lifetime.is_writable:
            self.settle(found)
        return found


def settled(store: MetadataStore) -> MetadataStore:
    """The same store, which remembers every comparison."""
    store.__class__ = type("Settling", (Settling, type(store)), {})
    return store


def guessing(store: MetadataStore) -> MetadataStore:
    """The same store, which looks first at the rows after any commit: after which is no matter."""
    backend, chance = store.backend, Random(0)

    def last_rounds(ids: Mapping[str, Sequence[str]]) -> Mapping[str, int]:
        found = {table: backend.reach(table, 0) for table in ids}
        return {name: chance.randint(0, reach.last) for name, reach in found.items() if reach}

    backend.last_rounds = last_rounds  # type: ignore[method-assign]
    return store


@contextmanager
def from_marks_on() -> Iterator[list[bool]]:
    """Marks for the smallest tables; whether each comparison that could have one began from it.

    One in four did, or the test proves little.
    """
    look, seen = settling.look, list[bool]()

    def looked(*arguments: Any) -> settling.Moved:
        moved = look(*arguments)
        if moved.mark is not None:
            seen.append(moved.units is not None)
        return moved

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(settling, "FROM_ROWS", 1)
        patch.setattr(settling, "LARGEST_PART", 1)
        patch.setattr(settling, "look", looked)
        yield seen
    assert sum(seen) > len(seen) / 4
