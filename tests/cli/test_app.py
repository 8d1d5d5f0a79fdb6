import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from metaxy_core import FeatureGraph, FeatureSpec, GraphSnapshot

ROOT = Path(__file__).parents[2]
COMMANDS = [
    ["push"],
    ["status"],
    ["list", "features"],
    ["graph", "render"],
    ["graph", "diff"],
    ["graph", "push"],
    ["graph", "history"],
    ["graph", "snapshot"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_help_with_an_example_and_its_exit_codes(here, command):
    ran = here.run(*command, "--help")
    assert ran.code == 0
    assert "Example: metaxy " in ran.out
    assert "Exit codes: 0" in ran.out
    assert "METAXY_MODULE" in ran.out


def test_help_names_the_commands(here):
    ran = here.run("--help")
    assert ran.code == 0
    assert all(word in ran.out for word in ("push", "status", "graph", "list"))


def test_every_command_is_in_the_documentation():
    text = (ROOT / "docs" / "cli.md").read_text()
    assert [c for c in map(" ".join, COMMANDS) if f"metaxy {c}" not in text] == []


def test_the_entry_point_runs_and_gives_its_exit_code(here):
    ran = subprocess.run(
        [sys.executable, "-m", "metaxy_core.cli", "status"],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith("metaxy: Cannot open the store")


HOSTILE = """
from metaxy_core import FeatureGraph, FeatureSpec
graph = FeatureGraph([FeatureSpec("a", id_columns=["i\\x1b[31md"])])
"""


def test_a_table_shows_escape_sequences_and_does_not_print_them(here):
    here.declare(text=HOSTILE)
    ran = here.run("list", "features", "--module", "cli_features:graph")
    assert ran.code == 0
    assert "i\ufffd[31md" in ran.out
    assert "\x1b" not in ran.out


def test_an_error_from_a_hostile_snapshot_sets_no_window_title(here):
    graph = FeatureGraph(
        [FeatureSpec("a", id_columns=["i"]), FeatureSpec("b", id_columns=["i"], deps=["a"])]
    ).freeze()
    snapshot = json.loads(GraphSnapshot.of(graph).to_json())
    text = json.dumps(snapshot).replace('["i"]', '["\\u001b]0;owned\\u0007"]', 1)
    (here.path / "main.json").write_text(text)
    ran = here.run("graph", "diff", "main.json", "code")
    assert (ran.code, ran.out) == (1, "")
    assert "\ufffd]0;owned\ufffd" in ran.err
    assert "\x1b" not in ran.err
