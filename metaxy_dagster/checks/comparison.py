"""A feature in code against its baseline: how grave the difference is, and how to show it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import dagster as dg
import narwhals as nw

from metaxy_core import (
    FEATURE_VERSION,
    Change,
    Drift,
    FeatureDiff,
    FeatureKey,
    Graph,
    GraphDiff,
    GraphView,
    MetadataStore,
    Severity,
    code_drift,
    diff_graphs,
    impact_of,
    neighbourhood,
    render_markdown,
    render_mermaid,
    svg_data_uri,
)
from metaxy_dagster.checks.baseline import Baseline
from metaxy_dagster.reports.metadata import SHOWN, table
from metaxy_dagster.reports.picture import WIDEST

_HOPS = 3
"""No feature farther away is drawn."""
_NODES = 12
"""No more features are drawn than this, neighbours and causes apart."""

_LISTED = 25
"""No more features downstream are listed, those with most rows; how many there are is told."""


@dataclass(frozen=True)
class Comparison:
    """One feature of a graph, compared with what it was.

    Attributes:
        diff: of the whole graphs; None where the baseline knows versions only.
    """

    graph: Graph
    feature: FeatureKey
    baseline: Baseline
    diff: GraphDiff | None

    @property
    def own(self) -> FeatureDiff | None:
        """The feature's own difference."""
        return self.diff.features[self.feature] if self.diff else None

    @cached_property
    def drift(self) -> Drift | None:
        """How the feature's code changed, where its code versions did not."""
        if self.diff is None:
            return None
        recorded = self.baseline.sources
        found = code_drift(self.diff.before, recorded, self.graph, [self.feature])
        return next(iter(found), None)

    @property
    def severity(self) -> Severity | None:
        """How grave the difference is; None for no difference, and for a feature that is new."""
        if self.own is not None:
            return None if self.own.change is Change.ADDED else self.own.severity
        return None if self._same_version else Severity.RECOMPUTE

    @property
    def summary(self) -> str:
        """The difference in one sentence."""
        since = f"since snapshot {self.baseline.name} ({self.baseline.source})"
        if self.own is None:
            if self._same_version:
                return f"The feature version is that of {self.baseline.source}."
            before = (self.baseline.feature_version or "")[:SHOWN]
            now = self.graph.versions[self.feature].feature[:SHOWN]
            return f"recompute: feature version {before} → {now} since {self.baseline.source}"
        if self.own.change is Change.ADDED:
            return f"New {since}: every sample is to be computed."
        if self.severity is None:
            return f"Nothing changed {since}."
        return f"{self.severity.value}: {', '.join(self._said())}, {since}"

    def is_done(self, rows: Mapping[FeatureKey, int] | None) -> bool:
        """Whether samples had to be computed again, and none of them is left.

        Args:
            rows: see `stale_rows`; None where they could not be counted.
        """
        moved = self.severity is Severity.RECOMPUTE and (not self.own or self.own.version_changed)
        return moved and rows is not None and not rows.get(self.feature)

    @cached_property
    def downstream(self) -> tuple[FeatureKey, ...]:
        """The features below this one that have to be computed again with it."""
        if self.diff is None or not (self.own and self.own.version_changed):
            return ()
        return tuple(
            key
            for key in self.graph.downstream(self.feature)
            if (found := self.diff.features[key]).version_changed and found.before
        )

    def stale_rows(self, opened: MetadataStore) -> Mapping[FeatureKey, int]:
        """Stored rows that were made under another version: of the feature and those below it."""
        affected = (self.feature, *self.downstream)
        return {key: stale_rows(opened, key) for key in affected if opened.has_feature(key)}

    def metadata(self, rows: Mapping[FeatureKey, int] | None = None) -> dict[str, Any]:
        """What a check, or a refusal, shows.

        Args:
            rows: see `stale_rows`.
        """
        shown: dict[str, Any] = {
            "from_snapshot": self.baseline.name,
            "to_snapshot": self.graph.snapshot_version[:SHOWN],
            "baseline": self.baseline.source,
        }
        if self.own is not None:
            shown["changed_fields"] = sum(field.version_changed for field in self.own.fields)
        if rows is not None:
            shown["would_recompute"] = rows.get(self.feature, 0)
        if self.drift is not None:
            shown["code_diff"] = dg.MetadataValue.md(code_block(self.drift.diff, "diff"))
        if self.severity is None or self.diff is None:
            return shown
        view = self._picture()
        picture = f"![What changed around {self.feature}]({svg_data_uri(view, widest=WIDEST)})"
        if self.downstream:
            shown["affected_features"] = len(self.downstream)
            shown["affected_downstream"] = self._downstream_table(rows or {})
        return {
            "diff": dg.MetadataValue.md(f"{picture}\n\n{render_markdown(view)}"),
            # As a code block: the page would run the lines of a plain text together.
            "mermaid": dg.MetadataValue.md(code_block(render_mermaid(view), "mermaid")),
            **shown,
        }

    def _said(self) -> list[str]:
        assert self.own is not None  # the caller has asked
        if self.own.reasons:
            return list(self.own.reasons)
        said = []
        for field in self.own.changed_fields:
            before, after = field.before, field.after
            if before and after and before.code_version != after.code_version:
                codes = f"code version {before.code_version} → {after.code_version}"
                said.append(f"field {field.key}: {codes}")
            else:
                said.append(f"field {field.key} {field.change.value}")
        if causes := self._causes:
            said.append(f"follows {', '.join(causes)}")
        return said or [f"{change.path} changed" for change in self.own.declaration]

    @cached_property
    def _causes(self) -> tuple[str, ...]:
        """The fields upstream whose change this feature follows."""
        assert self.diff is not None  # the caller has asked
        found = [one for one in impact_of(self.diff).affected if one.key == self.feature]
        return tuple(map(str, found[0].causes)) if found else ()

    def _picture(self) -> GraphView:
        """The feature, its neighbours, and more of them while they are few or a cause is unseen."""
        assert self.diff is not None  # the caller has asked
        whole = GraphView.of(self.diff)
        wanted = {cause.rpartition(".")[0] for cause in self._causes}
        view = neighbourhood(whole, self.feature)
        for hops in range(2, _HOPS + 1):
            wider = neighbourhood(whole, self.feature, hops)
            if len(wider.nodes) > _NODES and wanted <= {node.key for node in view.nodes}:
                return view
            view = wider
        return view

    def _downstream_table(self, rows: Mapping[FeatureKey, int]) -> dg.TableMetadataValue:
        assert self.diff is not None  # the caller has asked
        listed = list(self.downstream)
        if len(listed) > _LISTED:
            listed = sorted(listed, key=lambda key: -rows.get(key, 0))[:_LISTED]
        return table(
            {
                "feature": str(key),
                "fields": ", ".join(
                    str(field.key)
                    for field in self.diff.features[key].fields
                    if field.version_changed
                ),
                "rows": rows.get(key, 0),
            }
            for key in listed
        )

    @property
    def _same_version(self) -> bool:
        # Tags are cut, so the baseline may know the version's beginning only.
        known = self.baseline.feature_version or ""
        return self.graph.versions[self.feature].feature.startswith(known)


def compare(graph: Graph, feature: FeatureKey, baseline: Baseline) -> Comparison:
    """Compare a feature with what it was; pure.

    >>> from metaxy_core import FeatureSpec
    >>> graph = Graph([FeatureSpec("video")])
    >>> before = Baseline(graph.snapshot_version, "a test", graph)
    >>> compare(graph, FeatureKey.of("video"), before).summary
    'Nothing changed since snapshot ... (a test).'
    """
    diff = diff_graphs(baseline.graph, graph) if baseline.graph is not None else None
    return Comparison(graph, feature, baseline, diff)


def code_block(text: str, language: str) -> str:
    """A Markdown code block that nothing in the text can end."""
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def stale_rows(opened: MetadataStore, feature: FeatureKey) -> int:
    """How many stored rows were made under another feature version; counted in the database."""
    rows = opened.read(feature, columns=[FEATURE_VERSION], allow_fallback=False)
    old = rows.filter(nw.col(FEATURE_VERSION) != opened.graph.versions[feature].feature)
    return int(old.select(nw.len().alias("n")).collect("polars")["n"][0])
