import json

import pytest

from metaxy_core import Graph, GraphSnapshot


def test_a_graph_is_recorded_once(here):
    first, second = here.run("push"), here.run("push")
    assert (first.code, second.code) == (0, 0)
    assert first.out.startswith("Recorded ")
    assert "(3 features)" in first.out
    assert "is already the newest" in second.out


def test_push_as_json(here):
    ran = json.loads(here.run("push", "--format", "json").out)
    assert [(one["recorded"], one["features"]) for one in ran] == [(True, 3)]


def test_history_is_newest_first(here):
    here.run("push")
    here.declare(code=2)
    here.run("graph", "push")
    rows = json.loads(here.run("graph", "history", "--format", "json").out)
    latest = GraphSnapshot.from_json(here.run("graph", "snapshot").out)
    assert len(rows) == 2
    assert rows[0]["version"] == latest.version
    assert rows[0]["recorded_at"].endswith("+00:00")


def test_history_needs_no_features(here):
    here.run("push")
    here.configure('store = "meta.duckdb"\n')
    assert here.run("graph", "history").out.splitlines()[0].split() == [
        "version", "tags", "recorded", "at", "features", "project",
    ]  # fmt: skip


def test_a_store_without_history_says_how_to_begin_one(here):
    from metaxy_core import DuckDBMetadataStore

    with DuckDBMetadataStore("meta.duckdb", graph=Graph()).open("w"):
        pass
    ran = here.run("graph", "history")
    assert (ran.code, ran.out) == (
        0,
        "No graph of the project 'default' is recorded; `metaxy push` records one.\n",
    )


def test_a_snapshot_goes_into_a_file(here):
    ran = here.run("graph", "snapshot", "--output", "graph.json")
    assert (ran.code, ran.out, ran.err) == (0, "", "Wrote graph.json\n")
    text = (here.path / "graph.json").read_text()
    assert len(GraphSnapshot.from_json(text).graph) == 3


def test_a_tag_names_a_recorded_graph(here):
    assert here.run("push", "--tag", "v1").code == 0
    here.declare(code=2)
    here.run("push", "--tag", "v2")
    here.declare(code=3)
    shown = json.loads(here.run("graph", "diff", "v1", "v2", "--format", "json").out)
    rows = json.loads(here.run("graph", "history", "--format", "json").out)
    assert [row["tags"] for row in rows] == [["v2"], ["v1"]]
    assert [shown["after"], shown["before"]] == [row["version"][:8] for row in rows]


def test_a_graph_that_is_recorded_already_gets_a_tag_and_is_not_recorded_again(here):
    here.run("push")
    ran = here.run("push", "--tag", "release/1.0")
    assert "is already the newest" in ran.out
    assert ran.out.endswith("It has the tag release/1.0.\n")
    rows = json.loads(here.run("graph", "history", "--format", "json").out)
    assert [row["tags"] for row in rows] == [["release/1.0"]]


def test_a_tag_of_another_graph_is_moved_only_when_asked(here):
    here.run("push", "--tag", "prod")
    here.declare(code=2)
    refused = here.run("push", "--tag", "prod")
    assert refused.code == 1
    assert "Another recorded graph has the tag 'prod'" in refused.err
    assert len(json.loads(here.run("graph", "history", "--format", "json").out)) == 1
    assert here.run("push", "--tag", "prod", "--move-tag").code == 0
    rows = json.loads(here.run("graph", "history", "--format", "json").out)
    assert [row["tags"] for row in rows] == [["prod"], []]


@pytest.mark.parametrize("tag", ["latest", "code", "main.json", "git:main", "", "a b", "-x", "é"])
def test_a_tag_that_could_be_taken_for_something_else_is_refused(here, tag):
    ran = here.run("push", f"--tag={tag}")
    assert (ran.code, ran.out) == (1, "")
    assert "cannot have the tag" in ran.err


def test_a_dry_run_says_whether_the_graph_would_be_recorded(here):
    assert here.run("push", "--dry-run").out.startswith("Would record ")
    assert not (here.path / "meta.duckdb").exists()
    here.run("push")
    assert "is already the newest" in here.run("push", "--dry-run").out


def test_snapshot_has_the_short_option_for_a_file(here):
    assert here.run("graph", "snapshot", "-o", "graph.json").code == 0
    assert (here.path / "graph.json").is_file()
