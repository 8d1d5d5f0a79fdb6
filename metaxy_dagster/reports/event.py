"""What an asset event says about the stored feature: asked in one short opening of the store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
import narwhals as nw

from metaxy_core import MATERIALIZATION_ID, SLOT, FeaturePlan, MetadataStore
from metaxy_dagster.buckets import BUCKET
from metaxy_dagster.frames import length
from metaxy_dagster.partitions import Part, part_buckets, part_filters, shown, types_of
from metaxy_dagster.receipt import Outcome, WriteReceipt
from metaxy_dagster.reports.metadata import (
    column_lineage,
    column_schema,
    failure_table,
    increment_table,
    preview,
)
from metaxy_dagster.reports.preview import cost_metadata
from metaxy_dagster.resource import MetaxyStore, frozen

_PARTITION_ROWS = "dagster/partition_row_count"
_COUNTED = 400
"""The rows of more partitions than this are not counted one by one."""


@dataclass(frozen=True)
class Report:
    """The metadata of one asset event.

    Attributes:
        data_version: changes if and only if the set of (id, data version) does.
        partitions: what is said of each partition alone, by its key.
    """

    metadata: dict[str, Any]
    data_version: str
    partitions: Mapping[str, dict[str, Any]] = field(default_factory=dict)


def report(
    store: MetaxyStore,
    receipt: WriteReceipt,
    *,
    preview_rows: int = 5,
    row_count: bool = True,
    parts: Mapping[str, Part] | None = None,
) -> Report:
    """Describe what is stored now and what was done.

    Args:
        preview_rows: how many rows to show; none, and no query for them, for 0.
        row_count: show the number of rows.
        parts: the partitions that the event is about, by key: their rows are counted as well.

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
        counts: dict[str, dict[str, Any]] = {}
        if row_count and parts and len(parts) == 1:
            counts = {key: {_PARTITION_ROWS: fingerprint.rows} for key in parts}
        elif row_count and opened.has_feature(plan.key):
            counts = _per_partition(opened, plan, receipt, filters, parts or {})
    return Report(metadata, fingerprint.data_version, counts)


def _per_partition(
    opened: MetadataStore,
    plan: FeaturePlan,
    receipt: WriteReceipt,
    filters: Any,
    parts: Mapping[str, Part],
) -> dict[str, dict[str, Any]]:
    """The rows of each partition, and those that the run wrote: one query for them all."""
    if not 0 < len(parts) <= _COUNTED:
        return {}
    types = types_of(opened, plan)
    mine = nw.col(MATERIALIZATION_ID) == (receipt.run_id or "")
    sums = []
    for index, part in enumerate(parts.values()):
        predicates = [*part_filters(part, types)]
        if (buckets := part_buckets(part)) is not None:
            predicates.append(buckets.predicate())
        inside = nw.all_horizontal(*predicates, ignore_nulls=True)
        for name, chosen in (("rows", inside), ("mine", inside & mine)):
            sums.append(chosen.cast(nw.Int64()).sum().alias(f"{name}_{index}"))
    asked = {name for part in parts.values() for name in part}
    columns = [SLOT if name == BUCKET else name for name in (*sorted(asked), MATERIALIZATION_ID)]
    rows = opened.read(plan.key, columns=columns, filters=list(filters))
    counted = rows.select(*sums).collect("polars").rows(named=True)[0]
    return {
        key: {
            _PARTITION_ROWS: int(counted[f"rows_{index}"] or 0),
            "metaxy/rows_written": int(counted[f"mine_{index}"] or 0),
        }
        for index, key in enumerate(parts)
    }


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
        if receipt.outcomes.get("orphaned", Outcome()).found:
            metadata["metaxy/orphan_policy"] = receipt.orphans
    metadata |= cost_metadata(receipt.cost)
    if receipt.processed:
        per_sample = receipt.seconds / receipt.processed
        # As many digits as mean something, whether a sample takes a microsecond or a day.
        metadata["metaxy/seconds_per_sample"] = float(f"{per_sample:.4g}")
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
    lineage = column_lineage(plan, schema.names(), parents, receipt.upstream_keys)
    origins = {
        column: [dep.asset_key.to_user_string() for dep in deps]
        for column, deps in lineage.deps_by_column.items()
    }
    metadata: dict[str, Any] = {
        "dagster/column_schema": column_schema(plan.spec, dict(schema), origins),
        "dagster/column_lineage": lineage,
    }
    if receipt.run_id is not None:
        # An earlier attempt of the run has written some of them; this counts them as well.
        mine = rows.filter(nw.col(MATERIALIZATION_ID) == receipt.run_id)
        if (written := length(mine)) != receipt.rows:
            metadata["metaxy/rows_written_by_run"] = written
    if preview_rows:
        shown = [name for name in schema.names() if not name.startswith("metaxy_")]
        some = rows.select(*shown).head(preview_rows).collect("polars")
        metadata["metaxy/sample"] = preview(some.rows(named=True))
    return metadata
