"""The data version of a feature: another one if and only if its content is another one."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from metaxy_core import DuckDBMetadataStore, InMemoryMetadataStore, MetadataStore
from tests.builders import feature, graph, rows

LONG = os.environ.get("METAXY_FUZZ") == "long"
EDITS = {"memory": 10_000, "duckdb": 300} if LONG else {"memory": 300}
FEATURES = graph(feature("a", ids=("id", "n")))
# Ids that would be one text if they were put together without care.
IDS = [("a", 11), ("a1", 1), ("a11", 1), ("", 0), ("a\x1f1", 1), ("é", -1)]
SOUNDS = ["", "1", "11", "\x1f", "é"]


@pytest.fixture(params=sorted(EDITS))
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def made(engine: str, folder: Path) -> MetadataStore:
    if engine == "memory":
        return InMemoryMetadataStore(graph=FEATURES)
    return DuckDBMetadataStore(folder / "a.duckdb", graph=FEATURES)


class Content:
    """A store and, beside it, what is in it: id to sound."""

    def __init__(self, store: MetadataStore) -> None:
        self.store = store
        self.known: dict[tuple[str, int], str] = {}

    def edit(self, rng: random.Random) -> None:
        """Change something, or store what is there already."""
        ids = rng.sample(IDS, rng.randint(1, 3))
        how = rng.random()
        if how < 0.25:
            self._delete(ids, soft=rng.random() < 0.5)
        elif how < 0.45:
            self._write([one for one in ids if one in self.known], None)
        else:
            self._write(ids, rng)

    def _write(self, ids: list[tuple[str, int]], rng: random.Random | None) -> None:
        sounds = [rng.choice(SOUNDS) if rng else self.known[one] for one in ids]
        if ids:
            texts, numbers = map(list, zip(*ids, strict=True))
            self.store.write("a", rows({"id": texts, "n": numbers}, sounds))
        self.known |= dict(zip(ids, sounds, strict=True))

    def _delete(self, ids: list[tuple[str, int]], *, soft: bool) -> None:
        present = [one for one in ids if one in self.known]
        if present:
            frame = pl.DataFrame(present, schema=["id", "n"], orient="row")
            assert self.store.delete("a", samples=frame, soft=soft) == len(present)
        for one in present:
            del self.known[one]


def test_the_data_version_changes_if_and_only_if_the_content_does(
    engine: str, tmp_path: Path
) -> None:
    rng = random.Random(17)
    version_of: dict[Any, str] = {}
    content_of: dict[str, Any] = {}
    with made(engine, tmp_path).open("w") as store:
        content = Content(store)
        for number in range(EDITS[engine]):
            content.edit(rng)
            if number % 100 == 99:
                # History is no content; and it makes later edits slow.
                store.compact()
            now = frozenset(content.known.items())
            found = store.fingerprint("a")
            assert found.rows == len(now)
            assert version_of.setdefault(now, found.data_version) == found.data_version
            assert content_of.setdefault(found.data_version, now) == now
    assert len(version_of) > EDITS[engine] / 4
