"""The store as a resource: in assets, sensors and schedules, with settings and graph."""

from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest
from dagster_duckdb import DuckDBResource

from metaxy_core import ConfigError, FeatureGraph, StoreUnavailableError
from metaxy_dagster import MetaxyIOManager, MetaxyStore
from tests.dagster.conftest import videos


def test_the_run_id_is_stamped_on_rows(store: MetaxyStore) -> None:
    @dg.asset
    def a(metaxy: MetaxyStore) -> None:
        with metaxy.open("w") as opened:
            opened.write("ex/video", videos({"a": "1"}))

    result = dg.materialize([a], resources={"metaxy": store})
    with store.open() as opened:
        found = opened.read("ex/video").collect("polars")
    assert found["metaxy_materialization_id"].to_list() == [result.run_id]


def test_a_given_run_id_wins(store: MetaxyStore) -> None:
    with store.open("w", run_id="mine") as opened:
        assert opened.materialization_id == "mine"


def test_it_works_in_a_sensor_and_a_schedule_without_a_run(store: MetaxyStore) -> None:
    @dg.sensor(job_name="j")
    def sensor(metaxy: MetaxyStore) -> dg.SkipReason:
        with metaxy.open("r") as opened:
            return dg.SkipReason(f"{opened.materialization_id} {len(opened.graph)}")

    @dg.schedule(cron_schedule="@daily", job_name="j")
    def schedule(metaxy: MetaxyStore) -> dg.SkipReason:
        with metaxy.open("r") as opened:
            return dg.SkipReason(f"{opened.materialization_id} {len(opened.graph)}")

    sensed = sensor(dg.build_sensor_context(resources={"metaxy": store}))
    scheduled = schedule(dg.build_schedule_context(resources={"metaxy": store}))
    assert (sensed.skip_message, scheduled.skip_message) == ("None 5", "None 5")


def test_an_environment_variable_is_read_at_run_time(
    graph: FeatureGraph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = MetaxyStore.duckdb(dg.EnvVar("WHERE_IT_IS"), graph=graph)
    monkeypatch.setenv("WHERE_IT_IS", str(tmp_path / "here.duckdb"))

    @dg.asset
    def a(metaxy: MetaxyStore) -> None:
        with metaxy.open("w") as opened:
            opened.push()

    dg.materialize([a], resources={"metaxy": store})
    assert (tmp_path / "here.duckdb").exists()


def test_the_graph_survives_configuration_and_nesting(store: MetaxyStore) -> None:
    seen: list[Any] = []

    class Own(dg.ConfigurableResource[Any]):
        inner: dg.ResourceDependency[MetaxyStore]

    @dg.asset
    def a(own: Own) -> None:
        with own.inner.open("r") as opened:
            seen.append(len(opened.graph))

    dg.materialize([a], resources={"own": Own(inner=store)})
    assert seen == [5]


def test_from_duckdb_shares_file_and_settings(graph: FeatureGraph, tmp_path: Path) -> None:
    path = str(tmp_path / "both.duckdb")
    database = DuckDBResource(database=path, connection_config={"threads": 1})
    store = MetaxyStore.from_duckdb(database, graph=graph)
    assert (store.path, store.settings) == (path, {"threads": 1})

    @dg.asset
    def a(metaxy: MetaxyStore, db: DuckDBResource) -> None:
        with db.get_connection() as connection:
            connection.execute("CREATE TABLE result AS SELECT 1 AS x")
        with metaxy.open("w") as opened:
            opened.write("ex/video", videos({"a": "1"}))

    dg.materialize([a], resources={"metaxy": store, "db": database})
    with duckdb.connect(path) as connection:
        tables = {name for (name,) in connection.execute("SHOW TABLES").fetchall()}
    assert {"result", "ex__video"} <= tables


def test_reading_a_store_that_was_never_written_says_so(duckdb_store: MetaxyStore) -> None:
    with pytest.raises(StoreUnavailableError) as error, duckdb_store.open("r"):
        pass
    assert error.value.reason == "missing"


def test_no_connection_stays_open(duckdb_store: MetaxyStore) -> None:
    with duckdb_store.open("w") as opened:
        opened.push()
    with duckdb.connect(duckdb_store.path, config={"threads": 1}) as other:
        assert other.execute("SELECT 1").fetchone() == (1,)


def test_the_io_manager_needs_no_arguments() -> None:
    assert MetaxyIOManager().store.path == "metaxy.duckdb"


def test_in_memory_stores_are_separate(graph: FeatureGraph) -> None:
    first, second = MetaxyStore.memory(graph=graph), MetaxyStore.memory(graph=graph)
    with first.open("w") as opened:
        opened.write("ex/video", videos({"a": "1"}))
    with second.open("r") as opened:
        assert not opened.has_feature("ex/video")


CONFIGURED = """
store = "dev"
[stores.dev]
type = "duckdb"
path = "meta.duckdb"
fallback_stores = ["scratch"]
[stores.scratch]
type = "memory"
[stores.secret]
type = "postgres"
dsn = "${THE_DSN}"
"""


@pytest.fixture
def configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "metaxy.toml").write_text(CONFIGURED)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_store_comes_from_the_configuration(configured: Path, graph: FeatureGraph) -> None:
    store = MetaxyStore.from_config(graph=graph)
    made = store.describe()
    assert made.display() == f"dev (duckdb://{configured}/meta.duckdb)"
    assert [other.name for other in made.fallback_stores] == ["scratch"]
    assert store.store_kind == "duckdb"

    @dg.asset
    def a(metaxy: MetaxyStore) -> None:
        with metaxy.open("w") as opened:
            opened.push()

    result = dg.materialize([a], resources={"metaxy": store})
    with store.open() as opened:
        assert len(opened.snapshots()) == 1
        assert result.success


def test_the_configuration_is_found_from_elsewhere(
    configured: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = MetaxyStore.from_config()
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert store.describe().display() == f"dev (duckdb://{configured}/meta.duckdb)"


def test_a_named_store_in_memory_is_one_per_process(configured: Path, graph: FeatureGraph) -> None:
    with MetaxyStore(name="scratch").with_graph(graph).open("w") as opened:
        assert opened.push()
    with MetaxyStore.from_config("scratch", graph=graph).open("w") as opened:
        assert not opened.push()


def test_a_mistake_in_the_configuration_is_told_when_the_store_is_named(configured: Path) -> None:
    with pytest.raises(ConfigError, match="THE_DSN"):
        MetaxyStore.from_config("secret")
    with pytest.raises(ConfigError, match="no store 'dve'.*Did you mean 'dev'"):
        MetaxyStore.from_config("dve")


def test_no_secret_is_in_the_resource(configured: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THE_DSN", "postgresql://me:s3cret@host/db")
    store = MetaxyStore.from_config("secret")
    assert "s3cret" not in repr(store) + str(store.model_dump()) + repr(store.describe())
    assert store.store_kind == "postgres"


def test_secrets_are_no_settings_of_a_resource_because_dagster_shows_those() -> None:
    with pytest.raises(ValueError, match="motherduck_token: Dagster shows"):
        MetaxyStore.duckdb("meta.duckdb", settings={"motherduck_token": "x"})
