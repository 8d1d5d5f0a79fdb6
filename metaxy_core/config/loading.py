"""From files, the environment and arguments to a `MetaxyConfig`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from metaxy_core.config.discovery import find
from metaxy_core.config.environment import CONFIG, from_environment
from metaxy_core.config.interpolation import expand, interpolate
from metaxy_core.config.layers import Key, Layer, Merged, merge, normalised
from metaxy_core.config.reading import read_table
from metaxy_core.config.settings import MetaxyConfig, StoreSettings
from metaxy_core.errors import ConfigError

EXTEND = "extend"


def load(
    path: str | Path | None, start: str | Path | None, said: Mapping[str, Any]
) -> MetaxyConfig:
    """See `MetaxyConfig.load`."""
    own = _chosen(path, start)
    files = [] if own is None else [normalised(layer) for layer in _chain(own)]
    known = tuple(MetaxyConfig.model_fields)
    stores = {name for layer in files for name in layer.values.get("stores", {})}
    arguments = Layer(
        {name: value for name, value in said.items() if value is not None},
        "argument",
        "the arguments",
        Path.cwd(),
    )
    layers = [*reversed(files), normalised(from_environment(known, stores)), normalised(arguments)]
    for layer in layers:
        _check_names(layer)
    merged = merge(layers)
    values = {
        name: value if name == "stores" else interpolate(value, (name,), merged)
        for name, value in merged.values.items()
    }
    try:
        config = MetaxyConfig.model_validate(values)
    except ValidationError as error:
        raise ConfigError("; ".join(mistakes(error, merged))) from None
    config._files = tuple(Path(layer.name) for layer in files)
    config._merged = merged
    return config


def mistakes(error: ValidationError, merged: Merged, under: Key = ()) -> Iterator[str]:
    """What a model found wrong, each with the file and the key; without the values."""
    for one in error.errors(include_url=False, include_input=False):
        key = (*under, *map(str, one["loc"]))
        told = one["msg"].removeprefix("Value error, ")
        yield f"{merged.call(key)}: {told[:1].upper()}{told[1:]}"


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name that was probably meant, as the end of a message; else all of them.

    >>> nearest("proejct", ["project", "store"])
    "Did you mean 'project'?"
    """
    names = sorted(known)
    if close := get_close_matches(name, names, n=1):
        return f"Did you mean '{close[0]}'?"
    return f"There are: {', '.join(names)}." if names else "There are none."


def _chosen(path: str | Path | None, start: str | Path | None) -> Path | None:
    named = path or os.environ.get(CONFIG)
    if not named:
        return find(Path(start or Path.cwd()).absolute())
    chosen = Path(named).expanduser().absolute()
    if not chosen.is_file():
        raise ConfigError(f"There is no configuration file {chosen}.")
    return chosen


def _chain(own: Path) -> Iterator[Layer]:
    """The project's file, then what it extends, then what that extends."""
    path, chain = own, [own.resolve()]
    while True:
        table = read_table(path)
        if table is None:
            raise ConfigError(f"{path} has no table [tool.metaxy].")
        extended = table.pop(EXTEND, None)
        layer = Layer(table, "file", str(path), path.parent)
        yield layer
        if extended is None:
            return
        where = layer.call((EXTEND,))
        if not isinstance(extended, str):
            raise ConfigError(f"{where} should be the path of a file.")
        path = path.parent / Path(expand(extended, where)).expanduser()
        if not path.is_file():
            raise ConfigError(f"{where}: there is no file {path}.")
        if path.resolve() in chain:
            names = " -> ".join(map(str, [*chain, path.resolve()]))
            raise ConfigError(f"{where}: files extend each other in a ring: {names}.")
        chain.append(path.resolve())


def _check_names(layer: Layer) -> None:
    known = MetaxyConfig.model_fields
    for name in layer.values:
        if name not in known:
            where = layer.call((name,))
            hint = nearest(name, [*known, EXTEND])
            raise ConfigError(f"{where} is no setting. {hint}")


def store_settings(config: MetaxyConfig, name: str) -> StoreSettings:
    """A named store's settings with its variables replaced, which are asked for by its use alone.

    Raises:
        UnsetVariableError: one of them is not set.
        ConfigError: what comes of them does not fit.
    """
    raw = config._merged.values.get("stores", {}).get(name)
    if raw is None:
        return config.stores[name]
    key = ("stores", name)
    try:
        return StoreSettings.model_validate(interpolate(raw, key, config._merged))
    except ValidationError as error:
        raise ConfigError("; ".join(mistakes(error, config._merged, key))) from None
