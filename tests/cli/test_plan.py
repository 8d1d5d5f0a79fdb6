"""`metaxy plan`, `explain` and `failures` in a project."""

from __future__ import annotations

import json

import polars as pl
import pytest

from metaxy_core import DuckDBMetadataStore, FeatureGraph, use_graph
from metaxy_core.work import WorkPlan


@pytest.fixture
def filled(here):
    """Three videos, cropped; then one has another sound, and one crop failed."""

    def rows(**audio):
        structs = [{"audio": text, "frames": "1"} for text in audio.values()]
        return pl.DataFrame({"id": list(audio), "metaxy_provenance_by_field": structs})

    with use_graph(FeatureGraph()) as graph:
        exec((here.path / "cli_features.py").read_text(), {"__name__": "plan_features"})
    store = DuckDBMetadataStore("meta.duckdb", graph=graph, materialization_id="run1")
    with store.open("w"):
        todo = store.resolve_update("video", samples=rows(a="1", b="1", c="1")).todo()
        store.write("video", todo)
        for key in ("crop", "faces"):
            store.write(key, store.resolve_update(key).todo())
        store.push()
        todo = store.resolve_update("video", samples=rows(a="2", b="2", c="1")).todo()
        store.write("video", todo)
        stale = store.resolve_update("crop").todo().to_native()
        store.record_failures("crop", stale.filter(pl.col("id") == "b"), ValueError("no <i>"))
        store.record_run("crop", units=10, seconds=20)
    return here


def test_the_plan_tells_counts_causes_time_and_what_follows(filled):
    ran = filled.run("plan")
    assert ran.code == 2
    table, causes = ran.out.split("\n\n", 1)
    assert [line.split() for line in table.splitlines()[1:]] == [
        ["video", "3", "0", "0", "0", "0", "0", "-"],
        ["crop", "3", "0", "1", "0", "1", "1", "2.0", "s"],
        ["faces", "3", "0", "0", "0", "0", "0", "-"],
    ]
    assert causes == (
        "crop\n  1 by new video.audio\n\n1 sample planned, 2.0 s\n"
        "Failed, and left out: 1; `metaxy failures list` tells why.\n"
    )


def test_a_code_change_is_planned_through_the_graph(filled):
    filled.declare(code=2)
    ran = filled.run("plan", "--out", "plan.json", "--format", "json")
    assert ran.code == 2
    told = {one["feature"]: one for one in json.loads(ran.out)["features"]}
    assert told["video"]["then"]["stale"] == told["crop"]["then"]["stale"] == 3
    assert told["crop"]["now"]["stale"] == 1
    assert told["crop"]["causes"][0]["code"][0]["after"] == "2"
    assert WorkPlan.load("plan.json").of("crop").units == (("a",), ("b",), ("c",))


def test_a_limited_plan_and_one_in_sync(filled):
    filled.declare(code=2)
    told = json.loads(filled.run("plan", "crop", "--max-samples", "2", "--format", "json").out)
    assert [(one["feature"], one["planned"]) for one in told["features"]] == [("crop", 2)]
    ran = filled.run("plan", "crop", "--max-samples", "2")
    assert "2 samples planned, 4.0 s, 1 left out by the limits" in ran.out
    filled.declare(code=1)
    ran = filled.run("plan", "faces")
    assert (ran.code, ran.out.splitlines()[-1]) == (0, "Everything is up to date.")


def test_one_sample_and_a_whole_increment_are_explained(filled):
    ran = filled.run("explain", "crop", "a")
    assert ran.out.splitlines()[1].strip() == "crop.audio differs"
    assert "new data of video.audio" in ran.out
    assert (
        json.loads(filled.run("explain", "crop", "id=a", "--format", "json").out)["status"]
        == "stale"
    )
    assert filled.run("explain", "crop").out == (
        "1 by new video.audio\nFailed, and left out: 1; `metaxy failures list` tells why.\n"
    )
    assert "failed with ValueError: no <i> (attempt 1" in filled.run("explain", "crop", "b").out
    assert filled.run("explain", "faces").out == "faces has nothing to do.\n"
    ran = filled.run("explain", "crop", "other=a")
    assert (ran.code, "is named by id" in ran.err) == (1, True)


def test_failures_are_listed_retried_and_cleared(filled):
    ran = filled.run("failures", "list")
    assert ran.code == 2
    assert "ValueError" in ran.out
    (told,) = json.loads(filled.run("failures", "list", "crop", "--format", "json").out)
    assert (told["sample"], told["state"], told["message"]) == ({"id": "b"}, "waits", "no <i>")
    ran = filled.run("failures", "retry", "crop", "--dry-run")
    assert (ran.out.splitlines()[-1], ran.err) == ("1 unit to be offered again.", "")
    ran = filled.run("failures", "retry", "crop")
    assert (ran.out.splitlines()[-1], ran.err) == ("1 unit offered again.", "")
    assert filled.run("failures", "clear", "crop").out == "No units forgotten.\n"
    ran = filled.run("failures", "list")
    assert (ran.code, ran.out) == (0, "No sample has failed.\n")
    assert filled.run("plan", "--format", "json").code == 2
    ran = filled.run("failures", "clear", "crop", "--where", "no_such > 1")
    assert (ran.code, "no_such" in ran.err) == (1, True)
