"""`${VAR}` and `${VAR:-default}` in the texts of files."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

from metaxy_core.config.layers import Key, Merged
from metaxy_core.errors import ConfigError

_REFERENCE = re.compile(
    r"\$\$\{|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}|\$\{"
)


class UnsetVariableError(ConfigError):
    """A variable without a default is not set."""


def interpolate(value: Any, key: Key, merged: Merged) -> Any:
    """A value with the variables in its texts replaced; what no file has said stays as it is.

    `$${` stands for `${`. A variable that is set to nothing counts as not set.

    Raises:
        UnsetVariableError: a variable without a default is not set; names it and the key.
    """
    if isinstance(value, Mapping):
        return {name: interpolate(one, (*key, name), merged) for name, one in value.items()}
    if isinstance(value, list):
        return [interpolate(one, key, merged) for one in value]
    origin = merged.origin(key)
    if not isinstance(value, str) or origin is None or origin.kind != "file":
        return value
    return expand(value, origin.call(key))


def expand(text: str, where: str) -> str:
    """One text with its variables replaced; `where` is named in errors.

    >>> expand("${METAXY_NO_SUCH_VARIABLE:-data}/meta.duckdb and $${HOME}", "here")
    'data/meta.duckdb and ${HOME}'
    """

    def replace(found: re.Match[str]) -> str:
        name, default = found["name"], found["default"]
        if found[0] == "$${":
            return "${"
        if name is None:
            raise ConfigError(
                f"{where} has a '${{' that is no variable: write ${{NAME}} or ${{NAME:-default}}, "
                "and $${ for the two characters themselves."
            )
        value = os.environ.get(name) or default
        if value is None:
            raise UnsetVariableError(
                f"{where} needs the environment variable {name}, which is not set. Set it, or "
                f"write a default: ${{{name}:-…}}"
            )
        return value

    return _REFERENCE.sub(replace, text)
