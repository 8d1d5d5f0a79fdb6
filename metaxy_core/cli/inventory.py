"""What is stored, in numbers; `metaxy status` says what there is to do."""

from __future__ import annotations

from dataclasses import dataclass

from metaxy_core.cli.output import Format, gives, progress, show_records
from metaxy_core.cli.project import Project

_HERE = Project()


@dataclass(frozen=True)
class StoredLine:
    """What is stored of one feature; numbers are None where it has never run.

    Attributes:
        store: the store that has it: the one asked, or one that it falls back to.
        samples: rows that count now.
        current: those of them written under the feature version as it stands.
        rows: all rows, superseded and deleted ones too.
        tombstones: rows that say that a sample was deleted.
        open: rows of 1:N sets that are not closed yet.
        written_at: when the newest row was written; UTC.
    """

    feature: str
    store: str | None
    samples: int | None
    current: int | None
    rows: int | None
    tombstones: int | None
    open: int | None
    written_at: str | None


@gives(lambda: list[StoredLine])
def status(*features: str, project: Project = _HERE, format: Format = "plain") -> int:
    """Count what is stored: samples that count, those of the current version, all rows.

    Nothing is compared with what should be there; that is `metaxy status`.

    Example: metaxy metadata status --store prod

    Exit codes: 0 counted, 1 a mistake.

    Args:
        features: Keys of the features; all without any.
    """
    graph = project.graph()
    keys = [graph[key].key for key in features] or list(graph)
    store = project.metadata_store(graph)
    lines = []
    with store.open("r"):
        for key in progress(keys, "counting"):
            found = store.inventory(key)
            if found is None:
                lines.append(StoredLine(str(key), *(None,) * 7))
                continue
            written = found.written_at
            lines.append(
                StoredLine(
                    str(key),
                    found.store,
                    found.samples,
                    found.current,
                    found.rows,
                    found.tombstones,
                    found.open,
                    written.isoformat(timespec="seconds") if written else None,
                )
            )
    columns = ("feature", "samples", "current", "rows", "tombstones", "written_at", "store")
    show_records(columns, lines, format, "The module declares no features.")
    return 0
