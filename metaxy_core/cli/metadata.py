"""Upkeep of stored rows: replay, copy, compact, verify, rebase."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from metaxy_core.cli.output import Format, gives, progress, show, show_records, show_rows, tell
from metaxy_core.cli.project import Project, counting
from metaxy_core.errors import ConfigError
from metaxy_core.graph import Graph
from metaxy_core.keys import FeatureKey
from metaxy_core.render.text import visible

_HERE = Project()
DryRun = Annotated[bool, Parameter(negative=(), help="Change nothing, only say what would be.")]


@dataclass(frozen=True)
class RowCount:
    """How many rows of a feature something was done to, or would be."""

    feature: str
    rows: int


@dataclass(frozen=True)
class UnitCount:
    """How many units of a feature something was done to, or would be."""

    feature: str
    units: int


@dataclass(frozen=True)
class FindingLine:
    """Something that is wrong with stored rows.

    Attributes:
        rule: which rule they break.
        rows: how many.
        examples: the ids of some of them, as `name=value`.
    """

    feature: str
    rule: str
    rows: int
    examples: tuple[str, ...]


@gives(lambda: list[RowCount])
def replay(
    file: Path, *, dry_run: DryRun = False, project: Project = _HERE, format: Format = "plain"
) -> int:
    """Store rows that could not be stored before, from the file that the error named.

    A write that got through after all is not stored again. The file stays.

    Example: metaxy metadata replay 20260301T101500-crop-1a2b3c.metaxy-write --store meta.duckdb

    Exit codes: 0 stored, or stored before; 1 a mistake.

    Args:
        file: The file.
    """
    with counting(project.metadata_store(), dry_run=dry_run) as store:
        stored = store.replay(file, dry_run=dry_run)
    show_counts(stored, format, "to store" if dry_run else "stored")
    return 0


@gives(lambda: list[RowCount])
def copy(
    source: str,
    *features: str,
    filters: str | None = None,
    snapshot: str | None = None,
    history: bool = True,
    dry_run: DryRun = False,
    project: Project = _HERE,
    format: Format = "plain",
) -> int:
    """Copy rows from another store; what is here already is not copied again.

    The recorded graphs come, too, where this store has recorded none.

    Example: metaxy metadata copy prod example/video --store dev --dry-run

    Exit codes: 0 copied, or nothing to copy; 1 a mistake.

    Args:
        source: The store to copy from: its name in the configuration, or a DuckDB file.
        features: Which features; all without it.
        filters: A condition on the stored rows of every feature copied; whole units come.
        snapshot: Only rows written under this graph: its version, or the beginning of it.
        history: Superseded and deleted rows too; else only those that count.
    """
    graph = project.graph()
    target = project.metadata_store(graph)
    other = project.settings().make_store(source, graph=graph)
    with counting(target, dry_run=dry_run) as store, other.open("r"):
        wanted = list(features) or [str(key) for key in other.list_features()]
        copied: dict[str, int] = {}
        for key in progress(wanted, "copying"):
            copied |= store.copy_metadata(
                other,
                [key],
                filters={key: filters} if filters else {},
                snapshot_version=snapshot,
                history=history,
                dry_run=dry_run,
            )
        graphs = store.copy_snapshots(other, dry_run=dry_run)
    if graphs:
        tell(f"Recorded graphs {'to copy' if dry_run else 'copied'}: {graphs}.")
    show_counts(copied, format, "to copy" if dry_run else "copied")
    return 0


@gives(lambda: list[RowCount])
def compact(
    *features: str,
    keep: Annotated[int, Parameter(validator=Number(gte=1))] = 1,
    dry_run: DryRun = False,
    project: Project = _HERE,
    format: Format = "plain",
) -> int:
    """Remove superseded rows for good; what counts stays, and what undelete would bring back.

    Example: metaxy metadata compact --keep 3 --dry-run

    Exit codes: 0 removed, or nothing to remove; 1 a mistake.

    Args:
        features: Which features; all without it.
        keep: How many versions of each sample stay, per version of the feature.
    """
    store = project.metadata_store(project.graph())
    with store.open("r" if dry_run else "w"):
        removed: dict[str, int] = {}
        for key in progress(list(features) or store.list_features(), "compacting"):
            removed |= store.compact([key], keep=keep, dry_run=dry_run)
    show_counts(removed, format, "to remove" if dry_run else "removed")
    return 0


@gives(lambda: list[FindingLine])
def verify(*features: str, project: Project = _HERE, format: Format = "plain") -> int:
    """Check stored rows against the rules of what versions mean.

    Example: metaxy metadata verify --store meta.duckdb

    Exit codes: 0 nothing is wrong, 1 a mistake in what was asked, 2 something is wrong.

    Args:
        features: Which features; all without it.
    """
    store = project.metadata_store(project.graph())
    with store.open("r"):
        asked = list(features) or store.list_features()
        findings = [one for key in progress(asked, "verifying") for one in store.verify([key])]
    lines = [
        FindingLine(
            finding.feature,
            finding.rule,
            finding.rows,
            tuple(
                ", ".join(f"{name}={value}" for name, value in example.items())
                for example in finding.examples
            ),
        )
        for finding in findings
    ]
    empty = f"Nothing is wrong in {visible(store.display())}."
    show_records(("feature", "rule", "rows", "examples"), lines, format, empty)
    return 2 if findings else 0


@gives(lambda: list[UnitCount])
def rebase(
    *features: str,
    snapshot: str = "latest",
    dry_run: DryRun = False,
    project: Project = _HERE,
    format: Format = "plain",
) -> int:
    """Carry results over to changed code versions, for code that gives the same results.

    What was up to date under the recorded graph is so under the code as it stands, and nothing
    downstream runs again; what was stale stays stale. Roots need their samples: use the Python
    interface for those.

    Example: metaxy metadata rebase example/crop --dry-run

    Exit codes: 0 carried, or nothing to carry; 1 a mistake.

    Args:
        features: Which features.
        snapshot: The recorded graph that the results were made under.
    """
    if not features:
        raise ConfigError("Which features? Give the key of one at least.")
    store = project.metadata_store(project.graph())
    with store.open("r" if dry_run else "w"):
        before = store.load_snapshot(snapshot)
        same = [f for f in features if _version(before.graph, f) == _version(store.graph, f)]
        carried = {
            feature: store.rebase(feature, from_snapshot=before, dry_run=dry_run)
            for feature in progress(features, "rebasing")
        }
    if same:
        tell(
            f"{', '.join(same)}: as the graph {before.version[:8]} has it, so there is nothing to "
            "carry. Name an earlier one with --snapshot; `metaxy graph history` lists them."
        )
    show_counts(carried, format, "to carry" if dry_run else "carried", "units")
    return 0


def _version(graph: Graph, feature: str) -> str | None:
    known = graph.versions.get(FeatureKey.of(feature))
    return None if known is None else known.feature


def show_counts(counts: Mapping[str, int], format: Format, verb: str, unit: str = "rows") -> None:
    """Print a number per feature, and their sum."""
    rows = [{"feature": feature, unit: count} for feature, count in counts.items()]
    if format == "json":
        show_rows((), rows, format, "")
    elif not any(counts.values()):
        show(f"No {unit} {verb}.")
    else:
        show_rows(("feature", unit), rows, format, "")
        total = sum(counts.values())
        show(f"{total:,} {unit if total > 1 else unit[:-1]} {verb}.")
