"""Assets that Dagster calls stale although none of their samples is: told in sync, without a run.

Dagster knows one data version per asset, not one per field. A parent that moved in fields that a
feature does not use makes it stale there, while its increment is empty. A run would find nothing
to do and record the parents' new versions; this module records them with an event alone. It is the
one place that writes Dagster's reserved tags of provenance.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import dagster as dg

from metaxy_core import FeatureGraph, Graph, StoreUnavailableError, active_graph
from metaxy_dagster.automation.pending import count, impatient, is_locked
from metaxy_dagster.automation.running import under_way
from metaxy_dagster.automation.targets import Target, target_of
from metaxy_dagster.automation.tick import Tick
from metaxy_dagster.partitions import part_buckets, part_filters, types_of
from metaxy_dagster.reports.metadata import FEATURE
from metaxy_dagster.resource import STORE_KEY, MetaxyStore, frozen

_DATA_VERSION = "dagster/data_version"
_CODE_VERSION = "dagster/code_version"
_INPUT_VERSION = "dagster/input_data_version/"
_INPUT_POINTER = "dagster/input_event_pointer/"


def resync_sensor(
    target: Any = None,
    *,
    store: MetaxyStore | str = STORE_KEY,
    every: int = 60,
    name: str = "metaxy_resync",
    graph: Graph | FeatureGraph | None = None,
    default_status: dg.DefaultSensorStatus = dg.DefaultSensorStatus.STOPPED,
) -> dg.SensorDefinition:
    """A sensor that makes assets fresh which Dagster calls stale, but which have nothing to do.

    It reports a materialisation without a run, with the data version and the code version that the
    asset has and the versions that its parents have now. Only where it is certain: the parents'
    data versions alone have moved, the store has no new, stale, orphaned, waiting or failed sample
    of the feature, and its content is what Dagster knows. Whatever else makes an asset stale (new
    code, other parents) stays, and so do assets that run just now, that have partitions or a
    partitioned parent, or a parent that is no feature. What a tick did not come to in 20 seconds
    is looked at by the next, before any other is looked at again.

    Conditions such as `eager()` on assets below see an update of the asset, with the same data
    version. The tags are Dagster's own (`dagster/input_data_version/...`), not a public interface:
    that is why nothing does this unless this sensor is switched on.

    Args:
        target: assets, keys or a selection; by default every asset of kind `metaxy`.
        store: the store, or the key of the resource that is one.
        every: seconds between ticks, at least.
        graph: where the features are declared; by default the store's, else the active graph.
        default_status: it is off until somebody switches it on.

    >>> resync_sensor(every=300).minimum_interval_seconds
    300
    """
    chosen = dg.AssetSelection.kind("metaxy") if target is None else _selection(target)

    def tick(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        found = getattr(context.resources, store) if isinstance(store, str) else store
        features = frozen(graph or found.bound_graph or active_graph())
        if context.repository_def is None:
            raise ValueError("The sensor needs the code location that its assets are in.")
        asset_graph = context.repository_def.asset_graph
        look = _Look(context.instance, impatient(found), features, asset_graph)
        return look.over(
            sorted(chosen.resolve(asset_graph)), json.loads(context.cursor or "[]"), context.log
        )

    return dg.sensor(
        name=name,
        asset_selection=chosen,
        minimum_interval_seconds=every,
        required_resource_keys={store} if isinstance(store, str) else None,
        description="Tells Dagster which stale assets have no sample to process.",
        default_status=default_status,
    )(tick)


class _Look:
    """One look at the assets."""

    def __init__(
        self, instance: dg.DagsterInstance, store: MetaxyStore, graph: Graph, asset_graph: Any
    ) -> None:
        self._instance, self._store, self._graph = instance, store, graph
        self._asset_graph = asset_graph

    def over(self, keys: list[dg.AssetKey], seen: list[str], log: Any) -> dg.SensorResult:
        """The events of those that are in sync.

        Args:
            seen: those that were looked at in this round, which takes as many ticks as it needs.
        """
        # In this order: what the store says later is of these versions at least.
        running = under_way(self._instance)
        nodes = {key: self._asset_graph.get(key) for key in keys}
        wanted = {key: node for key, node in nodes.items() if self._is_plain(node)}
        asked = (one for key, node in wanted.items() for one in (key, *sorted(node.parent_keys)))
        tick = Tick.begin(self._instance, asked)
        events: list[Any] = []
        for target, tags, last in self._moved(wanted, tick.records):
            name = target.key.to_user_string()
            if target.key in running or name in seen:
                continue
            if tick.is_over:
                log.info("%s and others are looked at by the next tick", target.feature)
                break
            try:
                reason = self._pending(target, tags[_DATA_VERSION])
            except StoreUnavailableError as error:
                if not is_locked(error):
                    raise
                log.info("The store is locked by another process; asking again next tick.")
                break
            seen.append(name)
            if reason:
                log.info("%s stays stale: %s", target.feature, reason)
                continue
            log.info("%s has nothing to do: told in sync", target.feature)
            events.append(_event(target.key, tags, last))
        else:
            seen = []
        told = ", ".join(event.asset_key.to_user_string() for event in events)
        return dg.SensorResult(
            asset_events=events,
            skip_reason=f"In sync without a run: {told}." if told else "Nothing is out of sync.",
            cursor=json.dumps(seen),
        )

    def _moved(
        self, nodes: Mapping[dg.AssetKey, Any], records: Mapping[dg.AssetKey, dg.AssetRecord]
    ) -> list[tuple[Target, dict[str, str], Any]]:
        """Assets of which only the parents' data versions have moved, with the tags to be told."""
        found = []
        for key, node in nodes.items():
            target = target_of(self._asset_graph, self._graph, key)
            last = _last(records.get(key))
            if target is None or last is None or self._graph[target.feature].is_root:
                continue
            now = _with_inputs(last.tags or {}, {one: records.get(one) for one in node.parent_keys})
            if now and now.get(_CODE_VERSION) == node.code_version and now != last.tags:
                found.append((target, now, last))
        return found

    def _is_plain(self, node: Any) -> bool:
        """Whether it is a feature's asset, made from features, and no partitions come into it."""
        parents = [self._asset_graph.get(key) for key in node.parent_keys]
        return node.is_materializable and all(
            one.partitions_def is None and FEATURE in one.metadata for one in (node, *parents)
        )

    def _pending(self, target: Target, data_version: str) -> str:
        """Why it is not in sync; nothing where it is."""
        try:
            with self._store.open("r", graph=self._graph) as opened:
                found = count(opened, target.feature, target.part)
                if found.reason or found.todo or found.orphaned or found.waiting or found.failed:
                    return found.said
                filters = part_filters(
                    target.part, types_of(opened, self._graph.plan(target.feature))
                )
                stored = opened.fingerprint(
                    target.feature, filters, buckets=part_buckets(target.part)
                )
        except StoreUnavailableError as error:
            if error.reason != "missing":
                raise
            return "the store does not exist yet"
        same = stored.data_version == data_version
        return "" if same else "its content is not what Dagster knows"


def _with_inputs(
    tags: Mapping[str, str], parents: Mapping[dg.AssetKey, Any]
) -> dict[str, str] | None:
    """The tags with the parents' versions of now; None where versions or other parents differ."""
    known = {tag.removeprefix(_INPUT_VERSION) for tag in tags if tag.startswith(_INPUT_VERSION)}
    if _DATA_VERSION not in tags or known != {key.to_user_string() for key in parents}:
        return None
    now = dict(tags)
    for key, record in parents.items():
        event, pointer = _last(record), _pointer(record)
        version = (event.tags or {}).get(_DATA_VERSION) if event is not None else None
        if version is None:
            return None
        name = key.to_user_string()
        if version != tags[_INPUT_VERSION + name]:
            now |= {_INPUT_VERSION + name: version, _INPUT_POINTER + name: pointer}
    return now


def _event(key: dg.AssetKey, tags: Mapping[str, str], last: Any) -> dg.AssetMaterialization:
    """The event; it says again what describes the content, so that the asset's page keeps it."""
    plotted = ("metaxy/feature_version", "metaxy/field_data_versions")
    kept = {
        name: value
        for name, value in last.metadata.items()
        if name.startswith("dagster/") or name in plotted
    }
    return dg.AssetMaterialization(
        key,
        description="No sample is new or stale: in sync with its parents, without a run.",
        metadata={**kept, "metaxy/resynced": True},
        tags=dict(tags),
    )


def _last(record: Any) -> Any:
    """The latest event with a data version: a materialisation, else an observation."""
    entry = record.asset_entry if record is not None else None
    if entry is None:
        return None
    if entry.last_materialization is not None:
        return entry.last_materialization.asset_materialization
    return entry.last_observation.asset_observation if entry.last_observation else None


def _pointer(record: Any) -> str:
    entry = record.asset_entry if record is not None else None
    found = entry and (entry.last_materialization_storage_id or entry.last_observation_storage_id)
    return str(found) if found else "NULL"


def _selection(target: Any) -> dg.AssetSelection:
    if isinstance(target, dg.AssetSelection):
        return target
    return dg.AssetSelection.assets(*([target] if isinstance(target, str) else target))
