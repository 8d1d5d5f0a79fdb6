"""Features computed elsewhere, watched: their rows and their content, without computing them.

Dagster reads the annotations of ops itself, so this module has no postponed ones.
"""

import warnings
from collections.abc import Iterable, Iterator
from typing import Any

import dagster as dg
import narwhals as nw

from metaxy_core import FEATURE_VERSION, FeatureGraph, FeatureKey, Graph, active_graph
from metaxy_dagster.receipt import WriteReceipt
from metaxy_dagster.reports.event import report
from metaxy_dagster.resource import IO_MANAGER_KEY, STORE_KEY, frozen
from metaxy_dagster.translator import FeatureTranslator, Translation


def observe_features(
    features: Iterable[Any],
    *,
    cron: str | None = None,
    name: str = "observe_features",
    graph: Graph | FeatureGraph | None = None,
    translator: FeatureTranslator | None = None,
    translation: Translation | None = None,
    store: str = STORE_KEY,
    io_manager_key: str = IO_MANAGER_KEY,
) -> list[Any]:
    """One observable asset per feature, and with `cron` a schedule that observes them all.

    An observation carries the content's data version, the number of rows, the rows of each feature
    version that is stored (`metaxy/versions`) and the other metadata of `MetaxyIOManager`.

    Raises:
        DefinitionError: the graph does not have a feature.
    """
    chosen = active_graph() if graph is None else graph
    assets = translation or Translation(frozen(chosen), translator or FeatureTranslator())
    named = {assets.graph[one].key for one in features}
    # Dagster wants observations parents first.
    wanted = [feature for feature in assets.graph if feature in named]
    specs = [assets.spec(feature).with_io_manager_key(io_manager_key) for feature in wanted]

    def observe(context: dg.AssetExecutionContext) -> Iterator[Any]:
        opened_by = getattr(context.resources, store)
        for feature in wanted:
            if (key := assets.spec(feature).key) in context.selected_asset_keys:
                yield _observation(opened_by, assets.graph, feature, key)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)
        made = dg.multi_observable_source_asset(
            specs=specs, name=name, can_subset=True, required_resource_keys={store}
        )(observe)
    if cron is None:
        return [made]
    job = dg.define_asset_job(
        f"{name}_job", dg.AssetSelection.assets(*(spec.key for spec in specs))
    )
    return [made, dg.ScheduleDefinition(name=f"{name}_schedule", cron_schedule=cron, job=job)]


def _observation(
    store: Any, graph: Graph, feature: FeatureKey, key: dg.AssetKey
) -> dg.ObserveResult:
    described = report(store, WriteReceipt(feature, graph), preview_rows=0)
    versions: dict[str, int] = {}
    with store.open("r", graph=graph) as opened:
        if opened.has_feature(feature):
            rows = opened.read(feature, columns=[FEATURE_VERSION])
            counted = rows.group_by(FEATURE_VERSION).agg(nw.len().alias("n")).collect("polars")
            versions = dict(sorted(counted.select(FEATURE_VERSION, "n").rows()))
    return dg.ObserveResult(
        asset_key=key,
        metadata={**described.metadata, "metaxy/versions": dg.MetadataValue.json(versions)},
        data_version=dg.DataVersion(described.data_version),
    )
