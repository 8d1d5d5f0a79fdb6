import re

import pytest

GRAPH = """
from metaxy_core import FeatureGraph, FeatureSpec
graph = FeatureGraph([FeatureSpec("only")])
frozen = graph.freeze()
"""


def listed(here, *arguments):
    ran = here.run("list", "features", *arguments)
    return [line.split()[0] for line in ran.out.splitlines()[1:]]


def test_an_option_wins_over_the_environment_and_that_over_the_file(here, monkeypatch):
    for name in ("file", "environment", "option"):
        here.declare(text=GRAPH.replace("only", name), module=f"cli_features_{name}")
    here.configure('module = "cli_features_file:graph"\n')
    assert listed(here) == ["file"]
    monkeypatch.setenv("METAXY_MODULE", "cli_features_environment:graph")
    assert listed(here) == ["environment"]
    assert listed(here, "--module", "cli_features_option:graph") == ["option"]


@pytest.mark.parametrize("name", ["graph", "frozen"])
def test_a_graph_can_be_named_in_its_module(here, name):
    here.declare(text=GRAPH)
    assert listed(here, "--module", f"cli_features:{name}") == ["only"]


def test_a_file_above_is_found_and_its_store_is_beside_it(here, monkeypatch):
    (here.path / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(here.path / "a" / "b")
    assert here.run("push").code == 0
    assert (here.path / "meta.duckdb").is_file()


def test_pyproject_is_read_where_it_has_the_table(here):
    (here.path / "metaxy.toml").unlink()
    here.configure('[tool.metaxy]\nmodule = "cli_features"\n', "pyproject.toml")
    assert listed(here) == ["video", "crop", "faces"]


def test_a_pyproject_without_the_table_is_the_root_where_the_search_ends(here, monkeypatch):
    (here.path / "inner").mkdir()
    here.configure("[tool.other]\n", "inner/pyproject.toml")
    monkeypatch.chdir(here.path / "inner")
    assert "Which features?" in here.run("list", "features").err


@pytest.mark.parametrize(
    ("arguments", "file", "told"),
    [
        (["list", "features"], "", "Which features? Give --module"),
        (["push"], 'module = "cli_features"', "Which store? Give --store"),
        (["list", "features"], "module = 3", "'module': Input should be a valid string"),
        (["list", "features"], "module = ", "metaxy.toml:1: this is not TOML"),
        (["list", "features", "--module", "nope.x"], "", "There is no module 'nope'"),
        (["list", "features", "--module", "../x"], "", "named like package.features"),
        (["list", "features", "--module", "cli_features:nope"], "", "has no graph 'nope'"),
        (["status", "--store", "none.duckdb"], 'module = "cli_features"', "there is no such file"),
        (["graph", "render", "-o", "no/x"], 'module = "cli_features"', "Cannot write no/x"),
        (["graph", "render", "--around", "a//b"], 'module = "cli_features"', "is not allowed"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_message_and_exit_code_1(here, arguments, file, told):
    here.configure(file)
    ran = here.run(*arguments)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("metaxy: ")
    assert ran.err.count("\n") == 1
    assert told in ran.err


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("import there_is_no_such_package", "it needs 'there_is_no_such_package'"),
        ("from metaxy_core import *\nFeatureSpec('a', nope=1)", "nope: Extra inputs"),
        ("from metaxy_core import *\nFeatureSpec('a__b')", "is not allowed"),
    ],
)
def test_a_module_with_a_mistake_is_told_so(here, text, told):
    here.declare(text=text)
    ran = here.run("list", "features")
    assert (ran.code, ran.out) == (1, "")
    assert told in ran.err


@pytest.mark.parametrize("arguments", [["nope"], ["graph", "render", "--format", "nope"]])
def test_a_wrong_argument_is_exit_code_1(here, arguments):
    ran = here.run(*arguments)
    assert ran.code == 1
    assert "nope" in ran.err


def test_a_file_that_is_no_database_is_refused(here):
    (here.path / "meta.duckdb").write_text("junk")
    ran = here.run("status")
    assert ran.code == 1
    assert "not a readable DuckDB database" in ran.err


def test_graphs_are_recorded_and_found_per_project(here, monkeypatch):
    assert here.run("push", "--project", "one").code == 0
    assert here.run("graph", "diff", "--project", "one").code == 0
    assert "has no one snapshot 'latest'" in here.run("graph", "diff").err
    monkeypatch.setenv("METAXY_PROJECT", "one")
    assert here.run("graph", "history").out.split()[-1] == "one"
    monkeypatch.delenv("METAXY_PROJECT")
    here.configure('module = "cli_features"\nstore = "meta.duckdb"\nproject = "one"\n')
    assert "is already the newest" in here.run("push").out


def test_a_store_of_another_hash_is_opened_with_it(here):
    assert here.run("push", "--hash-algorithm", "sha256").code == 0
    assert "hash_algorithm='sha256'" in here.run("graph", "history").err
    here.configure('module = "cli_features"\nstore = "meta.duckdb"\nhash_algorithm = "sha256"\n')
    assert here.run("graph", "history").code == 0
    assert here.run("status").code == 2
    assert "There are: md5, sha256" in here.run("push", "--hash-algorithm", "crc").err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = 1\nraise ValueError('boom')\n", r"cli_features\.py:2: ValueError: boom"),
        ("def f(:\n", r"cli_features\.py:1: SyntaxError"),
    ],
)
def test_an_error_in_the_users_module_is_told_with_its_place(here, text, said):
    here.declare(text=text)
    ran = here.run("list", "features", "--module", "cli_features")
    assert ran.code == 1
    assert re.search(said, ran.err)
    assert "Traceback" not in ran.err


def test_a_module_with_a_graph_and_no_classes_hints_at_the_graph(here):
    here.declare(text="from metaxy_core import FeatureGraph\nmine = FeatureGraph()\n")
    ran = here.run("list", "features", "--module", "cli_features")
    assert (ran.code, "--module cli_features:mine" in ran.err) == (1, True)
