"""What of a store's options may be shown: what is known to be harmless, rebuilt from its parts.

Nothing is looked for that might be a secret; everything is one that is not known not to be.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import JsonValue, Secret, SecretStr

from metaxy_core.addresses import HIDDEN, harmless

_TEXTS = {
    "path", "data_path", "uri", "warehouse", "catalog", "namespace", "schema", "database",
    "host", "user", "name", "project", "hash_algorithm", "versioning_engine", "spool_dir",
    "materialization_id",
}  # fmt: skip
"""Options whose text may be shown, as far as `harmless` shows it."""


_NUMBERS = {"port", "lock_timeout", "connect_timeout", "retry_timeout"}
"""Options whose number may be shown: a password may be made of digits."""


def wrap(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options with everything that is not to be shown as it is in a `SecretStr` or `Secret`.

    >>> wrap({"path": "a.duckdb", "port": 5432, "password": "p", "settings": {"x": 1}})
    {'path': 'a.duckdb', 'port': 5432, 'password': SecretStr('**********'),
     'settings': {'x': Secret('**********')}}
    """
    return {name: _wrapped(name, value) for name, value in options.items()}


def unwrap(value: Any) -> Any:
    """The values behind `wrap`."""
    if isinstance(value, SecretStr | Secret):
        return value.get_secret_value()
    if isinstance(value, Mapping):
        return {name: unwrap(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [unwrap(one) for one in value]
    return value


def shown(name: str, value: Any) -> JsonValue:
    """What may be printed of an option as `wrap` gave it."""
    if isinstance(value, SecretStr):
        return harmless(value.get_secret_value()) if name in _TEXTS else HIDDEN
    if isinstance(value, Mapping):
        return {key: shown("", one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [shown("", one) for one in value]
    return value if isinstance(value, bool | int | None) else str(value)


def _wrapped(name: str, value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _wrapped("", one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_wrapped("", one) for one in value]
    if isinstance(value, str | Path):
        is_shown = name in _TEXTS and harmless(str(value)) == str(value)
        return value if is_shown else SecretStr(str(value))
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value if name in _NUMBERS else Secret(value)
    return value if isinstance(value, bool | None | SecretStr | Secret) else Secret(value)
