"""Options of one run, given in the Launchpad under the config key `metaxy`."""

from __future__ import annotations

import types
from collections.abc import Iterable
from enum import Enum
from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import Field

from metaxy_core import PlannedFeature, WorkPlan
from metaxy_dagster.reports.metadata import FEATURE, declared

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
        default=None, min_length=1, description="Process samples of these statuses only."
    )
    where: str | None = Field(
        default=None,
        description="Process what this filter chooses, such as: height > 720 AND site = 'a'.",
    )
    dry_run: bool = Field(
        default=False, description="Count what there is to do and report it; compute nothing."
    )
    plan: str | None = Field(
        default=None,
        description="Process the units that this plan names (`metaxy plan --out FILE`), no others.",
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


def plan_config(
    path: str | Path, assets: Iterable[dg.AssetsDefinition], **options: Any
) -> dict[str, Any]:
    """The run config that applies a saved plan exactly: its units and no others.

    Args:
        path: the plan, where the run's processes can read it; see `metaxy plan --out`.
        assets: the feature assets of the run; those whose feature the plan does not have, or has
            nothing to do, are left out: select `planned_assets` for the run. A root whose code
            was changed lists all its samples again: the units below are made from those.
        options: further options, see `RunOptions`.

    Raises:
        PlanError: it cannot be read.
    """
    roots = {one.feature for one in WorkPlan.load(path) if _lists_again(one)}
    ops = {}
    for one in planned_assets(path, assets):
        plan = {} if _features(one) <= roots else {"plan": str(path)}
        ops[one.op.name] = {"config": {KEY: {**plan, **options}}}
    return {"ops": ops}


def planned_assets(
    path: str | Path, assets: Iterable[dg.AssetsDefinition]
) -> list[dg.AssetsDefinition]:
    """The feature assets that a saved plan has work for.

    Raises:
        PlanError: it cannot be read.
    """
    named = {one.feature for one in WorkPlan.load(path) if one.units or _lists_again(one)}
    return [one for one in assets if named & _features(one)]


def _lists_again(planned: PlannedFeature) -> bool:
    """Whether it is a root whose samples are not known, but whose code was changed."""
    return planned.units is None and bool(planned.then and planned.then.todo)


def _features(asset: dg.AssetsDefinition) -> set[str]:
    return {str(declared(spec.metadata, FEATURE)) for spec in asset.specs}


def options_of(config: Any) -> RunOptions:
    """The run options in a config; the defaults where there is none."""
    options: RunOptions = getattr(config, KEY, None) or RunOptions()
    return options
