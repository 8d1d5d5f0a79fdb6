"""Upkeep of stored rows: replay, copy, compact, verify, rebase."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from metaxy_core.cli.output import Format, show, show_rows
from metaxy_core.cli.project import Project, opened
from metaxy_core.render.text import visible

_HERE = Project()


def replay(file: Path, *, project: Project = _HERE, format: Format = "plain") -> int:
    """Store rows that could not be stored before, from the file that the error named.

    A write that got through after all is not stored again. The file stays.

    Example: metaxy metadata replay 20260301T101500-crop-1a2b3c.metaxy-write --store meta.duckdb

    Exit codes: 0 stored, or stored before; 1 a mistake.

    Args:
        file: The file.
    """
    store = project.metadata_store()
    with opened(store, "w"):
        stored = store.replay(file)
    _show(stored, format, "stored")
    return 0


def copy(
    source: Path,
    *features: str,
    filters: str | None = None,
    snapshot: str | None = None,
    history: bool = True,
    project: Project = _HERE,
    format: Format = "plain",
) -> int:
    """Copy rows from another store; what is here already is not copied again.

    Example: metaxy metadata copy prod.duckdb example/video --store dev.duckdb

    Exit codes: 0 copied, or nothing to copy; 1 a mistake.

    Args:
        source: The DuckDB file to copy from.
        features: Which features; all without it.
        filters: A condition on the stored rows of every feature copied; whole units come.
        snapshot: Only rows written under this graph: its version, or the beginning of it.
        history: Superseded and deleted rows too; else only those that count.
    """
    from metaxy_core import DuckDBMetadataStore

    graph = project.graph()
    store = project.metadata_store(graph)
    other = DuckDBMetadataStore(source, graph=graph, hash_algorithm=store.scheme.algorithm)
    with opened(store, "w"), opened(other, "r"):
        wanted = list(features) or [str(key) for key in other.list_features()]
        asked = dict.fromkeys(wanted, filters) if filters else {}
        copied = store.copy_metadata(
            other, wanted, filters=asked, snapshot_version=snapshot, history=history
        )
    _show(copied, format, "copied")
    return 0


def compact(
    *features: str,
    keep: int = 1,
    dry_run: bool = False,
    project: Project = _HERE,
    format: Format = "plain",
) -> int:
    """Remove superseded rows for good; what counts stays, and what undelete would bring back.

    Example: metaxy metadata compact --keep 3 --dry-run

    Exit codes: 0 removed, or nothing to remove; 1 a mistake.

    Args:
        features: Which features; all without it.
        keep: How many versions of each sample stay, per version of the feature.
        dry_run: Only say how many rows would be removed.
    """
    store = project.metadata_store(project.graph())
    with opened(store, "r" if dry_run else "w"):
        removed = store.compact(list(features) or None, keep=keep, dry_run=dry_run)
    _show(removed, format, "to remove" if dry_run else "removed")
    return 0


def verify(*features: str, project: Project = _HERE, format: Format = "plain") -> int:
    """Check stored rows against the rules of what versions mean.

    Example: metaxy metadata verify --store meta.duckdb

    Exit codes: 0 nothing is wrong, 1 a mistake in what was asked, 2 something is wrong.

    Args:
        features: Which features; all without it.
    """
    store = project.metadata_store(project.graph())
    with opened(store, "r"):
        findings = store.verify(list(features) or None)
    rows = [
        {
            "feature": finding.feature,
            "rule": finding.rule,
            "rows": finding.rows,
            "examples": [
                ", ".join(f"{name}={value}" for name, value in example.items())
                for example in finding.examples
            ],
        }
        for finding in findings
    ]
    empty = f"Nothing is wrong in {visible(store.display())}."
    show_rows(("feature", "rule", "rows", "examples"), rows, format, empty)
    return 2 if findings else 0


def rebase(
    *features: str,
    snapshot: str = "latest",
    dry_run: bool = False,
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
        dry_run: Only say how many units would be carried.
    """
    store = project.metadata_store(project.graph())
    with opened(store, "r" if dry_run else "w"):
        before = store.load_snapshot(snapshot)
        carried = {
            feature: store.rebase(feature, from_snapshot=before, dry_run=dry_run)
            for feature in features
        }
    _show(carried, format, "to carry" if dry_run else "carried", "units")
    return 0


def _show(counts: Mapping[str, int], format: Format, verb: str, unit: str = "rows") -> None:
    rows = [{"feature": feature, unit: count} for feature, count in counts.items()]
    if format == "json":
        show_rows((), rows, format, "")
    elif not any(counts.values()):
        show(f"No {unit} {verb}.")
    else:
        show_rows(("feature", unit), rows, format, "")
        total = sum(counts.values())
        show(f"{total:,} {unit if total > 1 else unit[:-1]} {verb}.")
