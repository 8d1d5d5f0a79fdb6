"""A plain sensor that requests runs of the features that have samples to process."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import dagster as dg

from metaxy_core import Cost, FeatureGraph, FeatureKey, Graph, StoreUnavailableError, active_graph
from metaxy_dagster.automation.partitioned import (
    by_partition,
    columns_of,
    requests_of,
    with_partitions,
)
from metaxy_dagster.automation.pending import Pending, impatient, is_locked, look
from metaxy_dagster.automation.running import under_way
from metaxy_dagster.automation.targets import Target, targets_of
from metaxy_dagster.automation.tick import Seen, Tick
from metaxy_dagster.reports.preview import work_tags
from metaxy_dagster.resource import STORE_KEY, MetaxyStore, frozen
from metaxy_dagster.translator import FeatureTranslator, Translation

_ROUND = ""
"""In the cursor, beside the assets: how often all of them have been looked at."""


def increment_sensor(
    features: Iterable[Any],
    *,
    store: MetaxyStore | str = STORE_KEY,
    every: int = 60,
    preview: bool = True,
    name: str = "metaxy_increments",
    graph: Graph | FeatureGraph | None = None,
    translator: FeatureTranslator | None = None,
    translation: Translation | None = None,
    default_status: dg.DefaultSensorStatus = dg.DefaultSensorStatus.STOPPED,
) -> dg.SensorDefinition:
    """A sensor that requests a run for each feature with new or stale samples.

    A tick compares the data versions that Dagster knows of an asset and its parents with those of
    the tick before, and asks the store only where one moved. The same position is requested
    once: after a failed run, when something has moved again. A feature waits while one above it
    has something to do or runs. A file that another process has locked is asked again at the next
    tick, and so are features that a tick did not come to in 20 seconds.

    Of a partitioned asset the partitions that have something to do are requested, each by a run of
    its own or, where its backfill policy is a single run, a run per range of them.

    Args:
        features: feature classes, specs or keys, or assets; roots are left out, as their samples
            are known only when they run.
        store: the store, or the key of the resource that is one.
        every: seconds between ticks, at least.
        preview: tag the runs with what they will find, `metaxy/new` and `metaxy/stale`, and what
            that will take where it is known, `metaxy/time` and `metaxy/cost`.
        graph: where the features are declared; by default the active graph.
        translator: decides the assets' keys.
        default_status: it is off until somebody switches it on.

    Raises:
        DefinitionError: the graph does not have a feature.

    >>> from metaxy_core import FeatureSpec
    >>> chain = FeatureGraph([FeatureSpec("video"), FeatureSpec("crop", deps=["video"])])
    >>> increment_sensor(["crop"], graph=chain, every=30).minimum_interval_seconds
    30
    """
    chosen = frozen(active_graph() if graph is None else graph)
    assets = translation or Translation(chosen, translator or FeatureTranslator())
    targets = [
        target
        for target in targets_of(assets, features)
        if not assets.graph[target.feature].is_root
    ]

    def tick(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        if isinstance(store, str):
            resource: MetaxyStore = getattr(context.resources, store)
        else:
            resource = store
        return _Round(context, impatient(resource), assets.graph, preview).over(targets)

    return dg.sensor(
        name=name,
        asset_selection=dg.AssetSelection.assets(*(target.key for target in targets)),
        minimum_interval_seconds=every,
        required_resource_keys={store} if isinstance(store, str) else None,
        description="Requests runs of features that have new or stale samples.",
        default_status=default_status,
    )(tick)


class _Round:
    """One look at the features, parents first."""

    def __init__(
        self, context: dg.SensorEvaluationContext, store: MetaxyStore, graph: Graph, preview: bool
    ) -> None:
        self._context, self._store, self._graph, self._preview = context, store, graph, preview
        self._known: dict[str, Any] = json.loads(context.cursor or "{}")
        self._round: int = self._known.pop(_ROUND, 0)
        self._busy = under_way(context.instance)
        self._held: set[FeatureKey] = set()
        self._said: list[str] = []
        self._requests: list[dg.RunRequest] = []

    def over(self, targets: Iterable[Target]) -> dg.SensorResult:
        """What to request, and why not more."""
        wanted = with_partitions(targets, self._context)
        keys = (key for target in wanted for key in (target.key, *target.parents))
        tick = Tick.begin(self._context.instance, keys, self._round)
        try:
            left = [target.feature for target in wanted if not self._consider(target, tick)]
            if left:
                others = f" and {len(left) - 1} more" if len(left) > 1 else ""
                self._said.append(f"{left[0]}{others} will be asked at the next tick")
            else:
                self._round += 1
        except StoreUnavailableError as error:
            if not is_locked(error):
                raise
            self._said.append("the store is locked by another process; asking again next tick")
        said = "; ".join(self._said) or "nothing to do"
        self._context.log.info(said)
        return dg.SensorResult(
            run_requests=self._requests,
            skip_reason=None if self._requests else f"No run is needed: {said}.",
            cursor=json.dumps(self._known | {_ROUND: self._round}),
        )

    def _consider(self, target: Target, tick: Tick) -> bool:
        """Request a run where it is time for one; False where there is no time to look."""
        looked = self._look(target, tick)
        if looked is None:
            self._held.add(target.feature)  # it may have something to do
            return False
        where, found = looked
        is_busy = target.key in self._busy
        if not (found.todo or is_busy):
            return True
        above = [key for key in self._graph.upstream(target.feature) if key in self._held]
        self._held.add(target.feature)
        if is_busy:
            self._said.append(f"{target.feature} runs")
        elif above:
            self._said.append(f"{target.feature} ({found.said}) waits for {above[-1]}")
        else:
            self._said.append(f"{target.feature}: {found.told}")
            if target.partitions is not None:
                self._request_partitions(target, where)
                return True
            self._requests.append(
                dg.RunRequest(
                    run_key=f"{target.key.to_user_string()}:{where}",
                    asset_selection=[target.key],
                    tags=preview_tags([found]) if self._preview else {},
                )
            )
        return True

    def _request_partitions(self, target: Target, where: str) -> None:
        """Request the runs of an asset's partitions that have something to do."""
        counted = self._known[str(target.key)].get("partitions", {})
        pending = {key: Pending(new, stale) for key, (new, stale) in counted.items()}
        if isinstance(target.partitions, dg.MultiPartitionsDefinition):
            definition = target.partitions
            pending = {
                definition.get_partition_key_from_str(key): one for key, one in pending.items()
            }
        if not pending:
            self._said.append("none of it is in a partition that exists")
        for name, how, found in requests_of(target, pending, self._context):
            tags = {**how.pop("tags", {}), **(preview_tags(found) if self._preview else {})}
            self._requests.append(
                dg.RunRequest(
                    run_key=f"{target.key.to_user_string()}:{where}:{name}",
                    asset_selection=[target.key],
                    tags=tags,
                    **how,
                )
            )

    def _look(self, target: Target, tick: Tick) -> tuple[str, Pending] | None:
        """What there is to do, and as of which position; from memory where nothing moved."""
        now, name = tick.position(self._graph, target), str(target.key)
        known: dict[str, Any] = self._known.get(name, {})
        seen = Seen(known.get("position"), known.get("text"), known.get("round"))
        if not seen.holds(now, tick.round):
            if tick.is_over:
                return None
            found = look(self._store, self._graph, target, columns_of(target))
            seen.see(now, found, tick.round)
            known = {**asdict(seen), "new": found.new, "stale": found.stale}
            if str(found.cost):
                known["cost"] = found.cost.model_dump(exclude_none=True)
            if target.partitions is not None:
                counted = by_partition(target, found, self._context)
                known["partitions"] = {key: [one.new, one.stale] for key, one in counted.items()}
            self._known[name] = known
        cost = Cost.model_validate(known.get("cost", {}))
        return known["position"], Pending(known["new"], known["stale"], cost=cost)


def preview_tags(found: Iterable[Pending]) -> dict[str, str]:
    """The tags that say what a run will find."""
    counted = list(found)
    return work_tags(
        sum(one.new for one in counted),
        sum(one.stale for one in counted),
        Cost.total(one.cost for one in counted),
    )
