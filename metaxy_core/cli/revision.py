"""A graph that the user names: the code, a recorded one, a file, or a git ref."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from metaxy_core.cli.project import Project
from metaxy_core.errors import ConfigError, DefinitionError

if TYPE_CHECKING:
    from metaxy_core.graph import Graph
    from metaxy_core.keys import FeatureKey

GIT = "git:"


@dataclass(frozen=True)
class Named:
    """What the user has named.

    Attributes:
        sources: the code of the features that it is known of.
        missing: why it is not known of others.
    """

    graph: Graph
    sources: Mapping[FeatureKey, str]
    missing: Mapping[FeatureKey, str]


def named(reference: str, project: Project, *, functions: bool = False) -> Named:
    """Load the graph that a text means.

    Args:
        reference: `code`, `latest`, a tag, the beginning of a recorded version, `git:REF`, or a
            file that `metaxy graph snapshot` wrote.
        functions: whether the code of the features is asked for, which recorded graphs have.

    Raises:
        MetaxyError: there is no such graph.
    """
    from metaxy_core.drift import sources

    if reference == "code":
        graph = project.graph(functions=functions)
        return Named(graph, *sources(graph))
    if reference.startswith(GIT):
        from metaxy_core.cli.worktree import at_ref

        ref = reference.removeprefix(GIT)
        return at_ref(ref, project.module, project.config, functions=functions)
    path = Path(reference)
    if path.suffix == ".json" or path.is_file():
        return Named(_from_file(path), {}, {})
    store = project.metadata_store()
    with store.open("r"):
        snapshot = store.load_snapshot(reference)
        return Named(snapshot.graph, store.load_sources(reference), {})


def _from_file(path: Path) -> Graph:
    from metaxy_core.graph import GraphSnapshot

    try:
        return GraphSnapshot.from_json(path.read_text(encoding="utf-8")).graph
    except DefinitionError as error:
        raise ConfigError(f"{path}: {error}") from error
    except OSError as error:
        raise ConfigError(f"Cannot read the snapshot {path}: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"The file {path} is not a snapshot: {error}") from error
