"""Which assets runs are at work on."""

from __future__ import annotations

import dagster as dg

_UNDER_WAY = (
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
)


def under_way(instance: dg.DagsterInstance) -> set[dg.AssetKey]:
    """The assets that runs which are not finished have selected."""
    runs = instance.get_runs(filters=dg.RunsFilter(statuses=list(_UNDER_WAY)))
    return {key for run in runs for key in run.asset_selection or ()}
