"""`make bench-dagster`: what the Dagster integration costs, beside what it has to reach."""

from __future__ import annotations

import shutil
import sqlite3
import statistics
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
from rich.console import Console
from rich.table import Table

from benchmarks.clock import seconds
from benchmarks.data import GRAPH, videos
from metaxy_core import DuckDBMetadataStore
from metaxy_dagster import Increment, MetaxyIOManager, MetaxyStore, feature_asset

SAMPLES, CHUNK = 100_000, 1_000
EARLY, LATE = 10, 90
REPETITIONS = 3
Row = tuple[str, str, str]


# -- one run of many chunks ----------------------------------------------------------------------


def one_run(folder: Path) -> Iterator[Row]:
    """A run beside the same loop by the store alone; they take turns, each on a fresh file."""
    whole = folder / "videos.duckdb"
    with DuckDBMetadataStore(whole, graph=GRAPH).open("w") as store:
        store.write("video", videos(SAMPLES))
    memory: list[tuple[int, int]] = []
    events: list[int] = []

    def fresh() -> Path:
        path = folder / "run.duckdb"
        shutil.copy(whole, path)
        return path

    def run() -> float:
        path = fresh()
        with instance(folder / "home") as (home, made):
            taken = seconds(lambda: _run(path, made, memory))
            events.append(size_of_events(home))
        return taken

    def chunk_by_chunk() -> float:
        path = fresh()
        return seconds(lambda: _deliver(path))

    def kept_open() -> float:
        path = fresh()
        return seconds(lambda: _write(path))

    ours, opened, kept = (
        list(times)
        for times in zip(
            *((run(), chunk_by_chunk(), kept_open()) for _ in range(REPETITIONS)), strict=True
        )
    )
    for name, others, wanted in (
        ("the same loop, store opened per chunk", opened, "≤ 1.25×"),
        ("the same loop, store never closed", kept, "told"),
    ):
        ratio = statistics.median(one / other for one, other in zip(ours, others, strict=True))
        one, other = statistics.median(ours), statistics.median(others)
        yield (
            f"a run of {SAMPLES // CHUNK} chunks of {CHUNK:,}, beside {name}",
            f"{one:.1f} s, {other:.1f} s: {ratio:.2f}×",
            wanted,
        )
    yield "events of that run", f"{statistics.median(events) / 1e6:.2f} MB", "≤ 1 MB"
    grown = statistics.median(late - early for early, late in memory) / 1e6
    late = statistics.median(late for _, late in memory) / 1e6
    yield f"memory from chunk {EARLY} to {LATE}", f"+{grown:.0f} MB of {late:.0f} MB", "flat"


def _run(path: Path, made: dg.DagsterInstance, memory: list[tuple[int, int]]) -> None:
    def crop(increment: Increment) -> Iterator[Any]:
        seen: dict[int, int] = {}
        for number, batch in enumerate(increment.iter_batches(CHUNK)):
            if number in (EARLY, LATE):
                seen[number] = resident()
            yield batch
        memory.append((seen[EARLY], seen[LATE]))

    store = MetaxyStore.duckdb(str(path), graph=GRAPH)
    result = dg.materialize(
        [feature_asset("crop", graph=GRAPH)(crop)],
        resources={"metaxy": store, "metaxy_io": MetaxyIOManager(store=store)},
        instance=made,
    )
    (event,) = result.get_asset_materialization_events()
    assert event.materialization.metadata["metaxy/rows_written"].value == SAMPLES


def _deliver(path: Path) -> None:
    """What the asset does, by hand: the file is free for others while a frame is made."""
    store = DuckDBMetadataStore(path, graph=GRAPH)
    with store.open("r"):
        todo = store.resolve_update("crop").todo()
    for start in range(0, len(todo), CHUNK):
        store.deliver("crop", todo[start : start + CHUNK])
    with store.open("r"):
        assert store.fingerprint("crop").rows == SAMPLES


def _write(path: Path) -> None:
    """The file is nobody else's for as long as it takes."""
    store = DuckDBMetadataStore(path, graph=GRAPH)
    with store.open("w"):
        todo = store.resolve_update("crop").todo()
        for start in range(0, len(todo), CHUNK):
            store.write("crop", todo[start : start + CHUNK])
        assert store.fingerprint("crop").rows == SAMPLES


def resident() -> int:
    """Bytes of memory that this process has now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


def size_of_events(home: Path) -> int:
    """Bytes of all event log rows that runs left in an instance's storage."""
    total = 0
    for path in (home / "history" / "runs").glob("*.db"):
        if path.name == "index.db":
            continue
        with sqlite3.connect(path) as connection:
            (found,) = connection.execute("SELECT sum(length(event)) FROM event_logs").fetchone()
            total += found or 0
    return total


@contextmanager
def instance(home: Path) -> Iterator[tuple[Path, dg.DagsterInstance]]:
    """A Dagster instance with its storage in a fresh folder, as `dagster dev` has it."""
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir()
    with dg.DagsterInstance.local_temp(str(home)) as made:
        yield home, made


# -- all of them ---------------------------------------------------------------------------------

MEASURED: tuple[Callable[[Path], Iterator[Row]], ...] = (one_run,)


def main() -> None:
    """Measure and print."""
    warnings.simplefilter("ignore", dg.BetaWarning)
    table = Table("what", "reached", "wanted", title="metaxy in Dagster, this machine")
    with tempfile.TemporaryDirectory() as temporary:
        for measure in MEASURED:
            folder = Path(temporary) / measure.__name__
            folder.mkdir()
            for row in measure(folder):
                table.add_row(*row)
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
