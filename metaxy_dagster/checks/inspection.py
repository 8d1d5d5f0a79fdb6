"""The checks of one run: what each finds, in one short opening of the store per feature."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import dagster as dg

from metaxy_core import (
    FeatureKey,
    Graph,
    HashSchemeMismatchError,
    MetadataSchemaError,
    MetadataStore,
    Severity,
    StoreUnavailableError,
    said_duration,
)
from metaxy_dagster.automation.pending import ROOTS, Pending, count
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
from metaxy_dagster.checks.integrity import FACTS
from metaxy_dagster.reports.preview import cost_metadata, said_cost
from metaxy_dagster.resource import MetaxyStore

_WARN, _ERROR = dg.AssetCheckSeverity.WARN, dg.AssetCheckSeverity.ERROR


@dataclass
class Inspection:
    """What is inspected; the baseline is found once.

    Attributes:
        baseline: given in place of the newest recorded graph, see `feature_checks`.
    """

    store: MetaxyStore
    graph: Graph
    context: dg.AssetCheckExecutionContext
    baseline: str | Path | None
    _found: list[Baseline | None] = field(default_factory=list)

    def of(
        self, feature: FeatureKey, keys: list[dg.AssetCheckKey]
    ) -> Iterator[dg.AssetCheckResult]:
        """The results of some checks of one feature."""
        try:
            with self.store.open("r", graph=self.graph) as opened:
                # Made while it is open, given when it is closed again.
                results = [self._checked(opened, feature, key) for key in keys]
        except HashSchemeMismatchError as error:
            said = f"breaking: {error}"
            results = [_result(key, False, said, severity=_ERROR) for key in keys]
        except StoreUnavailableError as error:
            if error.reason != "missing":
                raise
            results = [self._without_store(feature, key) for key in keys]
        yield from results

    def _checked(
        self, opened: MetadataStore, feature: FeatureKey, key: dg.AssetCheckKey
    ) -> dg.AssetCheckResult:
        try:
            if key.name == "graph_diff":
                return self._graph_diff(opened, feature, key)
            if key.name == "pending_increment":
                found = count(opened, feature, estimate=self.store.estimates, age=True)
                return _pending(key, found)
            if not opened.has_feature(feature):
                return _result(key, True, "Nothing is stored yet.")
            facts, severity = FACTS[key.name]
            fact = facts(opened, feature)
        except MetadataSchemaError as error:
            return _result(key, False, str(error), severity=_ERROR)
        return _result(key, fact.passed, fact.description, fact.metadata, severity)

    def _without_store(self, feature: FeatureKey, key: dg.AssetCheckKey) -> dg.AssetCheckResult:
        if key.name == "graph_diff":
            return self._graph_diff(None, feature, key)
        if key.name == "pending_increment" and self.graph[feature].is_root:
            return _pending(key, Pending(reason=ROOTS))
        return _result(key, True, "The store does not exist yet.")

    def _graph_diff(
        self, opened: MetadataStore | None, feature: FeatureKey, key: dg.AssetCheckKey
    ) -> dg.AssetCheckResult:
        before = self._baseline(opened) or last_made(
            self.context.instance, key.asset_key, self._start
        )
        if before is None:
            shown = {"to_snapshot": self.graph.snapshot_version[:8]}
            return _result(key, True, "There is no baseline to compare with yet.", shown)
        found = compare(self.graph, feature, before)
        rows = None
        if opened is not None:
            try:
                rows = found.stale_rows(opened)
            except MetadataSchemaError as error:
                # Rows under other id columns cannot be counted; the difference says so itself.
                self.context.log.info("The rows to be computed again are not known: %s", error)
        # Whoever names a baseline wants to see every difference from it.
        is_done = self.baseline is None and found.is_done(rows)
        said = f"{found.summary}{'; no stored row is of another version' if is_done else ''}"
        if found.drift is not None:
            said = f"{said.rstrip('.')}. The code changed, no code version did."
        return _result(
            key,
            found.drift is None and (is_done or found.severity in (None, Severity.COSMETIC)),
            said,
            found.metadata(rows),
            _ERROR if found.severity is Severity.BREAKING else _WARN,
        )

    def _baseline(self, opened: MetadataStore | None) -> Baseline | None:
        """What the whole graph is compared with; found once."""
        if not self._found:
            self._found.append(self._look_for_baseline(opened))
        return self._found[0]

    def _look_for_baseline(self, opened: MetadataStore | None) -> Baseline | None:
        if self.baseline is not None and is_file(self.baseline):
            return from_file(self.baseline)
        if opened is None:
            return None
        if self.baseline is not None:
            return recorded(opened, str(self.baseline))
        return newest(opened, self._start)

    @cached_property
    def _start(self) -> datetime | None:
        return start_of(self.context.instance, self.context.run)


def _pending(key: dg.AssetCheckKey, found: Pending) -> dg.AssetCheckResult:
    counts = {"new": found.new, "stale": found.stale, "orphaned": found.orphaned}
    counts |= {"waiting": found.waiting} if found.waiting else {}
    counts |= {"failed": found.failed} if found.failed else {}
    shown = {**counts, **cost_metadata(found.cost, "")}
    cost, oldest = said_cost(found.cost), ""
    if found.since is not None:
        age = max(0.0, (datetime.now(UTC) - found.since).total_seconds())
        shown |= {
            "oldest_pending_seconds": round(age, 1),
            "oldest_pending_since": dg.MetadataValue.timestamp(found.since),
        }
        oldest = f"; the oldest for {said_duration(age)}"
    elif not found.todo:
        shown["oldest_pending_seconds"] = 0.0
    said = (
        f"To process: {found.said}{oldest}{f'; {cost}' if cost else ''}."
        if found.todo
        else found.reason or "There is nothing to process."
    )
    return _result(key, not found.todo, said, {} if found.reason else shown)


def _result(
    key: dg.AssetCheckKey,
    passed: bool,
    description: str,
    metadata: Any = None,
    severity: dg.AssetCheckSeverity = _WARN,
) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        passed=passed,
        asset_key=key.asset_key,
        check_name=key.name,
        description=description,
        metadata=dict(metadata or {}),
        severity=severity,
    )
