"""Compare two graphs, feature by feature and field by field; what follows downstream is `impact`.

How much a change of a feature matters is one of three, the first that holds:

- *breaking*: stored rows, or features that use this one, no longer fit: other id columns, an edge
  of another lineage kind or joined on other columns, another unit (a 1:1 feature became 1:N), or
  the removal of a feature or field that a feature which is still there was made from.
- *recompute*: the feature version changed, through its own fields or through its parents'; or the
  feature is new; or a root makes its provenance from other columns. Stored samples may be stale.
- *cosmetic*: the declaration changed and all versions are equal: a description, metadata, a
  column's type, a filter, a selection. Nothing stored is computed again because of it, though a
  filter or an optional edge may change which samples are expected. A removed feature that nothing
  used is cosmetic, too: its rows stay where they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from metaxy_core.diff.declaration import DeclarationChange, declaration_changes
from metaxy_core.graph import FeaturePlan, FeatureVersions, FieldPlan, Graph, GraphSnapshot
from metaxy_core.keys import FeatureKey, FieldKey, FieldRef
from metaxy_core.spec import FeatureSpec


class Change(StrEnum):
    """What happened to a declaration."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"
    UNCHANGED = "unchanged"


class Severity(StrEnum):
    """How much a change matters; this module's docstring says what each word means."""

    COSMETIC = "cosmetic"
    RECOMPUTE = "recompute"
    BREAKING = "breaking"


@dataclass(frozen=True)
class FieldState:
    """A field in one of the two graphs: its version (full hash), its code version, its parents."""

    version: str
    code_version: str
    parents: tuple[FieldRef, ...]


@dataclass(frozen=True)
class FieldDiff:
    """A field in both graphs; None on the side that does not have it."""

    key: FieldKey
    before: FieldState | None
    after: FieldState | None

    @property
    def change(self) -> Change:
        """What happened to the field's own code version and parents."""
        if self.before is None:
            return Change.ADDED
        if self.after is None:
            return Change.REMOVED
        same = (self.before.code_version, self.before.parents) == (
            self.after.code_version,
            self.after.parents,
        )
        return Change.UNCHANGED if same else Change.CHANGED

    @property
    def version_changed(self) -> bool:
        """Whether the field's version differs, its own change or not."""
        return (self.before and self.before.version) != (self.after and self.after.version)


@dataclass(frozen=True)
class FeatureDiff:
    """A feature in both graphs.

    Attributes:
        change: what happened to its own declaration.
        severity: how much it matters; None where declaration and versions are equal. A feature
            that only follows its parents is unchanged, and `recompute`.
        reasons: why it is breaking, in words.
        before, after: the versions; None on the side that does not have the feature.
        fields: every field of either side, sorted by key.
        declaration: what was declared otherwise, fields and code versions aside.
    """

    key: FeatureKey
    change: Change
    severity: Severity | None
    reasons: tuple[str, ...]
    before: FeatureVersions | None
    after: FeatureVersions | None
    fields: tuple[FieldDiff, ...]
    declaration: tuple[DeclarationChange, ...]

    @property
    def version_changed(self) -> bool:
        """Whether the feature version differs."""
        return (self.before and self.before.feature) != (self.after and self.after.feature)

    @property
    def changed_fields(self) -> tuple[FieldDiff, ...]:
        """The fields that were added, removed or declared otherwise."""
        return tuple(field for field in self.fields if field.change is not Change.UNCHANGED)


@dataclass(frozen=True)
class GraphDiff:
    """Two graphs compared.

    Attributes:
        before, after: the graphs.
        features: every feature of either graph; those of `after` parents first, then the removed.
    """

    before: Graph
    after: Graph
    features: Mapping[FeatureKey, FeatureDiff]

    @property
    def is_empty(self) -> bool:
        """Whether the two graphs declare the same, descriptions included."""
        return all(found.change is Change.UNCHANGED for found in self.features.values())

    @property
    def severity(self) -> Severity | None:
        """The gravest of the features' severities; None where nothing differs."""
        grades = {found.severity for found in self.features.values() if found.severity}
        return max(grades, key=list(Severity).index, default=None)

    def of(self, *changes: Change) -> tuple[FeatureDiff, ...]:
        """The features whose declaration changed in one of these ways, in order."""
        return tuple(found for found in self.features.values() if found.change in changes)


def diff(before: Graph | GraphSnapshot, after: Graph | GraphSnapshot) -> GraphDiff:
    """Compare two graphs; pure, and no user code is needed for either.

    >>> from metaxy_core.spec import FieldSpec
    >>> def graph(version):
    ...     video = FeatureSpec("video", fields=[FieldSpec("audio", code_version=version)])
    ...     return Graph([video, FeatureSpec("crop", deps=["video"])])
    >>> found = diff(graph(1), graph(2))
    >>> [(str(key), str(one.change), str(one.severity)) for key, one in found.features.items()]
    [('video', 'changed', 'recompute'), ('crop', 'unchanged', 'recompute')]
    >>> diff(graph(1), graph(1)).is_empty
    True
    """
    old, new = _graph(before), _graph(after)
    keys = [*new, *(key for key in old if key not in new)]
    return GraphDiff(old, new, {key: _feature(old, new, key) for key in keys})


def _graph(given: Graph | GraphSnapshot) -> Graph:
    return given.graph if isinstance(given, GraphSnapshot) else given


def _feature(before: Graph, after: Graph, key: FeatureKey) -> FeatureDiff:
    old, new = before.versions.get(key), after.versions.get(key)
    declaration: tuple[DeclarationChange, ...] = ()
    if old is None:
        change = Change.ADDED
    elif new is None:
        change = Change.REMOVED
    else:
        change = Change.UNCHANGED if old.definition == new.definition else Change.CHANGED
        declaration = declaration_changes(before[key], after[key])
    reasons = _reasons(before, after, key)
    severity: Severity | None
    if reasons:
        severity = Severity.BREAKING
    elif change is Change.REMOVED:
        severity = Severity.COSMETIC
    elif (old and old.feature) != (new and new.feature) or _rooted_otherwise(declaration):
        severity = Severity.RECOMPUTE
    else:
        severity = None if change is Change.UNCHANGED else Severity.COSMETIC
    states = [_states(graph, key) for graph in (before, after)]
    fields = tuple(
        FieldDiff(field, states[0].get(field), states[1].get(field))
        for field in sorted({*states[0], *states[1]})
    )
    return FeatureDiff(key, change, severity, reasons, old, new, fields, declaration)


def _states(graph: Graph, key: FeatureKey) -> dict[FieldKey, FieldState]:
    if key not in graph:
        return {}
    versions = graph.versions[key].fields

    def state(field: FieldPlan) -> FieldState:
        return FieldState(versions[field.key], field.spec.code_version, field.parents)

    return {field.key: state(field) for field in graph.plan(key).fields}


def _rooted_otherwise(declaration: tuple[DeclarationChange, ...]) -> bool:
    return any(change.path.startswith("provenance_from") for change in declaration)


def _reasons(before: Graph, after: Graph, key: FeatureKey) -> tuple[str, ...]:
    if key not in before:
        return ()
    users = [child for child in before.children(key) if child in after]
    if key not in after:
        return (f"removed, but was used by {_listed(users)}",) if users else ()
    used = {
        ref.field: child
        for child in reversed(users)
        for field in before.plan(child).fields
        for ref in field.parents
        if ref.feature == key
    }
    gone = [field for field in before[key].field_keys if field not in after[key].field_keys]
    removed = [
        f"field {field} removed, but was used by {used[field]}" for field in gone if field in used
    ]
    return (
        *_identity(before[key], after[key]),
        *_edges(before.plan(key), after.plan(key)),
        *removed,
    )


def _identity(before: FeatureSpec, after: FeatureSpec) -> list[str]:
    if set(before.id_columns) == set(after.id_columns):
        return []
    return [f"id columns: {_listed(before.id_columns)} → {_listed(after.id_columns)}"]


def _edges(before: FeaturePlan, after: FeaturePlan) -> list[str]:
    found = []
    old = {edge.parent.key: edge for edge in before.edges}
    for new in after.edges:
        edge = old.get(new.parent.key)
        if edge is None:
            continue
        if edge.kind is not new.kind:
            found.append(f"lineage from {new.parent.key}: {edge.kind} → {new.kind}")
        elif set(edge.on) != set(new.on):
            found.append(f"joined to {new.parent.key} on {_listed(edge.on)} → {_listed(new.on)}")
    same_ids = set(before.spec.id_columns) == set(after.spec.id_columns)
    if same_ids and not found and set(before.unit) != set(after.unit):
        found.append(f"unit: {_listed(before.unit)} → {_listed(after.unit)}")
    return found


def _listed(names: tuple[str, ...] | list[FeatureKey]) -> str:
    return ", ".join(map(str, names))
