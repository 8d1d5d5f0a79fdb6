"""A schedule that runs features by the clock, where they have samples to process."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import dagster as dg

from metaxy_core import FeatureGraph, Graph, StoreUnavailableError, active_graph
from metaxy_dagster.automation.partitioned import (
    by_partition,
    columns_of,
    requests_of,
    with_partitions,
)
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

    Of partitioned assets the partitions run that have something to do, those that share their
    partitions together. Roots with partitions are left out: which have new samples is known only
    when they run, so give them a schedule of Dagster's own.

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

    def tick(context: dg.ScheduleEvaluationContext) -> Any:
        if isinstance(store, str):
            resource: MetaxyStore = getattr(context.resources, store)
        else:
            resource = store
        targets = _resolved(context, assets.graph, selected) if listed is None else listed
        targets = with_partitions(targets, context)
        return _decide(impatient(resource, 20), assets.graph, targets, context)

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
    store: MetaxyStore,
    graph: Graph,
    targets: Sequence[Target],
    context: dg.ScheduleEvaluationContext,
) -> list[dg.RunRequest] | dg.SkipReason:
    plain = [target for target in targets if target.partitions is None]
    divided = [target for target in targets if target.partitions is not None]
    requests = [one for one in [_whole(store, graph, plain)] if one is not None]
    if divided and requests:
        keys = [target.key for target in plain]
        name = f"{context.scheduled_execution_time.isoformat()}:the others"
        requests = [
            dg.RunRequest(run_key=name, tags=one.tags, asset_selection=keys) for one in requests
        ]
    try:
        requests += _divided(store, graph, divided, context)
    except StoreUnavailableError as error:
        if not is_locked(error):
            raise
        if not requests:
            return dg.SkipReason("The store is locked: which partitions to run is not known.")
    if requests:
        return requests
    roots = [str(target.feature) for target in divided if graph[target.feature].is_root]
    left_out = f" Partitions of roots are not known: {', '.join(roots)}." if roots else ""
    return dg.SkipReason(f"There are no pending samples.{left_out}")


def _whole(store: MetaxyStore, graph: Graph, targets: Iterable[Target]) -> dg.RunRequest | None:
    """The run of assets without partitions, if any of them has something to do."""
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
    return dg.RunRequest(tags=preview_tags(found)) if any(one.todo for one in found) else None


def _divided(
    store: MetaxyStore,
    graph: Graph,
    targets: Sequence[Target],
    context: dg.ScheduleEvaluationContext,
) -> list[dg.RunRequest]:
    """The runs of partitions: assets that share their partitions run together, parents first."""
    requests, left = [], [target for target in targets if not graph[target.feature].is_root]
    while left:
        first = left[0]
        group = [one for one in left if one.partitions == first.partitions]
        left = [one for one in left if one not in group]
        pending: dict[str, Pending] = {}
        for target in group:
            found = look(store, graph, target, columns_of(target))
            for key, one in by_partition(target, found, context).items():
                known = pending.get(key, Pending())
                pending[key] = Pending(known.new + one.new, known.stale + one.stale)
        single = replace(first, single_run=all(one.single_run for one in group))
        for name, how, counted in requests_of(single, pending, context):
            tags = {**how.pop("tags", {}), **preview_tags(counted)}
            keys = [target.key for target in group]
            # Dagster wants several requests of one tick to have names.
            names = (context.scheduled_execution_time.isoformat(), keys[0].to_user_string(), name)
            run_key = ":".join(names)
            requests.append(dg.RunRequest(run_key=run_key, asset_selection=keys, tags=tags, **how))
    return requests


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
