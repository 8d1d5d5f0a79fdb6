import os
import subprocess
import sys
from pathlib import Path

import pytest

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
