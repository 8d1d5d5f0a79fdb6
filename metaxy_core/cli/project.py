"""Which features and which store a command is about: options, environment, nearest file.

The file is `metaxy.toml`, or the table `[tool.metaxy]` of `pyproject.toml`, in the current
directory or the nearest one above it; its keys are `module`, `store`, `project` and
`hash_algorithm`, and a relative store is relative to the file.
"""

from __future__ import annotations

import importlib
import sys
import tomllib
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from pydantic import ValidationError

from metaxy_core.errors import ConfigError, MetaxyError
from metaxy_core.hashing import HashAlgorithm
from metaxy_core.spec.value import told

if TYPE_CHECKING:
    from metaxy_core.graph import Graph
    from metaxy_core.store import MetadataStore


@Parameter(name="*")
@dataclass(frozen=True)
class Project:
    """The features and the store that the user means."""

    module: Annotated[
        str | None,
        Parameter(
            env_var="METAXY_MODULE",
            help="The module that declares the features, as `package.features`; with "
            "`package.features:graph`, the graph of that name in it.",
        ),
    ] = None
    store: Annotated[
        Path | None,
        Parameter(env_var="METAXY_STORE", help="The DuckDB file that keeps the metadata."),
    ] = None
    project: Annotated[
        str | None,
        Parameter(
            env_var="METAXY_PROJECT",
            help="The project that graphs are recorded for and looked up in; 'default' without it.",
        ),
    ] = None
    hash_algorithm: Annotated[
        str | None,
        Parameter(
            env_var="METAXY_HASH_ALGORITHM",
            help="The hash the store keeps, `md5` or `sha256`; `md5` without it.",
        ),
    ] = None

    def graph(self) -> Graph:
        """Import the features and give their graph.

        Raises:
            ConfigError: no module is named, or it cannot be imported.
            DefinitionError: the features do not fit together.
        """
        from metaxy_core.ambient import active_graph
        from metaxy_core.graph import FeatureGraph, Graph

        said, where = _setting("module")
        named = self.module or said
        if named is None:
            raise ConfigError(
                "Which features? Give --module package.features, set METAXY_MODULE, or write "
                "module = 'package.features' in metaxy.toml or under [tool.metaxy] in "
                "pyproject.toml."
            )
        module, _, attribute = named.partition(":")
        found = _imported(module, where)
        if not attribute:
            return _declared(module, found, active_graph().freeze())
        graph = getattr(found, attribute, None)
        if isinstance(graph, FeatureGraph):
            return graph.freeze()
        if isinstance(graph, Graph):
            return graph
        raise ConfigError(f"The module '{module}' has no graph '{attribute}'.")

    def metadata_store(self, graph: Graph | None = None) -> MetadataStore:
        """The store, not open; without a graph it has none but can list recorded ones.

        Raises:
            ConfigError: no store is named, or there is no such hash.
        """
        from metaxy_core import DuckDBMetadataStore
        from metaxy_core.graph import Graph

        said, where = _setting("store")
        path = self.store or (where / said if said else None)
        if path is None:
            raise ConfigError(
                "Which store? Give --store PATH.duckdb, set METAXY_STORE, or write store = "
                "'PATH.duckdb' in metaxy.toml or under [tool.metaxy] in pyproject.toml."
            )
        return DuckDBMetadataStore(
            path,
            graph=Graph() if graph is None else graph,
            project=self.project or _setting("project")[0] or "default",
            hash_algorithm=_algorithm(self.hash_algorithm or _setting("hash_algorithm")[0]),
        )


def _algorithm(named: str | None) -> HashAlgorithm:
    if named is None:
        return HashAlgorithm.MD5
    try:
        return HashAlgorithm(named)
    except ValueError as error:
        known = ", ".join(HashAlgorithm)
        raise ConfigError(f"There is no hash '{named}'. There are: {known}.") from error


def _setting(name: str) -> tuple[str | None, Path]:
    """A value from the nearest file, and the directory of that file (else the current one)."""
    here = Path.cwd()
    for directory in (here, *here.parents):
        for file, table in (("metaxy.toml", ()), ("pyproject.toml", ("tool", "metaxy"))):
            path = directory / file
            if not path.is_file():
                continue
            settings = _table(path, table)
            if settings is None:
                continue
            value = settings.get(name)
            if value is not None and not isinstance(value, str):
                raise ConfigError(f"{path}: '{name}' should be a text; found: {value!r}")
            return value, directory
    return None, here


def _table(path: Path, names: tuple[str, ...]) -> dict[str, Any] | None:
    try:
        found: Any = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from error
    for name in names:
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else None


def _declared(module: str, found: object, graph: Graph) -> Graph:
    """The active graph, or a hint at the graph that the user has meant."""
    from metaxy_core.graph import FeatureGraph, Graph

    names = [n for n, value in vars(found).items() if isinstance(value, FeatureGraph | Graph)]
    if names and not len(graph):
        raise ConfigError(
            f"The module '{module}' declares no feature classes, but has a graph: say "
            f"--module {module}:{names[0]}"
        )
    return graph


def _imported(module: str, directory: Path) -> object:
    if not all(part.isidentifier() for part in module.split(".")):
        raise ConfigError(f"A module is named like package.features; given: '{module}'")
    for path in (str(directory), str(Path.cwd())):
        if path not in sys.path:
            sys.path.insert(0, path)
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if module == missing or module.startswith(f"{missing}."):
            raise ConfigError(
                f"There is no module '{missing}' to import the features '{module}' from. It was "
                f"looked for in {Path.cwd()} and among the installed packages."
            ) from error
        raise ConfigError(
            f"Importing '{module}' failed: it needs '{missing}', which is not installed."
        ) from error
    except ValidationError as error:
        raise ConfigError(f"Importing '{module}' failed: {told(error)}") from error
    except MetaxyError:
        raise
    except Exception as error:  # whatever the user's module raises is the user's mistake
        raise ConfigError(f"Importing '{module}' failed: {_where(error)}") from error


def _where(error: Exception) -> str:
    """The place in the user's code where it went wrong, and what was said there."""
    said = f"{type(error).__name__}: {error}"
    if isinstance(error, SyntaxError):
        return f"{error.filename}:{error.lineno}: {type(error).__name__}: {error.msg}"
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{last.filename}:{last.lineno}: {said}"
