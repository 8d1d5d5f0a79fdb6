"""What a step says before it computes: in the log, and as tags of its run."""

from __future__ import annotations

import dagster as dg

from metaxy_core import FeatureKey
from metaxy_dagster.reports.preview import said_cost, said_counts, work_tags
from metaxy_dagster.steps.increment import Increment


def announce(
    context: dg.AssetExecutionContext, feature: FeatureKey, key: dg.AssetKey, increment: Increment
) -> None:
    """Say what was found, what this run does of it and what that will cost.

    A run of one asset is tagged with it, at its first attempt. A run of several is not: the list of
    runs shows every tag in full, and sums would be wrong where two processes add to them at once.
    """
    counts = {**increment.counts, "failed": increment.failed}
    found, cost = said_counts(counts), said_cost(increment.cost)
    does = f"this run processes {increment.size:,}" if found else ""
    said = "; ".join(filter(None, [found or "up to date", does]))
    context.log.info("%s: %s%s", feature, said, f": {cost}" if cost and increment.size else "")
    if context.run.asset_selection == {key} and not context.retry_number:
        tags = work_tags(counts["new"], counts["stale"], increment.cost)
        context.instance.add_run_tags(context.run.run_id, tags)
