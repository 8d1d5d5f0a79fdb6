"""Whether the code of the features changed though their code versions did not."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal

from metaxy_core.cli.output import Format, gives, is_colourful, show, show_json
from metaxy_core.cli.project import NAME_FUNCTIONS, Project
from metaxy_core.cli.revision import Named, named
from metaxy_core.external import Mismatch
from metaxy_core.render.text import visible

if TYPE_CHECKING:
    from metaxy_core.external import Lock
    from metaxy_core.keys import FeatureKey

_HERE = Project()
_COLOURS = {"+": "\x1b[32m", "-": "\x1b[31m", "@": "\x1b[36m"}


@dataclass(frozen=True)
class Drifted:
    """A feature whose code changed while none of its code versions did; a unified diff."""

    feature: str
    functions: tuple[str, ...]
    diff: str


@dataclass(frozen=True)
class UnreadableCode:
    """A feature whose code is not compared, and why."""

    feature: str
    reason: str


@dataclass(frozen=True)
class CheckReport:
    """What `graph check` found.

    Attributes:
        since: the snapshot version compared with.
        compared: the features whose code is known on both sides.
        unrecorded: features whose code was not recorded.
        unknown: features that no function is known of.
        lost: those of them whose code was recorded.
        external: features of other projects that have another version by now.
    """

    since: str
    drift: tuple[Drifted, ...]
    compared: tuple[str, ...]
    unreadable: tuple[UnreadableCode, ...]
    unrecorded: tuple[str, ...]
    unknown: tuple[str, ...]
    lost: tuple[str, ...]
    external: tuple[Mismatch, ...]
    format: Literal[1] = 1
    kind: Literal["check"] = "check"


@gives(lambda: CheckReport)
def check(
    *,
    since: str = "latest",
    external_versions: Literal["warn", "error"] | None = None,
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
        external_versions: Whether other versions of locked features are a warning or a mistake;
            without it, as configured.
    """
    from metaxy_core.drift import compare
    from metaxy_core.external import refuse_mismatches

    now = named("code", project, functions=True)
    before = named(since, project, functions=True)
    found = compare(before.graph, before.sources, now.graph, now.sources)
    lock, mismatches = _external(project)
    unknown = {key for key in now.graph if key not in {*now.sources, *now.missing, *lock.features}}
    refuse_mismatches(mismatches, external_versions or project.settings().external_versions)
    report = CheckReport(
        since=before.graph.snapshot_version,
        drift=tuple(Drifted(str(one.feature), one.functions, one.diff) for one in found),
        compared=_keys(now, now.sources.keys() & before.sources.keys()),
        unreadable=tuple(UnreadableCode(str(key), reason) for key, reason in now.missing.items()),
        unrecorded=_keys(now, now.sources.keys() - before.sources.keys()),
        unknown=_keys(now, unknown),
        lost=_keys(now, unknown & before.sources.keys()),
        external=tuple(mismatches),
    )
    if format == "json":
        show_json(asdict(report))
    else:
        show(_told(report))
    return 2 if found or mismatches or report.lost else 0


def _external(project: Project) -> tuple[Lock, list[Mismatch]]:
    from metaxy_core.external import Lock, compare_lock

    lock = Lock.read(project.settings().lock_file)
    if not lock.features:
        return lock, []
    store = project.metadata_store()
    with store.open("r"):
        return lock, compare_lock(lock, store.other_projects())


def _keys(now: Named, chosen: Set[FeatureKey]) -> tuple[str, ...]:
    return tuple(str(key) for key in now.graph if key in chosen)


def _told(report: CheckReport) -> str:
    lines: list[str] = []
    for one in report.drift:
        by = ", ".join(one.functions)
        lines += [f"{one.feature}: the code changed, no code version did ({by})"]
        lines += [_line(line) for line in one.diff.splitlines()]
        lines += [""]
    lines += [f"{one.feature}: not compared, {one.reason}" for one in report.unreadable]
    since = report.since[:8]
    if compared := len(report.compared):
        said = f"{len(report.drift)} of {compared} features changed their code since {since}"
        lines.append(f"{said} without a new code version.")
    else:
        lines.append(f"No code is compared with {since}.")
    if report.drift:
        lines.append("Raise a code version where results differ; else `metaxy push` records this.")
    lines += _listed("No code was recorded of", report.unrecorded)
    lines += _listed("No function is known here of", report.unknown)
    lines += _listed("Their code was recorded, and is not compared", report.lost)
    if report.unknown and (report.lost or not report.compared):
        lines.append(NAME_FUNCTIONS)
    for found in report.external:
        now = f"it has recorded {found.recorded[:8]}." if found.recorded else "it has it no more."
        locked = (found.locked or "")[:8]
        lines.append(f"{found.feature} of the project {found.project} is locked at {locked}; {now}")
    if report.external:
        lines.append("`metaxy lock` takes over what is recorded.")
    return "\n".join(lines)


def _listed(why: str, keys: Sequence[str]) -> list[str]:
    more = f" and {len(keys) - 5} more" if len(keys) > 5 else ""
    return [f"{why}: {', '.join(keys[:5])}{more}."] if keys else []


def _line(line: str) -> str:
    shown = visible(line)
    colour = _COLOURS.get(line[:1], "") if is_colourful() else ""
    return f"  {colour}{shown}\x1b[0m" if colour else f"  {shown}"
