"""`make bench-stores`: resolve and write on every other store, beside the same work by hand.

DuckDB is measured by `make bench`.
`python -m benchmarks.stores ClickHouse SQLite --samples 100000` measures some of it.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

import polars as pl
from rich.console import Console
from rich.table import Table

from benchmarks import by_hand
from benchmarks.clock import paired
from benchmarks.data import samples as samples_of
from benchmarks.graphs import PAIRED
from benchmarks.ours import change, settle
from benchmarks.systems import GRAPH, SYSTEMS, System
from metaxy_core import MetadataStore
from metaxy_core.store.settling import FROM_ROWS

SIZES = (100_000, 1_000_000)


def measured(system: System, samples: int, folder: Path) -> Iterator[tuple[str, str, str, str]]:
    """What was done, seconds by us, seconds by hand, and the ratio."""
    runs = 5 if samples <= SIZES[0] else 3
    with system.make(folder) as store, store.open("w"):
        yield "write", *_shown(*_write(system, store, samples, runs))
        store.write("crop", store.resolve_update("crop").todo())
        settle(store, PAIRED)
        changed = samples // 10
        change(store, PAIRED, changed)
        yield "resolve", *_shown(*_resolve(system, store, changed, runs, full=True))
        if samples >= FROM_ROWS:
            yield "by mark", *_shown(*_resolve(system, store, changed, runs, full=False))


def _write(
    system: System, store: MetadataStore, samples: int, runs: int
) -> tuple[float, float, float]:
    """All samples of the root into an empty table: digests, and the rows stored."""
    frame = samples_of(PAIRED["video"], samples)
    store.write("video", frame)
    scanned = store.backend.scan("video")
    assert scanned is not None
    like: pl.DataFrame = scanned.head(1).collect("polars").to_native()

    def ours() -> None:
        store.drop("video")
        assert store.write("video", frame) == samples

    def theirs() -> None:
        system.insert(store, by_hand.stamped(GRAPH, frame, like))

    return paired(ours, theirs, runs)


def _resolve(
    system: System, store: MetadataStore, changed: int, runs: int, *, full: bool
) -> tuple[float, float, float]:
    """One in ten samples has a new sound track; what is to do arrives as a Polars frame."""

    def ours() -> None:
        assert len(store.resolve_update("crop", full=full).stale) == changed

    def theirs() -> None:
        assert system.resolve(store).height == changed

    return paired(ours, theirs, runs)


def _shown(ours: float, theirs: float, ratio: float) -> tuple[str, str, str]:
    return f"{ours:.2f} s", f"{theirs:.2f} s", f"{ratio:.1f}×"


def main() -> None:
    """Measure and print."""
    names = [system.name for system in SYSTEMS]
    parser = argparse.ArgumentParser(prog="benchmarks.stores", description=__doc__)
    parser.add_argument("systems", nargs="*", metavar="system", help=", ".join(names))
    parser.add_argument("--samples", type=int, nargs="+", default=SIZES)
    asked = parser.parse_args()
    if unknown := set(asked.systems) - set(names):
        parser.error(f"no such system: {', '.join(sorted(unknown))}. There are {', '.join(names)}.")
    table = Table(
        *("store", "samples", "work", "metaxy", "by hand", "ratio"),
        title="resolve with 10 % changed, and write, beside the same work by hand",
    )
    console = Console(width=90)
    with tempfile.TemporaryDirectory() as temporary:
        for system in SYSTEMS:
            if asked.systems and system.name not in asked.systems:
                continue
            for samples in asked.samples:
                folder = Path(temporary) / system.name.split()[0] / str(samples)
                folder.mkdir(parents=True)
                for work, *figures in measured(system, samples, folder):
                    table.add_row(system.name, f"{samples:,}", work, *figures)
                    console.print(system.name, f"{samples:,}", work, *figures)
    console.print(table)


if __name__ == "__main__":
    main()
