"""Where settings come from, one on top of the other, and which of them has said what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from metaxy_core.errors import ConfigError

OPTIONS: Final = "options"
"""Where a store's options are kept, whether written beside `type` or under `config`."""
PREFIX: Final = "METAXY_"

Key = tuple[str, ...]


@dataclass(frozen=True)
class Layer:
    """One source of settings.

    Attributes:
        values: nested; a store's options are under `options`.
        kind: files have their `${VAR}` replaced, others are taken as they are.
        name: the file's path; else what to call it in a message.
        base: what its relative paths are relative to.
    """

    values: Mapping[str, Any] = field(repr=False)
    kind: Literal["file", "environment", "argument"]
    name: str
    base: Path

    def call(self, key: Key) -> str:
        """How its author would call a key, for messages."""
        if key[2:3] == (OPTIONS,):
            key = key[:2] + key[3:]
        if self.kind == "environment":
            return PREFIX + "__".join(key).upper().replace("-", "_")
        if self.kind == "argument":
            return f"--{'.'.join(key).replace('_', '-')}"
        return f"{self.name}: '{'.'.join(key)}'"


@dataclass
class Merged:
    """All layers in one: the values that count, and per value the layer that said it."""

    values: dict[str, Any] = field(default_factory=dict, repr=False)
    origins: dict[Key, Layer] = field(default_factory=dict)

    def origin(self, key: Key) -> Layer | None:
        """The layer that said a value, or what is nearest to it."""
        for length in range(len(key), 0, -1):
            if (found := self.origins.get(key[:length])) is not None:
                return found
        return next((one for at, one in self.origins.items() if at[: len(key)] == key), None)

    def call(self, key: Key) -> str:
        """How the author of a value would call it."""
        origin = self.origin(key)
        return origin.call(key) if origin else f"'{'.'.join(key)}'"


def lifted(store: Mapping[str, Any]) -> dict[str, Any]:
    """A store's settings with its options, beside `type` or under `config`, under `options`.

    Raises:
        ConfigError: an option is given in both places, or they are no table.

    >>> lifted({"type": "duckdb", "path": "a", "config": {"lock_timeout": 3}})
    {'type': 'duckdb', 'options': {'path': 'a', 'lock_timeout': 3}}
    """
    own = {name: store[name] for name in ("type", "fallback_stores") if name in store}
    beside = {n: v for n, v in store.items() if n not in own and n not in ("config", OPTIONS)}
    for name in ("config", OPTIONS):
        under = store.get(name, {})
        if not isinstance(under, Mapping):
            raise ConfigError(f"'{name}' should be a table of options.")
        if twice := sorted(set(under) & set(beside)):
            raise ConfigError(
                f"'{twice[0]}' is given twice, beside 'type' and under '{name}': keep one."
            )
        beside |= under
    return {**own, OPTIONS: beside} if beside else own


def normalised(layer: Layer) -> Layer:
    """The layer with the options of its stores lifted.

    Raises:
        ConfigError: `stores` is no table of tables.
    """
    values = dict(layer.values)
    if "stores" in values:
        stores = values["stores"]
        if not isinstance(stores, Mapping):
            raise ConfigError(f"{layer.call(('stores',))} should be a table of stores.")
        made = {}
        for name, store in stores.items():
            where = layer.call(("stores", name))
            if not isinstance(store, Mapping):
                raise ConfigError(f'{where} should be a table: type = "duckdb", path = …')
            try:
                made[name] = lifted(store)
            except ConfigError as error:
                raise ConfigError(f"{where}: {error}") from None
        values["stores"] = made
    return Layer(values, layer.kind, layer.name, layer.base)


def merge(layers: Iterable[Layer]) -> Merged:
    """Put layers on top of each other, the weakest first; tables are merged, lists replaced.

    A store that a layer gives another `type` is that layer's alone.
    """
    merged = Merged()
    for layer in layers:
        _lay(merged, merged.values, layer.values, layer, ())
    return merged


def _lay(
    merged: Merged, under: dict[str, Any], over: Mapping[str, Any], layer: Layer, at: Key
) -> None:
    for name, value in over.items():
        key = (*at, name)
        below = under.get(name)
        if (
            isinstance(value, Mapping)
            and isinstance(below, dict)
            and not _replaces(key, value, below)
        ):
            _lay(merged, below, value, layer, key)
            continue
        for known in [known for known in merged.origins if known[: len(key)] == key]:
            del merged.origins[known]
        if isinstance(value, Mapping):
            under[name] = {}
            merged.origins[key] = layer
            _lay(merged, under[name], value, layer, key)
        else:
            under[name] = value
            merged.origins[key] = layer


def _replaces(key: Key, over: Mapping[str, Any], under: Mapping[str, Any]) -> bool:
    is_store = len(key) == 2 and key[0] == "stores"
    return is_store and "type" in over and over["type"] != under.get("type", over["type"])
