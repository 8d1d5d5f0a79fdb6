"""The attribute `store`: which store the metadata is kept in.

Dagster reads the annotations of these classes itself, so this module has no postponed ones.
"""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

import dagster as dg

from metaxy_core import MetaxyConfig
from metaxy_dagster.resource import MetaxyStore


@dataclass(frozen=True)
class StoreAttributes(dg.Resolvable):
    """A store: the default one of metaxy.toml, another of it by `name`, or `type` and `path`.

    Attributes:
        path: of a DuckDB file, relative to the project's root.
    """

    name: str | None = None
    type: Literal["duckdb", "memory"] | None = None
    path: str | None = None
    lock_timeout: float | None = None
    settings: dict[str, Any] | None = None
    hash_algorithm: str | None = None
    project: str | None = None

    def __post_init__(self) -> None:
        if self.name is not None and self._inline:
            raise ValueError(
                f"store: the store '{self.name}' is described in metaxy.toml; leave out "
                f"{', '.join(self._inline)}."
            )
        if self._inline and self.type is None:
            raise ValueError("store: say its type, duckdb or memory, or the name of a store.")

    def make(self, root: Path) -> MetaxyStore:
        """The store.

        Args:
            root: the project's root; the configuration is looked for from there.

        Raises:
            ConfigError: there is no such store, or the configuration is wrong.
        """
        if not self._inline:
            files = MetaxyConfig.load(start=root).files
            return MetaxyStore.from_config(self.name, path=files[0] if files else None)
        if self.type == "memory":
            return MetaxyStore.memory(**{k: v for k, v in self._inline.items() if k != "type"})
        path = self._inline.get("path", "metaxy.duckdb")
        return MetaxyStore(**{**self._inline, "path": str(root / path)})

    @property
    def _inline(self) -> dict[str, Any]:
        given = {one.name: getattr(self, one.name) for one in fields(self) if one.name != "name"}
        return {name: value for name, value in given.items() if value is not None}
