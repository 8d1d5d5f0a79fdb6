"""Locked features become a part of the graph that depends on them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from metaxy_core.ambient import active_graph
from metaxy_core.external.lock import LOCK_FILE, Lock
from metaxy_core.graph import FeatureGraph, Graph
from metaxy_core.keys import FeatureKey


def use_lock(
    path: str | Path = LOCK_FILE, graph: FeatureGraph | None = None
) -> tuple[FeatureKey, ...]:
    """Add the features of other projects that declared ones depend on; those that were added.

    Call it when all of your own features are declared. What the graph declares itself stays as it
    is, and what nothing depends on is left out.

    Args:
        path: the lock file; nothing is added where there is none.
        graph: by default the active graph.

    Raises:
        ExternalFeatureError: the file is not a lock.
        DefinitionError: a feature does not fit the graph.

    >>> from metaxy_core.external import make_lock
    >>> from metaxy_core.graph import GraphSnapshot
    >>> from metaxy_core.spec import FeatureSpec
    >>> other = Graph([FeatureSpec("their/video", fields=["audio"])])
    >>> mine = FeatureGraph([FeatureSpec("speech", deps=["their/video"])])
    >>> lock = make_lock(mine, {"their": GraphSnapshot.of(other)})
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     _ = (Path(folder) / "metaxy.lock").write_text(lock.to_json())
    ...     [str(key) for key in use_lock(f"{folder}/metaxy.lock", mine)]
    ['their/video']
    >>> mine["their/video"].project
    'their'
    """
    chosen = active_graph() if graph is None else graph
    lock = Lock.read(path)
    ordered = Graph(locked.spec for locked in lock.features.values())
    added = _closure(_missing(chosen), lock)
    for key in ordered:
        if key in added and key not in chosen:
            chosen.add(lock.features[key].spec)
    return tuple(key for key in ordered if key in added)


def _missing(graph: FeatureGraph) -> set[FeatureKey]:
    return {dep.feature for key in graph for dep in graph[key].deps if dep.feature not in graph}


def _closure(keys: Iterable[FeatureKey], lock: Lock) -> set[FeatureKey]:
    found: set[FeatureKey] = set()
    waiting = [key for key in keys if key in lock.features]
    while waiting:
        key = waiting.pop()
        if key not in found:
            found.add(key)
            waiting += [dep.feature for dep in lock.features[key].spec.deps]
    return found
