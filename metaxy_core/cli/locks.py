"""Features of other projects: locked, or checked against what their projects have recorded."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from metaxy_core.cli.output import Format, show, show_rows, tell
from metaxy_core.cli.project import Project
from metaxy_core.errors import ConfigError, UnknownParentError

if TYPE_CHECKING:
    from metaxy_core.external import Mismatch
    from metaxy_core.graph import FeatureGraph, Graph

_HERE = Project()


def lock(
    *projects: str,
    check: Annotated[bool, Parameter(name=["--check", "--dry-run"], negative=())] = False,
    project: Project = _HERE,
    format: Format = "plain",
) -> int:
    """Lock the features of other projects that this one depends on, in `metaxy.lock`.

    Their declarations come from the newest graphs that their projects have recorded in the store,
    or in its fallback stores.

    Example: metaxy lock

    Example: metaxy lock vision speech --check

    Exit codes: 0 locked, or in order; 2 with `--check`, where the file is to change; 1 a mistake.

    Args:
        projects: Which projects to take them from; all others without it.
        check: Only say what would change.
    """
    from metaxy_core.external import Lock, lock_changes, make_lock

    declared = _declared(project)
    path = lock_file(project)
    before = Lock.read(path)
    store = project.metadata_store()
    with store.open("r"):
        others = store.other_projects()
    if unknown := [name for name in projects if name not in others]:
        raise ConfigError(
            f"The store has no recorded graph of the project {', '.join(unknown)}. It has those "
            f"of: {', '.join(others) or 'no other project'}."
        )
    if projects:
        others = {name: others[name] for name in projects}
    after = make_lock(declared, others, lock=before)
    changes = lock_changes(before, after)
    if changes and not check:
        _write(path, after.to_json())
    _show(changes, format, path, check=check)
    return 2 if changes and check else 0


def lock_file(project: Project) -> Path:
    """Where the lock of the project is: beside its configuration."""
    from metaxy_core.external import LOCK_FILE

    return project.settings().root / LOCK_FILE


def _declared(project: Project) -> FeatureGraph | Graph:
    """The features of the code, whether or not their parents in other projects are there."""
    from metaxy_core.ambient import active_graph

    try:
        return project.graph()
    except UnknownParentError:
        return active_graph()


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"Cannot write {path}: {error.strerror}.") from error


def _show(changes: list[Mismatch], format: Format, path: Path, *, check: bool) -> None:
    rows = [asdict(one) for one in changes]
    if format == "json":
        show_rows([], rows, "json", "")
        return
    for row in rows:
        row["locked"], row["recorded"] = ((row[end] or "")[:8] for end in ("locked", "recorded"))
    show_rows(("feature", "project", "locked", "recorded"), rows, format, f"{path} is in order.")
    if rows and not check:
        tell(f"Wrote {path}")
    elif rows:
        show(f"{path.name} is to change; `metaxy lock` writes it.")
