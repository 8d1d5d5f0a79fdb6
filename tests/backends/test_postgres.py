"""What is PostgreSQL's own: sessions, schemas, names, secrets, writers side by side."""

from __future__ import annotations

import logging
import multiprocessing
import os
import pickle
import signal
import traceback

import polars as pl
import psycopg
import pytest

from metaxy_core import (
    FeatureNotFoundError,
    HashSchemeMismatchError,
    MetadataSchemaError,
    PostgresMetadataStore,
    StoreUnavailableError,
)
from metaxy_core.backends.sql import name_of
from metaxy_core.errors import (
    ConfigError,
    NotStoredError,
    PolarsMaterializationWarning,
    VersioningEngineMismatchError,
)
from metaxy_core.frames.dialect import lazy
from tests.builders import NOTHING, feature, graph, rows, said, settle
from tests.properties.machine import first_failure

FEATURES = graph(feature("a"), feature("b", "a"))
SECRET = "canary-s3cret"
LONG_PROFILE = os.environ.get("METAXY_FUZZ") == "long"
WRITERS, BATCHES = (8, 50) if LONG_PROFILE else (4, 10)
LONG = "part/" * 39 + "end"


def session(server):
    return psycopg.connect(host=server, user="postgres", autocommit=True)


# -- what it is called, what it says -------------------------------------------------------------


@pytest.mark.parametrize(
    ("dsn", "uri"),
    [
        (f"postgresql://ann:{SECRET}@db.example:5433/lab", "postgresql://ann@db.example:5433/lab"),
        (
            f"postgres://ann@db.example/lab?password={SECRET}",
            "postgresql://ann@db.example:5432/lab",
        ),
        (
            f"host=db.example user=ann dbname=lab password='{SECRET}' sslpassword={SECRET}",
            "postgresql://ann@db.example:5432/lab",
        ),
        (
            f"postgresql:///lab?host=/run/pg&user=ann&password={SECRET}",
            "postgresql://ann@/lab?host=/run/pg",
        ),
    ],
)
def test_the_address_has_no_secret_in_it(dsn, uri, monkeypatch):
    monkeypatch.delenv("PGPORT", raising=False)
    store = PostgresMetadataStore(dsn, graph=FEATURES)
    assert store.backend.describe() == {"type": "postgres", "uri": uri}
    assert SECRET not in f"{store!r}{store.display()}{store.backend!r}"


@pytest.mark.parametrize(
    "dsn",
    [f"postgresql://ann:{SECRET}@[::1/lab", f"host=x {SECRET}", f"postgresql://x/lab?no={SECRET}"],
)
def test_a_dsn_that_cannot_be_read_is_not_repeated(dsn):
    with pytest.raises(ConfigError, match="The DSN is neither") as error:
        PostgresMetadataStore(dsn, graph=FEATURES)
    assert SECRET not in "".join(traceback.format_exception(error.value))


def test_parameters_that_are_not_known_are_refused():
    with pytest.raises(ConfigError, match="does not know all of these parameters.*nonsense"):
        PostgresMetadataStore(host="x", parameters={"nonsense": SECRET}, graph=FEATURES)


def unavailable(store, caplog, reason="unreachable"):
    """Why a store cannot be opened; nothing that was said on the way has the password in it."""
    with caplog.at_level(logging.DEBUG), pytest.raises(StoreUnavailableError) as error:
        with store.open("w"):
            pass
    assert error.value.reason == reason
    shown = "".join(traceback.format_exception(error.value))
    assert SECRET not in f"{shown}{caplog.text}{store!r}"
    return str(error.value)


def test_a_server_that_is_not_there_is_a_typed_error(caplog, tmp_path):
    nobody = {"graph": FEATURES, "user": "ann", "password": SECRET, "connect_timeout": 2}
    for host in ("127.0.0.1", str(tmp_path), "no-such-host.invalid"):
        message = unavailable(PostgresMetadataStore(host=host, port=1, **nobody), caplog)
        assert "ann" in message
        assert host in message


def test_an_unknown_database_or_user_is_a_typed_error(postgres_server, caplog):
    known = {"host": postgres_server, "graph": FEATURES, "password": SECRET}
    no_database = PostgresMetadataStore(user="postgres", database="nowhere", **known)
    assert '"nowhere" does not exist' in unavailable(no_database, caplog)
    no_user = PostgresMetadataStore(user="nobody", **known)
    assert '"nobody" does not exist' in unavailable(no_user, caplog)


def test_a_wrong_password_is_a_typed_error(postgres_server, caplog, tmp_path_factory):
    with session(postgres_server) as admin:
        admin.execute("DROP ROLE IF EXISTS careful")
        admin.execute("CREATE ROLE careful LOGIN PASSWORD 'right'")
        [(path,)] = admin.execute("SHOW hba_file").fetchall()
        with open(path) as file:
            before = file.read()
        try:
            with open(path, "w") as file:
                file.write("local all careful scram-sha-256\n" + before)
            admin.execute("SELECT pg_reload_conf()")
            for password in (SECRET, None):
                store = PostgresMetadataStore(
                    host=postgres_server,
                    user="careful",
                    password=password,
                    database="postgres",
                    graph=FEATURES,
                )
                message = unavailable(store, caplog)
                assert "password" in message
                assert "careful" in message
        finally:
            with open(path, "w") as file:
                file.write(before)
            admin.execute("SELECT pg_reload_conf()")


def test_a_database_of_another_encoding_is_refused(postgres_server, caplog):
    with session(postgres_server) as admin:
        admin.execute(
            "CREATE DATABASE latin ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
        )
    store = PostgresMetadataStore(
        host=postgres_server, user="postgres", database="latin", graph=FEATURES
    )
    assert "LATIN1" in unavailable(store, caplog)


# -- sessions ------------------------------------------------------------------------------------


def test_reading_a_schema_that_does_not_exist_names_the_next_step(postgres):
    store = postgres("never made", graph=FEATURES)
    with pytest.raises(
        StoreUnavailableError, match="'never made'. The first write makes it"
    ) as error:
        with store.open("r"):
            pass
    assert error.value.reason == "missing"


def test_a_connection_lost_is_a_typed_error(postgres, postgres_server):
    store = postgres(graph=FEATURES)
    with store.open("w"):
        settle(store, "a", samples=rows({"id": ["x"]}))
        frame = store.read("a")
        with session(postgres_server) as admin:
            admin.execute(
                "SELECT pg_terminate_backend(%s)", [store.backend.connection.con.info.backend_pid]
            )
        for use in (frame.collect, lambda: store.resolve_update("b")):
            with pytest.raises(StoreUnavailableError, match="connection was lost") as error:
                use()
            assert error.value.reason == "unreachable"
        with pytest.raises(NotStoredError, match="connection was lost") as kept:
            store.write("a", rows({"id": ["y"]}))
    with store.open("w"):
        assert store.replay(kept.value.path) == {"a": 1}
        assert said(store.resolve_update("b")) == NOTHING | {"new": ["x", "y"]}


def test_waiting_for_a_lock_is_bounded(postgres, postgres_server):
    store = postgres("locked", graph=FEATURES, lock_timeout=0.2)
    with store.open("w"):
        settle(store, "a", samples=rows({"id": ["x"]}))
        with session(postgres_server) as other, other.transaction():
            other.execute("LOCK TABLE locked.a")
            with pytest.raises(StoreUnavailableError, match="lock_timeout") as error:
                store.read("a").collect()
            assert error.value.reason == "locked"
            with pytest.raises(NotStoredError, match="lock_timeout") as kept:
                store.write("a", rows({"id": ["z"]}))
        assert store.replay(kept.value.path) == {"a": 1}
        assert len(store.read("a").collect()) == 2


def test_a_role_that_may_only_read_reads_and_resolves(postgres, postgres_server):
    store = postgres("shown", graph=FEATURES)
    with store:
        settle(store, "a", samples=rows({"id": ["x"]}))
    with session(postgres_server) as admin:
        admin.execute("DROP ROLE IF EXISTS reader")
        admin.execute("CREATE ROLE reader LOGIN")
        admin.execute("GRANT USAGE ON SCHEMA shown TO reader")
        admin.execute("GRANT SELECT ON ALL TABLES IN SCHEMA shown TO reader")
    reader = PostgresMetadataStore(
        host=postgres_server, user="reader", database="postgres", schema="shown", graph=FEATURES
    )
    with reader.open("r"):
        assert said(reader.resolve_update("b")) == NOTHING | {"new": ["x"]}


def test_a_session_for_reading_cannot_change_a_table(postgres):
    store = postgres(graph=FEATURES)
    with store:
        settle(store, "a", samples=rows({"id": ["x"]}))
    with store.open("r"):
        assert said(store.resolve_update("b", samples=None)) == NOTHING | {"new": ["x"]}
        added = lazy(pl.DataFrame({"id": ["y"]}))
        for change in (
            lambda: store.backend.commit(lambda _: store.backend.append("a", added)),
            lambda: store.backend.drop("a"),
        ):
            with pytest.raises(StoreUnavailableError, match="read-only transaction") as error:
                change()
            assert error.value.reason == "read-only"


def test_a_role_that_may_make_no_temporary_tables_resolves_in_memory(postgres_server):
    with session(postgres_server) as admin:
        admin.execute("CREATE DATABASE strict")
        admin.execute("REVOKE TEMPORARY ON DATABASE strict FROM PUBLIC")
        admin.execute("CREATE ROLE onlooker LOGIN")
        admin.execute("GRANT pg_read_all_data TO onlooker")
    where = {"host": postgres_server, "database": "strict", "graph": FEATURES}
    with PostgresMetadataStore(user="postgres", **where) as store:
        settle(store, "a", samples=rows({"id": ["x"]}))
    onlooker = PostgresMetadataStore(user="onlooker", **where)
    with onlooker.open("r"):
        with pytest.warns(PolarsMaterializationWarning, match="temporary tables are refused"):
            assert said(onlooker.resolve_update("b")) == NOTHING | {"new": ["x"]}
        with pytest.raises(VersioningEngineMismatchError, match="temporary tables are refused"):
            onlooker.resolve_update("b", versioning_engine="native")
        assert len(onlooker.read("a").collect()) == 1


def test_a_role_without_rights_is_a_typed_error(postgres_server, caplog):
    with session(postgres_server) as admin:
        admin.execute("DROP ROLE IF EXISTS guest")
        admin.execute("CREATE ROLE guest LOGIN")
    store = PostgresMetadataStore(
        host=postgres_server, user="guest", database="postgres", schema="new", graph=FEATURES
    )
    assert "permission denied" in unavailable(store, caplog, "read-only")


def test_no_temporary_table_outlives_its_session(postgres, postgres_server):
    store = postgres(graph=FEATURES)
    with store:
        settle(store, "a", samples=rows({"id": ["x"]}))
        store.resolve_update("b", lazy=True)
    with store.open("r"):
        left = (
            "SELECT count(*) FROM pg_class WHERE relpersistence = 't' AND relname ~ 'metaxy_held'"
        )
        assert store.backend.fetch(left) == [(0,)]


def test_an_unopened_store_pickles_and_an_open_one_does_not(postgres):
    store = postgres(graph=FEATURES)
    with store:
        settle(store, "a", samples=rows({"id": ["x"]}))
        with pytest.raises(TypeError, match="open store cannot be pickled"):
            pickle.dumps(store)
    with pickle.loads(pickle.dumps(store)).open("r") as copy:
        assert len(copy.read("a").collect()) == 1


# -- names and values ----------------------------------------------------------------------------


def test_names_longer_than_postgresql_keeps_come_back_whole(postgres):
    fields = (f"{LONG}/one", f"{LONG}/two")
    features = graph(feature(f"{LONG}/a", fields=fields), feature("b", f"{LONG}/a", fields=fields))
    column, schema = "é" * 60, "s" * 63
    samples = rows({"id": ["x"], column: ["here"]}, fields=fields)
    with postgres(schema, graph=features) as store:
        assert said(settle(store, f"{LONG}/a", samples=samples)) == NOTHING | {"new": ["x"]}
        todo = settle(store, "b").todo()
        assert todo[column].to_list() == ["here"]
    with postgres(schema, graph=features).open("r") as store:
        assert [str(key) for key in store.list_features()] == [f"{LONG}/a", "b"]
        assert store.resolve_update("b").is_empty
        assert store.read(f"{LONG}/a").collect()[column].to_list() == ["here"]


def test_schemas_of_any_name_are_stores_of_their_own(postgres):
    for number, name in enumerate(('quo"te', "sp ace", "Größe", "dot.dot", "semi;colon'")):
        with postgres(name, graph=FEATURES) as store:
            settle(store, "a", samples=rows({"id": [f"x{number}"]}))
            assert store.read("a").collect()["id"].to_list() == [f"x{number}"]


def test_texts_compare_bytewise_whatever_the_databases_language_is(postgres):
    with postgres("words", graph=FEATURES) as store:
        settle(store, "a", samples=rows({"id": ["B", "a", "é", "z"]}))
        found = store.read("a", filters="id > 'Z'").collect()["id"].to_list()
        assert sorted(found) == ["a", "z", "é"]
        loaded = name_of(store.backend.load(lazy(pl.DataFrame({"text": ["x"]}))))
        by_language = store.backend.fetch(
            "SELECT attname FROM pg_attribute JOIN pg_class c ON c.oid = attrelid "
            "WHERE atttypid = 'text'::regtype AND attcollation <> 'pg_catalog.\"C\"'::regcollation "
            f"AND (relnamespace = 'words'::regnamespace OR relname = '{loaded}')"
        )
        assert by_language == []


@pytest.mark.parametrize(
    ("values", "why"),
    [
        (pl.Series(["a\x00b"]), "NUL"),
        (pl.Series([["a\x00b"]]), "NUL"),
        (pl.Series([[[1]]]), "list of List"),
        (pl.Series([1], dtype=pl.Datetime("ns")), "nanoseconds"),
        (pl.Series([-(10**17)], dtype=pl.Datetime("us")), "years outside"),
    ],
)
def test_values_that_cannot_be_kept_are_refused_by_column(postgres, values, why):
    with postgres(graph=FEATURES) as store:
        with pytest.raises(MetadataSchemaError, match=f"column 'note'.*{why}"):
            store.write("a", rows({"id": ["x"]}).with_columns(values.alias("note")))
        with pytest.raises(FeatureNotFoundError):
            store.read("a")


def test_floats_times_and_lists_come_back_as_they_were(postgres):
    samples = rows({"id": ["x", "y", "z"]}).with_columns(
        pl.Series("number", [float("nan"), float("-inf"), 5e-324]),
        pl.Series("small", [0.1, None, 3.4e38], dtype=pl.Float32),
        pl.Series("times", [[0, -1], [], None], dtype=pl.List(pl.Datetime("us", "UTC"))),
        pl.Series("paris", [0, -1, None], dtype=pl.Datetime("us", "Europe/Paris")),
        pl.Series("flags", [[True, None, False], [], None]),
        pl.Series("numbers", [[float("nan"), 0.1], [float("inf")], None]),
        pl.Series("texts", [['"', "\\", "{}", "NULL", "", ","], [None], []]),
        pl.Series("bytes", [[b"\x00\\x", None], [], None]),
    )
    with postgres(graph=FEATURES) as store:
        store.write("a", samples)
        found = store.read("a").collect().to_native().sort("id")
        users = [name for name in samples.columns if not name.startswith("metaxy")]
        kept = samples.select(users).cast({"paris": pl.Datetime("us", "UTC")})
        assert found.select(users).equals(kept)
        assert found.select(users).schema == kept.schema


# -- writers side by side ------------------------------------------------------------------------


def _write(server, schema, worker, batches, begin):
    store = PostgresMetadataStore(host=server, user="postgres", schema=schema, graph=FEATURES)
    begin.wait(60)
    for opening in range(0, batches, 10):
        with store.open("w"):
            for batch in range(opening, opening + 10):
                names = [f"{worker}-{batch}-{n}" for n in range(3)]
                store.write("a", rows({"id": names, f"by{worker}": [1, 2, 3]}))


@pytest.mark.slow
def test_many_processes_write_into_an_empty_schema_and_all_succeed(postgres, postgres_server):
    context = multiprocessing.get_context("spawn")
    begin = context.Barrier(WRITERS)
    workers = [
        context.Process(target=_write, args=(postgres_server, "crowd", n, BATCHES, begin))
        for n in range(WRITERS)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * WRITERS
    with postgres("crowd", graph=FEATURES).open("r") as store:
        found = store.read("a", with_sample_history=True).collect()
        expected = {
            f"{w}-{b}-{n}" for w in range(WRITERS) for b in range(BATCHES) for n in range(3)
        }
        assert len(found) == len(expected)
        assert set(found["id"].to_list()) == expected
        commits = store.backend.fetch('SELECT count(DISTINCT metaxy_commit) FROM "a"')
        assert commits == [(WRITERS * BATCHES,)]
        assert store.backend.fetch("SELECT count(*) FROM metaxy_system__store") == [(1,)]


def _sign_up(server, schema, algorithm, begin, done):
    store = PostgresMetadataStore(
        host=server, user="postgres", schema=schema, graph=FEATURES, hash_algorithm=algorithm
    )
    begin.wait(60)
    try:
        with store.open("w"):
            settle(store, "a", samples=rows({"id": ["x"]}))
            done.put(algorithm)
    except HashSchemeMismatchError:
        done.put("refused")


@pytest.mark.slow
def test_two_hash_schemes_never_meet_in_one_schema(postgres_server):
    context = multiprocessing.get_context("spawn")
    begin, done = context.Barrier(2), context.Queue()
    workers = [
        context.Process(target=_sign_up, args=(postgres_server, "meeting", name, begin, done))
        for name in ("md5", "sha256")
    ]
    for worker in workers:
        worker.start()
    ended = sorted(done.get(timeout=300) for _ in workers)
    for worker in workers:
        worker.join()
    assert ended in (["md5", "refused"], ["refused", "sha256"])


def _write_on(server, schema, acknowledged):
    store = PostgresMetadataStore(host=server, user="postgres", schema=schema, graph=FEATURES)
    with store.open("w"), open(acknowledged, "a") as file:
        for batch in range(100_000):
            names = [f"{os.getpid()}-{batch}-{n}" for n in range(200)]
            store.write("a", rows({"id": names}))
            file.write("".join(f"{name}\n" for name in names))
            file.flush()


@pytest.mark.slow
def test_a_writer_killed_in_the_middle_leaves_whole_commits(postgres, postgres_server, tmp_path):
    context = multiprocessing.get_context("spawn")
    for killing in range(3):
        acknowledged = tmp_path / f"acknowledged{killing}"
        worker = context.Process(target=_write_on, args=(postgres_server, "killed", acknowledged))
        worker.start()
        while not acknowledged.exists() or acknowledged.stat().st_size < 3_000 * (killing + 1):
            assert worker.is_alive()
            worker.join(0.01)
        os.kill(worker.pid, signal.SIGKILL)
        worker.join()
    with postgres("killed", graph=FEATURES) as store:
        found = store.read("a", with_sample_history=True).collect()["id"].to_list()
        lines = [line for file in tmp_path.iterdir() for line in file.read_text().split("\n")[:-1]]
        assert len(found) == len(set(found))
        assert set(lines) <= set(found)
        assert len(found) % 200 == 0
        settle(store, "a", samples=rows({"id": ["after"]}))


@pytest.mark.slow
def test_increments_equal_the_oracles_after_random_edits(postgres):
    assert (
        first_failure(lambda declared: postgres(graph=declared.graph), range(700, 702), 12) is None
    )
