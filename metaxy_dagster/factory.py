"""A whole feature graph as Dagster definitions, in one call."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from metaxy_core import DefinitionError, FeatureGraph, FeatureKey, Graph
from metaxy_dagster.assets.arguments import feature_of
from metaxy_dagster.assets.computes import arguments_of
from metaxy_dagster.assets.feature_asset import feature_asset
from metaxy_dagster.assets.observe import observe_features
from metaxy_dagster.assets.specs import feature_specs
from metaxy_dagster.automation.declarative import metaxy_automation_sensor, on_increment
from metaxy_dagster.automation.schedules import build_increment_schedule
from metaxy_dagster.automation.sensors import increment_sensor
from metaxy_dagster.checks.definition import feature_checks
from metaxy_dagster.io_manager import MetaxyIOManager
from metaxy_dagster.jobs import cleanup_job, compact_job, record_snapshot_job, verify_job
from metaxy_dagster.partitions import PartitionBy, partition_arguments
from metaxy_dagster.resource import IO_MANAGER_KEY, STORE_KEY, MetaxyStore, frozen
from metaxy_dagster.sources import graph_of
from metaxy_dagster.steps.orphans import OrphanPolicy
from metaxy_dagster.translator import FeatureTranslator, FeatureTranslatorData, Translation

Compute = Callable[..., Any] | dg.AssetsDefinition


@dataclass(frozen=True)
class Built:
    """The assets of a graph, for those who add checks and automation to them.

    Attributes:
        translation: the features as asset specs.
        computed: the features that a function here computes.
    """

    store: MetaxyStore
    translation: Translation
    computed: Mapping[FeatureKey, dg.AssetsDefinition] = field(default_factory=dict)

    @property
    def graph(self) -> Graph:
        """The features."""
        return self.translation.graph


ChecksOf = Callable[[Built], Iterable[dg.AssetChecksDefinition]]
AutomationOf = Callable[[Built], Iterable[dg.SensorDefinition | dg.ScheduleDefinition]]


_UPKEEP = (record_snapshot_job, cleanup_job, verify_job, compact_job)


def build_feature_definitions(
    graph: Graph | FeatureGraph | str | Iterable[Any],
    *,
    store: MetaxyStore,
    compute: Mapping[Any, Compute] | None = None,
    observe: Iterable[Any] = (),
    checks: bool | ChecksOf = False,
    automation: str | AutomationOf | None = None,
    automation_condition: dg.AutomationCondition[Any] | None = None,
    translator: FeatureTranslator | None = None,
    partitions: Mapping[
        Any, dg.PartitionsDefinition[Any] | tuple[dg.PartitionsDefinition[Any], PartitionBy]
    ]
    | None = None,
    group: str | None = None,
    pool: str | None = None,
    orphans: OrphanPolicy = "report",
    asset_arguments: Mapping[str, Any] | None = None,
    io_manager: MetaxyIOManager | None = None,
) -> dg.Definitions:
    """Definitions of every feature of a graph, ready to be merged with your own.

    Args:
        graph: a graph, feature classes, a module or package that declares them, or
            `package.module:graph`.
        store: the resource `metaxy`.
        compute: feature to its function, as `feature_asset` takes it, or to the asset that
            `feature_asset` or `multi_feature_asset` made; others become external assets. The
            arguments that a function gives to `computes` win over those given here.
        observe: external features whose rows are observed, see `observe_features`.
        checks: True adds `feature_checks`; a function makes others of what was built.
        automation: `"increment"` gives every plain function's asset the condition `on_increment`
            and adds the sensor that evaluates it; `"sensor"` adds an `increment_sensor`; any other
            text is the cron of a `build_increment_schedule`; a function makes sensors and
            schedules of what was built. All are off until somebody switches them on.
        automation_condition: of every asset with a plain function; wins over `on_increment`.
        translator: decides keys, groups, kinds and so on.
        partitions: of a feature's asset: the partitions, and the column that holds their keys (hash
            buckets: the partitions alone).
        group: of features whose translator gives none.
        pool: of every asset with a plain function.
        orphans: as `feature_asset`, for every plain function.
        asset_arguments: other arguments of `feature_asset`, for every plain function.
        io_manager: the resource `metaxy_io`; by default one on `store`.

    Returns:
        assets; jobs `materialize_<group>`, `record_graph_snapshot`, `cleanup_orphans`,
        `verify_metadata` and `compact_metadata`; resources `metaxy` and `metaxy_io`; what
        `checks` and `automation` make.

    Raises:
        DefinitionError: a feature is not in the graph, or a function does not fit its feature.

    >>> from metaxy_core import FeatureSpec
    >>> graph = FeatureGraph([FeatureSpec("video"), FeatureSpec("crop", deps=["video"])])
    >>> defs = build_feature_definitions(
    ...     graph, store=MetaxyStore.memory(), compute={"crop": lambda increment: increment.todo()}
    ... )
    >>> sorted(key.to_user_string() for key in defs.resolve_all_asset_keys())
    ['crop', 'video']
    """
    features = graph_of(graph)
    chosen = _Grouped(translator or FeatureTranslator(), group)
    assets = Translation(frozen(features), chosen, store.store_kind)
    bound = store if store.bound_graph is not None else store.with_graph(features)
    if automation == "increment" and automation_condition is None:
        automation_condition = on_increment(bound)
    arguments = {"pool": pool, "automation_condition": automation_condition}
    given: dict[str, Any] = {name: value for name, value in arguments.items() if value is not None}
    given = {"orphans": orphans, **given, **(asset_arguments or {})}
    by_partition = {assets.graph[key].key: found for key, found in (partitions or {}).items()}
    computed: dict[FeatureKey, dg.AssetsDefinition] = {}
    for named, how in (compute or {}).items():
        feature = feature_of(assets.graph, named, how)
        if isinstance(how, dg.AssetsDefinition):
            if assets.spec(feature).key not in how.keys:
                raise DefinitionError(
                    f"Feature '{feature}': the asset given computes "
                    f"{', '.join(key.to_user_string() for key in how.keys)}, not it."
                )
            computed[feature] = how
            continue
        own: dict[str, Any] = {}
        if feature in by_partition:
            own |= partition_arguments(by_partition[feature])
        own |= arguments_of(how, feature)
        make = feature_asset(named, graph=features, translation=assets, **{**given, **own})
        computed[feature] = make(how)
    watched = [assets.graph[feature].key for feature in observe]
    external = [key for key in assets.graph if key not in computed and key not in watched]
    built = Built(bound, assets, computed)
    unique = {id(made): made for made in computed.values()}
    observed = observe_features(watched, translation=assets) if watched else []
    return dg.Definitions(
        assets=[*unique.values(), *feature_specs(external, translation=assets), *observed],
        asset_checks=_checks(checks, built),
        sensors=_of_type(dg.SensorDefinition, made := _automation(automation, built)),
        schedules=_of_type(dg.ScheduleDefinition, made),
        jobs=[*_jobs(computed), *(make(assets) for make in _UPKEEP)],
        resources={STORE_KEY: bound, IO_MANAGER_KEY: io_manager or MetaxyIOManager(store=bound)},
    )


@dataclass
class _Grouped(FeatureTranslator):
    """A translator that puts what has no group into one."""

    inner: FeatureTranslator
    group: str | None

    def get_asset_spec(self, data: FeatureTranslatorData) -> dg.AssetSpec:
        spec = self.inner.get_asset_spec(data)
        if spec.group_name is not None or self.group is None:
            return spec
        return spec.replace_attributes(group_name=self.group)

    def get_asset_check_spec(
        self, spec: dg.AssetCheckSpec, data: FeatureTranslatorData
    ) -> dg.AssetCheckSpec | None:
        return self.inner.get_asset_check_spec(spec, data)


def _jobs(computed: Mapping[FeatureKey, dg.AssetsDefinition]) -> list[Any]:
    """A job per group that materialises its assets."""
    groups: dict[str, set[dg.AssetKey]] = {}
    for asset in computed.values():
        for spec in asset.specs:
            groups.setdefault(spec.group_name or "default", set()).add(spec.key)
    return [
        dg.define_asset_job(f"materialize_{name}", dg.AssetSelection.assets(*sorted(keys)))
        for name, keys in sorted(groups.items())
    ]


def _checks(checks: bool | ChecksOf, built: Built) -> list[dg.AssetChecksDefinition]:
    if callable(checks):
        return list(checks(built))
    return [feature_checks(built.graph, translation=built.translation)] if checks else []


def _automation(automation: str | AutomationOf | None, built: Built) -> list[Any]:
    if callable(automation):
        return list(automation(built))
    if automation is None or not built.computed:
        return []
    if automation == "increment":
        return [metaxy_automation_sensor(dg.AssetSelection.assets(*built.computed.values()))]
    how: dict[str, Any] = {"graph": built.graph, "translation": built.translation}
    if automation == "sensor":
        return [increment_sensor(built.computed.values(), **how)]
    return [build_increment_schedule(automation, built.computed.values(), **how)]


def _of_type(kind: type, made: Iterable[Any]) -> list[Any]:
    return [one for one in made if isinstance(one, kind)]
