"""What each feature has to do, as the store stands; nothing is computed or written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from metaxy_core.cli.output import Format, gives, progress, show_records
from metaxy_core.cli.project import Project

if TYPE_CHECKING:
    from metaxy_core.keys import FeatureKey
    from metaxy_core.store import MetadataStore

_HERE = Project()


@dataclass(frozen=True)
class FeatureStatus:
    """One line of the table; None where it cannot be known.

    Attributes:
        rows: stored rows; None where the feature has never run.
        new, stale, orphaned, waiting: units; None for a root, whose samples come from the user,
            and where a parent has not run.
        failed: units left out of these because they failed; see `metaxy failures list`.
        needs: required parents that have not run.
    """

    feature: str
    rows: int | None
    new: int | None
    stale: int | None
    orphaned: int | None
    waiting: int | None
    failed: int | None
    needs: tuple[str, ...]

    @property
    def is_pending(self) -> bool:
        """Whether the feature, or a parent before it, has something to do."""
        counts = (self.new, self.stale, self.orphaned, self.waiting)
        return self.rows is None or bool(self.needs) or any(counts)


@gives(lambda: list[FeatureStatus])
def status(*features: str, project: Project = _HERE, format: Format = "plain") -> int:
    """Show what each feature has to do: stored, new, stale, orphaned, waiting and failed samples.

    Of roots only the rows are known: their samples come from you. `failed` counts
    units that failed and are not offered now, `waiting` units whose
    parent has not run since a field was added to it; `needs` names parents that have not run.

    Example: metaxy status example/crop --module example_project.features --store meta.duckdb

    Exit codes: 0 in sync, 2 something is to be done, 1 a mistake.

    Args:
        features: Keys of the features to show; all without any.
    """
    graph = project.graph()
    chosen = [graph[key].key for key in features] or list(graph)
    store = project.metadata_store(graph)
    with store.open("r"):
        found = [feature_status(store, key) for key in progress(chosen, "comparing")]
    columns = ("feature", "rows", "new", "stale", "orphaned", "waiting", "failed", "needs")
    show_records(columns, found, format, "The module declares no features.")
    return 2 if any(one.is_pending for one in found) else 0


def feature_status(store: MetadataStore, key: FeatureKey) -> FeatureStatus:
    """Count what a feature has and has to do; the store must be open."""
    rows = _rows(store, key) if store.has_feature(key) else None
    edges = store.graph.plan(key).edges
    needs = tuple(
        str(edge.parent.key)
        for edge in edges
        if not edge.dep.optional and not store.has_feature(edge.parent.key, allow_fallback=True)
    )
    if needs or not edges:
        return FeatureStatus(str(key), rows, None, None, None, None, None, needs)
    found = store.resolve_update(key, lazy=True)
    counts = found.counts
    return FeatureStatus(
        str(key),
        rows,
        counts["new"],
        counts["stale"],
        counts["orphaned"],
        counts["waiting"],
        found.failed,
        needs,
    )


def _rows(store: MetadataStore, key: FeatureKey) -> int:
    import narwhals as nw

    counted = store.read(key, allow_fallback=False).select(nw.len().alias("n")).collect("polars")
    return int(counted["n"][0])
