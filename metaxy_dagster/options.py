"""Options of one run, given in the Launchpad under the config key `metaxy`."""

from __future__ import annotations

import types
from enum import Enum
from typing import Any

import dagster as dg
from pydantic import Field

KEY = "metaxy"


class Status(Enum):
    """The statuses a run may be limited to."""

    new = "new"
    stale = "stale"


class RunOptions(dg.Config):
    """Which of the work one run does; every feature asset takes it beside its own config.

    >>> RunOptions(limit=100).limit
    100
    """

    limit: int | None = Field(
        default=None, ge=0, description="Process no more than this many samples (1:N: parents)."
    )
    only: list[Status] | None = Field(
        default=None, description="Process samples of these statuses only."
    )
    where: str | None = Field(
        default=None,
        description="Process what this filter chooses, such as: height > 720 AND site = 'a'.",
    )
    dry_run: bool = Field(
        default=False, description="Count what there is to do and report it; compute nothing."
    )
    force: bool = Field(default=False, description="Process samples that are up to date as well.")


class RunConfig(dg.Config):
    """The config of a feature asset whose function takes none of its own."""

    metaxy: RunOptions = RunOptions()


def with_options(config: type[dg.Config] | None) -> type[dg.Config]:
    """A config class with `RunOptions` under the key `metaxy` besides its own fields.

    Raises:
        ValueError: the class has a field of that name itself.
    """
    if config is None:
        return RunConfig
    if KEY in config.model_fields:
        raise ValueError(f"{config.__name__} has a field {KEY!r}, which is the run options' name")
    namespace = {
        "__module__": config.__module__,
        "__doc__": config.__doc__,
        "__annotations__": {KEY: RunOptions},
        KEY: RunOptions(),
    }
    return types.new_class(
        config.__name__, (config,), exec_body=lambda body: body.update(namespace)
    )


def options_of(config: Any) -> RunOptions:
    """The run options in a config; the defaults where there is none."""
    options: RunOptions = getattr(config, KEY, None) or RunOptions()
    return options
