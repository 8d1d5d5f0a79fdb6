"""The configuration as it is understood: what counts, who said it, and whether it is right."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from pydantic import JsonValue

from metaxy_core.cli.output import Format, gives, show_records, tell
from metaxy_core.cli.project import Project
from metaxy_core.errors import MetaxyError

if TYPE_CHECKING:
    from metaxy_core.config import MetaxyConfig

_HERE = Project()


@dataclass(frozen=True)
class Setting:
    """One setting.

    Attributes:
        value: secrets, and what may be one, are asterisks.
        origin: who said it: a file, `environment`, `argument` or `default`.
    """

    key: str
    value: JsonValue
    origin: str


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        told: what is wrong, or what was found.
    """

    subject: str
    ok: bool
    told: str


@gives(lambda: list[Setting])
def show_config(*, project: Project = _HERE, format: Format = "plain") -> int:
    """Print every setting, what it is and who said so. Secrets are asterisks.

    Example: metaxy config print --format json

    Exit codes: 0 printed, 1 a mistake in the configuration.
    """
    config = project.settings()
    for file in config.files:
        tell(f"Read {file}")
    show_records(("key", "value", "origin"), list(_settings(config)), format, "")
    return 0


@gives(lambda: list[Check])
def check(
    *,
    open: Annotated[bool, Parameter(negative=())] = False,
    project: Project = _HERE,
    format: Format = "plain",
) -> int:
    """Check the configuration: files, features, every store, and variables that mean nothing.

    Example: metaxy config check --open

    Exit codes: 0 nothing is wrong, 1 something is.

    Args:
        open: Open every store for reading, too.
    """
    config = project.settings()
    found = list(_checks(config, is_opening=open))
    show_records(("subject", "ok", "told"), found, format, "")
    return 0 if all(one.ok for one in found) else 1


def _settings(config: MetaxyConfig) -> Iterator[Setting]:
    from metaxy_core.config.interpolation import UnsetVariableError
    from metaxy_core.config.layers import OPTIONS
    from metaxy_core.config.loading import store_settings
    from metaxy_core.config.secrets import shown

    plain = config.model_dump(mode="json", exclude={"stores"})
    for name, value in plain.items():
        value = config.shown_store if name == "store" else value
        yield Setting(name, value, config.origin(name))
    for store, settings in config.stores.items():
        with suppress(UnsetVariableError):  # it is shown by its name
            settings = store_settings(config, store)
        at = ("stores", store)
        yield Setting(f"stores.{store}.type", settings.type, config.origin(*at, "type"))
        if settings.fallback_stores:
            key = (*at, "fallback_stores")
            yield Setting(".".join(key), list(settings.fallback_stores), config.origin(*key))
        for option, value in settings.options.items():
            origin = config.origin(*at, OPTIONS, option)
            yield Setting(f"stores.{store}.{option}", shown(option, value), origin)


def _checks(config: MetaxyConfig, *, is_opening: bool) -> Iterator[Check]:
    from metaxy_core.config.environment import unknown_variables

    for file in config.files:
        yield Check(str(file), True, "read")
    for variable in unknown_variables(type(config).model_fields):
        yield Check(variable, False, "no setting has this name: is it misspelt?")
    yield _features(config)
    if config.store is not None and config.store not in config.stores:
        yield _store(config, config.store, is_opening=is_opening)
    for name in config.stores:
        yield _store(config, name, is_opening=is_opening)


def _features(config: MetaxyConfig) -> Check:
    from metaxy_core.graph import Graph

    try:
        with redirect_stdout(sys.stderr):
            found = config.load_features()
            graph = found if isinstance(found, Graph) else found.freeze()
    except MetaxyError as error:
        return Check("features", False, str(error))
    return Check("features", True, f"{len(graph)} features")


def _store(config: MetaxyConfig, name: str, *, is_opening: bool) -> Check:
    subject = f"store {name if name in config.stores else config.shown_store}"
    try:
        store = config.make_store(name)
        if not is_opening:
            return Check(subject, True, store.display())
        with store.open("r"):
            return Check(subject, True, f"{store.display()} can be read")
    except MetaxyError as error:
        return Check(subject, False, str(error))
