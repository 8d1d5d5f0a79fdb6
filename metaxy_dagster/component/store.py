"""The attribute `store`: which store the metadata is kept in.

Dagster reads the annotations here itself, so this module has no postponed ones.
"""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal

import dagster as dg

from metaxy_core import MetaxyConfig
from metaxy_dagster.resource import MetaxyStore


@dataclass(frozen=True)
class StoreAttributes(dg.Resolvable):
    """A store: the default one of metaxy.toml, another of it by `name`, or `type` and `path`.

    Attributes:
        path: of a DuckDB file, relative to the project's root.
        project: whose features it writes; that of metaxy.toml unless said.
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
        if self._inline and self.type not in ("duckdb", "memory"):
            raise ValueError(
                f"store: its type is duckdb or memory; given: {self.type!r}. Stores of other types "
                "are described in metaxy.toml and named here, as in `name: dev`."
            )
        if self.path is not None and (self.path.startswith((":", "md:")) or "://" in self.path):
            raise ValueError(
                f"store: the path is one of a file; given: {self.path.partition('?')[0]!r}. Other "
                "addresses belong into metaxy.toml; `type: memory` keeps nothing."
            )
        if self.type == "memory" and self.path is not None:
            raise ValueError("store: a store in memory has no path.")

    def make(self, root: Path) -> MetaxyStore:
        """The store.

        Args:
            root: the project's root; the configuration is looked for from there.

        Raises:
            ConfigError: there is no such store, or the configuration is wrong.
        """
        config = MetaxyConfig.load(start=root)
        if not self._inline:
            file = config.files[0] if config.files else None
            return MetaxyStore.from_config(self.name, path=file)
        given = {"project": config.project, **self._inline}
        path, kind = given.pop("path", "metaxy.duckdb"), given.pop("type")
        if kind == "memory":
            return MetaxyStore.memory(**given)
        return MetaxyStore(type=kind, path=str(root / path), **given)

    @property
    def _inline(self) -> dict[str, Any]:
        given = {one.name: getattr(self, one.name) for one in fields(self) if one.name != "name"}
        return {name: value for name, value in given.items() if value is not None}


def _resolve(context: dg.ResolutionContext, said: Any) -> StoreAttributes | MetaxyStore:
    made: Any = context.resolve_value(said) if isinstance(said, str) else said
    if isinstance(made, str):
        raise ValueError(f"store: a store of metaxy.toml is named `name: {made}`.")
    if made is None or isinstance(made, MetaxyStore):
        return made or StoreAttributes()
    resolved: StoreAttributes = StoreAttributes.resolve_from_model(context, made)
    return resolved


StoreAttribute = Annotated[
    StoreAttributes | MetaxyStore,
    dg.Resolver(
        _resolve,
        model_field_type=StoreAttributes.model() | None,
        inject_before_resolve=False,
        description="Where metadata is kept. By default the default store of metaxy.toml.",
        examples=[{"name": "dev"}, {"type": "duckdb", "path": "metaxy.duckdb"}],
    ),
]
