"""The settings of a project, as a value: checked, and without secrets when shown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr, model_validator

from metaxy_core.addresses import harmless
from metaxy_core.ambient import active_settings
from metaxy_core.config.environment import listed
from metaxy_core.config.layers import Merged, lifted
from metaxy_core.config.secrets import wrap
from metaxy_core.errors import ConfigError
from metaxy_core.external.lock import LOCK_FILE
from metaxy_core.hashing import HashAlgorithm

if TYPE_CHECKING:
    from metaxy_core.graph import FeatureGraph, Graph
    from metaxy_core.store import MetadataStore

Names = Annotated[tuple[str, ...], BeforeValidator(listed)]


def _hash(value: Any) -> Any:
    known = [algorithm.value for algorithm in HashAlgorithm]
    if isinstance(value, str) and value not in known:
        raise ValueError(f"There is no hash '{value}'. There are: {', '.join(known)}.")
    return value


class StoreSettings(BaseModel):
    """A named store: its type, its options, and the stores that it falls back to, by name.

    Options may stand beside `type`, under `config` or under `options`. Texts that may be secrets
    are `SecretStr`.

    >>> StoreSettings(type="postgres", dsn="postgresql://me:secret@host/db")
    StoreSettings(type='postgres', fallback_stores=(), options={'dsn': SecretStr('**********')})
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    type: str
    fallback_stores: Names = ()
    options: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _lifted(cls, given: Any) -> Any:
        if not isinstance(given, Mapping):
            return given
        try:
            made = lifted(given)
        except ConfigError as error:
            raise ValueError(str(error)) from None
        return {**made, "options": wrap(made.get("options", {}))}


class MetaxyConfig(BaseModel):
    """What a project says about itself: where its features are, and which stores it has.

    `MetaxyConfig.load()` reads it from `metaxy.toml` or `[tool.metaxy]` and the environment; see
    docs/configuration.md. It may be made in Python, too.

    Attributes:
        project: whose features may be written, and what graphs are recorded for.
        store: the default store: a name under `stores`, or a DuckDB file.
        stores: stores by name.
        entrypoints: modules that declare features; `package.features:graph` is a graph in one.
        module: one such module, for projects that have one.
        functions: modules that hold the functions of features, imported where their code is
            recorded or compared.
        hash_algorithm: of the stores that do not say otherwise.
        auto_create_tables: whether a store makes a feature's table at its first write.
        allow_classes: what a store's `type` may name besides the short names: `module:Class`, or
            `module:*`.
        spool_dir: where rows are kept that could not be stored.
        external: features of other projects that several declare: which one to lock, by key.
        external_versions: whether other versions of locked features are a warning or a mistake.

    >>> config = MetaxyConfig(store="dev", stores={"dev": {"type": "memory"}})
    >>> config.make_store().name
    'dev'
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    project: str = "default"
    store: str | None = None
    stores: dict[str, StoreSettings] = Field(default_factory=dict)
    entrypoints: Names = ()
    module: str | None = None
    functions: Names = ()
    hash_algorithm: Annotated[HashAlgorithm, BeforeValidator(_hash)] = HashAlgorithm.MD5
    auto_create_tables: bool = True
    allow_classes: Names = ()
    spool_dir: Path | None = None
    external: dict[str, str] = Field(default_factory=dict)
    external_versions: Literal["warn", "error"] = "warn"

    _files: tuple[Path, ...] = PrivateAttr(default=())
    _merged: Merged = PrivateAttr(default_factory=Merged)

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """What is shown: of a store that has no name, what of its path may be."""
        for name, value in super().__repr_args__():
            yield name, self.shown_store if name == "store" else value

    @property
    def shown_store(self) -> str | None:
        """The default store, as it may be shown."""
        named = self.store is None or self.store in self.stores
        return self.store if named else harmless(str(self.store))

    @classmethod
    def load(
        cls, path: str | Path | None = None, *, start: str | Path | None = None, **said: Any
    ) -> MetaxyConfig:
        """Read the configuration: the file, then the environment, then what is `said` here.

        Args:
            path: the file; by default `METAXY_CONFIG`, else the nearest `metaxy.toml` or
                `pyproject.toml` with `[tool.metaxy]` up to the project's root; there may be none.
            start: where to look from; by default the working directory.
            said: settings that win over all others.

        Raises:
            ConfigError: the file is missing, not TOML or too large; a key is unknown or has a
                wrong value; a variable is not set. The message names the file and the key.
                Variables in a store's settings are asked for when that store is made.
        """
        from metaxy_core.config.loading import load

        return load(path, start, said)

    @classmethod
    def active(cls) -> MetaxyConfig | None:
        """The configuration that `init()` has loaded in this process; None before."""
        found: MetaxyConfig | None = active_settings()
        return found

    @property
    def files(self) -> tuple[Path, ...]:
        """The files read: the project's own, then those that it extends."""
        return self._files

    @property
    def root(self) -> Path:
        """The directory of the project's file; the working directory where there is none."""
        return self._files[0].parent if self._files else Path.cwd()

    def origin(self, *key: str) -> str:
        """Who said a setting: the path of a file, `environment`, `argument` or `default`."""
        found = self._merged.origins.get(key)
        if found is None:
            return "default"
        return found.name if found.kind == "file" else found.kind

    def make_store(
        self, name: str | None = None, *, graph: Graph | FeatureGraph | None = None
    ) -> MetadataStore:
        """A store by its name, not open, with its fallback stores.

        Args:
            name: a name under `stores`, or a DuckDB file; the default store without it.
            graph: the features; by default the active graph.

        Raises:
            ConfigError: there is no such store, or it is described wrongly.
            MissingExtraError: a package that the store needs is not installed.
        """
        from metaxy_core.config.stores import make

        return make(self, name, graph)

    @property
    def lock_file(self) -> Path:
        """Where the features of other projects are locked: `metaxy.lock` beside the file."""
        return self.root / LOCK_FILE

    def load_features(
        self, *, locked: bool = True, functions: bool = False
    ) -> FeatureGraph | Graph:
        """Import the features: the entry points, `module`, and those of installed packages.

        Feature classes register in the active graph, so that is what comes back, unless every
        entry point names a graph of its own. What they depend on in other projects is added from
        the lock file, unless a graph is frozen already.

        Args:
            locked: whether to add the features of other projects.
            functions: whether to import the modules of `functions`, too.

        Raises:
            ConfigError: a module cannot be imported; names the place in it.
            ExternalFeatureError: the lock file is damaged.
        """
        from metaxy_core.config.features import load_features
        from metaxy_core.external import use_lock
        from metaxy_core.graph import FeatureGraph

        found = load_features(self, functions=functions)
        if locked and isinstance(found, FeatureGraph):
            use_lock(self.lock_file, found)
        return found
