"""What is deleted is counted first, and nothing goes without --yes."""

from __future__ import annotations

import json

import polars as pl
import pytest

from metaxy_core import DuckDBMetadataStore, FeatureGraph, FeatureSpec
from tests.builders import rows, settle

GRAPH = """
from metaxy_core import FeatureGraph, FeatureSpec
graph = FeatureGraph([
    FeatureSpec("video", id_columns=["id"], fields=["f"]),
    FeatureSpec("frame", id_columns=["id", "n"], fields=["f"]),
])
"""


@pytest.fixture
def store(here):
    here.declare(text=GRAPH)
    here.configure('module = "cli_features:graph"\nstore = "meta.duckdb"\n')
    specs = [
        FeatureSpec("video", id_columns=["id"], fields=["f"]),
        FeatureSpec("frame", id_columns=["id", "n"], fields=["f"]),
    ]
    store = DuckDBMetadataStore(here.path / "meta.duckdb", graph=FeatureGraph(specs))
    with store:
        samples = rows({"id": ["a", "b", "c=1"]}).with_columns(height=pl.Series([1, 2, 3]))
        settle(store, "video", samples=samples)
        settle(store, "frame", samples=rows({"id": ["a", "a"], "n": [1, 2]}))
    return store


def left(store, key="video"):
    with store.open("r"):
        columns = ["id", "n"] if key == "frame" else ["id"]
        found = sorted(store.read(key).select(*columns).collect("polars").rows())
    return found if key == "frame" else [name for (name,) in found]


def test_a_dry_run_counts_and_changes_nothing(here, store):
    before = (here.path / "meta.duckdb").read_bytes()
    ran = here.run("metadata", "delete", "video", "--where", "height > 1", "--dry-run")
    assert (ran.code, ran.out.splitlines()[-1]) == (0, "2 samples to be deleted.")
    ran = here.run("metadata", "drop", "video", "frame", "--dry-run", "--format", "json")
    assert json.loads(ran.out) == [{"feature": "video", "rows": 3}, {"feature": "frame", "rows": 2}]
    assert (here.path / "meta.duckdb").read_bytes() == before


@pytest.mark.parametrize(
    "command", [["delete", "video", "--where", "height > 1"], ["drop", "video"]]
)
def test_without_yes_nothing_is_changed(here, store, command):
    before = (here.path / "meta.duckdb").read_bytes()
    ran = here.run("metadata", *command)
    assert (ran.code, ran.out) == (1, "")
    assert "Say --yes to do it; nothing was changed." in ran.err
    assert (here.path / "meta.duckdb").read_bytes() == before


def test_where_there_is_nothing_to_delete_the_store_is_only_read(here, store, monkeypatch):
    modes, opened = [], DuckDBMetadataStore.open
    monkeypatch.setattr(
        DuckDBMetadataStore, "open", lambda self, mode: modes.append(mode) or opened(self, mode)
    )
    ran = here.run("metadata", "delete", "video", "--where", "height > 9")
    assert (ran.code, ran.out, modes) == (0, "No samples deleted.\n", ["r"])


def test_samples_are_deleted_by_condition_and_by_id(here, store):
    ran = here.run("metadata", "delete", "video", "--where", "height > 2", "--yes")
    assert (ran.code, ran.out.splitlines()[-1]) == (0, "1 sample deleted.")
    assert left(store) == ["a", "b"]
    here.run(
        "metadata", "delete", "video", "--id", "a", "--id", "id=b", "--where", "height=2", "-y"
    )
    assert left(store) == ["a"]
    with store:
        assert store.undelete("video") == 2  # soft by default
    here.run("metadata", "delete", "video", "--id", "c=1", "--yes")
    assert left(store) == ["a", "b"]


def test_ids_of_several_columns_are_named_and_typed(here, store):
    ran = here.run("metadata", "delete", "frame", "--id", "n=2,id=a", "--yes")
    assert ran.code == 0
    assert left(store, "frame") == [("a", 1)]
    assert "id=…,n=…" in here.run("metadata", "delete", "frame", "--id", "a", "--yes").err
    ran = here.run("metadata", "delete", "frame", "--id", "id=a,n=x", "--yes")
    assert "--id does not fit the id columns of 'frame': id is String, n is Int64" in ran.err


def test_hard_removes_rows_for_good(here, store):
    ran = here.run("metadata", "delete", "video", "--id", "a", "--hard", "--yes")
    assert ran.out.splitlines()[-1] == "1 sample removed."
    with store:
        assert store.undelete("video") == 0
        assert store.inventory("video").rows == 2


def test_a_table_is_dropped(here, store):
    assert here.run("metadata", "drop", "video", "--yes").out.splitlines()[-1] == "3 rows removed."
    with store.open("r"):
        assert not store.has_feature("video")
    ran = here.run("metadata", "drop", "video", "--yes")
    assert (ran.code, "has no rows in any store" in ran.err) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["delete", "video"], "Which samples? Give --where CONDITION or --id VALUE."),
        (["delete", "nope", "--where", "true"], "no feature 'nope'"),
        (["delete", "video", "--where", "x; DROP TABLE video"], "A filter is one condition"),
        (["delete", "video", "--where", "id = (SELECT 1)"], "where a column or a literal"),
        (["delete", "video", "--where", "nope = 1"], "asks for columns that are not there"),
        (["drop"], "Which features?"),
    ],
)
def test_a_mistake_is_one_message_and_nothing_is_changed(here, store, arguments, told):
    before = (here.path / "meta.duckdb").read_bytes()
    ran = here.run("metadata", *arguments, "--yes")
    assert (ran.code, ran.out) == (1, "")
    assert told in ran.err
    assert ran.err.count("\n") == 1
    assert (here.path / "meta.duckdb").read_bytes() == before


def test_what_is_stored_is_counted(here, store):
    with store:
        store.delete("video", "id = 'a'")
    found = json.loads(here.run("metadata", "status", "--format", "json").out)
    video, frame = sorted(found, key=lambda one: one["feature"], reverse=True)
    assert (video["samples"], video["current"], video["rows"], video["tombstones"]) == (2, 2, 4, 1)
    assert (frame["samples"], frame["rows"], frame["open"]) == (2, 2, 0)
    assert frame["written_at"].endswith("+00:00")
    ran = here.run("metadata", "status", "frame")
    assert [line.split()[0] for line in ran.out.splitlines()] == ["feature", "frame"]
