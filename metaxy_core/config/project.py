"""A project that is ready: its configuration, its graph and its stores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metaxy_core.ambient import active_graph, set_settings
from metaxy_core.config.features import entry_points_of
from metaxy_core.config.settings import MetaxyConfig
from metaxy_core.config.stores import default_name
from metaxy_core.graph import FeatureGraph, Graph

if TYPE_CHECKING:
    from metaxy_core.store import MetadataStore


class MetaxyProject:
    """What `init()` gives: the project's configuration, its features, and its stores.

    Attributes:
        config: the configuration.
    """

    def __init__(self, config: MetaxyConfig, graph: FeatureGraph | Graph) -> None:
        self.config = config
        self._graph = graph
        self._stores = Stores(config, graph)

    @property
    def graph(self) -> Graph:
        """The features as they stand."""
        return self._graph if isinstance(self._graph, Graph) else self._graph.freeze()

    @property
    def stores(self) -> Stores:
        """The named stores; each is made when it is first asked for."""
        return self._stores

    def store(self, name: str | None = None) -> MetadataStore:
        """A store of the project, not open: the default one, a named one, or a DuckDB file.

        Asked again it is the same object, for one thread at a time.

        Raises:
            ConfigError: there is no such store, or it is described wrongly.
        """
        return self._stores.get_or_make(name or default_name(self.config))

    def __repr__(self) -> str:
        return f"MetaxyProject({self.config.project!r}, {len(self.graph)} features)"


class Stores(Mapping[str, "MetadataStore"]):
    """The named stores of a project, each made at its first use and kept."""

    def __init__(self, config: MetaxyConfig, graph: FeatureGraph | Graph) -> None:
        self._config, self._graph = config, graph
        self._made: dict[str | None, MetadataStore] = {}

    def __getitem__(self, name: str) -> MetadataStore:
        if name not in self._config.stores:
            raise KeyError(name)
        return self.get_or_make(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._config.stores)

    def __len__(self) -> int:
        return len(self._config.stores)

    def get_or_make(self, name: str | None) -> MetadataStore:
        """A named store, or a DuckDB file."""
        if name not in self._made:
            self._made[name] = self._config.make_store(name, graph=self._graph)
        return self._made[name]


def init(
    path: str | Path | None = None, *, start: str | Path | None = None, **said: Any
) -> MetaxyProject:
    """Load the project's configuration, import its features and make it the active one.

    Features are declared once per process: modules that were imported before are not again.

    Args:
        path: the configuration file; see `MetaxyConfig.load`.
        start: where to look for it from; by default the working directory.
        said: settings that win over the file and the environment, such as `store="dev"`.

    Raises:
        ConfigError: the configuration is wrong, or an entry point cannot be imported; what was
            active before still is.
    """
    config = MetaxyConfig.load(path, start=start, **said)
    # Without entry points features may still be declared after this, as in a notebook.
    features = config.load_features() if any(entry_points_of(config)) else active_graph()
    project = MetaxyProject(config, features)
    len(project.graph)  # features that do not fit together are an error here
    set_settings(config)
    return project
