"""What is ClickHouse's own: parts, tokens, sessions, names, its one type for texts and bytes."""

from __future__ import annotations

import datetime as dt
import multiprocessing
import os
import pickle
import traceback

import narwhals as nw
import polars as pl
import pyarrow as pa
import pytest

from metaxy_core import ClickHouseMetadataStore
from metaxy_core.backends.clickhouse import read_dsn
from metaxy_core.errors import (
    ConfigError,
    MetadataSchemaError,
    NotStoredError,
    StoreUnavailableError,
)
from tests.backends.clickhouse_server import PASSWORD, USER, serving
from tests.builders import edge, expansion, feature, graph, rows, said, settle

FEATURES = graph(feature("a"), feature("b", "a"))
CHILDREN = graph(
    feature("a"), feature("c", edge("a", lineage=expansion("id")), ids=["number", "id"])
)
CANARY = "canary-5ecret"
in_process = pytest.mark.skipif(
    "METAXY_TEST_CLICKHOUSE" in os.environ, reason="it is about the engine in this process"
)
LAYOUT = """CREATE TABLE {database}.c
(
    `id` Nullable(String),
    `number` Nullable(Int64),
    `metaxy_provenance__f` Nullable(String),
    `metaxy_provenance` Nullable(String),
    `metaxy_data_version__f` Nullable(String),
    `metaxy_data_version` Nullable(String),
    `metaxy_feature_version` LowCardinality(Nullable(String)),
    `metaxy_snapshot_version` LowCardinality(Nullable(String)),
    `metaxy_created_at` Nullable(DateTime64(6, 'UTC')),
    `metaxy_updated_at` Nullable(DateTime64(6, 'UTC')),
    `metaxy_deleted_at` Nullable(DateTime64(6, 'UTC')),
    `metaxy_materialization_id` LowCardinality(Nullable(String)),
    `metaxy_write_id` Nullable(String),
    `metaxy_open` Bool,
    `metaxy_commit` Int64
)
ENGINE = MergeTree
ORDER BY (id, number, metaxy_commit)"""


def lazy(frame):
    return nw.from_native(frame.lazy())


def children(todo, numbers):
    made = todo.to_native()
    return made.join(pl.DataFrame({"number": numbers}, schema={"number": pl.Int64}), how="cross")


# -- tables, parts, commits ------------------------------------------------------------------------


def test_tables_are_sorted_by_unit_and_commit(clickhouse):
    with clickhouse(CHILDREN) as store:
        settle(store, "a", samples=rows({"id": ["x"]}))
        store.write("c", children(store.resolve_update("c").todo(), [0, 1]))
        ((made,),) = store.backend.fetch("SHOW CREATE TABLE c")
        assert made.partition("\nSETTINGS")[0] == LAYOUT.format(database=store.backend.database)


def test_one_write_is_one_part_whatever_its_chunks(clickhouse):
    blocks_of_one = {"min_insert_block_size_rows": 1, "min_insert_block_size_bytes": 1}
    with clickhouse(FEATURES, settings=blocks_of_one) as store:
        chunks = [pl.DataFrame({"id": [f"{n}-{m}" for m in range(1000)]}) for n in range(5)]
        frame = lazy(pl.concat(chunks, rechunk=False))
        store.backend.commit(lambda _: store.backend.append("t", frame, ("id",)))
        parts = store.backend.fetch(
            "SELECT rows FROM system.parts WHERE database = currentDatabase() AND table = 't'"
        )
        assert parts == [(5000,)]


def test_equal_rows_written_twice_are_stored_twice(clickhouse):
    with clickhouse(FEATURES) as store:
        for _ in range(2):
            rows_again = lazy(pl.DataFrame({"id": ["x"]}))
            store.backend.commit(lambda _, rows=rows_again: store.backend.append("t", rows))
        assert store.backend.fetch("SELECT id FROM t") == [("x",), ("x",)]


def test_a_commit_that_fails_sends_nothing(clickhouse):
    with clickhouse(FEATURES) as store:

        def fails(_):
            store.backend.append("t", lazy(pl.DataFrame({"id": ["x"]})))
            raise OSError("disk full")

        with pytest.raises(OSError, match="disk full"):
            store.backend.commit(fails)
        assert store.backend.scan("t") is None
        store.backend.commit(list)
        assert store.backend.scan("t") is None


def test_a_write_of_several_features_cut_off_between_them_is_finished_later(
    clickhouse, monkeypatch, tmp_path
):
    wanted = {"a": rows({"id": ["x"]}), "other": rows({"id": ["y"]})}
    with clickhouse(graph(feature("a"), feature("other")), spool_dir=tmp_path) as store:
        insert = store.backend.insert

        def cut_off(table, block):
            if table == "other":
                raise OSError("connection lost")
            insert(table, block)

        with monkeypatch.context() as broken:
            broken.setattr(store.backend, "insert", cut_off)
            with pytest.raises(NotStoredError):
                store.write_multi(wanted, write_id="job:1")
        for _ in range(2):
            store.write_multi(wanted, write_id="job:1")
        for key in wanted:
            assert store.backend.fetch(f"SELECT count() FROM {key}") == [(1,)]


def test_commit_numbers_ascend_and_leave_room_for_the_preferred_version(clickhouse):
    store, numbers = clickhouse(FEATURES), []
    for _ in range(3):
        with store.open("w"):
            numbers += store.backend.commit(list, numbers=1000)
    assert numbers == sorted(set(numbers))
    assert numbers[0] > 0
    assert numbers[-1] < 2**62


def test_hard_deletes_remove_rows_of_every_version(clickhouse):
    with clickhouse(FEATURES) as store:
        ids = [f"sample-{n}" for n in range(10_000)]
        for version in "12":
            store.write("a", rows({"id": ids}, version))
        assert store.delete("a", "id <> 'sample-7'", soft=False) == 9_999
        assert store.read("a", with_sample_history=True).collect("polars")["id"].to_list() == [
            "sample-7",
            "sample-7",
        ]
        assert store.backend.fetch("SELECT count() FROM a") == [(2,)]
        assert list(store.backend.tables()) == ["a", "metaxy_system__marks", "metaxy_system__store"]


def test_a_mark_of_a_childless_parent_may_come_into_a_table_that_had_no_null_ids(clickhouse):
    pairs = graph(feature("a"), feature("c", ids=["number", "id"]))
    with clickhouse(pairs) as store:
        settle(store, "c", samples=rows({"number": [1], "id": ["x"]}))
        again = store.using(CHILDREN)
        settle(again, "a", samples=rows({"id": ["x", "y"]}))
        empty = again.resolve_update("c").todo()
        again.write("c", children(empty.head(0), [0]), empty_parents=empty)
        assert again.resolve_update("c").is_empty
        assert len(again.read("c").collect("polars")) == 0


# -- values ----------------------------------------------------------------------------------------


def test_times_keep_their_microseconds_whatever_the_servers_timezone(clickhouse):
    moments = [dt.datetime(year, 3, 31, 2, 30, 0, 123457) for year in (1000, 1969, 2024, 2299)]
    with clickhouse(FEATURES, settings={"session_timezone": "America/New_York"}) as store:
        made = rows({"id": range(4)}).with_columns(
            local=pl.Series(moments),
            there=pl.Series(moments).dt.replace_time_zone(
                "Europe/Berlin", ambiguous="earliest", non_existent="null"
            ),
            nanos=pl.Series([1, 10**9 + 1, -1, None], dtype=pl.Datetime("ns")),
            day=pl.Series(moments).dt.date(),
        )
        store.write("a", made)
        for found in (store.read("a").collect("polars"), store.resolve_update("b").todo()):
            for name in ("local", "there", "nanos", "day"):
                expected = made.sort("id")[name]
                assert found.to_native().sort("id")[name].equals(expected)
        for name in ("local", "day"):
            for value in made[name]:
                same = store.read("a", filters=[nw.col(name) == value]).collect("polars")
                assert same[name].to_list() == [value]


def test_names_and_texts_that_are_sql_elsewhere_are_kept(clickhouse):
    names = ["a\\b", 'q"q', "t`t", "s's", "é", "{x:String}", "a.b", "`id`", "%s", " LIMIT 0", "--c"]
    with clickhouse(FEATURES) as store:
        settle(
            store, "a", samples=rows({"id": ["x"]}).with_columns(**{n: pl.lit(n) for n in names})
        )
        stored = store.read("a").collect("polars").rows(named=True)[0]
        todo = store.resolve_update("b").todo().rows(named=True)[0]
        assert {n: stored[n] for n in names} == {n: todo[n] for n in names} == {n: n for n in names}
        for name in names:
            column = nw.col(name)
            asked = [column == name, column.str.contains(name, literal=True)]
            assert len(store.read("a", filters=asked).collect("polars")) == 1


def test_categories_are_kept_as_texts(clickhouse):
    kinds = pl.Series(["u", None], dtype=pl.Enum(["u", "v"]))
    with clickhouse(FEATURES) as store:
        for version in "12":
            made = rows({"id": ["x", "y"]}, version)
            store.write("a", made.with_columns(one=kinds, other=kinds.cast(pl.Categorical)))
        found = store.read("a").collect("polars").to_native().sort("id")
        assert found.select("one", "other").rows() == [("u", "u"), (None, None)]


def test_bytes_are_told_from_texts_in_tables_widened_and_joined(clickhouse):
    with clickhouse(FEATURES) as store:
        store.write("a", rows({"id": ["x"]}))
        store.write("a", rows({"id": ["y"]}).with_columns(raw=pl.lit(b"\xff\x00")))
        found = store.read("a").collect("polars").to_native().sort("id")
        assert found["raw"].to_list() == [None, b"\xff\x00"]
        with pytest.raises(MetadataSchemaError, match="'raw' is stored as Binary"):
            store.write("a", rows({"id": ["y"]}).with_columns(raw=pl.lit("text")))


def test_a_column_changed_by_hand_or_a_foreign_table_is_refused(clickhouse):
    with clickhouse(FEATURES) as store:
        store.backend.run("CREATE TABLE a (id String) ENGINE = Memory")
        with pytest.raises(MetadataSchemaError, match="not made by this library"):
            store.write("a", rows({"id": ["x"]}))
        store.backend.drop("a")
        store.write("a", rows({"id": ["x"]}))
        store.backend.run("ALTER TABLE a MODIFY COLUMN metaxy_created_at Nullable(String)")
        with pytest.raises(MetadataSchemaError, match="'metaxy_created_at'"):
            store.write("a", rows({"id": ["y"]}))
        assert store.backend.fetch("SELECT count() FROM a") == [(1,)]


# -- connections -----------------------------------------------------------------------------------


@pytest.fixture
def server(chdb_folder):
    """A stand-in that serves the engine in this process."""
    with serving(chdb_folder) as server:
        yield server


@pytest.fixture
def on_server(clickhouse, server):
    """A store that reaches its database over HTTP."""

    def make(features=FEATURES, **options):
        reach = {"path": None, "host": "127.0.0.1", "port": server.server_port}
        return clickhouse(features, **reach | {"user": USER, "password": PASSWORD} | options)

    return make


@in_process
def test_a_server_computes_increments_in_one_session(on_server, server):
    with on_server() as store:
        settle(store, "a", samples=rows({"id": ["x", "y"]}))
        assert said(settle(store, "b"))["new"] == ["x", "y"]
        assert store.resolve_update("b").is_empty
    assert len({settings.get("join_use_nulls") for _, settings in server.seen[3:]}) == 1
    assert len(server.sessions.keys() - {""}) == 1


@in_process
def test_an_insert_of_unknown_outcome_is_stored_once(on_server, server):
    with on_server() as store:
        for losing in range(3):
            server.lose_answers = losing
            store.write("a", rows({"id": [f"{losing}-x", f"{losing}-y"]}))
            assert server.lose_answers == 0
        loaded = rows({"id": ["z"]}).select("id")
        server.lose_answers = 2
        assert len(store.backend.load(lazy(loaded)).collect("polars")) == 1
        assert store.backend.fetch("SELECT count() FROM a") == [(6,)]


@in_process
@pytest.mark.parametrize(
    ("wrong", "reason", "says"),
    [
        ({"password": f"wrong-{CANARY}"}, "unreachable", "refuses 'writer'"),
        ({"database": "nowhere"}, "missing", "no database 'nowhere'"),
        ({"port": 1, "connect_timeout": 1}, "unreachable", "127.0.0.1"),
        ({"host": "no-such-host.invalid", "connect_timeout": 1}, "unreachable", "no-such-host"),
        ({"port": 1, "secure": True, "connect_timeout": 1}, "unreachable", "clickhouses://"),
        ({"client": {"http_proxy": f"http://me:{CANARY}@127.0.0.1:1"}}, "unreachable", "127.0.0.1"),
    ],
)
def test_a_server_that_cannot_be_used_is_a_typed_error(on_server, wrong, reason, says):
    for mode in ("r", "w"):
        with pytest.raises(StoreUnavailableError, match=says) as error:
            with on_server(**wrong).open(mode):
                pass
        assert error.value.reason == reason
        told = "".join(traceback.format_exception(error.value))
        assert CANARY not in told
        assert PASSWORD not in told


@in_process
def test_a_user_that_may_not_change_settings_is_a_typed_error(on_server, server):
    server.read_only = True
    with pytest.raises(StoreUnavailableError, match="may not change settings") as error:
        with on_server().open("r"):
            pass
    assert error.value.reason == "read-only"


@in_process
def test_a_folder_that_cannot_be_opened_is_a_typed_error(clickhouse, tmp_path):
    store = ClickHouseMetadataStore(path=tmp_path / "none", graph=FEATURES)
    with pytest.raises(StoreUnavailableError, match="no such folder") as error:
        with store.open("r"):
            pass
    assert error.value.reason == "missing"
    with clickhouse(FEATURES) as first:
        other = ClickHouseMetadataStore(path=tmp_path, graph=FEATURES)
        with pytest.raises(StoreUnavailableError, match="another folder open") as error:
            with other.open("w"):
                pass
        assert error.value.reason == "locked"
        nowhere = clickhouse(FEATURES, database="nowhere")
        with pytest.raises(StoreUnavailableError, match="no database 'nowhere'") as error:
            with nowhere.open("r"):
                pass
        assert error.value.reason == "missing"
        assert first.is_open


def _hold(path, started, done):
    with ClickHouseMetadataStore(path=path, graph=FEATURES).open("w"):
        started.set()
        done.wait(60)


def _reason(path, reasons):
    try:
        with ClickHouseMetadataStore(path=path, graph=FEATURES).open("w"):
            reasons.put("none")
    except StoreUnavailableError as error:
        reasons.put(error.reason)


@pytest.mark.slow
def test_a_folder_that_another_process_has_open_is_locked(tmp_path):
    context = multiprocessing.get_context("spawn")
    started, done, reasons = context.Event(), context.Event(), context.Queue()
    holder = context.Process(target=_hold, args=(tmp_path / "engine", started, done))
    holder.start()
    assert started.wait(60)
    try:
        other = context.Process(target=_reason, args=(tmp_path / "engine", reasons))
        other.start()
        assert reasons.get(timeout=60) == "locked"
        other.join()
    finally:
        done.set()
        holder.join()


@pytest.mark.parametrize(
    "dsn",
    [
        f"clickhouse://me:{CANARY}@db.example:8123/videos",
        f"clickhouses://me:{CANARY}%40%2F%3A@[::1]/videos",
        f"https://me:{CANARY}@db.example/videos?secure=true",
        f"clickhouse://db.example/?user=me&password={CANARY}&database=videos",
    ],
)
def test_a_password_is_carried_and_never_shown(dsn):
    store = ClickHouseMetadataStore(dsn, graph=FEATURES)
    copy = pickle.loads(pickle.dumps(store))
    for one in (store, copy):
        assert one.backend.password.get_secret_value().startswith(CANARY)
        shown = [repr(one), str(one), one.display(), *one.get_store_metadata("a").values()]
        shown += [repr(vars(one)), repr(vars(one.backend))]
        assert not [text for text in shown if CANARY in text]
        assert "me@" in one.display()
        assert one.backend.database == "videos"


@pytest.mark.parametrize(
    "dsn",
    [
        f"clickhouse://me:{CANARY}/x@db.example:8123/videos",
        f"clickhouse://me:{CANARY}@db.example:port/videos",
        f"clickhouse://me:{CANARY}@[::1/videos",
        f"clickhouse://me:{CANARY}@db.example/videos?token={CANARY}",
        f"clickhouse://me:1234/{CANARY}@db.example/videos",
        f"clickhouse://me:1234?{CANARY}@db.example/videos",
        f"clickhouse://me:1234?{CANARY}",
        f"postgres://me:{CANARY}@db.example/videos",
        CANARY,
    ],
)
def test_a_dsn_that_cannot_be_read_is_refused_without_repeating_it(dsn):
    with pytest.raises(ConfigError, match="DSN of a ClickHouse store") as error:
        ClickHouseMetadataStore(dsn)
    assert CANARY not in "".join(traceback.format_exception(error.value))


def test_arguments_win_over_the_dsn():
    said = read_dsn("clickhouses://me:pw@db.example/videos")
    assert (said["host"], said["user"], said["secure"], said["database"]) == (
        "db.example", "me", True, "videos",
    )  # fmt: skip
    store = ClickHouseMetadataStore("clickhouse://me:pw@db.example/videos", database="texts")
    assert store.display() == "clickhouse://me@db.example:8123/texts"
    assert ClickHouseMetadataStore("clickhouses://db.example").backend.port == 8443


def test_an_open_store_does_not_pickle(clickhouse):
    with clickhouse(FEATURES) as store:
        with pytest.raises(TypeError, match="open store cannot be pickled"):
            pickle.dumps(store)
        with pytest.raises(TypeError, match="open ClickHouse store"):
            pickle.dumps(store.backend)


def test_several_writers_write_at_once(clickhouse):
    first = clickhouse(FEATURES)
    second = clickhouse(FEATURES, database=first.backend.database)
    with first, second:
        first.write("a", rows({"id": ["x"]}))
        second.write("a", rows({"id": ["x", "y"]}, "2").with_columns(n=pl.lit(1)))
        first.write("a", rows({"id": ["z"]}).with_columns(m=pl.lit(0.5)))
        found = second.read("a").collect("polars").to_native().sort("id")
        assert found.select("id", "n", "m").rows() == [
            ("x", 1, None),
            ("y", 1, None),
            ("z", None, 0.5),
        ]
        settle(first, "b")
        assert second.resolve_update("b").is_empty


def test_results_are_read_as_arrow(clickhouse):
    with clickhouse(FEATURES) as store:
        store.write("a", rows({"id": ["x"]}))
        assert isinstance(store.backend.scan("a").to_native().to_pyarrow(), pa.Table)
