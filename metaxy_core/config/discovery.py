"""Which file configures a project: the nearest one upwards, and never beyond the project's root."""

from __future__ import annotations

from pathlib import Path

from metaxy_core.config.reading import PYPROJECT, read_table

METAXY = "metaxy.toml"
_ROOT = (METAXY, PYPROJECT, ".git")
"""A directory that has one of these is the root of a project; nothing above it is looked at."""


def find(start: Path) -> Path | None:
    """The file that configures the project that `start` lies in; None where there is none.

    `metaxy.toml` comes before a `pyproject.toml` beside it, which counts with `[tool.metaxy]` only.

    Raises:
        ConfigError: a `pyproject.toml` cannot be read.
    """
    for directory in (start, *start.parents):
        if (directory / METAXY).is_file():
            return directory / METAXY
        project = directory / PYPROJECT
        if project.is_file() and read_table(project) is not None:
            return project
        if any((directory / name).exists() for name in _ROOT):
            return None
    return None
