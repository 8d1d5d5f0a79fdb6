"""Filled stores: made once; of large ones, which take gigabytes, one at a time."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

from benchmarks import ours
from benchmarks.data import Ids
from benchmarks.graphs import SHAPES, Shape
from metaxy_core import DuckDBMetadataStore

SIZES = (10_000, 100_000, 1_000_000, 10_000_000)
SMALL = SIZES[0]
LARGE = 4_000_000
"""Rows from which on one dataset at a time is kept."""


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

    @property
    def rows(self) -> int:
        """About how many rows all features have."""
        return self.samples * self.versions * len(self.shape.features)

    def __str__(self) -> str:
        kind = "" if self.ids == "text" else ", integer ids"
        history = "" if self.versions == 1 else f", {self.versions} versions"
        return f"{self.name}{kind}{history}{', compacted' if self.compacted else ''}"


def size(most: int, weight: int = 1) -> int:
    """The largest of the sizes up to `most` at which a weighty dataset has few enough rows."""
    fitting = [n for n in SIZES if n <= most and n * weight <= 2 * most]
    return max(fitting, default=most)


class Shelf:
    """The filled stores of a session, in a folder; of the large ones the last one."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._numbers = folder, count()
        self._made: dict[Dataset, Path] = {}

    def path(self, dataset: Dataset) -> Path:
        """A file, to be read."""
        if dataset not in self._made:
            made = self._compacted(dataset) if dataset.compacted else self._filled(dataset)
            self._made[dataset] = made
        return self._made[dataset]

    def _filled(self, dataset: Dataset) -> Path:
        if dataset.rows > LARGE:
            for other in [one for one in self._made if one.rows > LARGE]:
                self._made.pop(other).unlink()
        made = self._new()
        with ours.store_of(made, dataset.shape).open("w") as store:
            ours.fill(
                store,
                dataset.shape,
                dataset.samples,
                ids=dataset.ids,
                versions=dataset.versions,
            )
        return made

    def _compacted(self, dataset: Dataset) -> Path:
        """The file of the same without compaction, which is that no more."""
        before = replace(dataset, compacted=False)
        made = self.path(before)
        del self._made[before]
        with ours.store_of(made, dataset.shape).open("w") as store:
            store.compact()
            ours.settle(store, dataset.shape)
        return made

    def _new(self) -> Path:
        return self._folder / f"{next(self._numbers)}.duckdb"

    @contextmanager
    def changed_file(self, dataset: Dataset, changed: int, step: int = 1) -> Iterator[Path]:
        """A file in which so many samples have changed since, every `step`-th."""
        path = self.path(dataset)
        if not changed:
            yield path
            return
        copied = Path(shutil.copy(path, self._new()))
        store = ours.store_of(copied, dataset.shape)
        try:
            with store.open("w"):
                ours.change(store, dataset.shape, changed, step=step, ids=dataset.ids)
            yield copied
        finally:
            copied.unlink()

    @contextmanager
    def changed(
        self, dataset: Dataset, changed: int, step: int = 1
    ) -> Iterator[DuckDBMetadataStore]:
        """Such a file, open for reading."""
        with self.changed_file(dataset, changed, step) as path:
            store = ours.store_of(path, dataset.shape)
            with store.open("r"):
                yield store
