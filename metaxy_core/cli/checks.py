"""Whether the code of the features changed though their code versions did not."""

from __future__ import annotations

import json
from collections.abc import Mapping, Set
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Literal

from metaxy_core.cli.locks import lock_file
from metaxy_core.cli.output import Format, is_colourful, show
from metaxy_core.cli.project import Project
from metaxy_core.cli.revision import Named, named
from metaxy_core.render.text import visible

if TYPE_CHECKING:
    from metaxy_core.external import Lock, Mismatch
    from metaxy_core.keys import FeatureKey

_HERE = Project()
_COLOURS = {"+": "\x1b[32m", "-": "\x1b[31m", "@": "\x1b[36m"}


def check(
    *,
    since: str = "latest",
    external_versions: Literal["warn", "error"] = "warn",
    project: Project = _HERE,
    format: Format = "plain",
) -> int:
    """Warn of features whose code changed though none of their code versions did.

    The code of a feature is the functions that make it, with what they use of their own module;
    comments, docstrings and formatting are not. Where results stay the same, `metaxy push`
    records the code as it is now, and nothing is said any more. Where there is a `metaxy.lock`,
    features of other projects that have other versions by now are told, too.

    Example: metaxy graph check --module example_project.definitions --store meta.duckdb

    Example: metaxy graph check --since git:main --format json

    Exit codes: 0 nothing to say, 2 there is a warning, 1 a mistake.

    Args:
        since: What to compare with: `latest`, a tag, the start of a recorded version, or `git:REF`.
        external_versions: Whether other versions of locked features are a warning or a mistake.
    """
    from metaxy_core.drift import compare
    from metaxy_core.external import refuse_mismatches

    now = named("code", project)
    before = named(since, project)
    found = compare(before.graph, before.sources, now.graph, now.sources)
    lock, mismatches = _external(project)
    refuse_mismatches(mismatches, external_versions)
    seen = {*now.sources, *now.missing, *lock.features}
    report: dict[str, Any] = {
        "format": 1,
        "kind": "check",
        "since": before.graph.snapshot_version,
        "drift": [
            {"feature": str(one.feature), "functions": list(one.functions), "diff": one.diff}
            for one in found
        ],
        "compared": _keys(now, now.sources.keys() & before.sources.keys()),
        "unreadable": [
            {"feature": str(key), "reason": reason} for key, reason in now.missing.items()
        ],
        "unrecorded": _keys(now, now.sources.keys() - before.sources.keys()),
        "unknown": _keys(now, {k for k in now.graph if k not in seen}),
        "external": [asdict(one) for one in mismatches],
    }
    show(json.dumps(report, indent=2) if format == "json" else _told(report))
    return 2 if found or mismatches else 0


def _external(project: Project) -> tuple[Lock, list[Mismatch]]:
    from metaxy_core.external import Lock, compare_lock

    lock = Lock.read(lock_file(project))
    if not lock.features:
        return lock, []
    store = project.metadata_store()
    with store.open("r"):
        return lock, compare_lock(lock, store.other_projects())


def _keys(now: Named, chosen: Set[FeatureKey]) -> list[str]:
    return [str(key) for key in now.graph if key in chosen]


def _told(report: Mapping[str, Any]) -> str:
    lines: list[str] = []
    for one in report["drift"]:
        by = ", ".join(one["functions"])
        lines += [f"{one['feature']}: the code changed, no code version did ({by})"]
        lines += [_line(line) for line in one["diff"].splitlines()]
        lines += [""]
    lines += [f"{one['feature']}: not compared, {one['reason']}" for one in report["unreadable"]]
    since = report["since"][:8]
    drifted = len(report["drift"])
    if compared := len(report["compared"]):
        said = f"{drifted} of {compared} features changed their code since {since}"
        lines.append(f"{said} without a new code version.")
    else:
        lines.append(f"No code is compared with {since}.")
    if drifted:
        lines.append("Raise a code version where results differ; else `metaxy push` records this.")
    for name, why in (
        ("unrecorded", "No code was recorded of"),
        ("unknown", "No function is known here of"),
    ):
        if keys := report[name]:
            more = f" and {len(keys) - 5} more" if len(keys) > 5 else ""
            lines.append(f"{why}: {', '.join(keys[:5])}{more}.")
    lines += [
        f"{one['feature']} of the project {one['project']} is locked at {one['locked'][:8]}; "
        + (f"it has recorded {one['recorded'][:8]}." if one["recorded"] else "it has it no more.")
        for one in report["external"]
    ]
    if report["external"]:
        lines.append("`metaxy lock` takes over what is recorded.")
    return "\n".join(lines)


def _line(line: str) -> str:
    shown = visible(line)
    colour = _COLOURS.get(line[:1], "") if is_colourful() else ""
    return f"  {colour}{shown}\x1b[0m" if colour else f"  {shown}"
