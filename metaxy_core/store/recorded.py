"""Recorded graphs, and what they tell of why samples are to be done."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from metaxy_core.graph import Graph
from metaxy_core.keys import FeatureKey, FieldKey, FieldRef
from metaxy_core.system import snapshots
from metaxy_core.versioning.increment import NEW
from metaxy_core.work import Cause, code_changes, data_parents

if TYPE_CHECKING:
    from metaxy_core.store.base import BaseStore


class Recorded:
    """The recorded graphs, looked at newest first and only as far as needed."""

    def __init__(self, store: BaseStore) -> None:
        self._store = store
        self._graphs: dict[tuple[FeatureKey, str], Graph | None] = {}
        self._all: list[Graph] | None = None

    def cause(
        self, key: FeatureKey, status: Any, fields: Sequence[str], version: str | None, count: int
    ) -> Cause:
        """Why units are new, or stale in fields, that were stored under a feature version."""
        graph = self._store.graph
        if status == NEW:
            parents = tuple(map(str, graph.parents(key)))
            return Cause(status="new", samples=count, data=parents)
        if version == graph.versions[key].feature or version is None:
            return self._of_data(key, count, fields, fields)
        before = self.find(key, version)
        if before is None:
            told = tuple(fields)
            return Cause(status="stale", samples=count, fields=told, unrecorded=version)
        changes = {
            name: code_changes(before, graph, FieldRef(key, FieldKey(name))) for name in fields
        }
        if graph[key].is_root:
            fields = [name for name in fields if changes[name]]
        code = tuple(dict.fromkeys(change for name in fields for change in changes[name]))
        by_data = [name for name in fields if not changes[name]]
        cause = self._of_data(key, count, fields, by_data)
        return cause.model_copy(update={"code": code})

    def _of_data(
        self, key: FeatureKey, count: int, fields: Sequence[str], by_data: Sequence[str]
    ) -> Cause:
        parents = data_parents(self._store.graph, key, by_data)
        if self._store.graph[key].is_root and by_data:
            parents = tuple(f"{key}.{name}" for name in by_data)
        return Cause(status="stale", samples=count, fields=tuple(fields), data=parents)

    def find(self, key: FeatureKey, version: str | None) -> Graph | None:
        """The graph in which a feature has a version: the one as it stands, or a recorded one."""
        if version is None or version == self._store.graph.versions[key].feature:
            return self._store.graph if version else None
        if (key, version) not in self._graphs:
            if self._all is None:
                self._all = snapshots.graphs(self._store.backend, self._store.project)
            has = (g for g in self._all if key in g and g.versions[key].feature == version)
            self._graphs[key, version] = next(has, None)
        return self._graphs[key, version]
