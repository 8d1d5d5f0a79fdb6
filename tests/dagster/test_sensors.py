"""The plain sensor: which runs it requests, in which order, and what it leaves alone."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from metaxy_dagster import MetaxyStore, increment_sensor
from tests.dagster.automated import History


class Ticks:
    """Ticks of an increment sensor over a history."""

    def __init__(self, history: History | None = None, **how: Any) -> None:
        self.history = history or History()
        self.sensor = increment_sensor(
            self.history.assets, store=self.history.store, graph=self.history.graph, **how
        )
        self.cursor: str | None = None

    def tick(self) -> dg.SensorResult:
        with dg.build_sensor_context(instance=self.history.instance, cursor=self.cursor) as context:
            result = self.sensor(context)
        assert isinstance(result, dg.SensorResult)
        self.cursor = result.cursor
        return result

    def requests(self) -> list[tuple[str, dict[str, str]]]:
        found = self.tick().run_requests or []
        return [(str(r.asset_selection[0].to_user_string()), dict(r.tags)) for r in found]  # type: ignore[index]


def test_a_run_is_requested_with_what_it_will_find() -> None:
    ticks = Ticks()
    ticks.history.list(a="1", b="1")
    assert ticks.requests() == [("ex/crop", {"metaxy/new": "2", "metaxy/stale": "0"})]


def test_without_preview_there_are_no_tags() -> None:
    ticks = Ticks(preview=False)
    ticks.history.list(a="1")
    assert ticks.requests() == [("ex/crop", {})]


def test_the_same_position_has_the_same_run_key_so_dagster_runs_it_once() -> None:
    ticks = Ticks()
    ticks.history.list(a="1")
    (first,) = ticks.tick().run_requests or []
    (second,) = ticks.tick().run_requests or []
    assert first.run_key == second.run_key
    ticks.history.run("ex/crop")
    ticks.history.list(a="1", b="1")
    (third,) = ticks.tick().run_requests or []
    assert third.run_key != first.run_key


def test_a_child_waits_until_its_parent_has_nothing_to_do() -> None:
    ticks = Ticks()
    ticks.history.list(a="1")
    ticks.history.run("ex/crop")
    ticks.history.list(a="1", b="1")
    result = ticks.tick()
    assert [r.asset_selection for r in result.run_requests or []] == [[dg.AssetKey(["ex", "crop"])]]
    ticks.history.run("ex/crop")
    assert ticks.requests() == [("ex/words", {"metaxy/new": "2", "metaxy/stale": "0"})]


def test_a_feature_that_runs_is_left_alone_and_so_are_those_below() -> None:
    ticks = Ticks()
    ticks.history.list(a="1")
    run = dg.DagsterRun(
        job_name="j",
        status=dg.DagsterRunStatus.STARTED,
        asset_selection=frozenset({dg.AssetKey(["ex", "crop"])}),
    )
    ticks.history.instance.add_run(run)
    result = ticks.tick()
    assert not result.run_requests
    assert result.skip_reason is not None
    assert "ex/crop runs" in (result.skip_reason.skip_message or "")


def test_nothing_to_do_is_said() -> None:
    ticks = Ticks()
    skip = ticks.tick().skip_reason
    assert skip is not None
    assert skip.skip_message == "No run is needed: nothing to do."


def test_the_store_is_not_asked_while_nothing_moved() -> None:
    ticks = Ticks()
    ticks.history.list(a="1")
    ticks.history.run("ex/crop", "ex/words")
    assert ticks.requests() == []
    with ticks.history.store.open("w") as opened:
        opened.delete("ex/crop", "true")
    assert ticks.requests() == []


def test_the_store_may_be_a_resource() -> None:
    history = History()
    sensor = increment_sensor(["ex/crop"], graph=history.graph)
    history.list(a="1")
    with dg.build_sensor_context(
        instance=history.instance,
        resources={"metaxy": history.store},
        repository_def=history.defs.get_repository_def(),
    ) as context:
        assert len(sensor.evaluate_tick(context).run_requests or []) == 1


def test_roots_are_left_out() -> None:
    history = History()
    sensor = increment_sensor(history.assets, graph=history.graph)
    assert sensor.asset_selection is not None
    chosen = sensor.asset_selection.resolve(history.assets)
    assert {key.to_user_string() for key in chosen} == {"ex/crop", "ex/words"}


WRITER = """
import sys, duckdb
connection = duckdb.connect(sys.argv[1])
print("locked", flush=True)
sys.stdin.readline()
connection.close()
print("free", flush=True)
sys.stdin.readline()
"""


@pytest.mark.slow
def test_a_file_that_another_process_writes_is_asked_again_at_the_next_tick(tmp_path: Path) -> None:
    path = str(tmp_path / "meta.duckdb")
    ticks = Ticks(History(MetaxyStore.duckdb(path)))
    ticks.history.list(a="1")
    command = [sys.executable, "-c", textwrap.dedent(WRITER), path]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdin is not None
        assert writer.stdout is not None
        assert writer.stdout.readline() == "locked\n"
        skip = ticks.tick().skip_reason
        assert skip is not None
        assert "asking again next tick" in (skip.skip_message or "")
        writer.stdin.write("\n")
        writer.stdin.flush()
        assert writer.stdout.readline() == "free\n"
        assert [key for key, _ in ticks.requests()] == ["ex/crop"]
        writer.stdin.write("\n")
