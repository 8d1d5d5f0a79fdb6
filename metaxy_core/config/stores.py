"""Stores out of their settings: by short type name, or by a class that the project allows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, get_args, get_origin

from pydantic import SecretStr, ValidationError

from metaxy_core.addresses import harmless
from metaxy_core.config.environment import decoded, listed
from metaxy_core.config.features import imported
from metaxy_core.config.layers import OPTIONS, Key, Layer
from metaxy_core.config.loading import mistakes, nearest, store_settings
from metaxy_core.config.secrets import unwrap
from metaxy_core.errors import ConfigError

if TYPE_CHECKING:
    from metaxy_core.config.settings import MetaxyConfig
    from metaxy_core.graph import FeatureGraph, Graph
    from metaxy_core.store import MetadataStore

TYPES: Final = {
    "clickhouse": "ClickHouseMetadataStore",
    "delta": "DeltaMetadataStore",
    "duckdb": "DuckDBMetadataStore",
    "ducklake": "DuckLakeMetadataStore",
    "ibis": "IbisMetadataStore",
    "iceberg": "IcebergMetadataStore",
    "lancedb": "LanceDBMetadataStore",
    "memory": "InMemoryMetadataStore",
    "postgres": "PostgresMetadataStore",
    "sqlite": "SQLiteMetadataStore",
}
"""Short names of the stores that there are."""
_FILE = ".duckdb"


def default_name(config: MetaxyConfig) -> str | None:
    """The default store: the one named, else the only one that there is."""
    if config.store is not None:
        return config.store
    return next(iter(config.stores)) if len(config.stores) == 1 else None


def make(
    config: MetaxyConfig, name: str | None, graph: Graph | FeatureGraph | None
) -> MetadataStore:
    """See `MetaxyConfig.make_store`."""
    key: Key = ("store",)
    origin = config._merged.origin(key) if name is None else None
    wanted = name or default_name(config)
    if wanted is None:
        raise ConfigError(
            f"Which store? {_there_are(config)}Give --store NAME or --store PATH.duckdb, set "
            "METAXY_STORE, or write store = 'NAME' in metaxy.toml or under [tool.metaxy] in "
            "pyproject.toml."
        )
    if wanted in config.stores:
        return _named(config, wanted, graph, ())
    where = f"{origin.call(key)}: " if origin else ""
    if "://" in wanted:
        raise ConfigError(
            f"{where}An address is no store. {_there_are(config)}Give the store a name: write "
            "[stores.NAME] with its type and options in metaxy.toml, or [tool.metaxy.stores.NAME] "
            "in pyproject.toml, and --store NAME. Only DuckDB files need no name."
        )
    if not _is_file(wanted):
        named = harmless(wanted)
        hint = (
            f"is named with its ending: {named}{_FILE}" if named == wanted else f"ends in {_FILE}."
        )
        raise ConfigError(
            f"{where}There is no store '{named}'. {nearest(wanted, config.stores)} A DuckDB file "
            f"{hint}"
        )
    options = {**_common(config), "path": _path(wanted, origin)}
    return _made(_class(config, "duckdb", ""), options, None, (), graph)


def _named(
    config: MetaxyConfig, name: str, graph: Graph | FeatureGraph | None, above: tuple[str, ...]
) -> MetadataStore:
    at: Key = ("stores", name)
    where = config._merged.call(at)
    if name in above:
        ring = " -> ".join([*above[above.index(name) :], name])
        raise ConfigError(f"{where}: stores fall back to each other in a ring: {ring}.")
    settings = store_settings(config, name)
    fallbacks = []
    for other in settings.fallback_stores:
        if other not in config.stores:
            key = config._merged.call((*at, "fallback_stores"))
            raise ConfigError(
                f"{key}: there is no store '{other}'. {nearest(other, config.stores)}"
            )
        fallbacks.append(_named(config, other, graph, (*above, name)))
    kind = _class(config, settings.type, config._merged.call((*at, "type")))
    model = kind.config_model()
    said = unwrap(settings.options)
    options: dict[str, Any] = _common(config)
    for option, value in said.items():
        field = _field(option, model.model_fields)
        spot: Key = (*at, OPTIONS, option)
        if field is None or field in ("name", "fallback_stores"):
            hint = nearest(option, {*model.model_fields} - {"name"})
            call = config._merged.call(spot)
            raise ConfigError(f"{call} is no option of a store of type '{settings.type}'. {hint}")
        annotation = model.model_fields[field].annotation
        options[field] = _value(value, annotation, config._merged.origin(spot))
    options |= _argued(config)
    if settings.type == "ibis" and "connection" in options:
        spot = (*at, OPTIONS, "connection")
        if not isinstance(options["connection"], str):
            raise ConfigError(f"{config._merged.call(spot)} should be an address for ibis.connect.")
        options["connection"] = Connect(SecretStr(options["connection"]))
    try:
        return _made(kind, options, name, fallbacks, graph)
    except ValidationError as error:
        told = "; ".join(mistakes(error, config._merged, (*at, OPTIONS)))
        raise ConfigError(told) from None
    except (ConfigError, ValueError) as error:
        raise ConfigError(f"{where}: {error}") from None


class Connect:
    """Opens an Ibis connection from its address; pickles, and does not show it."""

    def __init__(self, address: SecretStr) -> None:
        self._address = address

    def __call__(self) -> Any:
        """The connection.

        Raises:
            ConfigError: Ibis cannot connect; the driver's own words may repeat secrets.
        """
        import ibis

        address = self._address.get_secret_value()
        try:
            return ibis.connect(address)
        except Exception as error:  # noqa: BLE001  # each driver has its own
            raise ConfigError(
                f"Ibis cannot connect to {harmless(address)} ({type(error).__name__})."
            ) from None


def _made(
    kind: type[MetadataStore],
    options: Mapping[str, Any],
    name: str | None,
    fallbacks: Any,
    graph: Graph | FeatureGraph | None,
) -> MetadataStore:
    checked = kind.config_model().model_validate({**options, "name": name})
    return kind.from_config(checked, graph=graph, fallback_stores=tuple(fallbacks))


def _common(config: MetaxyConfig) -> dict[str, Any]:
    spool = config.spool_dir
    return {
        "project": config.project,
        "hash_algorithm": config.hash_algorithm,
        "auto_create_tables": config.auto_create_tables,
        "spool_dir": spool and _path(str(spool), config._merged.origin(("spool_dir",))),
    }


def _argued(config: MetaxyConfig) -> dict[str, Any]:
    """What was said on the spot, such as `--project`: it wins over the store's own options."""
    origins = {name: config._merged.origin((name,)) for name in ("project", "hash_algorithm")}
    return {
        name: getattr(config, name)
        for name, origin in origins.items()
        if origin is not None and origin.kind == "argument"
    }


def _class(config: MetaxyConfig, named: str, where: str) -> type[MetadataStore]:
    from metaxy_core.store import MetadataStore, stores

    if named in TYPES:
        found: type[MetadataStore] = getattr(stores, TYPES[named])
        return found
    module, colon, name = named.partition(":")
    if not colon:
        raise ConfigError(f"{where}: there is no store type '{named}'. {nearest(named, TYPES)}")
    if not any(fnmatchcase(named, allowed) for allowed in config.allow_classes):
        raise ConfigError(
            f"{where}: the class '{named}' is not allowed. Write it into allow_classes: "
            f'allow_classes = ["{named}"]'
        )
    made: Any = getattr(imported(module, config.root, where), name, None)
    if not (isinstance(made, type) and issubclass(made, MetadataStore)):
        raise ConfigError(f"{where}: '{module}' has no subclass '{name}' of MetadataStore.")
    return made


def _field(option: str, fields: Mapping[str, Any]) -> str | None:
    """The option as the store calls it: its `config` would be mistaken for the table of options."""
    if option == "settings" and "settings" not in fields and "config" in fields:
        return "config"
    return option if option in fields else None


def _annotated(annotation: Any) -> set[Any]:
    inner = get_args(annotation)
    return {annotation}.union(*map(_annotated, inner)) if inner else {annotation}


def _value(value: Any, annotation: Any, origin: Layer | None) -> Any:
    """A text as what the option takes: a path from where it was said, a table or list as JSON."""
    if not isinstance(value, str):
        return value
    accepted = _annotated(annotation)
    shapes = {get_origin(one) for one in accepted}
    if Path in accepted:
        return _path(value, origin)
    if shapes & {list, tuple, Sequence}:
        return listed(value)
    return decoded(value) if shapes & {dict, Mapping} and value.startswith("{") else value


def _path(text: str, origin: Layer | None) -> str:
    """A path relative to what said it; an address as it is."""
    head = text.partition("/")[0]
    if text == ":memory:" or (":" in head and not Path(text).drive):
        return text
    base = origin.base if origin else Path.cwd()
    return str(base / Path(text).expanduser())


def _is_file(text: str) -> bool:
    return text == ":memory:" or "/" in text or text.endswith(_FILE) or Path(text).is_file()


def _there_are(config: MetaxyConfig) -> str:
    return f"There are: {', '.join(sorted(config.stores))}. " if config.stores else ""
