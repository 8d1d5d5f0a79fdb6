"""What of a store's options may be shown: what is known to be harmless, rebuilt from its parts.

Nothing is looked for that might be a secret; everything is one that is not known not to be.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import SecretStr

from metaxy_core.addresses import HIDDEN, harmless

_HARMLESS = {
    "path", "data_path", "uri", "warehouse", "catalog", "namespace", "schema", "database",
    "host", "user", "name", "project", "hash_algorithm", "versioning_engine", "spool_dir",
    "materialization_id",
}  # fmt: skip
"""Options whose text may be shown, as far as `harmless` shows it."""


def wrap(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options with every text that is not to be shown as it is in a `SecretStr`.

    >>> wrap({"path": "a.duckdb", "port": 5432, "password": "p", "settings": {"x": "y"}})
    {'path': 'a.duckdb', 'port': 5432, 'password': SecretStr('**********'),
     'settings': {'x': SecretStr('**********')}}
    """
    return {
        name: value
        if isinstance(value, str) and name in _HARMLESS and harmless(value) == value
        else _wrapped(value)
        for name, value in options.items()
    }


def unwrap(value: Any) -> Any:
    """The values behind `wrap`."""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, Mapping):
        return {name: unwrap(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [unwrap(one) for one in value]
    return value


def shown(name: str, value: Any) -> Any:
    """What may be printed of an option."""
    if isinstance(value, SecretStr):
        return harmless(value.get_secret_value()) if name in _HARMLESS else HIDDEN
    if isinstance(value, Mapping):
        return {key: shown("", one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [shown("", one) for one in value]
    return value


def _wrapped(value: Any) -> Any:
    if isinstance(value, str):
        return SecretStr(value)
    if isinstance(value, Mapping):
        return {name: _wrapped(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_wrapped(one) for one in value]
    return value
