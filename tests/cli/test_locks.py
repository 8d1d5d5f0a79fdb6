"""`metaxy lock`: features of another project that records its graph in the same store."""

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from metaxy_core import DuckDBMetadataStore, Graph
from tests.builders import feature

ROOT = Path(__file__).parents[2]
FEATURES = """
from metaxy_core import FeatureSpec, active_graph

active_graph().add(FeatureSpec("speech", id_columns=["id"], deps=["media/video"]))
"""


def record(version=1, project="media", keys=("media/video",)):
    """The other project pushes its graph."""
    graph = Graph([feature(key, fields=[("audio", version)]) for key in keys])
    with DuckDBMetadataStore("meta.duckdb", graph=graph, project=project) as store:
        store.push()
    return graph.versions[graph[keys[0]].key].feature


@pytest.fixture
def depending(here):
    here.declare(text=FEATURES)
    return here


def test_a_feature_of_another_project_is_locked_and_then_a_part_of_the_graph(depending):
    version = record()
    assert "`metaxy lock` brings" in depending.run("list", "features").err
    checked = depending.run("lock", "--check", "--format", "json")
    schema = json.loads((ROOT / "docs/schemas/lock.json").read_text())
    Draft202012Validator(schema).validate(json.loads(checked.out))
    row = {"feature": "media/video", "project": "media", "locked": None, "recorded": version}
    assert (checked.code, json.loads(checked.out)) == (2, [row])
    assert not (depending.path / "metaxy.lock").exists()
    ran = depending.run("lock")
    assert (ran.code, ran.err.endswith("metaxy.lock\n")) == (0, True)
    listed = json.loads(depending.run("list", "features", "--format", "json").out)
    assert {one["feature"]: one["project"] for one in listed} == {
        "media/video": "media",
        "speech": None,
    }
    assert listed[0]["version"] == version
    assert depending.run("lock").out.endswith("metaxy.lock is in order.\n")
    assert depending.run("push").code == 0


def test_another_version_is_a_warning_or_an_error(depending):
    old = record()
    depending.run("lock")
    depending.run("push")
    assert depending.run("graph", "check").code == 0
    new = record(2)
    ran = depending.run("graph", "check")
    assert ran.code == 2
    assert (
        f"media/video of the project media is locked at {old[:8]}; it has recorded {new[:8]}."
        in ran.out
    )
    shown = json.loads(depending.run("graph", "check", "--format", "json").out)
    assert shown["external"] == [
        {"feature": "media/video", "project": "media", "locked": old, "recorded": new}
    ]
    settings = (depending.path / "metaxy.toml").read_text()
    depending.configure(f'external_versions = "error"\n{settings}')
    refused = depending.run("graph", "check")
    assert (refused.code, refused.out) == (1, "")
    assert depending.run("graph", "check", "--external-versions", "warn").code == 2
    assert "`metaxy lock` takes over what is recorded" in refused.err
    assert depending.run("lock", "--dry-run").code == 2
    depending.run("lock")
    assert depending.run("graph", "check").code == 0
    assert depending.run("graph", "diff").code == 2


def test_a_feature_that_no_project_has_recorded_is_one_message(depending):
    record(keys=("media/other",))
    ran = depending.run("lock")
    assert (ran.code, ran.out) == (1, "")
    assert "'speech' depends on 'media/video', which this project does not declare" in ran.err
    assert "media (1 features)" in ran.err


def test_the_projects_to_lock_from_may_be_named(depending):
    record()
    record(project="copy")
    assert "several others do: copy, media" in depending.run("lock").err
    assert depending.run("lock", "media").code == 0
    depending.configure(
        'module = "cli_features"\nstore = "meta.duckdb"\n[external]\n"media/video" = "copy"\n'
    )
    assert "copy" in depending.run("lock").out
    assert "no recorded graph of the project nobody" in depending.run("lock", "nobody").err


def test_a_project_that_needs_nothing_has_no_lock(here):
    record()
    ran = here.run("lock")
    assert (ran.code, ran.err) == (0, "")
    assert not (here.path / "metaxy.lock").exists()


def test_a_damaged_lock_is_one_message_and_made_anew(depending):
    record()
    depending.run("lock")
    path = depending.path / "metaxy.lock"
    text = path.read_text()
    path.write_text(f"<<<<<<< ours\n{text}")
    ran = depending.run("list", "features")
    assert (ran.code, len(ran.err.splitlines())) == (1, 1)
    assert "metaxy.lock is not a lock file" in ran.err
    assert depending.run("lock").code == 0
    assert path.read_text() == text
