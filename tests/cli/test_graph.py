import json
from xml.etree import ElementTree

import pytest


def test_the_graph_is_drawn_for_the_terminal(here):
    ran = here.run("graph", "render")
    assert ran.code == 0
    assert ran.out.splitlines()[1].startswith("└── video ")
    assert "\x1b" not in ran.out


@pytest.mark.parametrize(
    ("format", "start"),
    [
        ("mermaid", "flowchart LR"),
        ("svg", "<svg"),
        ("markdown", "Graph `"),
        ("json", "{"),
        ("cards", "Graph "),
        ("dot", "digraph features {"),
        ("yaml", "format: 1"),
    ],
)
def test_the_graph_is_drawn_in_every_format(here, format, start):
    assert here.run("graph", "render", "--format", format).out.startswith(start)


def test_a_picture_goes_into_a_file(here):
    ran = here.run("graph", "render", "--format", "svg", "-o", "graph.svg")
    assert (ran.code, ran.out) == (0, "")
    ElementTree.parse(here.path / "graph.svg")


def test_only_what_is_near_is_drawn(here):
    ran = here.run("graph", "render", "--around", "faces", "--format", "json")
    drawn = json.loads(ran.out)
    assert [node["key"] for node in drawn["nodes"]] == ["crop", "faces"]


@pytest.mark.parametrize(
    ("options", "keys"),
    [
        (["--up", "1"], ["video", "crop", "faces"]),
        (["--up", "0"], ["crop", "faces"]),
        (["--down", "0"], ["video", "crop"]),
        (["--hops", "0"], ["crop"]),
        (["--up", "0", "--down", "0"], ["crop"]),
    ],
)
def test_a_slice_goes_up_and_down(here, options, keys):
    ran = here.run("graph", "render", "--around", "crop", *options, "--format", "json")
    assert [node["key"] for node in json.loads(ran.out)["nodes"]] == keys


def test_a_slice_of_a_diff(here):
    here.run("push")
    here.declare(code=2)
    ran = here.run("graph", "diff", "--around", "crop", "--up", "0", "--format", "json")
    assert ran.code == 2
    assert [node["key"] for node in json.loads(ran.out)["nodes"]] == ["crop", "faces"]


@pytest.mark.parametrize("options", [["--around", "nothing"], ["--around", "crop", "--up", "-1"]])
def test_a_slice_that_cannot_be_is_refused(here, options):
    assert here.run("graph", "render", *options).code == 1


def test_a_diff_is_a_comment_for_a_pull_request(here):
    here.run("push")
    here.declare(code=2)
    ran = here.run("graph", "diff", "--format", "pull-request")
    assert ran.code == 2
    assert ran.out.startswith("## Features: 1 changed, 1 affected, 1 pruned\n\n2 features have to ")
    assert "\n<details><summary>Picture</summary>\n\n```mermaid\n" in ran.out


def test_code_that_was_recorded_does_not_differ(here):
    here.run("push")
    ran = here.run("graph", "diff")
    assert ran.code == 0
    assert "nothing changed" in ran.out


def test_a_code_version_is_a_difference(here):
    here.run("push")
    here.declare(code=2)
    ran = here.run("graph", "diff")
    assert ran.code == 2
    assert "~ audio" in ran.out
    assert "code 1 → 2" in ran.out
    assert "o faces" in ran.out


def test_a_description_is_a_difference(here):
    here.run("push")
    here.declare(text=(here.path / "cli_features.py").read_text().replace("A video.", "A film."))
    ran = here.run("graph", "diff")
    assert ran.code == 2
    assert "changed, cosmetic" in ran.out


def test_unchanged_features_are_shown_when_asked(here):
    here.run("push")
    shown = json.loads(here.run("graph", "diff", "--all", "--format", "json").out)
    assert (len(shown["nodes"]), shown["hidden"]) == (3, 0)


def test_two_recorded_graphs_are_compared_by_the_start_of_their_versions(here):
    here.run("push")
    here.declare(code=2)
    here.run("push")
    rows = json.loads(here.run("graph", "history", "--format", "json").out)
    new, old = (row["version"] for row in rows)
    shown = json.loads(here.run("graph", "diff", old[:6], new[:6], "--format", "json").out)
    assert (shown["before"], shown["after"]) == (old[:8], new[:8])


def test_a_file_is_compared_without_a_store(here):
    here.configure('module = "cli_features"\n')
    here.run("graph", "snapshot", "--output", "main.json")
    assert here.run("graph", "diff", "main.json").code == 0
    here.declare(code=2)
    assert here.run("graph", "diff", "main.json", "code").code == 2


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "Cannot read the snapshot main.json: No such file or directory."),
        ("junk", "This is not a graph snapshot"),
        ('{"features": 3, "version": "x"}', "This is not a graph snapshot"),
        ('{"features": [{"key": "a", "nope": 1}], "version": "x"}', "nope: Extra inputs"),
        (
            '{"features": [], "format": 1, "version": "x"}',
            "it was changed, or made by another formula",
        ),
    ],
)
def test_a_file_that_is_no_snapshot_is_refused(here, text, told):
    if text is not None:
        (here.path / "main.json").write_text(text)
    ran = here.run("graph", "diff", "main.json")
    assert (ran.code, ran.out) == (1, "")
    assert told in ran.err


def test_without_a_recorded_graph_there_is_nothing_to_compare_with(here):
    here.run("push")
    ran = here.run("graph", "diff", "abcdef")
    assert ran.code == 1
    assert "no one snapshot 'abcdef'" in ran.err


def test_hops_without_a_feature_are_refused(here):
    ran = here.run("graph", "render", "--hops", "2")
    assert (ran.code, ran.out) == (1, "")
    assert "give --around FEATURE" in ran.err
