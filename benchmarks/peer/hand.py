"""SQL written by hand, in a process of its own, over a copy of the file that metaxy filled."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import duckdb

from benchmarks import by_hand, ours
from benchmarks.data import samples as samples_of
from benchmarks.graphs import SHAPES
from benchmarks.peer.protocol import Counts, serve


class Hand:
    """A connection."""

    def __init__(self) -> None:
        self._stored: Any = None

    def fill(self, path: str, shape: str, samples: int, changed: int) -> None:
        raise NotImplementedError("The driver copies the file that metaxy filled.")

    def open(self, path: str, shape: str) -> None:
        self._shape = SHAPES[shape]
        self._connection = duckdb.connect(path, read_only=True)

    def resolve(self, key: str, **options: Any) -> tuple[float, Counts]:
        query = by_hand.resolve(self._shape, key)
        start = time.perf_counter()
        status = self._connection.sql(query).pl()["status"]
        taken = time.perf_counter() - start
        return taken, {name: status.to_list().count(name) for name in ("new", "stale", "orphaned")}

    def write(self, path: str, shape: str, samples: int) -> float:
        """Insert rows that are stamped already: what cannot be done faster."""
        if self._stored is None:
            self._stored = _stamped(Path(path), shape, samples)
        start = time.perf_counter()
        with duckdb.connect(path) as connection:
            connection.register("stored", self._stored)
            connection.execute("CREATE TABLE samples AS FROM stored")
        return time.perf_counter() - start

    def close(self) -> None:
        self._connection.close()


def _stamped(path: Path, shape: str, samples: int) -> Any:
    root = SHAPES[shape].roots[0]
    there = path.with_suffix(".stamped")
    with ours.store_of(there, SHAPES[shape]).open("w") as store:
        store.write(root.key, samples_of(root, samples))
    with duckdb.connect(str(there)) as connection:
        stored = connection.execute(f"FROM {root.key}").to_arrow_table()
    there.unlink()
    return stored


if __name__ == "__main__":
    serve(Hand())
