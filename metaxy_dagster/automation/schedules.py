"""A schedule that runs features by the clock, where they have samples to process."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import dagster as dg

from metaxy_core import FeatureGraph, Graph, StoreUnavailableError, active_graph
from metaxy_dagster.automation.pending import Pending, impatient, is_locked, look
from metaxy_dagster.automation.sensors import preview_tags
from metaxy_dagster.automation.targets import Target, target_of, targets_of
from metaxy_dagster.resource import STORE_KEY, MetaxyStore, frozen
from metaxy_dagster.translator import FeatureTranslator, Translation


def build_increment_schedule(
    cron: str,
    selection: dg.AssetSelection | Iterable[Any],
    *,
    store: MetaxyStore | str = STORE_KEY,
    name: str = "metaxy_increment_schedule",
    timezone: str | None = None,
    graph: Graph | FeatureGraph | None = None,
    translator: FeatureTranslator | None = None,
    translation: Translation | None = None,
    default_status: dg.DefaultScheduleStatus = dg.DefaultScheduleStatus.STOPPED,
) -> dg.ScheduleDefinition:
    """A schedule that runs a selection when any of it has something to do, else says why not.

    A selection with a root always runs: its samples are known only then. So does one whose store
    is locked for long, because the next tick may be a day away; a run waits by itself.

    Args:
        cron: such as `"0 6 * * *"`.
        selection: feature classes, specs or keys, assets, or an asset selection.
        store: the store, or the key of the resource that is one.
        timezone: of the cron text; UTC unless said.
        graph: where the features are declared; by default the active graph.
        translator: decides the assets' keys.
        default_status: it is off until somebody switches it on.

    >>> from metaxy_core import FeatureSpec
    >>> chain = FeatureGraph([FeatureSpec("video"), FeatureSpec("crop", deps=["video"])])
    >>> build_increment_schedule("@daily", ["crop"], graph=chain).cron_schedule
    '@daily'
    """
    chosen = frozen(active_graph() if graph is None else graph)
    assets = translation or Translation(chosen, translator or FeatureTranslator())
    listed = None if isinstance(selection, dg.AssetSelection) else targets_of(assets, selection)
    if isinstance(selection, dg.AssetSelection):
        selected = selection
    else:
        selected = dg.AssetSelection.assets(*(target.key for target in listed or ()))

    def tick(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        if isinstance(store, str):
            resource: MetaxyStore = getattr(context.resources, store)
        else:
            resource = store
        targets = _resolved(context, assets.graph, selected) if listed is None else listed
        return _decide(impatient(resource, 20), assets.graph, targets)

    return dg.schedule(
        cron,
        name=name,
        target=selected,
        execution_timezone=timezone,
        required_resource_keys={store} if isinstance(store, str) else None,
        description="Runs features by the clock, where they have new or stale samples.",
        default_status=default_status,
    )(tick)


def _decide(
    store: MetaxyStore, graph: Graph, targets: Iterable[Target]
) -> dg.RunRequest | dg.SkipReason:
    found: list[Pending] = []
    for target in targets:
        if graph[target.feature].is_root:
            return dg.RunRequest()
        try:
            found.append(look(store, graph, target))
        except StoreUnavailableError as error:
            if not is_locked(error):
                raise
            return dg.RunRequest()
    if not any(one.todo for one in found):
        return dg.SkipReason("There are no pending samples.")
    return dg.RunRequest(tags=preview_tags(found))


def _resolved(
    context: dg.ScheduleEvaluationContext, graph: Graph, selection: dg.AssetSelection
) -> list[Target]:
    """The targets among the selected assets of this code location."""
    repository = context.repository_def
    if repository is None:
        raise ValueError("An asset selection needs the code location that the schedule is in.")
    asset_graph = repository.asset_graph
    found = (target_of(asset_graph, graph, key) for key in selection.resolve(asset_graph))
    return [target for target in found if target is not None]
