"""What is SQLite's own: files, locks, processes, plans, values it has no types for."""

from __future__ import annotations

import datetime as dt
import multiprocessing
import os
import pickle
import shutil
import sqlite3
import tempfile
from collections import Counter
from pathlib import Path

import narwhals as nw
import polars as pl
import pytest

from metaxy_core import (
    HashSchemeMismatchError,
    InMemoryMetadataStore,
    MetadataSchemaError,
    SQLiteMetadataStore,
    StoreUnavailableError,
)
from metaxy_core.backends.sqlite import SQLiteBackend
from metaxy_core.errors import NotStoredError
from metaxy_core.frames.dialect import lazy
from tests.builders import (
    NOTHING,
    aggregation,
    edge,
    expansion,
    feature,
    graph,
    rows,
    said,
    settle,
)
from tests.properties.machine import first_failure

FEATURES = graph(feature("a"), feature("b", "a"))


# -- files ---------------------------------------------------------------------------------------


def test_a_corrupt_file_is_a_typed_error(tmp_path):
    path = tmp_path / "corrupt.db"
    path.write_bytes(b"this is no database" * 1000)
    for mode in ("r", "w"):
        with pytest.raises(StoreUnavailableError, match=r"corrupt\.db") as error:
            with SQLiteMetadataStore(path, graph=FEATURES).open(mode):
                pass
        assert error.value.reason == "corrupt"


def test_names_with_signs_of_addresses_are_names(tmp_path):
    path = tmp_path / "50% of a?b#c d.db"
    with SQLiteMetadataStore(path, graph=FEATURES) as store:
        settle(store, "a", samples=rows({"id": ["x"]}))
    assert path.exists()
    with SQLiteMetadataStore(path, graph=FEATURES).open("r") as store:
        assert len(store.read("a").collect()) == 1


def test_reading_opens_the_file_read_only(tmp_path):
    store = SQLiteMetadataStore(tmp_path / "a.db", graph=FEATURES)
    with store.open("w"):
        settle(store, "a", samples=rows({"id": ["x"]}))
    with store.open("r"):
        assert said(store.resolve_update("b")) == NOTHING | {"new": ["x"]}
        added = lazy(pl.DataFrame({"id": ["y"]}))
        with pytest.raises(StoreUnavailableError, match="readonly") as error:
            store.backend.commit(lambda _: store.backend.append("a", added))
        assert error.value.reason == "read-only"


def test_a_store_written_and_closed_is_one_file(tmp_path):
    with SQLiteMetadataStore(tmp_path / "a.db", graph=FEATURES) as store:
        settle(store, "a", samples=rows({"id": ["x"]}))
    assert [path.name for path in tmp_path.iterdir()] == ["a.db"]


def _as_nobody(path, ended):
    if os.geteuid() == 0:
        os.setuid(65534)
    store = SQLiteMetadataStore(path, graph=FEATURES)
    with store.open("r"):
        found = said(store.resolve_update("b"))
    try:
        with store.open("w"):
            store.write("a", rows({"id": ["y"]}))
    except StoreUnavailableError as error:
        ended.put((found, error.reason))


@pytest.mark.slow
def test_a_file_in_a_folder_that_cannot_be_written_is_read():
    folder = Path(tempfile.mkdtemp())
    try:
        with SQLiteMetadataStore(folder / "a.db", graph=FEATURES) as store:
            settle(store, "a", samples=rows({"id": ["x"]}))
        (folder / "a.db").chmod(0o444)
        folder.chmod(0o555)
        context = multiprocessing.get_context("spawn")
        ended = context.Queue()
        reader = context.Process(target=_as_nobody, args=(folder / "a.db", ended))
        reader.start()
        assert ended.get(timeout=120) == (NOTHING | {"new": ["x"]}, "read-only")
        reader.join()
    finally:
        folder.chmod(0o755)
        shutil.rmtree(folder)


def test_another_hash_algorithm_is_refused(tmp_path):
    path = tmp_path / "a.db"
    with SQLiteMetadataStore(path, graph=FEATURES).open("w"):
        pass
    other = SQLiteMetadataStore(path, graph=FEATURES, hash_algorithm="sha256")
    with pytest.raises(HashSchemeMismatchError, match=r"md5/1.*sha256/1"):
        with other.open("r"):
            pass


def test_an_unopened_store_pickles_and_an_open_one_does_not(tmp_path):
    store = SQLiteMetadataStore(tmp_path / "a.db", graph=FEATURES)
    with store.open("w"):
        settle(store, "a", samples=rows({"id": ["x"]}))
        with pytest.raises(TypeError, match="open store cannot be pickled"):
            pickle.dumps(store)
    with pickle.loads(pickle.dumps(store)).open("r") as copy:
        assert len(copy.read("a").collect()) == 1


def test_tables_in_memory_live_as_long_as_the_store():
    store = SQLiteMetadataStore(graph=FEATURES)
    with store.open("w"):
        settle(store, "a", samples=rows({"id": ["x"]}))
    with store.open("r"):
        assert said(store.resolve_update("b")) == NOTHING | {"new": ["x"]}
    with pytest.raises(TypeError, match="in-memory SQLite store cannot be pickled"):
        pickle.dumps(store)


# -- values --------------------------------------------------------------------------------------

MOMENTS = [
    dt.datetime(1, 1, 1),
    dt.datetime(1969, 12, 31, 23, 59, 59, 999_999),
    dt.datetime(2024, 2, 29, 12),
    dt.datetime(2024, 2, 29, 12, 0, 0, 1),
    dt.datetime(9999, 12, 31, 23, 59, 59, 999_999),
]


def test_times_and_floats_come_back_as_they_were():
    samples = rows({"id": range(5)}).with_columns(
        pl.Series("local", MOMENTS),
        pl.Series("utc", MOMENTS, dtype=pl.Datetime("us", "UTC")),
        pl.Series("paris", MOMENTS, dtype=pl.Datetime("us", "Europe/Paris")),
        pl.Series("milli", [0, -1, 1, 2, None], dtype=pl.Datetime("ms")),
        pl.Series("day", [moment.date() for moment in MOMENTS]),
        pl.Series("number", [float("nan"), float("-inf"), 5e-324, -0.0, None]),
        pl.Series("small", [float("nan"), 0.1, 3.4e38, -1e-45, None], dtype=pl.Float32),
        pl.Series("bytes", [b"", b"\x00", b"NaN", b"\xff" * 9, None]),
    )
    with SQLiteMetadataStore(graph=FEATURES) as store:
        store.write("a", samples)
        found = store.read("a").collect().to_native().sort("id")
    users = [name for name in samples.columns if not name.startswith("metaxy")]
    kept = {"milli": pl.Datetime("us"), "paris": pl.Datetime("us", "UTC")}
    assert found.select(users).equals(samples.select(users).cast(kept))


@pytest.mark.parametrize(
    "predicate",
    [
        nw.col("t") > MOMENTS[2],
        nw.col("t") == MOMENTS[3],
        nw.col("utc") <= MOMENTS[2].replace(tzinfo=dt.UTC),
        nw.col("utc") == MOMENTS[2].replace(tzinfo=dt.timezone(dt.timedelta(hours=0))),
        nw.col("text").str.starts_with("%"),
        nw.col("text").str.starts_with("_"),
        nw.col("text").str.ends_with("%"),
        nw.col("text").str.ends_with(""),
        nw.col("text").str.contains("_", literal=True),
        nw.col("text") > "Z",
        nw.col("n") > 0.5,
        "text LIKE 'a%'",
    ],
    ids=range(12),
)
def test_filters_say_what_they_say_in_memory(predicate):
    samples = rows({"id": range(5), "text": ["%a", "_b", "A", "ab%", "é"]}).with_columns(
        pl.Series("t", MOMENTS),
        pl.Series("utc", MOMENTS, dtype=pl.Datetime("us", "UTC")),
        pl.Series("n", [1.0, float("nan"), 0.1, float("inf"), None]),
    )
    found = []
    for store in (SQLiteMetadataStore(graph=FEATURES), InMemoryMetadataStore(graph=FEATURES)):
        with store:
            store.write("a", samples)
            found.append(sorted(store.read("a", filters=predicate).collect()["id"].to_list()))
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("values", "why"),
    [
        (pl.Series([1], dtype=pl.Datetime("ns")), "nanoseconds"),
        (pl.Series([-(10**17)], dtype=pl.Datetime("us")), "years outside"),
        (pl.Series([-(10**7)]).cast(pl.Int32).cast(pl.Date), "years outside"),
        (pl.Series([[1]]), "type List"),
        (pl.Series([2**63], dtype=pl.UInt64), "type UInt64"),
    ],
)
def test_values_that_cannot_be_kept_are_refused_by_column(values, why):
    with SQLiteMetadataStore(graph=FEATURES) as store:
        with pytest.raises(MetadataSchemaError, match=f"column 'note'.*{why}"):
            store.write("a", rows({"id": ["x"]}).with_columns(values.alias("note")))
        assert not store.has_feature("a")


# -- plans ---------------------------------------------------------------------------------------

SHAPES = graph(
    feature("take", fields=("f", "g")),
    feature("note"),
    feature("copy", "take", fields=("f", "g")),
    feature("voice", edge("take", lineage=aggregation("speaker")), ids="speaker"),
    feature("chunk", edge("take", lineage=expansion("id")), ids=["id", "k"]),
    feature("captioned", "take", edge("note", optional=True)),
    feature("either", edge("take", optional=True), edge("note", optional=True)),
)


class Plans(SQLiteBackend):
    """Keeps how SQLite would run each query."""

    def __init__(self):
        super().__init__()
        self.plans = []

    def keep(self, query, schema):
        self.plans.append(self.fetch(f"EXPLAIN QUERY PLAN {query}"))
        return super().keep(query, schema)


def test_no_join_compares_every_row_with_every_other():
    store = SQLiteMetadataStore(graph=SHAPES)
    store.backend = Plans()
    store = pickle.loads(pickle.dumps(store))
    with store:
        takes = rows({"id": ["x", "y"], "speaker": ["ann", "bob"]}, fields=("f", "g"))
        for text in "12":
            settle(store, "take", samples=takes)
            settle(store, "note", samples=rows({"id": ["x"]}, text))
            for key in ("copy", "voice", "captioned", "either"):
                settle(store, key, filters={"take": "speaker <> 'cid'"})
            chunks = store.resolve_update("chunk").todo().to_native()
            store.write("chunk", chunks.with_columns(k=1))
            store.delete("take", "id = 'x'")
            assert said(store.resolve_update("copy"))["orphaned"] == ["x"]
    assert len(store.backend.plans) > 30
    for plan in store.backend.plans:
        scanned = Counter(parent for _, parent, _, what in plan if what.startswith("SCAN"))
        assert max(scanned.values(), default=0) <= 1, plan


# -- writers side by side ------------------------------------------------------------------------


def test_a_lock_is_waited_for_and_then_named(tmp_path):
    path = tmp_path / "a.db"
    store = SQLiteMetadataStore(path, graph=FEATURES, lock_timeout=0.2)
    with store.open("w"):
        settle(store, "a", samples=rows({"id": ["x"]}))
        holder = sqlite3.connect(path, isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(NotStoredError, match="lock_timeout") as kept:
            store.write("a", rows({"id": ["y"]}))
        assert kept.value.__cause__.reason == "locked"
        assert len(store.read("a").collect()) == 1
        holder.execute("ROLLBACK")
        assert store.replay(kept.value.path) == {"a": 1}
        assert len(store.read("a").collect()) == 2
        holder.close()


def test_a_reader_sees_whole_commits_beside_a_writer(tmp_path):
    path = tmp_path / "a.db"
    with SQLiteMetadataStore(path, graph=FEATURES) as writer:
        writer.write("a", rows({"id": ["x"]}))
        with SQLiteMetadataStore(path, graph=FEATURES).open("r") as reader:
            added = lazy(pl.DataFrame({"id": ["y"]}))

            def look(_):
                writer.backend.append("new", added)
                assert reader.backend.scan("new") is None

            writer.backend.commit(look)
            assert len(reader.backend.scan("new").collect()) == 1


@pytest.mark.slow
def test_increments_equal_the_oracles_after_random_edits():
    def make(declared):
        return SQLiteMetadataStore(graph=declared.graph)

    assert first_failure(make, range(800, 802), 12) is None
