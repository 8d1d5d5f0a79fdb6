"""A new project runs as it is written."""

from __future__ import annotations

import json
import sys

import pytest

from metaxy_core import FeatureGraph, use_graph

FILES = [
    ".gitignore", "README.md", "metaxy.toml", "my_films/__init__.py", "my_films/definitions.py",
    "my_films/features.py", "texts/hamlet.txt",
]  # fmt: skip


@pytest.fixture
def fresh(here):
    (here.path / "metaxy.toml").unlink()
    yield here
    forget()


def forget():
    for name in [name for name in sys.modules if name.startswith("my_films")]:
        del sys.modules[name]


def files(path):
    return sorted(str(f.relative_to(path)) for f in path.rglob("*") if f.is_file())


def test_a_dry_run_names_the_files_and_writes_none(fresh):
    ran = fresh.run("init", "My Films", "--dry-run", "--format", "json")
    assert ran.code == 0
    assert sorted(one["path"].removeprefix("My Films/") for one in json.loads(ran.out)) == FILES
    assert not (fresh.path / "My Films").exists()


def test_a_new_project_lists_its_features_and_says_what_there_is_to_do(fresh, monkeypatch):
    assert fresh.run("init", "My Films").code == 0
    assert files(fresh.path / "My Films") == FILES
    assert len((fresh.path / "My Films" / "README.md").read_text().splitlines()) <= 15
    monkeypatch.chdir(fresh.path / "My Films")
    assert [line.split()[0] for line in fresh.run("list", "features").out.splitlines()] == [
        "feature", "docs/text", "docs/words",
    ]  # fmt: skip
    forget()
    assert fresh.run("push").code == 0
    forget()
    assert fresh.run("status").code == 2


@pytest.mark.slow
def test_the_definitions_of_a_new_project_load_and_run(fresh, monkeypatch):
    import dagster as dg

    assert fresh.run("init", "My Films").code == 0
    monkeypatch.chdir(fresh.path / "My Films")
    monkeypatch.syspath_prepend(str(fresh.path / "My Films"))
    with use_graph(FeatureGraph()):
        from my_films.definitions import defs, words  # type: ignore[import-not-found]

        assert words.key in {spec.key for spec in defs.resolve_all_asset_specs()}
        job = defs.resolve_implicit_global_asset_job_def()
        with dg.DagsterInstance.ephemeral() as instance:
            assert job.execute_in_process(instance=instance).success
    forget()
    found = json.loads(fresh.run("metadata", "status", "--format", "json").out)
    assert [one["samples"] for one in found] == [1, 1]


def test_nothing_is_overwritten(fresh):
    (fresh.path / "README.md").write_text("mine")
    before = files(fresh.path)
    ran = fresh.run("init", "--name", "my-films")
    assert (ran.code, ran.out) == (1, "")
    assert "there is already: README.md" in ran.err
    assert files(fresh.path) == before
    assert (fresh.path / "README.md").read_text() == "mine"


@pytest.mark.parametrize(
    ("name", "package"),
    [("json", "project_json"), ("3d", "project_3d"), ("Ünï", "n"), ("class", "project_class")],
)
def test_a_project_has_a_module_that_can_be_imported(fresh, name, package):
    assert fresh.run("init", "x", "--name", name).code == 0
    assert (fresh.path / "x" / package / "features.py").is_file()
