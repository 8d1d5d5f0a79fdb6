"""What an asset did to a feature: handed from the compute step to the IO manager's report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from metaxy_core import Cost, FeatureGraph, FeatureKey, Graph
from metaxy_dagster.partitions import Part


@dataclass(frozen=True)
class Outcome:
    """What became of the units of one status: `found` = processed + skipped + failed.

    Attributes:
        skipped: the run was not asked to process them.
        failed: the function gave no row for them.
    """

    found: int = 0
    processed: int = 0
    skipped: int = 0
    failed: int = 0


@dataclass(frozen=True)
class WriteReceipt:
    """What is already written, given to `MetaxyIOManager` as the output's value.

    Attributes:
        outcomes: per status: new, stale, orphaned.
        rows: rows stored by this attempt.
        seconds: the attempt's time, the user's function included.
        childless: parents settled without children (1:N).
        orphans: the name of the orphan policy.
        run_id: the run whose rows are counted in the report.
        upstream_keys: the assets of the parents, for the column lineage.
        cost: what the attempt was expected to take.
        failures: units that the function reported as failed: their ids, and why.
    """

    feature: FeatureKey
    graph: Graph | FeatureGraph
    outcomes: Mapping[str, Outcome] = field(default_factory=dict)
    rows: int = 0
    seconds: float = 0.0
    childless: int = 0
    orphans: str = "report"
    part: Part = field(default_factory=dict)
    run_id: str | None = None
    upstream_keys: Mapping[FeatureKey, dg.AssetKey] = field(default_factory=dict)
    failures: Sequence[tuple[Mapping[str, Any], BaseException | str]] = ()
    cost: Cost = field(default_factory=Cost)

    @property
    def processed(self) -> int:
        """Units that the attempt brought up to date."""
        return sum(
            self.outcomes[name].processed for name in ("new", "stale") if name in self.outcomes
        )
