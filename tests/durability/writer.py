"""A process that writes chunk after chunk and says which ones were acknowledged."""

from __future__ import annotations

import resource
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from metaxy_core import DuckDBMetadataStore, MetadataStore, SQLiteMetadataStore
from tests.builders import feature, graph, rows

FEATURES = graph(feature("a"), feature("b", "a"))
CHUNK = 20

Make = Callable[[Path], MetadataStore]

STORES: dict[str, Make] = {
    "duckdb": lambda folder: DuckDBMetadataStore(
        folder / "a.duckdb", graph=FEATURES, spool_dir=folder / "spool"
    ),
    "sqlite": lambda folder: SQLiteMetadataStore(
        folder / "a.sqlite", graph=FEATURES, spool_dir=folder / "spool"
    ),
}
"""Embedded engines, each with a store in a folder."""


def chunk(name: str) -> list[str]:
    return [f"{name}-{n}" for n in range(CHUNK)]


def write_chunks(make: Make, folder: Path, worker: str, chunks: int, *, reopen: bool) -> None:
    """Write chunks; each is said on standard output once it is acknowledged."""
    store = make(folder)
    if reopen:
        for number in range(chunks):
            with store.open("w"):
                store.write("a", rows({"id": chunk(f"{worker}-{number}")}))
            print(f"{worker}-{number}", flush=True)
        return
    with store.open("w"):
        for number in range(chunks):
            store.write("a", rows({"id": chunk(f"{worker}-{number}")}))
            print(f"{worker}-{number}", flush=True)


def main() -> None:
    engine, folder, worker, chunks, how = sys.argv[1:]
    if how.startswith("limit="):
        # What a full disk says: no file may grow beyond this.
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        most = int(how.removeprefix("limit="))
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    write_chunks(STORES[engine], Path(folder), worker, int(chunks), reopen=how == "reopen")


if __name__ == "__main__":
    main()
