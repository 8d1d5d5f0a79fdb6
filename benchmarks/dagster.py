"""`make bench-dagster`: what the Dagster integration costs, beside what it has to reach."""

from __future__ import annotations

import argparse
import logging
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
from rich.console import Console
from rich.table import Table

from benchmarks.clock import paired, processor_seconds, seconds
from benchmarks.data import samples
from benchmarks.figures import median_ratio
from benchmarks.graphs import PAIRED
from benchmarks.ours import graph_of, layered
from metaxy_core import DuckDBMetadataStore, Graph
from metaxy_dagster import (
    Increment,
    MetaxyIOManager,
    MetaxyStore,
    build_feature_definitions,
    feature_asset,
)

GRAPH = graph_of(PAIRED)
SAMPLES, CHUNK = 100_000, 1_000
EARLY, LATE = 10, 90
REPETITIONS = 3
Row = tuple[str, str, str]


# -- one run of many chunks ----------------------------------------------------------------------


def one_run(folder: Path) -> Iterator[Row]:
    """A run beside the same loop by the store alone; they take turns, each on a fresh file."""
    whole = folder / "videos.duckdb"
    with DuckDBMetadataStore(whole, graph=GRAPH).open("w") as store:
        store.write("video", samples(PAIRED["video"], SAMPLES))
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
        ratio = median_ratio(ours, others)
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


# -- large graphs --------------------------------------------------------------------------------

FEATURES = 500
_LOADING = """
import time
began = time.process_time()
import dagster
theirs = time.process_time()
import metaxy_dagster
imported = time.process_time()
from benchmarks.dagster import definitions
start = time.process_time()
dagster.Definitions.validate_loadable(definitions())
print(theirs - began, imported - theirs, time.process_time() - start)
"""


class Never(dg.AutomationCondition[dg.AssetKey]):
    """What a condition of one's own costs where it does nothing."""

    @property
    def name(self) -> str:
        return "never"

    def evaluate(self, context: Any) -> Any:
        return dg.AutomationResult(context, context.get_empty_subset())


def definitions(condition: Any = None, store: MetaxyStore | None = None) -> dg.Definitions:
    """A layered graph with a function for every feature, checks and automation."""
    graph = Graph(layered(FEATURES))
    compute = {key: _todo if spec.deps else _nothing for key, spec in graph.items()}
    return build_feature_definitions(
        graph,
        store=store or MetaxyStore.memory(),
        compute=compute,
        checks=True,
        automation="increment",
        automation_condition=condition,
    )


def _todo(increment: Increment) -> Any:
    return increment.todo()


def _nothing() -> None:
    """A root without samples."""


def loading(folder: Path) -> Iterator[Row]:
    """Definitions of a large graph in a fresh process, validated as `dagster dev` does.

    Nothing waits here, so the seconds are the processor's: other work stretches them less.
    """
    command = [sys.executable, "-W", "ignore", "-c", _LOADING]
    runs = [
        list(map(float, subprocess.check_output(command, text=True).split()))
        for _ in range(REPETITIONS)
    ]
    dagster, ours, load = (statistics.median(times) for times in zip(*runs, strict=True))
    name = f"load definitions of {FEATURES} features"
    yield f"{name}, with checks and automation", f"{load:.1f} s of CPU", "≤ 3 s"
    yield "the same with the import of metaxy_dagster", f"{load + ours:.1f} s of CPU", "≤ 3 s"
    yield (
        "the same with the import of dagster itself",
        f"{load + ours + dagster:.1f} s of CPU",
        "told",
    )


def ticking(folder: Path) -> Iterator[Row]:
    """A tick over a large graph of which nothing moved, beside a condition that does nothing."""
    store = MetaxyStore.memory()
    idle = ~dg.AutomationCondition.in_progress()
    parents_idle = ~dg.AutomationCondition.any_deps_in_progress()
    theirs = (Never() & idle & parents_idle).with_label("never")
    with instance(folder / "home") as (_, made):
        for key in Graph(layered(FEATURES)):
            event = dg.AssetMaterialization(list(key.parts), tags={"dagster/data_version": "1"})
            made.report_runless_asset_event(event)
        one, other = _ticks(None, store, made), _ticks(theirs, store, made)
        one(), one()
        ours, bare, _ = paired(one, other, runs=5, clock=processor_seconds)
    name = f"a tick over {FEATURES} features of which none moved"
    yield f"{name}, beside a condition that does nothing", f"+{ours - bare:.2f} s of CPU", "≤ 1 s"
    yield "that tick as a whole", f"{ours:.2f} s of CPU", "told"


def _ticks(condition: Any, store: MetaxyStore, made: dg.DagsterInstance) -> Callable[[], None]:
    defs, cursor = definitions(condition, store), None

    def tick() -> None:
        nonlocal cursor
        result = dg.evaluate_automation_conditions(defs, instance=made, cursor=cursor)
        assert not result.total_requested
        cursor = result.cursor

    return tick


# -- all of them ---------------------------------------------------------------------------------

MEASURED: tuple[Callable[[Path], Iterator[Row]], ...] = (one_run, loading, ticking)


def main() -> None:
    """Measure and print."""
    argparse.ArgumentParser(prog="benchmarks.dagster", description=__doc__).parse_args()
    warnings.simplefilter("ignore", dg.BetaWarning)
    logging.disable(logging.INFO)  # of Dagster's to the console; its events are stored all the same
    table = Table("what", "reached", "wanted", title="metaxy in Dagster, this machine")
    console = Console(width=120)
    with tempfile.TemporaryDirectory() as temporary:
        for measure in MEASURED:
            folder = Path(temporary) / measure.__name__
            folder.mkdir()
            for row in measure(folder):
                console.print(*row, sep="  ")
                table.add_row(*row)
    console.print(table)


if __name__ == "__main__":
    main()
