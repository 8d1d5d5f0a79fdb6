"""One TOML file as a table of settings; files that nobody wrote by hand are refused."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from metaxy_core.errors import ConfigError

PYPROJECT = "pyproject.toml"
_LARGEST = 1_000_000
_DEEPEST = 32


def read_table(path: Path) -> dict[str, Any] | None:
    """What a file says; of a `pyproject.toml` the table `[tool.metaxy]`, None where it has none.

    Raises:
        ConfigError: it cannot be read, is not TOML, or is larger or deeper than settings are.
    """
    found: Any = _parsed(path)
    if path.name == PYPROJECT:
        tool = found.get("tool")
        found = tool.get("metaxy") if isinstance(tool, dict) else None
        if found is None:
            return None
        if not isinstance(found, dict):
            raise ConfigError(f"{path}: 'tool.metaxy' should be a table.")
    if _is_deep(found):
        raise ConfigError(f"{path}: tables and lists are nested more than {_DEEPEST} deep.")
    return dict(found)


def _parsed(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            read = file.read(_LARGEST + 1)
        if len(read) > _LARGEST:
            raise ConfigError(
                f"{path} is larger than {_LARGEST:,} bytes: that is no configuration."
            )
        return tomllib.loads(read.decode("utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"Cannot read {path}: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        at = error.object[: error.start].count(b"\n") + 1
        raise ConfigError(f"{path}:{at}: this is not TOML: it is not UTF-8.") from error
    except RecursionError as error:
        raise ConfigError(
            f"{path}: tables and lists are nested more than {_DEEPEST} deep."
        ) from error
    except tomllib.TOMLDecodeError as error:
        said = str(error)
        place = re.search(r" \(at line (\d+), column \d+\)$", said)
        line = place[1] if place else read.rstrip().count(b"\n") + 1
        what = said[: place.start()] if place else said
        raise ConfigError(f"{path}:{line}: this is not TOML: {what}") from error


def _is_deep(table: dict[str, Any]) -> bool:
    level: list[Any] = [table]
    for _ in range(_DEEPEST):
        level = [
            inner
            for one in level
            for inner in (one.values() if isinstance(one, dict) else one)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return False
    return True
