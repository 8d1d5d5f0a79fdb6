"""The documentation of the commands is made from the commands.

`METAXY_GOLDEN=write pytest tests/cli/test_reference.py` writes it anew.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from metaxy_core.cli.output import JSON_TYPES
from metaxy_core.cli.reference import commands, pages

DOCS = Path(__file__).parents[2] / "docs"
COMMANDS = dict(commands())


def test_the_documentation_is_what_the_commands_say():
    made = pages((DOCS / "cli.md").read_text(encoding="utf-8"))
    if os.environ.get("METAXY_GOLDEN") == "write":
        (DOCS / "schemas").mkdir(exist_ok=True)
        for path in (DOCS / "schemas").glob("*.json"):
            path.unlink()
        for path, text in made.items():
            (DOCS / path).write_text(text, encoding="utf-8")
    assert {path: (DOCS / path).read_text(encoding="utf-8") for path in made} == made
    schemas = {path.relative_to(DOCS) for path in (DOCS / "schemas").glob("*.json")}
    assert schemas == set(made) - {Path("cli.md")}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example_its_exit_codes_and_json(here, name):
    ran = here.run(*name.split(), "--help")
    assert ran.code == 0
    assert f"Example: metaxy {name.removeprefix('graph ') if 'push' in name else name}" in ran.out
    assert "Exit codes: 0" in " ".join(ran.out.split())
    assert (COMMANDS[name].default_command in JSON_TYPES) is (name != "ui")
