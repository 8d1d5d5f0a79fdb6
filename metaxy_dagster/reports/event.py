"""What an asset event says about the stored feature: asked in one short opening of the store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import dagster as dg
import narwhals as nw

from metaxy_core import MATERIALIZATION_ID, FeaturePlan, MetadataStore
from metaxy_dagster.frames import length
from metaxy_dagster.partitions import part_buckets, part_filters, shown, types_of
from metaxy_dagster.receipt import WriteReceipt
from metaxy_dagster.reports.metadata import (
    column_lineage,
    column_schema,
    failure_table,
    increment_table,
    preview,
)
from metaxy_dagster.resource import MetaxyStore, frozen


@dataclass(frozen=True)
class Report:
    """The metadata of one asset event.

    Attributes:
        data_version: changes if and only if the set of (id, data version) does.
    """

    metadata: dict[str, Any]
    data_version: str


def report(
    store: MetaxyStore, receipt: WriteReceipt, *, preview_rows: int = 5, row_count: bool = True
) -> Report:
    """Describe what is stored now and what was done.

    Args:
        preview_rows: how many rows to show; none, and no query for them, for 0.
        row_count: show the number of rows.

    Raises:
        StoreUnavailableError: the store cannot be read. An error here is never "no rows".
    """
    graph = frozen(receipt.graph)
    plan = graph.plan(receipt.feature)
    with store.open("r", graph=graph) as opened:
        filters = part_filters(receipt.part, types_of(opened, plan))
        fingerprint = opened.fingerprint(
            receipt.feature, filters, buckets=part_buckets(receipt.part)
        )
        where = opened.get_store_metadata(receipt.feature)
        metadata: dict[str, Any] = {
            **_done(receipt),
            "metaxy/feature_version": graph.versions[receipt.feature].feature,
            "metaxy/field_data_versions": dg.MetadataValue.json(dict(fingerprint.fields)),
            "dagster/table_name": where["table_name"],
            "dagster/storage_kind": where["type"],
            "dagster/uri": where["uri"],
        }
        if row_count:
            metadata["dagster/row_count"] = fingerprint.rows
        if opened.has_feature(receipt.feature):
            metadata |= _stored(opened, plan, receipt, filters, preview_rows)
    return Report(metadata, fingerprint.data_version)


def _done(receipt: WriteReceipt) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "metaxy/rows_written": receipt.rows,
        "metaxy/seconds": round(receipt.seconds, 3),
    }
    if receipt.part:
        metadata["metaxy/part"] = dg.MetadataValue.json(shown(receipt.part))
    if receipt.outcomes:
        metadata["metaxy/increment"] = increment_table(receipt.outcomes)
        metadata |= {f"metaxy/{name}": found.found for name, found in receipt.outcomes.items()}
        metadata["metaxy/orphans"] = receipt.orphans
    if receipt.processed:
        metadata["metaxy/seconds_per_sample"] = receipt.seconds / receipt.processed
    if receipt.childless:
        metadata["metaxy/parents_without_children"] = receipt.childless
    if receipt.failures:
        metadata["metaxy/failed"] = len(receipt.failures)
        metadata["metaxy/failures"] = failure_table(receipt.failures)
    return metadata


def _stored(
    opened: MetadataStore,
    plan: FeaturePlan,
    receipt: WriteReceipt,
    filters: Any,
    preview_rows: int,
) -> dict[str, Any]:
    rows = opened.read(plan.key, filters=list(filters), buckets=part_buckets(receipt.part))
    schema = rows.collect_schema()
    parents = {
        edge.parent.key: opened.read(edge.parent.key).collect_schema().names()
        for edge in plan.edges
        if opened.has_feature(edge.parent.key, allow_fallback=True)
    }
    metadata: dict[str, Any] = {
        "dagster/column_schema": column_schema(plan.spec, dict(schema)),
        "dagster/column_lineage": column_lineage(
            plan, schema.names(), parents, receipt.upstream_keys
        ),
    }
    if receipt.run_id is not None:
        # An earlier attempt of the run has written some of them; this counts them as well.
        mine = rows.filter(nw.col(MATERIALIZATION_ID) == receipt.run_id)
        metadata["metaxy/rows_written_by_run"] = length(mine)
    if preview_rows:
        shown = [name for name in schema.names() if not name.startswith("metaxy_")]
        some = rows.select(*shown).head(preview_rows).collect("polars")
        metadata["metaxy/sample"] = preview(some.rows(named=True))
    return metadata
