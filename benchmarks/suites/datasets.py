"""Filled stores: made once, kept one at a time, because large ones take gigabytes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from benchmarks import ours
from benchmarks.data import Ids
from benchmarks.graphs import SHAPES, Shape
from metaxy_core import DuckDBMetadataStore

SIZES = (10_000, 100_000, 1_000_000, 10_000_000)
SMALL = SIZES[0]
ROOM = 4e9
"""Bytes of filled stores that may be there when another one is made."""


@dataclass(frozen=True, order=True)
class Dataset:
    """A store in which everything is done.

    Attributes:
        samples: of every root.
        versions: how often each sample was written, and what is made from it.
    """

    samples: int
    name: str = "simple"
    ids: Ids = "text"
    versions: int = 1
    compacted: bool = False

    @property
    def shape(self) -> Shape:
        """The graph as a value."""
        return SHAPES[self.name]

    def __str__(self) -> str:
        kind = "" if self.ids == "text" else ", integer ids"
        history = "" if self.versions == 1 else f", {self.versions} versions"
        return f"{self.name}{kind}{history}{', compacted' if self.compacted else ''}"


def size(most: int, weight: int = 1) -> int:
    """The largest of the sizes up to `most` at which a weighty dataset has few enough rows."""
    fitting = [n for n in SIZES if n <= most and n * weight <= 2 * most]
    return max(fitting, default=most)


class Shelf:
    """The filled stores of a session, in a folder; the oldest go where they take too much room."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._numbers = folder, count()
        self._made: dict[Dataset, Path] = {}

    def path(self, dataset: Dataset) -> Path:
        """A file, to be read."""
        if dataset not in self._made:
            while sum(path.stat().st_size for path in self._made.values()) > ROOM:
                self._made.pop(next(iter(self._made))).unlink()
            self._made[dataset] = self._filled(dataset)
        return self._made[dataset]

    def _filled(self, dataset: Dataset) -> Path:
        made = self._folder / f"{next(self._numbers)}.duckdb"
        store, shape = ours.store_of(made, dataset.shape), dataset.shape
        with store.open("w"):
            ours.fill(store, shape, dataset.samples, ids=dataset.ids, versions=dataset.versions)
            if dataset.compacted:
                store.compact()
                ours.settle(store, shape)
        return made

    @contextmanager
    def changed_file(self, dataset: Dataset, changed: int) -> Iterator[Path]:
        """A file in which so many samples have changed since."""
        path = self.path(dataset)
        if not changed:
            yield path
            return
        copied = Path(shutil.copy(path, self._folder / f"{next(self._numbers)}.duckdb"))
        store = ours.store_of(copied, dataset.shape)
        with store.open("w"):
            ours.change(store, dataset.shape, changed, ids=dataset.ids)
        yield copied
        copied.unlink()

    @contextmanager
    def changed(self, dataset: Dataset, changed: int) -> Iterator[DuckDBMetadataStore]:
        """Such a file, open for reading."""
        with self.changed_file(dataset, changed) as path:
            store = ours.store_of(path, dataset.shape)
            with store.open("r"):
                yield store
