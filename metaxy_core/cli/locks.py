"""Features of other projects: locked, or checked against what their projects have recorded."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from metaxy_core.cli.output import Format, gives, show, show_records, tell
from metaxy_core.cli.project import Project
from metaxy_core.errors import ConfigError, ExternalFeatureError

if TYPE_CHECKING:
    from metaxy_core.external import Lock, Mismatch

_HERE = Project()


def _changes() -> object:
    from metaxy_core.external import Mismatch

    return list[Mismatch]


@gives(_changes)
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
    from metaxy_core.external import lock_changes, make_lock

    settings = project.settings()
    with redirect_stdout(sys.stderr):
        declared = settings.load_features(locked=False)
    path = settings.lock_file
    before = _known(path)
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
    after = make_lock(declared, others, lock=before, owners=settings.external)
    changes = lock_changes(before, after)
    if changes and not check:
        _write(path, after.to_json())
    _show(changes, format, path, check=check)
    return 2 if changes and check else 0


def _known(path: Path) -> Lock:
    """The lock in use; what is damaged, by a merge perhaps, is made anew."""
    from metaxy_core.external import Lock

    try:
        return Lock.read(path)
    except ExternalFeatureError as error:
        tell(f"metaxy: {error}")
        return Lock()


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"Cannot write {path}: {error.strerror}.") from error


def _show(changes: Sequence[Mismatch], format: Format, path: Path, *, check: bool) -> None:
    if format == "json":
        show_records((), changes, "json", "")
        return
    short = [
        replace(one, locked=(one.locked or "")[:8], recorded=(one.recorded or "")[:8])
        for one in changes
    ]
    columns = ("feature", "project", "locked", "recorded")
    show_records(columns, short, format, f"{path} is in order.")
    if changes and not check:
        tell(f"Wrote {path}")
    elif changes:
        show(f"{path.name} is to change; `metaxy lock` writes it.")
