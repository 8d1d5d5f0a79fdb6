"""`make bench`: one table, each figure beside what it has to reach."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import duckdb
from rich.console import Console
from rich.table import Table

from benchmarks import by_hand
from benchmarks.clock import median, paired
from benchmarks.data import GRAPH, layered, videos
from metaxy_core import DuckDBMetadataStore, Graph

MILLION = 1_000_000
Row = tuple[str, str, str]


def versions_of_a_graph() -> Row:
    specs = layered(1_000)
    taken = median(lambda: Graph(specs).versions)
    return "all versions of a 1,000-feature graph", f"{taken * 1e3:.0f} ms", "≤ 100 ms"


def import_of_the_core() -> Row:
    def imported() -> None:
        subprocess.run([sys.executable, "-c", "import metaxy_core"], check=True)

    def nothing() -> None:
        subprocess.run([sys.executable, "-c", "pass"], check=True)

    ours, bare, _ = paired(imported, nothing, runs=7)
    return "import metaxy_core", f"{(ours - bare) * 1e3:.0f} ms", "≤ 300 ms"


def small_resolve(folder: Path) -> Row:
    store = DuckDBMetadataStore(folder / "small.duckdb", graph=GRAPH)
    with store.open("w"):
        store.write("video", videos(10_000))
        store.write("crop", store.resolve_update("crop").todo())
        store.write("video", videos(10_000, changed=1_000).head(1_000))
        taken = median(lambda: store.resolve_update("crop"), runs=15, warm=2)
    return "resolve 10 k samples, 10 % changed, warm", f"{taken * 1e3:.0f} ms", "≤ 60 ms"


def large_resolve(folder: Path) -> Row:
    path = folder / "large.duckdb"
    store = DuckDBMetadataStore(path, graph=GRAPH)
    with store.open("w"):
        store.write("video", videos(MILLION))
        store.write("crop", store.resolve_update("crop").todo())
        store.write("video", videos(MILLION, changed=MILLION // 10).head(MILLION // 10))
    statement = by_hand.resolve(GRAPH)
    with store.open("r"), duckdb.connect(str(path), read_only=True, config=_OFFLINE) as connection:

        def theirs() -> None:
            assert connection.execute(statement).pl().height == MILLION // 10

        def ours() -> None:
            assert len(store.resolve_update("crop").stale) == MILLION // 10

        one, other, ratio = paired(ours, theirs)
    shown = f"{one:.2f} s, by hand {other:.2f} s: {ratio:.2f}×"
    return "resolve 1 M samples, 10 % changed", shown, "≤ 2× by hand"


def write(folder: Path) -> Row:
    frame = videos(MILLION)
    store = DuckDBMetadataStore(folder / "write.duckdb", graph=GRAPH)
    with store.open("w"):
        store.write("video", frame)
    with duckdb.connect(str(folder / "write.duckdb"), config=_OFFLINE) as connection:
        stored = connection.execute("FROM video").to_arrow_table()

    def ours() -> None:
        path = folder / "ours.duckdb"
        path.unlink(missing_ok=True)
        with DuckDBMetadataStore(path, graph=GRAPH).open("w") as fresh:
            fresh.write("video", frame)

    def theirs() -> None:
        path = folder / "theirs.duckdb"
        path.unlink(missing_ok=True)
        with duckdb.connect(str(path), config=_OFFLINE) as connection:
            connection.register("incoming", stored)
            connection.execute("CREATE TABLE video AS FROM incoming")

    one, other, ratio = paired(ours, theirs)
    shown = f"{one:.2f} s, bare Arrow {other:.2f} s: {ratio:.2f}×"
    return "write 1 M rows from Polars", shown, "≤ 2× a bare Arrow insert"


_OFFLINE = {"autoinstall_known_extensions": False, "autoload_known_extensions": False}


def main() -> None:
    """Measure and print."""
    table = Table("what", "measured", "to reach", title="metaxy on DuckDB, this machine")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for row in (
            versions_of_a_graph(),
            import_of_the_core(),
            small_resolve(folder),
            large_resolve(folder),
            write(folder),
        ):
            table.add_row(*row)
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
