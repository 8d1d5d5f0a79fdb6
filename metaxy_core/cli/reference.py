"""What the documentation says of the commands, made from the commands: their help, their JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cyclopts import App
from pydantic import TypeAdapter

from metaxy_core.cli.app import app
from metaxy_core.cli.output import JSON_TYPES

BEGIN = "<!-- Made from the code: METAXY_GOLDEN=write pytest tests/cli/test_reference.py -->"
_SHARED = ("--module", "--store", "--project", "--hash-algorithm", "--config")
"""Options that every command has; the page says them once."""


def commands(under: App = app, path: tuple[str, ...] = ()) -> Iterator[tuple[str, App]]:
    """Every command with its words, in the order of the help; `push` and `graph push` are two."""
    for name in under:
        if name.startswith("-"):
            continue
        command = under[name]
        words = (*path, name)
        if command.default_command is None:
            yield from commands(command, words)
        else:
            yield " ".join(words), command


def markdown() -> str:
    """The help of every command, under a heading each; without the options that all have."""
    made = app.generate_docs(heading_level=2, flatten_commands=True)
    _, start, rest = made.partition("## metaxy graph\n")
    shared = re.compile(rf"^\* `({'|'.join(_SHARED)}) .*\n", re.M)
    said = shared.sub("", f"{start}{rest}")
    said = re.sub(r"\*\*Parameters\*\*:\n\n(?=#|\Z)", "", said)
    return "\n".join(line.rstrip() for line in said.strip().splitlines()) + "\n"


def pages(page: str) -> dict[Path, str]:
    """The generated files under `docs/`, given the page of the command line as it is."""
    written = page.partition(BEGIN)[0].rstrip()
    found = {Path("cli.md"): f"{written}\n\n{BEGIN}\n\n{markdown()}"}
    for name, schema in schemas().items():
        found[Path("schemas") / f"{name}.json"] = f"{json.dumps(schema, indent=2)}\n"
    return found


def schemas() -> dict[str, dict[str, Any]]:
    """The JSON Schema of what each command prints with `--format json`, by file name."""
    found: dict[str, dict[str, Any]] = {}
    for name, command in commands():
        kind = JSON_TYPES.get(command.default_command)  # type: ignore[arg-type]  # any callable
        if kind is not None:
            schema = TypeAdapter(kind()).json_schema(mode="serialization")
            found[name.replace(" ", "-")] = {
                "$schema": "https://json-schema.org/draft/2020-12/schema",
                "title": f"metaxy {name}",
                **_closed(schema),
            }
    return found


def _closed(schema: Any) -> Any:
    """Every property is there and no other is."""
    if isinstance(schema, list):
        return [_closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    made = {name: _closed(value) for name, value in schema.items()}
    if isinstance(made.get("properties"), dict) and made.get("type") == "object":
        made["additionalProperties"] = False
        made["required"] = list(made["properties"])
        for one in made["properties"].values():
            one.pop("default", None)
            one.pop("title", None)
    return made
