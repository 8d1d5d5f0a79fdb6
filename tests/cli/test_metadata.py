"""`metaxy metadata`: what is stored is kept in order, and every command says what it did."""

from __future__ import annotations

import json
import sys

import duckdb
import polars as pl
import pytest

from metaxy_core import DuckDBMetadataStore, FeatureGraph, use_graph
from metaxy_core.cli.project import Project
from metaxy_core.errors import NotStoredError
from tests.builders import rows, settle

pytestmark = pytest.mark.slow

SETTINGS = 'module = "cli_features"\nstore = "meta.duckdb"\n'


@pytest.fixture
def project(here):
    here.declare()
    here.configure(SETTINGS)
    return here


def stored(here, name="meta.duckdb", code=1):
    """A store with two videos and their crops."""
    here.declare(code)
    sys.modules.pop("cli_features", None)
    with use_graph(FeatureGraph()):
        graph = Project(module="cli_features").graph()
    store = DuckDBMetadataStore(here.path / name, graph=graph, spool_dir=here.path / "kept")
    with store:
        samples = rows({"id": ["x", "y"]}, fields=("audio", "frames"))
        settle(store, "video", samples=samples)
        settle(store, "crop")
        store.push()
    return store


def test_replay_stores_what_was_kept_and_again_does_nothing(project, monkeypatch):
    store = stored(project)

    def full(*_):
        raise duckdb.IOException("disk full")

    with store, monkeypatch.context() as broken:
        broken.setattr(store.backend, "append", full)
        with pytest.raises(NotStoredError) as error:
            store.write("faces", store.resolve_update("faces").todo())
    path = str(error.value.path)
    ran = project.run("metadata", "replay", path)
    assert (ran.code, ran.out) == (0, "feature  rows\nfaces       2\n2 rows stored.\n")
    assert project.run("metadata", "replay", path).out == "No rows stored.\n"
    ran = project.run("metadata", "replay", "none")
    assert (ran.code, ran.err) == (1, "metaxy: There is no file none.\n")


def test_copy_brings_rows_once(project):
    stored(project, "prod.duckdb")
    ran = project.run("metadata", "copy", "prod.duckdb", "--format", "json")
    assert json.loads(ran.out) == [{"feature": "video", "rows": 2}, {"feature": "crop", "rows": 2}]
    assert ran.err == "Recorded graphs copied: 1.\n"
    assert project.run("metadata", "copy", "prod.duckdb").out == "No rows copied.\n"
    ran = project.run("metadata", "copy", "prod.duckdb", "nothing")
    assert ran.code == 1
    assert "no feature 'nothing'" in ran.err


def test_copy_takes_a_filter(project):
    stored(project, "prod.duckdb")
    ran = project.run("metadata", "copy", "prod.duckdb", "video", "--filters", "id = 'x'")
    assert ran.out.endswith("1 row copied.\n")


def test_compact_says_first_and_then_removes(project):
    store = stored(project)
    with store:
        store.write("video", rows({"id": ["x"]}, "2", fields=("audio", "frames")))
    assert project.run("metadata", "compact", "--dry-run").out.endswith("1 row to remove.\n")
    assert project.run("metadata", "compact").out.endswith("1 row removed.\n")
    assert project.run("metadata", "compact").out == "No rows removed.\n"


def test_verify_finds_nothing_or_says_what_and_where(project):
    store = stored(project)
    ran = project.run("metadata", "verify")
    assert (ran.code, ran.out.startswith("Nothing is wrong in duckdb://")) == (0, True)
    with store:
        store.backend.run("UPDATE video SET metaxy_provenance__audio = 'ff' WHERE id = 'x'")
    ran = project.run("metadata", "verify", "--format", "json")
    assert ran.code == 2
    assert {finding["examples"][0] for finding in json.loads(ran.out)} == {"id=x"}
    assert {finding["feature"] for finding in json.loads(ran.out)} == {"video"}


def test_rebase_carries_what_was_up_to_date(project):
    store = stored(project)
    text = (project.path / "cli_features.py").read_text()
    bumped = text.replace(
        'fields=["audio", "frames"])', 'fields=[FieldSpec("audio", code_version=2), "frames"])'
    )
    assert bumped != text
    (project.path / "cli_features.py").write_text(bumped)
    assert "2 units to carry" in project.run("metadata", "rebase", "crop", "--dry-run").out
    assert "2 units carried" in project.run("metadata", "rebase", "crop").out
    assert project.run("metadata", "rebase", "crop").out == "No units carried.\n"
    assert project.run("push").code == 0
    ran = project.run("metadata", "rebase", "crop")
    assert "crop: as the graph " in ran.err
    assert "--snapshot; `metaxy graph history` lists them." in ran.err
    with store.open("r"):
        assert pl.DataFrame(store.read("crop").collect("polars").to_native()).height == 2


def full(*_):
    raise duckdb.IOException("disk full")


def test_a_dry_run_of_copy_and_replay_counts_and_changes_nothing(project):
    store = stored(project, "prod.duckdb")
    broken = pytest.MonkeyPatch()
    with store:
        todo = store.resolve_update("faces").todo()
        broken.setattr(store.backend, "append", full)
        with pytest.raises(NotStoredError) as error:
            store.write("faces", todo)
        broken.undo()
    for _ in range(2):
        ran = project.run("metadata", "copy", "prod.duckdb", "--dry-run")
        assert ran.out.endswith("4 rows to copy.\n")
        ran = project.run("metadata", "replay", str(error.value.path), "--dry-run")
        assert ran.out.endswith("2 rows to store.\n")
        assert not (project.path / "meta.duckdb").exists()
    assert project.run("metadata", "replay", str(error.value.path)).out.endswith("2 rows stored.\n")
    ran = project.run("metadata", "replay", str(error.value.path), "--dry-run")
    assert ran.out == "No rows to store.\n"
    assert project.run("metadata", "copy", "prod.duckdb").out.endswith("4 rows copied.\n")
    assert project.run("metadata", "copy", "prod.duckdb", "--dry-run").out == "No rows to copy.\n"
