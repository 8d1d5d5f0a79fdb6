"""The other end of `worktree`: imports the features where it is started and writes their graph."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from metaxy_core.cli.project import Project
from metaxy_core.drift import sources
from metaxy_core.errors import ConfigError, MetaxyError
from metaxy_core.graph import GraphSnapshot

_LIBRARY = Path(__file__).parents[1]


def main(output: str, top: str, tree: str, functions: str, module: str | None = None) -> None:
    """Write `snapshot`, `sources` and `missing`, or `error`, as JSON.

    Args:
        top: the work tree of the user, which nothing may be imported from.
        tree: the one to import from.
        functions: `functions`, to import the modules that hold them, too.
        module: the module of the features; by default the one that is configured there.
    """
    try:
        graph = Project(module=module).graph(functions=functions == "functions")
        _check_origin(Path(top).resolve(), Path(tree).resolve())
        texts, missing = sources(graph)
        found = {
            "snapshot": GraphSnapshot.of(graph).to_json(),
            "sources": {str(key): text for key, text in texts.items()},
            "missing": {str(key): text for key, text in missing.items()},
        }
    except MetaxyError as error:
        found = {"error": str(error)}
    Path(output).write_text(json.dumps(found), encoding="utf-8")


def _check_origin(top: Path, tree: Path) -> None:
    """Refuse modules that came from the work tree of the user: they are not of that commit.

    Raises:
        ConfigError: names one, and where it came from.
    """
    allowed = (tree, _LIBRARY, Path(sys.prefix).resolve(), Path(sys.base_prefix).resolve())
    for name, module in sorted(sys.modules.items()):
        file = getattr(module, "__file__", None)
        place = Path(file).resolve() if file else tree
        if place.is_relative_to(top) and not any(place.is_relative_to(one) for one in allowed):
            raise ConfigError(
                f"the module '{name}' was imported from {place}, which is not of that commit. An "
                "editable installation leads there; install the project without it, or run from "
                "the folder that holds its package."
            )
