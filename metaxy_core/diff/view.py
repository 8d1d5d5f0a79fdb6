"""What there is to draw: one graph, or two compared, as nodes and edges of plain text.

Texts are as the user wrote them; each renderer escapes for its own format. Versions are cut to
eight characters: a view is for eyes, `GraphDiff` has the full hashes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from pydantic import JsonValue

from metaxy_core.diff.diff import Change, FeatureDiff, FieldDiff, GraphDiff, diff
from metaxy_core.diff.impact import impact
from metaxy_core.graph import EdgePlan, Graph
from metaxy_core.hashing import canonical_json
from metaxy_core.keys import FeatureKey
from metaxy_core.spec import LineageKind

_SHORT = 8
_KINDS = {
    LineageKind.IDENTITY: "1:1",
    LineageKind.AGGREGATION: "N:1",
    LineageKind.EXPANSION: "1:N",
}


class Status(StrEnum):
    """What happened to a node, a field or an edge; in a view of one graph all are unchanged.

    `affected` follows a change upstream; `pruned` lies downstream of one and is spared. An edge is
    affected if it carries a changed field version to its child, pruned if it carries none though
    the parent changed.
    """

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"
    AFFECTED = "affected"
    PRUNED = "pruned"
    UNCHANGED = "unchanged"


@dataclass(frozen=True)
class FieldView:
    """A field: short versions and code versions on both sides, and what it is made from now."""

    key: str
    status: Status
    before: str | None
    after: str | None
    code_before: str | None
    code_after: str | None
    parents: tuple[str, ...]


@dataclass(frozen=True)
class DeclarationView:
    """A declared value that differs, as texts."""

    path: str
    before: str | None
    after: str | None


@dataclass(frozen=True)
class NodeView:
    """A feature: short versions on both sides (None: not there), fields sorted by key.

    Attributes:
        severity: `cosmetic`, `recompute`, `breaking` or None, see `diff.diff`.
        reasons: why it is breaking.
        declaration: what was declared otherwise, fields aside.
    """

    key: str
    status: Status
    before: str | None
    after: str | None
    fields: tuple[FieldView, ...]
    severity: str | None = None
    reasons: tuple[str, ...] = ()
    declaration: tuple[DeclarationView, ...] = ()
    description: str | None = None

    @property
    def verdict(self) -> str:
        """The status in words, with the severity where the status does not imply it."""
        told = self.severity in ("breaking", "cosmetic")
        return f"{self.status.value}, {self.severity}" if told else self.status.value


@dataclass(frozen=True)
class EdgeView:
    """A dependency, drawn from parent to child.

    Attributes:
        kind: `1:1`, `N:1` or `1:N`.
        label: what is worth saying besides, such as `N:1 on speaker, optional`; empty for a plain
            1:1 edge.
    """

    source: str
    target: str
    status: Status
    kind: str
    label: str


@dataclass(frozen=True)
class GraphView:
    """A picture of a graph, or of a diff, before it is drawn.

    Attributes:
        before: the short snapshot version compared with; None for a view of one graph.
        after: the short snapshot version of the graph as it stands.
        nodes: parents first, removed ones last.
        hidden: how many nodes of the graph this view leaves out.
    """

    before: str | None
    after: str
    nodes: tuple[NodeView, ...]
    edges: tuple[EdgeView, ...]
    hidden: int = 0

    @property
    def is_diff(self) -> bool:
        """Whether two graphs are compared."""
        return self.before is not None

    @property
    def counts(self) -> Mapping[Status, int]:
        """How many nodes have each status, in the order of `Status`; absent ones left out."""
        found = Counter(node.status for node in self.nodes)
        return {status: found[status] for status in Status if found[status]}

    @property
    def size(self) -> str:
        """How many features are shown, in words."""
        return f"{len(self.nodes)} feature{'' if len(self.nodes) == 1 else 's'}"

    @property
    def summary(self) -> str:
        """The counts of a diff in words."""
        touched = any(status is not Status.UNCHANGED for status in self.counts)
        said = ", ".join(f"{count} {status.value}" for status, count in self.counts.items())
        return said if touched else "nothing changed"

    @classmethod
    def of(cls, shown: Graph | GraphDiff) -> GraphView:
        """The view of a graph as it stands, or of a diff.

        >>> from metaxy_core.spec import FeatureSpec
        >>> graph = Graph([FeatureSpec("video"), FeatureSpec("crop", deps=["video"])])
        >>> [(edge.source, edge.target, edge.kind) for edge in GraphView.of(graph).edges]
        [('video', 'crop', '1:1')]
        """
        if isinstance(shown, Graph):
            view = _view(diff(shown, shown))
            return replace(view, before=None, nodes=tuple(map(_alone, view.nodes)))
        return _view(shown)


def _view(shown: GraphDiff) -> GraphView:
    spared = set(impact(shown).pruned)
    nodes = tuple(_node(shown, one, one.key in spared) for one in shown.features.values())
    return GraphView(
        _cut(shown.before.snapshot_version),
        _cut(shown.after.snapshot_version),
        nodes,
        tuple(edge for one in shown.features.values() for edge in _edges(shown, one.key)),
    )


def _alone(node: NodeView) -> NodeView:
    fields = (replace(field, before=None, code_before=None) for field in node.fields)
    return replace(node, before=None, fields=tuple(fields))


def _node(shown: GraphDiff, one: FeatureDiff, spared: bool) -> NodeView:
    if one.change is not Change.UNCHANGED:
        status = Status(one.change.value)
    elif one.version_changed:
        status = Status.AFFECTED
    else:
        status = Status.PRUNED if spared else Status.UNCHANGED
    return NodeView(
        str(one.key),
        status,
        _cut(one.before.feature) if one.before else None,
        _cut(one.after.feature) if one.after else None,
        tuple(_field(field) for field in one.fields),
        one.severity.value if one.severity else None,
        one.reasons,
        tuple(
            DeclarationView(change.path, _text(change.before), _text(change.after))
            for change in one.declaration
        ),
        (shown.after if one.after else shown.before)[one.key].description,
    )


def _field(field: FieldDiff) -> FieldView:
    status = Status(field.change.value)
    if field.change is Change.UNCHANGED and field.version_changed:
        status = Status.AFFECTED
    old, new = field.before, field.after
    made_from = new.parents if new else ()
    return FieldView(
        str(field.key),
        status,
        _cut(old.version) if old else None,
        _cut(new.version) if new else None,
        old.code_version if old else None,
        new.code_version if new else None,
        tuple(map(str, made_from)),
    )


def _edges(shown: GraphDiff, child: FeatureKey) -> list[EdgeView]:
    old = _edges_of(shown.before, child)
    new = _edges_of(shown.after, child)
    found = []
    for parent in [*new, *(key for key in old if key not in new)]:
        edge = new.get(parent) or old[parent]
        status = _edge_status(shown, old.get(parent), new.get(parent))
        kind = _KINDS[edge.kind]
        found.append(EdgeView(str(parent), str(child), status, kind, _label(edge, kind)))
    return found


def _edges_of(graph: Graph, child: FeatureKey) -> dict[FeatureKey, EdgePlan]:
    return {edge.parent.key: edge for edge in graph.plan(child).edges} if child in graph else {}


def _edge_status(shown: GraphDiff, old: EdgePlan | None, new: EdgePlan | None) -> Status:
    if new is None:
        return Status.REMOVED
    if old is None:
        return Status.ADDED
    if old.dep != new.dep:
        return Status.CHANGED
    parent = shown.features[new.parent.key]
    if not parent.version_changed:
        return Status.UNCHANGED
    moved = {field.key for field in parent.fields if field.version_changed}
    return Status.AFFECTED if moved & {*old.fields, *new.fields} else Status.PRUNED


def _label(edge: EdgePlan, kind: str) -> str:
    said = [] if edge.kind is LineageKind.IDENTITY else [f"{kind} on {', '.join(edge.on)}"]
    return ", ".join([*said, *(["optional"] if edge.dep.optional else [])])


def _cut(version: str) -> str:
    return version[:_SHORT]


def _text(value: JsonValue) -> str | None:
    return value if value is None or isinstance(value, str) else canonical_json(value)
