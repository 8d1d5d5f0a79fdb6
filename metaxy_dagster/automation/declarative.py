"""Declarative automation: assets that run when they have samples to process."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import dagster as dg

from metaxy_core import FeatureGraph, Graph
from metaxy_dagster.automation.conditions import IncrementPending
from metaxy_dagster.resource import MetaxyStore


def on_increment(
    store: MetaxyStore,
    *,
    graph: Graph | FeatureGraph | None = None,
    min_samples: int = 1,
    max_wait: timedelta | None = None,
) -> dg.AutomationCondition[Any]:
    """Run an asset when it has samples to process and neither it nor a parent is running.

    Only an automation sensor in user code evaluates it, see `metaxy_automation_sensor`: without
    one Dagster never does, and says nothing. A parent that was never materialised has no rows, so
    nothing is pending.

    Args:
        store: see `IncrementPending`.
        graph: the features; by default the store's, else the active graph.
        min_samples: wait until there are as many,
        max_wait: but no longer than this.

    >>> from metaxy_core import FeatureSpec
    >>> from metaxy_dagster import feature_asset
    >>> graph = FeatureGraph([FeatureSpec("video"), FeatureSpec("crop", deps=["video"])])
    >>> nightly = on_increment(
    ...     MetaxyStore.memory(graph=graph), min_samples=100, max_wait=timedelta(hours=6)
    ... )
    >>> make = feature_asset("crop", graph=graph, automation_condition=nightly)
    >>> make(lambda increment: increment.todo()).key
    AssetKey(['crop'])
    """
    pending = IncrementPending(store, graph, min_samples, max_wait)
    idle = ~dg.AutomationCondition.in_progress()
    parents_idle = ~dg.AutomationCondition.any_deps_in_progress()
    return (pending & idle & parents_idle).with_label("on_increment")


def metaxy_automation_sensor(
    target: Any = None,
    *,
    name: str = "metaxy_automation",
    every: int = 60,
    run_tags: Mapping[str, str] | None = None,
    default_status: dg.DefaultSensorStatus = dg.DefaultSensorStatus.STOPPED,
) -> dg.AutomationConditionSensorDefinition:
    """The sensor that evaluates `on_increment`; every project that uses the condition needs one.

    Args:
        target: assets, keys or a selection; by default every asset of kind `metaxy`. At most 500
            assets and checks.
        every: seconds between ticks, at least.
        run_tags: of the runs it launches.
        default_status: it is off until somebody switches it on.

    >>> metaxy_automation_sensor().name
    'metaxy_automation'
    """
    chosen = dg.AssetSelection.kind("metaxy") if target is None else target
    with warnings.catch_warnings():
        # Only in user code can a condition of our own be evaluated.
        warnings.simplefilter("ignore", dg.BetaWarning)
        return dg.AutomationConditionSensorDefinition(
            name,
            target=chosen,
            run_tags=run_tags,
            default_status=default_status,
            minimum_interval_seconds=every,
            description="Runs features that have new or stale samples.",
            use_user_code_server=True,
        )
