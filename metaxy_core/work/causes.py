"""Why samples are to be done: changes of code between two graphs, and of data where there is none.

A field that differs was made by other code if its field version differs between the graph it was
stored under and the graph as it stands; else its parents' data changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict

from metaxy_core.graph import Graph
from metaxy_core.graph.plan import FieldPlan
from metaxy_core.keys import FeatureKey, FieldKey, FieldRef


class CodeChange(BaseModel):
    """A field whose own declaration differs between two graphs.

    Attributes:
        before, after: code versions; `before` is None for a field that was not there.
        rewired: whether the fields it is made from differ.
    """

    model_config = ConfigDict(frozen=True)

    field: str
    before: str | None
    after: str
    rewired: bool = False

    def __str__(self) -> str:
        if self.before is None:
            return f"{self.field} added"
        if self.before != self.after:
            return f"{self.field} code {self.before} → {self.after}"
        return f"{self.field} is made from other fields"


class Cause(BaseModel):
    """Why some samples of a feature are to be done; the samples share it.

    Attributes:
        samples: how many.
        fields: those that differ; none for new samples, and where a staleness predicate holds.
        code: what was changed in the code, parents first; empty where data changed.
        data: the parents' fields (for new samples the parents) whose data is new.
        unrecorded: the feature version that stale samples were stored under, where no recorded
            graph has it, so that nothing can be said of its code.
    """

    model_config = ConfigDict(frozen=True)

    status: Literal["new", "stale"]
    samples: int
    fields: tuple[str, ...] = ()
    code: tuple[CodeChange, ...] = ()
    data: tuple[str, ...] = ()
    unrecorded: str | None = None

    def __str__(self) -> str:
        told = [*map(str, self.code)]
        if self.data or self.status == "new":
            told.append(f"new {' or '.join(self.data) or 'samples'}")
        if self.unrecorded:
            told.append(f"code since feature version {self.unrecorded[:8]}, which is not recorded")
        return f"{self.samples:,} by {', '.join(told) or 'a staleness predicate'}"


def code_changes(before: Graph, after: Graph, field: FieldRef) -> tuple[CodeChange, ...]:
    """The declarations that make a field's version differ between two graphs, parents first.

    >>> from metaxy_core import FeatureKey, FeatureSpec, FieldKey, FieldSpec
    >>> def graph(code):
    ...     video = FeatureSpec("video", fields=[FieldSpec("audio", code_version=code)])
    ...     return Graph([video, FeatureSpec("stt", fields=["audio"], deps=["video"])])
    >>> field = FieldRef(FeatureKey("stt"), FieldKey("audio"))
    >>> print(*code_changes(graph(1), graph(2), field))
    video.audio code 1 → 2
    """
    plans = _changed(before, after, field)
    order = {key: position for position, key in enumerate(after)}
    refs = sorted(plans, key=lambda ref: (order[ref.feature], ref.field))
    found = (_change(before, ref, plans[ref]) for ref in refs)
    return tuple(change for change in found if change is not None)


def data_parents(graph: Graph, feature: FeatureKey, fields: Sequence[str]) -> tuple[str, ...]:
    """The upstream fields that fields of a feature are made from, in order."""
    wanted = {FieldKey(field) for field in fields}
    plans = [field for field in graph.plan(feature).fields if field.key in wanted]
    return tuple(dict.fromkeys(str(ref) for field in plans for ref in field.parents))


def _changed(before: Graph, after: Graph, field: FieldRef) -> dict[FieldRef, FieldPlan]:
    """The field and those it is made from, as far as their versions differ."""
    found: dict[FieldRef, FieldPlan] = {}
    left = [field]
    while left:
        ref = left.pop()
        if ref not in found and _version(before, ref) != _version(after, ref):
            found[ref] = _plan(after, ref)
            left += found[ref].parents
    return found


def _change(before: Graph, field: FieldRef, new: FieldPlan) -> CodeChange | None:
    """What was changed in a field's own declaration; None where only its parents differ."""
    after = new.spec.code_version
    if _version(before, field) is None:
        return CodeChange(field=str(field), before=None, after=after)
    old = _plan(before, field)
    rewired = old.parents != new.parents
    if not rewired and old.spec.code_version == after:
        return None
    return CodeChange(field=str(field), before=old.spec.code_version, after=after, rewired=rewired)


def _plan(graph: Graph, field: FieldRef) -> FieldPlan:
    return next(plan for plan in graph.plan(field.feature).fields if plan.key == field.field)


def _version(graph: Graph, field: FieldRef) -> str | None:
    if field.feature not in graph:
        return None
    return graph.versions[field.feature].fields.get(field.field)
