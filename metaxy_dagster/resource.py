"""The store as a Dagster resource: a cheap description that is opened late and closed early."""

from __future__ import annotations

import re
import types
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import dagster as dg
from pydantic import Field, PrivateAttr, field_validator

from metaxy_core import (
    DuckDBMetadataStore,
    FeatureGraph,
    Graph,
    InMemoryMetadataStore,
    MetadataStore,
    MetaxyConfig,
)

if TYPE_CHECKING:
    from dagster_duckdb import DuckDBResource

STORE_KEY = "metaxy"
"""The resource key of the store, unless said otherwise."""
IO_MANAGER_KEY = "metaxy_io"
"""The resource key of the IO manager, unless said otherwise."""

_SECRET = re.compile("token|secret|password|access_key", re.IGNORECASE)
_IN_MEMORY: dict[str, InMemoryMetadataStore] = {}


class MetaxyStore(dg.ConfigurableResource[Any]):
    """Where metadata is kept; usable in assets, checks, sensors and schedules alike.

    Make one with `MetaxyStore.from_config` (or `MetaxyStore(name="dev")`), `.duckdb`,
    `.from_duckdb` or `.memory`; `MetaxyStore()` is a DuckDB file `metaxy.duckdb` in the working
    directory. The object holds no connection: `open` makes one, and every part of this package
    keeps it for milliseconds, never while user code runs.

    >>> from metaxy_core import FeatureGraph, FeatureSpec
    >>> store = MetaxyStore.memory(graph=FeatureGraph([FeatureSpec("video")]))
    >>> with store.open("w") as opened:
    ...     opened.push()
    True
    """

    type: Literal["duckdb", "memory", "config"] = Field(
        default="duckdb", description="Kind of the store; `config`: as metaxy.toml says."
    )
    name: str | None = Field(
        default=None, description="A store in metaxy.toml, whatever `type` is."
    )
    config_file: str | None = Field(
        default=None, description="The configuration file; by default found as the command does."
    )
    path: str = Field(default="metaxy.duckdb", description="The DuckDB file.")
    lock_timeout: float = Field(
        default=60.0, description="Seconds to wait until other processes let go of the file."
    )
    settings: dict[str, Any] = Field(default={}, description="DuckDB settings.")
    hash_algorithm: str = Field(default="md5", description="Recorded at the first write.")
    estimates: bool = Field(
        default=True,
        description="Say what a run will take, from the runs recorded; one query per step.",
    )
    project: str = Field(default="default", description="What graph snapshots are recorded for.")

    @field_validator("settings")
    @classmethod
    def _check_settings(cls, settings: dict[str, Any]) -> dict[str, Any]:
        """Refuse secrets: Dagster shows the configuration of resources."""
        if shown := sorted(name for name in settings if _SECRET.search(name)):
            raise ValueError(
                f"{', '.join(shown)}: Dagster shows the configuration of resources. Describe the "
                "store in metaxy.toml, with a variable for the secret, and use "
                "MetaxyStore.from_config()."
            )
        return settings

    bound_graph: ClassVar[Graph | FeatureGraph | None] = None
    """The graph given at definition time; no config field, so it lives on a subclass of its own."""

    _run_id: str | None = PrivateAttr(default=None)

    @classmethod
    def from_config(
        cls,
        name: str | None = None,
        *,
        path: str | Path | None = None,
        graph: Graph | FeatureGraph | None = None,
    ) -> MetaxyStore:
        """A store of the project's configuration: of any type, with its fallback stores.

        The configuration is read now, for its mistakes, and again wherever the store is opened:
        the environment there counts, and no secret is kept here.

        Args:
            name: a name under `[stores]`; the default store without it.
            path: the configuration file; by default the nearest one, see docs/configuration.md.
            graph: the features; by default the active graph's.

        Raises:
            ConfigError: there is no such store, or the configuration is wrong.
        """
        config = MetaxyConfig.load(path)
        config.make_store(name)
        found = str(config.files[0]) if config.files else None
        return cls(type="config", name=name, config_file=found).with_graph(graph)

    @classmethod
    def duckdb(
        cls, path: str, *, graph: Graph | FeatureGraph | None = None, **fields: Any
    ) -> MetaxyStore:
        """A store in one DuckDB file; `fields` are the other fields of this class."""
        return cls(type="duckdb", path=path, **fields).with_graph(graph)

    @classmethod
    def from_duckdb(
        cls,
        resource: DuckDBResource,
        *,
        graph: Graph | FeatureGraph | None = None,
        **fields: Any,
    ) -> MetaxyStore:
        """A store in the file of a `dagster_duckdb.DuckDBResource`, with its settings.

        Metadata and result tables then live in one file. Close the resource's connection before
        you yield: one process cannot open a DuckDB file with two configurations at once.
        """
        settings = dict(resource.connection_config)
        return cls(path=resource.database, settings=settings, **fields).with_graph(graph)

    @classmethod
    def memory(cls, *, graph: Graph | FeatureGraph | None = None, **fields: Any) -> MetaxyStore:
        """A store in this process's memory, for tests: only the in-process executor sees it."""
        return cls(type="memory", path=f"memory-{uuid.uuid4().hex}", **fields).with_graph(graph)

    def with_graph(self, graph: Graph | FeatureGraph | None) -> MetaxyStore:
        """The same store for the features of `graph` instead of the active graph's.

        Dagster makes new objects from the config fields, so the graph is kept by the class.
        """
        if graph is None:
            return self
        kind = type(self)
        namespace = {"__module__": kind.__module__, "bound_graph": graph}
        bound = types.new_class(
            kind.__name__, (kind,), exec_body=lambda body: body.update(namespace)
        )
        # As given: a field may hold an environment variable that is read at run time.
        given = {name: getattr(self, name) for name in self.model_fields_set}
        made: MetaxyStore = bound(**given)
        return made

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Note the run; there is none in sensors and schedules."""
        self._run_id = context.run.run_id if context.run else None

    def describe(
        self, *, graph: Graph | FeatureGraph | None = None, run_id: str | None = None
    ) -> MetadataStore:
        """The store, not open: `with store.describe().open("w"):`.

        Args:
            graph: the features; by default those given at definition time, else the active graph.
            run_id: stamped on rows as `metaxy_materialization_id`; by default the Dagster run's.
        """
        made = {"memory": self._in_memory, "duckdb": self._in_duckdb, "config": self._configured}
        store = made[self._kind]()
        chosen = graph if graph is not None else self.bound_graph
        described = store if chosen is None else store.using(chosen)
        described.materialization_id = run_id or self._run_id
        return described

    @contextmanager
    def open(
        self,
        mode: Literal["r", "w"] = "r",
        run_id: str | None = None,
        *,
        graph: Graph | FeatureGraph | None = None,
    ) -> Iterator[MetadataStore]:
        """Open the store for a moment.

        Raises:
            StoreUnavailableError: missing (reading before anything was written), locked by other
                processes for longer than `lock_timeout`, corrupt or read-only.
        """
        with self.describe(graph=graph, run_id=run_id).open(mode) as opened:
            yield opened

    def _in_duckdb(self) -> MetadataStore:
        return DuckDBMetadataStore(
            self.path,
            lock_timeout=self.lock_timeout,
            config=self.settings,
            hash_algorithm=self.hash_algorithm,
            project=self.project,
        )

    @property
    def store_kind(self) -> str:
        """The system that keeps the tables, `duckdb` or another: an icon in Dagster's UI."""
        return (
            self._configured().backend.describe()["type"] if self._kind == "config" else self.type
        )

    @property
    def _kind(self) -> str:
        return self.type if self.name is None else "config"

    def _configured(self) -> MetadataStore:
        config = MetaxyConfig.load(self.config_file)
        made = config.make_store(self.name)
        if not isinstance(made, InMemoryMetadataStore):
            return made
        kept = _IN_MEMORY.setdefault(f"{config.root}:{made.name}", made)
        return kept.using(kept.graph)

    def _in_memory(self) -> MetadataStore:
        if self.path not in _IN_MEMORY:
            _IN_MEMORY[self.path] = InMemoryMetadataStore(
                hash_algorithm=self.hash_algorithm, project=self.project
            )
        kept = _IN_MEMORY[self.path]
        # A copy: its run id and graph are this caller's.
        return kept.using(kept.graph)


def frozen(graph: Graph | FeatureGraph) -> Graph:
    """The features as they stand."""
    return graph.freeze() if isinstance(graph, FeatureGraph) else graph
