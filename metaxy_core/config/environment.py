"""The environment as a layer: `METAXY_STORES__DEV__PATH` is `path` of the store `dev`."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from metaxy_core.config.layers import PREFIX, Layer
from metaxy_core.errors import ConfigError

CONFIG = f"{PREFIX}CONFIG"
"""The variable that names the file."""
_OURS = {CONFIG, f"{PREFIX}GOLDEN", f"{PREFIX}UPDATE_GOLDEN", f"{PREFIX}FUZZ"}
_TESTS = f"{PREFIX}TEST_"


def from_environment(known: Iterable[str], stores: Iterable[str]) -> Layer:
    """What the environment says of the known settings; empty variables say nothing.

    A store that a file has is meant whatever its letters' case, with `_` for `-`.

    Raises:
        ConfigError: a variable stands where a table is expected.
    """
    names = {_folded(name): name for name in stores}
    layer = Layer({}, "environment", "the environment", Path.cwd())
    values: dict[str, Any] = {}
    for variable, text in sorted(os.environ.items()):
        key = _key(variable)
        if key is None or key[0] not in known or not text or variable in _OURS:
            continue
        if key[0] == "stores":
            if len(key) == 1:
                values["stores"] = _table(variable, text)
                continue
            key[1] = names.get(_folded(key[1]), key[1])
        table = values
        for part in key[:-1]:
            table = table.setdefault(part, {})
            if not isinstance(table, dict):
                raise ConfigError(f"{variable} says a part of what another variable says whole.")
        table[key[-1]] = text
    return Layer(values, layer.kind, layer.name, layer.base)


def unknown_variables(known: Iterable[str]) -> list[str]:
    """Variables that begin like ours and are none."""
    keys = {variable: _key(variable) for variable in os.environ}
    return sorted(
        variable
        for variable, key in keys.items()
        if key and key[0] not in known and variable not in _OURS and not variable.startswith(_TESTS)
    )


def listed(value: Any) -> Any:
    """A text as a list: JSON, or words between commas; anything else as it is.

    >>> listed("a, b"), listed('["a"]'), listed(["a"])
    (['a', 'b'], ['a'], ['a'])
    """
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        return decoded(value)
    return [word.strip() for word in value.split(",") if word.strip()]


def decoded(text: str) -> Any:
    """A text as the JSON that it is, or as it is."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _table(variable: str, text: str) -> dict[str, Any]:
    found = decoded(text)
    if not isinstance(found, Mapping):
        raise ConfigError(
            f"{variable} should be a table as JSON, or one variable each: {variable}__DEV__TYPE=…"
        )
    return dict(found)


def _key(variable: str) -> list[str] | None:
    if not variable.startswith(PREFIX):
        return None
    return variable.removeprefix(PREFIX).lower().split("__")


def _folded(name: str) -> str:
    return name.lower().replace("-", "_")
