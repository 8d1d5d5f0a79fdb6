"""Refuse to compute a feature whose declaration has changed, before anything runs."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import dagster as dg

from metaxy_core import (
    FeatureGraph,
    FeatureKey,
    FeaturePlan,
    Graph,
    HashSchemeMismatchError,
    MetadataSchemaError,
    MetadataStore,
    Severity,
    StoreUnavailableError,
    SystemDataNotFoundError,
    active_graph,
)
from metaxy_dagster.checks.baseline import (
    Baseline,
    from_file,
    is_file,
    last_made,
    newest,
    recorded,
    start_of,
)
from metaxy_dagster.checks.comparison import compare
from metaxy_dagster.reports.metadata import FEATURE, SHOWN, declared
from metaxy_dagster.resource import STORE_KEY, MetaxyStore, frozen
from metaxy_dagster.steps.run import Guard

GuardLevel = Literal["breaking", "any"]
"""`"breaking"` refuses breaking changes, `"any"` also those that only make samples stale."""

ACCEPT = "metaxy/accept"
"""The tag of a run that is told to go on: the beginning of the snapshot version it accepts."""
_REFUSED = {
    "breaking": (Severity.BREAKING,),
    "any": (Severity.BREAKING, Severity.RECOMPUTE),
}


def graph_guard(
    level: GuardLevel = "breaking",
    *,
    graph: Graph | FeatureGraph | None = None,
    baseline: str | Path | None = None,
    store: str = STORE_KEY,
) -> Guard:
    """A guard for `feature_asset(guard=)`, which makes one itself of `"breaking"` or `"any"`.

    A blocking check stops what is below a feature; a guard stops the feature itself, and spends no
    retries. The feature is compared with the graph under which its asset was made last, else with
    the newest graph that was recorded before the run. To go on, give a run the tag
    `metaxy/accept` with the beginning of the new snapshot's version, as the refusal says.

    Args:
        graph: where the feature is declared; by default the active graph.
        baseline: compare with this instead, see `feature_checks`.
        store: the resource key of the `MetaxyStore`.

    Raises:
        ValueError: there is no such level.

    >>> from metaxy_core import FeatureSpec
    >>> from metaxy_dagster import feature_asset
    >>> guard = graph_guard("any", baseline="graph.json")
    >>> graph = FeatureGraph([FeatureSpec("video")])
    >>> feature_asset("video", graph=graph, guard=guard)(lambda: None).key
    AssetKey(['video'])
    """
    if level not in _REFUSED:
        raise ValueError(f"guard={level!r} is none of 'breaking', 'any' or a function.")

    def refuse(context: dg.AssetExecutionContext, plan: FeaturePlan) -> None:
        chosen = frozen(active_graph() if graph is None else graph)
        if _is_accepted(context.run.tags.get(ACCEPT), chosen):
            return
        resource: MetaxyStore = getattr(context.resources, store)
        try:
            with resource.open("r", graph=chosen) as opened:
                refusal = _refusal(opened, context, plan.key, level, baseline)
        except HashSchemeMismatchError as error:
            raise dg.Failure(f"breaking: {error}", allow_retries=False) from error
        except StoreUnavailableError as error:
            if error.reason != "missing":
                raise
            return
        if refusal is not None:
            raise refusal

    return refuse


def guard_of(
    guard: GuardLevel | Guard | None, graph: Graph | FeatureGraph, store: str
) -> Guard | None:
    """The guard that an argument `guard=` means."""
    if guard is None or callable(guard):
        return guard
    return graph_guard(guard, graph=graph, store=store)


def _refusal(
    opened: MetadataStore,
    context: dg.AssetExecutionContext,
    feature: FeatureKey,
    level: GuardLevel,
    given: str | Path | None,
) -> dg.Failure | None:
    before = _baseline(opened, context, feature, given)
    if before is None:
        return None
    found = compare(opened.graph, feature, before)
    if found.severity not in _REFUSED[level]:
        return None
    try:
        rows = found.stale_rows(opened)
    except MetadataSchemaError:
        # Rows under other id columns cannot be counted.
        rows = None
    version = opened.graph.snapshot_version[:SHOWN]
    return dg.Failure(
        f"Feature '{feature}' was not computed. {found.summary}. To go on, launch the run with "
        f"the tag {ACCEPT}: {version}",
        metadata=found.metadata(rows),
        allow_retries=False,
    )


def _baseline(
    opened: MetadataStore,
    context: dg.AssetExecutionContext,
    feature: FeatureKey,
    given: str | Path | None,
) -> Baseline | None:
    """What the feature is compared with.

    The newest recorded graph alone would not do: where a run has stopped at this feature, the
    features above it have succeeded and recorded the new graph, and a second run would go through.
    """
    if given is not None:
        return from_file(given) if is_file(given) else recorded(opened, str(given))
    start = start_of(context.instance, context.run)
    made = last_made(context.instance, _asset_of(context, feature), start)
    if made is not None and made.version:
        try:
            return recorded(opened, made.version)
        except SystemDataNotFoundError:
            # Made by an asset that records no graphs, or in another store.
            pass
    return newest(opened, start) or made


def _asset_of(context: dg.AssetExecutionContext, feature: FeatureKey) -> dg.AssetKey:
    """The asset of the step that computes the feature."""
    for spec in context.assets_def.specs:
        if declared(spec.metadata, FEATURE) == str(feature):
            key: dg.AssetKey = spec.key
            return key
    raise LookupError(f"No asset of {context.assets_def} is marked as the feature '{feature}'.")


def _is_accepted(tag: str | None, graph: Graph) -> bool:
    return tag is not None and len(tag) >= SHOWN and graph.snapshot_version.startswith(tag)
