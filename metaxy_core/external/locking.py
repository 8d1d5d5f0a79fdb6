"""A lock is made from what other projects have recorded, and compared with it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from metaxy_core.errors import ExternalFeatureError
from metaxy_core.external.lock import Lock, Locked
from metaxy_core.graph import FeatureGraph, Graph, GraphSnapshot
from metaxy_core.keys import FeatureKey


@dataclass(frozen=True)
class Mismatch:
    """A feature whose version differs from the locked one; None on the side that has none."""

    feature: str
    project: str
    locked: str | None
    recorded: str | None


def make_lock(
    graph: FeatureGraph | Graph,
    others: Mapping[str, GraphSnapshot],
    *,
    lock: Lock | None = None,
    owners: Mapping[str, str] | None = None,
) -> Lock:
    """Lock what a graph depends on and does not declare.

    Args:
        graph: the declared features; those of `lock` among them count as not declared.
        others: the newest recorded graph of each other project.
        lock: the lock in use, if there is one.
        owners: per feature key the project to take it from, where several declare it.

    Raises:
        ExternalFeatureError: no other project declares a feature, several do, or two of them know
            different versions of a third project's feature.
    """
    found: dict[FeatureKey, Locked] = {}
    said = {FeatureKey.of(key): project for key, project in (owners or {}).items()}
    for key, child in _needed(graph, lock or Lock()).items():
        project = _owner(key, child, others, said.get(key))
        snapshot = others[project].graph
        for one in (*snapshot.upstream(key), key):
            spec = snapshot[one]
            version = snapshot.versions[one].feature
            known = found.get(one)
            if known is not None and known.version != version:
                raise ExternalFeatureError(
                    f"The project '{project}' has recorded version {version[:8]} of '{one}', which "
                    f"'{known.project}' has at {known.version[:8]}: one of them is to run `metaxy "
                    "lock` and `metaxy push` first."
                )
            owner = spec.project or project
            plain: dict[str, Any] = {"project": owner, "description": None, "metadata": {}}
            found[one] = Locked(spec.model_copy(update=plain), owner, version)
    return Lock(found)


def compare_lock(lock: Lock, others: Mapping[str, GraphSnapshot]) -> list[Mismatch]:
    """The locked features whose version is not the one that their project recorded last.

    A project that is not recorded in the store has no version to compare with, and none is
    reported for it.
    """
    mismatches = []
    for key, locked in sorted(lock.features.items()):
        if locked.project not in others:
            continue
        versions = others[locked.project].graph.versions.get(key)
        recorded = versions.feature if versions else None
        if recorded != locked.version:
            mismatches.append(Mismatch(str(key), locked.project, locked.version, recorded))
    return mismatches


def lock_changes(before: Lock, after: Lock) -> list[Mismatch]:
    """What another lock says otherwise, declarations of equal version included."""
    changes = []
    for key in sorted({*before.features, *after.features}):
        old, new = before.features.get(key), after.features.get(key)
        if old != new:
            one = new or old
            assert one is not None  # one of the two has it
            ends = (old.version if old else None, new.version if new else None)
            changes.append(Mismatch(str(key), one.project, *ends))
    return changes


def refuse_mismatches(
    mismatches: Iterable[Mismatch], external_versions: Literal["warn", "error"]
) -> None:
    """Raise where the configuration says `external_versions = "error"`.

    Raises:
        ExternalFeatureError: names the features.
    """
    said = [
        f"'{one.feature}' of '{one.project}' is locked at {(one.locked or 'nothing')[:8]}, "
        f"recorded {f'at {one.recorded[:8]}' if one.recorded else 'no more'}"
        for one in mismatches
    ]
    if said and external_versions == "error":
        raise ExternalFeatureError(f"{'; '.join(said)}. `metaxy lock` takes over what is recorded.")


def _needed(graph: FeatureGraph | Graph, lock: Lock) -> dict[FeatureKey, FeatureKey]:
    """The features that declared ones depend on and that are not declared: with such a child."""
    own = {
        key: graph[key]
        for key in graph
        if key not in lock.features or lock.features[key].spec != graph[key]
    }
    return {dep.feature: key for key in own for dep in own[key].deps if dep.feature not in own}


def _owner(
    key: FeatureKey, child: FeatureKey, others: Mapping[str, GraphSnapshot], said: str | None
) -> str:
    owners = [
        project
        for project, snapshot in others.items()
        # A recorded graph also has the features of others that it depends on.
        if key in snapshot.graph and snapshot.graph[key].project in (None, project)
    ]
    if said is not None:
        owners = [project for project in owners if project == said]
    if len(owners) == 1:
        return owners[0]
    asked = f"'{child}' depends on '{key}', which this project does not declare"
    if owners:
        raise ExternalFeatureError(
            f"{asked}, and several others do: {', '.join(owners)}. Name the projects to lock from: "
            "`metaxy lock PROJECT...`."
        )
    where = f"the project '{said}'" if said else "any other project"
    known = ", ".join(f"{one} ({len(graph.graph)} features)" for one, graph in others.items())
    raise ExternalFeatureError(
        f"{asked}, and the newest graph of {where} does not either. Recorded in the store: "
        f"{known or 'no other project'}. Its project records it with `metaxy push`."
    )
