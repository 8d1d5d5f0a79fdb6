"""Features out of entry points: the modules of a project, and of installed packages."""

from __future__ import annotations

import importlib
import sys
import sysconfig
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pydantic import ValidationError

from metaxy_core.ambient import active_graph
from metaxy_core.errors import ConfigError
from metaxy_core.graph import FeatureGraph, Graph
from metaxy_core.spec.value import told

if TYPE_CHECKING:
    from metaxy_core.config.settings import MetaxyConfig

GROUP: Final = "metaxy.features"
"""The group of entry points by which installed packages bring features."""
_OURS = str(Path(__file__).parents[1])
_LIBRARY = (_OURS, *(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")))
"""Where code lies that is not the user's."""


@dataclass(frozen=True)
class EntryPoint:
    """A module that declares features, or a graph in it.

    Attributes:
        named: `package.features` or `package.features:graph`.
        said: who named it, for messages.
        directory: where its module may lie, besides where Python looks.
    """

    named: str
    said: str
    directory: Path

    def load(self) -> FeatureGraph | Graph | None:
        """Import it; the graph that it names, None where classes have registered themselves.

        Raises:
            ConfigError: it cannot be imported, or has no such graph.
        """
        module, _, attribute = self.named.partition(":")
        found = imported(module, self.directory, self.said)
        graphs = {
            name: value
            for name, value in vars(found).items()
            if isinstance(value, FeatureGraph | Graph)
        }
        if attribute:
            if attribute not in graphs:
                raise ConfigError(f"{self.said}: the module '{module}' has no graph '{attribute}'.")
            return graphs[attribute]
        if graphs and not len(active_graph()):
            raise ConfigError(
                f"{self.said}: the module '{module}' declares no feature classes, but has a graph: "
                f"say --module {module}:{next(iter(graphs))}, or the same in entrypoints."
            )
        return None


def entry_points_of(config: MetaxyConfig) -> Iterator[EntryPoint]:
    """The entry points of a project: `entrypoints`, `module`, those of installed packages."""
    yield from _named(config, "entrypoints", config.entrypoints)
    yield from _named(config, "module", (config.module,))
    if not _is_chosen(config):
        for found in entry_points(group=GROUP):
            package = found.dist.name if found.dist else "?"
            said = f"the entry point '{found.name}' of the package {package}"
            yield EntryPoint(found.value, said, config.root)


def load_features(config: MetaxyConfig, *, functions: bool = False) -> FeatureGraph | Graph:
    """See `MetaxyConfig.load_features`."""
    points = list(entry_points_of(config))
    if _is_chosen(config):
        points = points[-1:]
    if not points:
        raise ConfigError(
            "Which features? Give --module package.features, set METAXY_MODULE or "
            "METAXY_ENTRYPOINTS, or write entrypoints = ['package.features'] in metaxy.toml or "
            "under [tool.metaxy] in pyproject.toml."
        )
    loaded = [point.load() for point in points]
    if functions and not _is_chosen(config):
        for point in _named(config, "functions", config.functions):
            imported(point.named, point.directory, point.said)
    graphs = [graph for graph in loaded if graph is not None]
    if not graphs:
        return active_graph()
    if len(loaded) == 1:
        return graphs[0]
    registered = [] if len(graphs) == len(loaded) else [active_graph().freeze()]
    frozen = [one.freeze() if isinstance(one, FeatureGraph) else one for one in graphs]
    distinct = {id(one): one for one in [*registered, *frozen]}
    return FeatureGraph(spec for one in distinct.values() for spec in one.values())


def _named(config: MetaxyConfig, key: str, names: Iterable[str | None]) -> Iterator[EntryPoint]:
    origin = config._merged.origin((key,))
    for named in filter(None, names):
        said = origin.call((key,)) if origin else key
        yield EntryPoint(named, said, origin.base if origin else config.root)


def imported(module: str, directory: Path, said: str) -> object:
    """Import a module of the user's, whose mistakes are the user's to know.

    Raises:
        ConfigError: there is no such module, or it raises; names the place in the user's code.
    """
    if not all(part.isidentifier() for part in module.split(".")):
        raise ConfigError(f"{said}: a module is named like package.features; given: '{module}'")
    for path in (str(directory), str(Path.cwd())):
        if path not in sys.path:
            sys.path.insert(0, path)
    failed = f"{said}: importing '{module}' failed:"
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if module == missing or module.startswith(f"{missing}."):
            raise ConfigError(
                f"{said}: There is no module '{missing}' to import '{module}' from. It was looked "
                f"for in {directory} and among the installed packages."
            ) from error
        raise ConfigError(
            f"{failed} {_place(error)}it needs '{missing}', which is not installed."
        ) from error
    except ValidationError as error:
        raise ConfigError(f"{failed} {_place(error)}{told(error)}") from error
    except SyntaxError as error:
        raise ConfigError(
            f"{failed} {error.filename}:{error.lineno}: {type(error).__name__}: {error.msg}"
        ) from error
    except (Exception, SystemExit) as error:  # whatever a module raises is its author's mistake
        raise ConfigError(f"{failed} {_place(error)}{type(error).__name__}: {error}") from error


def _place(error: BaseException) -> str:
    """The last line of the user's own code that led to the error, or of an installed package's."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith(("<", _OURS))
    ]
    # The first is the call of importlib.
    own = [frame for frame in frames if not frame.filename.startswith(_LIBRARY)] or frames[1:]
    return f"{own[-1].filename}:{own[-1].lineno}: " if own else ""


def _is_chosen(config: MetaxyConfig) -> bool:
    """Whether one module was named on the spot, which then is the only one."""
    origin = config._merged.origin(("module",))
    return origin is not None and origin.kind == "argument"
