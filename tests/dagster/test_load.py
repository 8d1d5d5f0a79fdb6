"""Under load and faults: many chunks, many processes, killed ones, large graphs."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from metaxy_core import FeatureGraph, FeatureSpec, Graph, StoreUnavailableError
from metaxy_dagster import (
    Increment,
    MetaxyStore,
    build_feature_definitions,
    feature_asset,
    feature_specs,
    increment_sensor,
    metaxy_automation_sensor,
    on_increment,
)
from metaxy_dagster.automation import conditions
from metaxy_dagster.automation import tick as ticks
from metaxy_dagster.automation.rounds import Rounds
from tests.dagster import crowd
from tests.dagster.automated import History
from tests.dagster.conftest import resources, rows, videos

pytestmark = pytest.mark.slow

LONG = os.environ.get("METAXY_FUZZ") == "long"
KILLS = 20
long_profile = pytest.mark.skipif(
    not LONG, reason="one process per step takes seconds to start; see test_known_mistakes.py"
)
ALL = [(one,) for one in crowd.IDS]


@pytest.fixture
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MetaxyStore:
    monkeypatch.setenv("METAXY_TEST_CROWD", str(tmp_path))
    crowd.ask()
    crowd.list_videos()
    return crowd.store()


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    (tmp_path / "home").mkdir()
    with dg.instance_for_test(temp_dir=str(tmp_path / "home")) as made:
        yield made


def layered(layers: int) -> list[FeatureSpec]:
    """Three features per layer, each made from all three above it: 3**layers ways through."""
    return [
        FeatureSpec(
            f"l{layer}/f{n}", deps=[f"l{layer - 1}/f{m}" for m in range(3)] if layer else []
        )
        for layer in range(layers)
        for n in range(3)
    ]


# -- one run of many chunks ----------------------------------------------------------------------


def test_the_events_of_a_run_do_not_grow_with_its_chunks(
    instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    graph = FeatureGraph(
        [
            FeatureSpec("v", id_columns=["id"], provenance_from={"default": ["id"]}),
            FeatureSpec("c", id_columns=["id"], deps=["v"]),
        ]
    )
    store = MetaxyStore.memory(graph=graph)

    def events(chunk: int) -> int:
        @feature_asset("v", graph=graph)
        def v() -> Any:
            return pl.DataFrame({"id": range(300)})

        @feature_asset("c", graph=graph)
        def c(increment: Increment) -> Any:
            yield from increment.iter_batches(chunk)

        options = {"c": {"config": {"metaxy": {"force": True}}}}
        result = dg.materialize(
            [v, c], resources=resources(store), instance=instance, run_config={"ops": options}
        )
        path = tmp_path / "home" / "history" / "runs" / f"{result.run_id}.db"
        with sqlite3.connect(path) as connection:
            return int(
                connection.execute("SELECT sum(length(event)) FROM event_logs").fetchone()[0]
            )

    few, many = events(300), events(3)
    assert many < few + 50_000


# -- killed processes ----------------------------------------------------------------------------


@long_profile
def test_a_step_killed_at_any_moment_loses_and_repeats_at_most_its_chunk(
    shared: MetaxyStore, instance: dg.DagsterInstance
) -> None:
    rng = random.Random(11)
    job = dg.reconstructable(crowd.job_of_one)
    for number in range(KILLS):
        # A new sound makes every sample stale; killed in the function, or while rows are stored.
        crowd.list_videos(f"sound {number}")
        for left in crowd.folder().glob("*-cut*"):
            left.unlink()
        crowd.ask(kill={"cut": (rng.randrange(8), rng.choice([0, rng.random() / 5]))})
        with dg.execute_job(job, instance=instance) as killed:
            assert not killed.success
            again = dg.ReexecutionOptions.from_failure(killed.run_id, instance)
        with dg.execute_job(job, instance=instance, reexecution_options=again) as continued:
            assert continued.success
        counts = crowd.computed("cut")
        assert sorted(counts) == crowd.IDS
        assert sum(counts.values()) - len(crowd.IDS) in (0, crowd.CHUNK)
        assert rows(shared, "ex/cut") == ALL
        with shared.open("r") as opened:
            assert opened.resolve_update("ex/cut").is_empty
            assert opened.verify() == []


# -- many processes ------------------------------------------------------------------------------


@long_profile
def test_four_steps_in_four_processes_share_a_file_and_two_of_them_retry(
    shared: MetaxyStore, instance: dg.DagsterInstance
) -> None:
    crowd.ask(fail=["face", "text"])
    with dg.execute_job(dg.reconstructable(crowd.job_of_all), instance=instance) as result:
        assert result.success
        retried = {e.step_key for e in result.all_events if e.is_step_up_for_retry}
    assert retried == {"ex__face", "ex__text"}
    for name in crowd.NAMES:
        assert rows(shared, f"ex/{name}") == ALL
        repeated = crowd.CHUNK if name in ("face", "text") else 0
        assert sum(crowd.computed(name).values()) == len(ALL) + repeated


@long_profile
def test_four_steps_in_four_processes_share_a_file(
    shared: MetaxyStore, instance: dg.DagsterInstance
) -> None:
    with dg.execute_job(dg.reconstructable(crowd.job_of_all), instance=instance) as result:
        assert result.success
    for name in crowd.NAMES:
        assert rows(shared, f"ex/{name}") == ALL
        assert set(crowd.computed(name).values()) == {1}


def test_sensors_tick_beside_a_run_that_writes(shared: MetaxyStore) -> None:
    """A minute in the long profile, a tick each second; else as long as the run takes."""
    crowd.ask(pause=6 if LONG else 0)
    features = [f"ex/{name}" for name in crowd.NAMES]
    sensor = increment_sensor(features, graph=crowd.GRAPH, store=shared)
    assets = [
        feature_asset(key, graph=crowd.GRAPH, automation_condition=on_increment(shared))(
            lambda increment: increment.todo()
        )
        for key in features
    ]
    defs = dg.Definitions(assets, resources=resources(shared))
    process = multiprocessing.get_context("spawn").Process(target=crowd.run_one)
    process.start()
    said: list[str] = []
    began = time.monotonic()
    while process.is_alive() or not said:
        # Nothing is known of the videos here, so that every tick asks the store.
        with dg.DagsterInstance.ephemeral() as fresh:
            context = dg.build_sensor_context(instance=fresh, definitions=defs)
            said.append(str(sensor.evaluate_tick(context).skip_message))
            dg.evaluate_automation_conditions(defs, instance=fresh)
        process.join(timeout=1)
    assert process.exitcode == 0
    assert rows(shared, "ex/cut") == ALL
    assert not LONG or time.monotonic() - began >= 60


# -- large graphs --------------------------------------------------------------------------------


def test_a_graph_with_more_ways_than_could_be_walked_loads() -> None:
    graph = Graph(layered(40))
    compute = {
        key: (lambda increment: increment.todo()) if spec.deps else (lambda: None)
        for key, spec in graph.items()
    }
    store = MetaxyStore.memory(graph=graph)
    made = build_feature_definitions(
        graph, store=store, compute=compute, checks=True, automation="increment"
    )
    assert len(made.resolve_all_asset_keys()) == 120


def test_a_tick_asks_dagster_once_and_no_store_where_nothing_moved(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    graph = Graph(layered(8))
    store = MetaxyStore.memory(graph=graph)
    instance = dg.DagsterInstance.ephemeral()
    for key in graph:
        made = dg.AssetMaterialization(list(key.parts), tags={"dagster/data_version": "1"})
        instance.report_runless_asset_event(made)
    assets = [
        feature_asset(key, graph=graph, automation_condition=on_increment(store))(
            lambda increment: increment.todo()
        )
        for key, spec in graph.items()
        if spec.deps
    ]
    defs = dg.Definitions(assets, resources=resources(store))
    opened: list[Any] = []
    fetched: list[int] = []
    begin, open_store = ticks.Tick.begin, MetaxyStore.open

    def counted_open(self: MetaxyStore, *how: Any, **more: Any) -> Any:
        opened.append(how)
        return open_store(self, *how, **more)

    def counted_begin(asked: dg.DagsterInstance, keys: Any, *more: Any) -> Any:
        wanted = set(keys)
        fetched.append(len(wanted))
        return begin(asked, wanted, *more)

    monkeypatch.setattr(MetaxyStore, "open", counted_open)
    monkeypatch.setattr(ticks.Tick, "begin", counted_begin)
    first = dg.evaluate_automation_conditions(defs, instance=instance)
    assert len(opened) == len(assets)
    dg.evaluate_automation_conditions(defs, instance=instance, cursor=first.cursor)
    assert len(opened) == len(assets)
    assert fetched == [len(graph)] * 2


class TestATickThatTakesLong:
    """What it did not come to is asked at the next one, and nothing is forgotten meanwhile."""

    @pytest.fixture(autouse=True)
    def _no_time(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(ticks.Tick, "is_over", property(lambda tick: next(self.over)))

    over: Iterator[bool] = iter(())

    def test_of_conditions(self) -> None:
        history = History()
        condition = on_increment(history.store)
        history = History(history.store, automation_condition=condition)
        history.list(a="1")
        TestATickThatTakesLong.over = iter([True, False])
        asked: list[list[str]] = []
        cursor: Any = None
        for _ in range(2):
            result = dg.evaluate_automation_conditions(
                history.defs, instance=history.instance, cursor=cursor
            )
            cursor = result.cursor
            asked.append([r.key.to_user_string() for r in result.results if r.true_subset.size])
        assert asked == [[], ["ex/crop"]]

    def test_of_a_sensor(self) -> None:
        history = History()
        history.list(a="1")
        sensor = increment_sensor(["ex/crop", "ex/words"], graph=history.graph, store=history.store)
        TestATickThatTakesLong.over = iter([True, True, False, False])
        late, then = (
            sensor.evaluate_tick(
                dg.build_sensor_context(instance=history.instance, definitions=history.defs)
            )
            for _ in range(2)
        )
        assert late.run_requests == []
        assert late.skip_message == (
            "No run is needed: ex/crop and 1 more will be asked at the next tick."
        )
        assert [request.asset_selection for request in then.run_requests or ()] == [
            [dg.AssetKey(["ex", "crop"])]
        ]

    def test_of_a_sensor_whose_features_must_be_asked_at_every_tick(self) -> None:
        history = History()
        with history.store.open("w") as opened:  # by somebody else: Dagster knows of no video
            rows = opened.resolve_update("ex/video", samples=videos({"a": "1"})).todo()
            opened.write("ex/video", rows)
        sensor = increment_sensor(["ex/crop", "ex/words"], graph=history.graph, store=history.store)
        cursor, asked = None, []
        # The first tick has time for one feature, the second for the other.
        for over in ([False, True], [False]):
            left = iter(over)
            TestATickThatTakesLong.over = left
            context = dg.build_sensor_context(
                instance=history.instance, definitions=history.defs, cursor=cursor
            )
            cursor = sensor.evaluate_tick(context).cursor
            asked.append(sorted(name for name in json.loads(cursor or "{}") if name))
            assert next(left, None) is None
        assert [len(names) for names in asked] == [1, 2]

    def test_of_conditions_whose_features_must_be_asked_at_every_tick(self) -> None:
        # Each tick has time for one feature, until all have been asked.
        asked = self._asked([[False, True, True], [False, True], [False]] * 2)
        assert asked == list("abcabc")

    def test_a_process_that_has_just_started_goes_on_with_the_round(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def restarted() -> None:
            monkeypatch.setattr(conditions, "_ROUNDS", Rounds())

        over = [[False, True, True], [False, True], [False], [False, False, False]]
        assert self._asked(over, between={1: restarted}) == list("abcabc")

    def test_where_every_tick_has_a_process_of_its_own_a_round_ends_with_the_second(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def restarted() -> None:
            monkeypatch.setattr(conditions, "_ROUNDS", Rounds())

        over = [[False] * 3, [], [False] * 3, [], [False] * 3]
        between = dict.fromkeys(range(1, 5), restarted)
        assert self._asked(over, between=between) == list("abcabcabc")

    def _asked(
        self,
        ticks: Sequence[Sequence[bool]],
        between: Mapping[int, Callable[[], None]] | None = None,
    ) -> list[str]:
        """The features requested in ticks that are over so; a sample comes before each round."""
        graph = FeatureGraph(
            [
                FeatureSpec("v", id_columns=["id"], provenance_from={"default": ["id"]}),
                *(FeatureSpec(key, id_columns=["id"], deps=["v"]) for key in "abc"),
            ]
        )
        store, instance = MetaxyStore.memory(graph=graph), dg.DagsterInstance.ephemeral()
        assets = [
            feature_asset(key, graph=graph, automation_condition=on_increment(store))(
                lambda increment: increment.todo()
            )
            for key in "abc"
        ]
        defs = dg.Definitions(
            [*feature_specs(["v"], graph=graph), *assets],
            resources=resources(store),
            sensors=[metaxy_automation_sensor()],
        )
        repository = defs.get_repository_def()
        sensor = repository.get_sensor_def("metaxy_automation")
        cursor: str | None = None
        asked: list[str] = []
        for number, over in enumerate(ticks):
            (between or {}).get(number, lambda: None)()
            if len(asked) % 3 == 0:
                with store.open("w") as opened:  # by somebody else: Dagster knows nothing of v
                    listed = pl.DataFrame({"id": range(number + 1)})
                    opened.write("v", opened.resolve_update("v", samples=listed).todo())
            left = TestATickThatTakesLong.over = iter(over)
            context = dg.build_sensor_context(
                instance=instance, repository_def=repository, cursor=cursor
            )
            tick = sensor.evaluate_tick(context)
            cursor = tick.cursor
            assert next(left, None) is None
            keys = [key for one in tick.run_requests or () for key in one.asset_selection or ()]
            asked += sorted(key.to_user_string() for key in keys)
        return asked

    def test_a_locked_store_is_waited_for_once_in_a_tick_of_conditions(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        graph = FeatureGraph([FeatureSpec("v"), *(FeatureSpec(key, deps=["v"]) for key in "abc")])
        stores = {key: MetaxyStore.memory(graph=graph) for key in ("a", "c")}
        stores["b"] = stores["a"]
        assets = [
            feature_asset(key, graph=graph, automation_condition=on_increment(stores[key]))(
                lambda increment: increment.todo()
            )
            for key in "abc"
        ]
        opened: list[str] = []

        def locked(self: MetaxyStore, *how: Any, **more: Any) -> Any:
            opened.append(self.path)
            raise StoreUnavailableError(self.path, "locked", "another process has it")

        monkeypatch.setattr(MetaxyStore, "open", locked)
        TestATickThatTakesLong.over = iter([False] * 3)
        with dg.DagsterInstance.ephemeral() as instance:
            defs = dg.Definitions(assets, resources=resources(stores["a"]))
            dg.evaluate_automation_conditions(defs, instance=instance)
        assert opened == [stores["a"].path, stores["c"].path]
