"""Which features and which store a command is about; see docs/configuration.md for the rest."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

if TYPE_CHECKING:
    from metaxy_core.config import MetaxyConfig
    from metaxy_core.graph import Graph
    from metaxy_core.store import MetadataStore

NAME_FUNCTIONS = (
    'Name the modules that hold them: functions = ["package.definitions"] in metaxy.toml, or '
    "--module package.definitions."
)


@Parameter(name="*")
@dataclass(frozen=True)
class Project:
    """The features and the store that the user means."""

    module: Annotated[
        str | None,
        Parameter(
            help="The module that declares the features, as `package.features`; with "
            "`package.features:graph`, the graph of that name in it. Also METAXY_MODULE."
        ),
    ] = None
    store: Annotated[
        str | None,
        Parameter(
            help="The store: its name in the configuration, or a DuckDB file. Also METAXY_STORE."
        ),
    ] = None
    project: Annotated[
        str | None,
        Parameter(
            help="The project that graphs are recorded for and looked up in. Also METAXY_PROJECT."
        ),
    ] = None
    hash_algorithm: Annotated[
        str | None,
        Parameter(help="The hash the store keeps, `md5` or `sha256`. Also METAXY_HASH_ALGORITHM."),
    ] = None
    config: Annotated[
        Path | None,
        Parameter(
            help="The configuration file, instead of the nearest metaxy.toml or pyproject.toml. "
            "Also METAXY_CONFIG."
        ),
    ] = None

    def settings(self) -> MetaxyConfig:
        """The configuration: file, environment, options.

        Raises:
            ConfigError: see `MetaxyConfig.load`.
        """
        from metaxy_core.config import MetaxyConfig

        return MetaxyConfig.load(
            self.config,
            module=self.module,
            store=self.store,
            project=self.project,
            hash_algorithm=self.hash_algorithm,
        )

    def graph(self, *, functions: bool = False) -> Graph:
        """Import the features and give their graph; what they print goes to standard error.

        Args:
            functions: whether to import the modules that hold their functions, too.

        Raises:
            ConfigError: no module is named, or it cannot be imported.
            DefinitionError: the features do not fit together.
        """
        from metaxy_core.graph import Graph

        with redirect_stdout(sys.stderr):
            found = self.settings().load_features(functions=functions)
        return found if isinstance(found, Graph) else found.freeze()

    def metadata_store(self, graph: Graph | None = None) -> MetadataStore:
        """The store, not open; without a graph it has none but can list recorded ones.

        Raises:
            ConfigError: no store is named, or it is described wrongly.
        """
        from metaxy_core.graph import Graph

        return self.settings().make_store(graph=Graph() if graph is None else graph)


@contextmanager
def counting(store: MetadataStore, *, dry_run: bool) -> Iterator[MetadataStore]:
    """The store, open for writing; for a dry run for reading, and an empty one where there is none.

    What is yet to be made by the first write is no mistake in a dry run of that write.
    """
    from metaxy_core import InMemoryMetadataStore, StoreUnavailableError

    with ExitStack() as stack:
        try:
            stack.enter_context(store.open("r" if dry_run else "w"))
        except StoreUnavailableError as error:
            if not dry_run or error.reason != "missing":
                raise
            store = InMemoryMetadataStore(
                graph=store.graph, project=store.project, hash_algorithm=store.scheme.algorithm
            )
            stack.enter_context(store)
        yield store
