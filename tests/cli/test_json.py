"""JSON is an interface: what every command prints fits its schema in the documentation."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import duckdb
import pytest
from jsonschema import Draft202012Validator

from metaxy_core import DuckDBMetadataStore, FeatureGraph, use_graph
from metaxy_core.cli.project import Project
from metaxy_core.cli.reference import commands
from metaxy_core.errors import NotStoredError
from tests.builders import rows, settle
from tests.cli.conftest import FEATURES

SCHEMAS = Path(__file__).parents[2] / "docs" / "schemas"
SETTINGS = """
module = "cli_features"
store = "dev"
[stores.dev]
type = "duckdb"
path = "meta.duckdb"
[stores.copy]
type = "duckdb"
path = "copy.duckdb"
fallback_stores = ["dev"]
[stores.broken]
type = "duckdb"
pth = "x"
[stores.gone]
type = "postgres"
dsn = "postgresql://me:secret@localhost:1/db"
"""
ASKED: dict[str, list[str]] = {
    "graph render": ["graph render --format json"],
    "graph diff": ["graph diff --format json", "graph diff latest code --all --format json"],
    "graph push": ["graph push --dry-run --format json"],
    "graph history": ["graph history --format json"],
    "graph snapshot": ["graph snapshot"],
    "list features": ["list features --format json"],
    "list stores": ["list stores --format json"],
    "metadata status": [
        "metadata status --format json",
        "metadata status --store copy --format json",
    ],
    "metadata copy": ["metadata copy dev --store copy --dry-run --format json"],
    "metadata delete": ["metadata delete crop --id x --dry-run --format json"],
    "metadata drop": ["metadata drop crop --dry-run --format json"],
    "metadata rebase": ["metadata rebase crop --dry-run --format json"],
    "metadata verify": ["metadata verify --format json"],
    "metadata compact": ["metadata compact --dry-run --format json"],
    "metadata replay": ["metadata replay kept.metaxy-write --dry-run --format json"],
    "config print": ["config print --format json"],
    "config check": ["config check --open --format json"],
    "init": ["init fresh --dry-run --format json"],
    "plan": ["plan --format json"],
    "explain": ["explain crop --format json", "explain crop x --format json"],
    "failures list": ["failures list --format json"],
    "failures retry": ["failures retry faces --dry-run --format json"],
    "failures clear": ["failures clear faces --dry-run --format json"],
    "describe": ["describe crop --format json", "describe dev --format json"],
    "graph check": ["graph check --format json"],
    "lock": [],  # in test_locks.py: it takes another project
    "status": ["status --format json"],
    "push": ["push --format json"],
}


@pytest.fixture
def settled(here):
    """A project with rows, a finding, a difference and a file of rows that could not be stored."""
    here.configure(SETTINGS)
    with use_graph(FeatureGraph()):
        graph = Project(module="cli_features").graph()
    store = DuckDBMetadataStore(here.path / "meta.duckdb", graph=graph)
    with store:
        settle(store, "video", samples=rows({"id": ["x", "y"]}, fields=("audio", "frames")))
        settle(store, "crop")
        store.push()
        todo = store.resolve_update("faces").todo()
        broken = pytest.MonkeyPatch()
        broken.setattr(store.backend, "append", _fail)
        with pytest.raises(NotStoredError) as kept:
            store.write("faces", todo)
        broken.undo()
        settle(store, "video", samples=rows({"id": ["x", "y"]}, "2", fields=("audio", "frames")))
        store.record_failures("faces", todo, ValueError("no face"))
        store.backend.run("UPDATE video SET metaxy_provenance__audio = 'ff' WHERE id = 'x'")
    kept.value.path.rename(here.path / "kept.metaxy-write")
    with DuckDBMetadataStore(here.path / "copy.duckdb", graph=graph).open("w"):
        pass
    here.declare(text=FEATURES.replace("A video.", "A film."))
    sys.modules.pop("cli_features", None)
    return here


def _fail(*_: object) -> None:
    raise duckdb.IOException("disk full")


def test_what_every_command_prints_fits_its_schema(settled):
    # `ui` prints nothing: it becomes Dagster.
    assert set(ASKED) == {name for name, _ in commands()} - {"ui"}
    wrong = []
    for name, asked in ASKED.items():
        schema = json.loads((SCHEMAS / f"{name.replace(' ', '-')}.json").read_text())
        Draft202012Validator.check_schema(schema)
        for one in asked:
            ran = settled.run(*one.split())
            found = json.loads(ran.out)
            assert found, one
            wrong += [
                f"{one}: {e.message}" for e in Draft202012Validator(schema).iter_errors(found)
            ]
            assert "secret" not in ran.out + ran.err
    assert wrong == []
