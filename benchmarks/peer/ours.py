"""metaxy, in a process of its own, as the peer is."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks import ours
from benchmarks.data import samples as samples_of
from benchmarks.graphs import SHAPES
from benchmarks.peer.protocol import Counts, frames, serve


class Ours:
    """The store in a file."""

    def __init__(self) -> None:
        self._opened = ExitStack()

    def fill(self, path: str, shape: str, samples: int, changed: int) -> None:
        store = ours.store_of(Path(path), SHAPES[shape])
        with store.open("w"):
            ours.fill(store, SHAPES[shape], samples)
            ours.change(store, SHAPES[shape], changed)

    def open(self, path: str, shape: str) -> None:
        self._store = ours.store_of(Path(path), SHAPES[shape])
        self._opened.enter_context(self._store.open("r"))

    def resolve(self, key: str, **options: Any) -> tuple[float, Counts]:
        start = time.perf_counter()
        counts = frames(self._store.resolve_update(key, **options))
        return time.perf_counter() - start, counts

    def write(self, path: str, shape: str, samples: int) -> float:
        root = SHAPES[shape].roots[0]
        rows = samples_of(root, samples)
        start = time.perf_counter()
        with ours.store_of(Path(path), SHAPES[shape]).open("w") as store:
            store.write(root.key, rows)
        return time.perf_counter() - start

    def close(self) -> None:
        self._opened.close()


if __name__ == "__main__":
    serve(Ours())
