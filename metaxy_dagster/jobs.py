"""Jobs beside the assets: record the graph, remove orphans, verify and compact what is stored.

Dagster reads the annotations of ops itself, so this module has no postponed ones.
"""

from contextlib import closing
from typing import Any

import dagster as dg
from pydantic import Field

from metaxy_core import FeatureKey
from metaxy_dagster.reports.metadata import preview, table
from metaxy_dagster.reports.preview import counted
from metaxy_dagster.resource import STORE_KEY, MetaxyStore
from metaxy_dagster.steps.increment import Increment, Work, resolve
from metaxy_dagster.steps.options import RunOptions
from metaxy_dagster.steps.orphans import OrphanPolicy, handle
from metaxy_dagster.translator import Translation

_PREVIEW_ROWS = 10


class CleanupConfig(dg.Config):
    """Which orphans to delete, and how."""

    features: list[str] = Field(default=[], description="Their keys; none means all but roots.")
    where: str | None = Field(default=None, description="Only what this filter chooses.")
    soft: bool = Field(default=True, description="Mark as deleted, which can be undone.")
    max_rows: int | None = Field(
        default=None, ge=0, description="Refuse where a feature has more orphans than this."
    )
    dry_run: bool = Field(default=False, description="Show what would be deleted, delete nothing.")


def record_snapshot_job(assets: Translation, *, store: str = STORE_KEY) -> dg.JobDefinition:
    """A job that records the graph as the newest snapshot: the baseline of graph diffs."""

    def push(context: dg.OpExecutionContext) -> None:
        opened_by: MetaxyStore = getattr(context.resources, store)
        with opened_by.open("w", graph=assets.graph) as opened:
            recorded = opened.push()
        version = assets.graph.snapshot_version[:8]
        context.log.info("Snapshot %s %s", version, "recorded" if recorded else "is the newest")

    op = dg.op(name="push_graph_snapshot", required_resource_keys={store})(push)

    @dg.job(name="record_graph_snapshot", description="Record the feature graph in the store.")
    def record_graph_snapshot() -> None:
        op()

    return record_graph_snapshot


def cleanup_job(assets: Translation, *, store: str = STORE_KEY) -> dg.JobDefinition:
    """A job that deletes orphaned samples, after showing them; configured by `CleanupConfig`.

    Roots are left out: what they should have is known only while their asset runs (see
    `feature_asset(orphans=)`).
    """

    def delete(context: dg.OpExecutionContext, config: CleanupConfig) -> None:
        wanted = [assets.graph[key].key for key in config.features]
        derived = [key for key, spec in assets.graph.items() if not spec.is_root]
        roots = [str(key) for key in wanted if assets.graph[key].is_root]
        if roots:
            raise dg.Failure(
                f"Roots have orphans only while their asset runs: {', '.join(roots)}. Leave them "
                "out, and say feature_asset(orphans=) where they are made; nothing was deleted.",
                allow_retries=False,
            )
        for feature in wanted or derived:
            _clean(context, getattr(context.resources, store), assets, feature, config)

    op = dg.op(name="delete_orphans", required_resource_keys={store})(delete)

    @dg.job(name="cleanup_orphans", description="Delete samples that are not expected any more.")
    def cleanup_orphans() -> None:
        op()

    return cleanup_orphans


def verify_job(assets: Translation, *, store: str = STORE_KEY) -> dg.JobDefinition:
    """A job that checks stored rows against the rules, and fails where one is broken."""

    def check(context: dg.OpExecutionContext) -> None:
        resource: MetaxyStore = getattr(context.resources, store)
        with resource.open("r", graph=assets.graph) as opened:
            checked = opened.list_features()
            found = opened.verify()
        if found:
            findings = table(
                {
                    "feature": one.feature,
                    "rule": one.rule,
                    "rows": one.rows,
                    "examples": ", ".join(map(str, one.examples)),
                }
                for one in found
            )
            raise dg.Failure(
                f"Broken: {counted(len(found), 'rule')} of stored rows, first: "
                f"{found[0].feature}: {found[0].rule} ({counted(found[0].rows, 'row')}).",
                metadata={"metaxy/findings": findings},
                allow_retries=False,
            )
        context.log.info("%s checked, nothing is wrong", counted(len(checked), "feature"))

    op = dg.op(name="verify_stored_rows", required_resource_keys={store})(check)

    @dg.job(name="verify_metadata", description="Check stored rows against the rules.")
    def verify_metadata() -> None:
        op()

    return verify_metadata


class CompactConfig(dg.Config):
    """Which superseded rows to remove for good."""

    features: list[str] = Field(default=[], description="Their keys; none means all.")
    keep: int = Field(default=1, ge=1, description="How many versions of each sample stay.")
    dry_run: bool = Field(default=False, description="Count what would go, remove nothing.")


def compact_job(assets: Translation, *, store: str = STORE_KEY) -> dg.JobDefinition:
    """A job that removes superseded rows; nothing that counts changes."""

    def compact(context: dg.OpExecutionContext, config: CompactConfig) -> None:
        resource: MetaxyStore = getattr(context.resources, store)
        with resource.open("r" if config.dry_run else "w", graph=assets.graph) as opened:
            features = config.features or None
            removed = opened.compact(features, keep=config.keep, dry_run=config.dry_run)
        for feature, rows in removed.items():
            said = "would be removed" if config.dry_run else "removed"
            context.log.info("%s: %s %s", feature, counted(rows, "superseded row"), said)
        context.add_output_metadata({f"metaxy/removed/{key}": n for key, n in removed.items()})

    op = dg.op(name="remove_superseded_rows", required_resource_keys={store})(compact)

    @dg.job(name="compact_metadata", description="Remove superseded rows for good.")
    def compact_metadata() -> None:
        op()

    return compact_metadata


def _clean(
    context: dg.OpExecutionContext,
    store: MetaxyStore,
    assets: Translation,
    feature: FeatureKey,
    config: CleanupConfig,
) -> None:
    with store.open("r", graph=assets.graph) as opened:
        if not opened.has_feature(feature):
            return
    work = Work(feature, assets.graph, options=RunOptions(where=config.where))
    with closing(resolve(store, work)) as increment:
        _delete(context, store, assets, work, increment, config)


def _delete(
    context: dg.OpExecutionContext,
    store: MetaxyStore,
    assets: Translation,
    work: Work,
    increment: Increment,
    config: CleanupConfig,
) -> None:
    feature = work.feature
    count = increment.counts["orphaned"]
    if config.max_rows is not None and count > config.max_rows:
        raise dg.Failure(
            f"Feature '{feature}' has {count} orphans, more than max_rows={config.max_rows}; "
            "nothing of it was deleted.",
            metadata=_shown(increment),
            allow_retries=False,
        )
    context.log.info("%s: %d orphaned", feature, count)
    key = assets.spec(feature).key
    if count:
        context.log_event(dg.AssetObservation(key, metadata=_shown(increment)))
    if count and not config.dry_run:
        described = store.describe(graph=assets.graph, run_id=context.run.run_id)
        policy: OrphanPolicy = "soft_delete" if config.soft else "hard_delete"
        deleted = handle(described, work, increment.orphaned, policy)
        with described.open("r") as opened:
            after = opened.fingerprint(feature)
        metadata = {"metaxy/deleted": deleted, "dagster/row_count": after.rows}
        tags = {"dagster/data_version": after.data_version}
        context.log_event(dg.AssetObservation(key, metadata=metadata, tags=tags))


def _shown(increment: Increment) -> dict[str, Any]:
    rows = increment.orphaned.head(_PREVIEW_ROWS).collect("polars")
    shown = [name for name in rows.columns if not name.startswith("metaxy_")]
    return {
        "metaxy/orphaned": increment.counts["orphaned"],
        "metaxy/sample": preview(rows.select(*shown).rows(named=True)),
    }
