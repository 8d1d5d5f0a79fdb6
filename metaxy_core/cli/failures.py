"""Samples that failed: list them, offer them again, forget them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from metaxy_core.cli.metadata import DryRun, UnitCount, show_counts
from metaxy_core.cli.output import Format, gives, show_records
from metaxy_core.cli.project import Project

if TYPE_CHECKING:
    from metaxy_core.graph import FeaturePlan

_HERE = Project()


@dataclass(frozen=True)
class FailedSample:
    """A sample that failed and has not succeeded since.

    Attributes:
        sample: its ids.
        error: the class of the error.
        state: whether it is tried again by itself.
        failed_at, retry_at: UTC; `retry_at` is None for one in quarantine.
    """

    feature: str
    sample: Mapping[str, str | int | bool]
    error: str
    message: str
    attempt: int
    state: Literal["waits", "quarantined"]
    failed_at: str
    retry_at: str | None
    run: str | None


@gives(lambda: list[FailedSample])
def listed(*features: str, project: Project = _HERE, format: Format = "plain") -> int:
    """List samples that failed and have not succeeded since.

    Example: metaxy failures list example/crop

    Exit codes: 0 none, 2 some failed, 1 a mistake.

    Args:
        features: Keys of the features; all without any.
    """
    graph = project.graph()
    chosen = [graph[key].key for key in features] or list(graph)
    with project.metadata_store(graph).open("r") as store:
        rows = [
            _row(graph.plan(key), row)
            for key in chosen
            for row in store.failures(key).rows(named=True)
        ]
    columns = ("feature", "sample", "error", "message", "attempt", "state", "retry_at", "run")
    show_records(columns, rows, format, "No sample has failed.")
    return 2 if rows else 0


@gives(lambda: list[UnitCount])
def retry(
    feature: str,
    *,
    where: str | None = None,
    dry_run: DryRun = False,
    project: Project = _HERE,
    format: Format = "plain",
) -> int:
    """Offer failed samples of a feature again, from their first attempt on.

    Example: metaxy failures retry example/crop --where "metaxy_error = 'TimeoutError'"

    Exit codes: 0 done, 1 a mistake.

    Args:
        feature: Key of the feature.
        where: Only those this filter chooses, over the id columns and those of `failures list`
            (`metaxy_error`, `metaxy_attempt`, ...).
    """
    return _do("retry", feature, where, dry_run, project, format)


@gives(lambda: list[UnitCount])
def clear(
    feature: str,
    *,
    where: str | None = None,
    dry_run: DryRun = False,
    project: Project = _HERE,
    format: Format = "plain",
) -> int:
    """Forget failures of a feature: what is still to be done is offered as if it had never failed.

    Example: metaxy failures clear example/crop

    Exit codes: 0 done, 1 a mistake.

    Args:
        feature: Key of the feature.
        where: Only those this filter chooses, see `failures retry`.
    """
    return _do("clear", feature, where, dry_run, project, format)


def _row(plan: FeaturePlan, row: Mapping[str, Any]) -> FailedSample:
    again = None if row["metaxy_quarantined"] else row["metaxy_retry_at"]
    return FailedSample(
        feature=str(plan.key),
        sample={name: row[name] for name in plan.unit},
        error=row["metaxy_error"],
        message=row["metaxy_message"],
        attempt=row["metaxy_attempt"],
        state="waits" if again else "quarantined",
        failed_at=row["metaxy_failed_at"].isoformat(timespec="seconds"),
        retry_at=again and again.isoformat(timespec="seconds"),
        run=row["metaxy_run"],
    )


def _do(
    what: str, feature: str, where: str | None, dry_run: bool, project: Project, format: Format
) -> int:
    graph = project.graph()
    key, filters = graph[feature].key, [where] if where else []
    with project.metadata_store(graph).open("r" if dry_run else "w") as store:
        if dry_run:
            count = len(store.failures(key, filters))
        elif what == "retry":
            count = store.retry_failures(key, filters)
        else:
            count = store.clear_failures(key, filters)
    done = {"retry": "offered again", "clear": "forgotten"}[what]
    show_counts({str(key): count}, format, f"to be {done}" if dry_run else done, "units")
    return 0
