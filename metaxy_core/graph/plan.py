"""What a declaration means among its parents: inputs, join columns, units and field parents.

A plan decides every column name, so that the engine never asks a frame what it did. Edges that
do not fit together are refused here, before anything runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from metaxy_core.errors import EdgeError, UnknownFieldError, UnknownParentError
from metaxy_core.keys import FeatureKey, FieldKey, FieldRef
from metaxy_core.spec import ALL, FeatureDep, FeatureSpec, FieldSpec, LineageKind


@dataclass(frozen=True)
class EdgePlan:
    """One parent of a feature.

    Attributes:
        index: position among the feature's deps; names the edge's working columns.
        ids: the parent's id columns after renaming.
        on: the columns the edge gives to the feature's units, and is joined on.
        fields: the parent's fields that any field of the feature is made from, sorted.
    """

    index: int
    dep: FeatureDep
    parent: FeatureSpec
    ids: tuple[str, ...]
    on: tuple[str, ...]
    fields: tuple[FieldKey, ...]

    @property
    def kind(self) -> LineageKind:
        """The shape of the edge."""
        return self.dep.lineage.kind

    def own(self, column: str) -> str:
        """The parent's own name of a column that the feature sees, renamed or not."""
        return self._own_names.get(column, column)

    @cached_property
    def _own_names(self) -> Mapping[str, str]:
        return {renamed: name for name, renamed in self.dep.rename.items()}


@dataclass(frozen=True)
class FieldPlan:
    """A field and the upstream fields it is made from, sorted by `feature.field`."""

    spec: FieldSpec
    parents: tuple[FieldRef, ...]

    @property
    def key(self) -> FieldKey:
        """The field's key."""
        return self.spec.key


@dataclass(frozen=True)
class FeaturePlan:
    """Everything about a feature that can be decided without data.

    Attributes:
        unit: the id columns of what is replaced as a whole: the sample (1:1, N:1) or the parent
            (1:N).
        edges: in declared order.
        joined: the same edges in the order they are joined, required ones first.
        fields: sorted by key.
    """

    spec: FeatureSpec
    unit: tuple[str, ...]
    edges: tuple[EdgePlan, ...]
    joined: tuple[EdgePlan, ...]
    fields: tuple[FieldPlan, ...]

    @property
    def key(self) -> FeatureKey:
        """The feature's key."""
        return self.spec.key

    @property
    def is_expansion(self) -> bool:
        """Whether a unit holds any number of samples (1:N)."""
        return self.unit != self.spec.id_columns

    def edge_to(self, parent: FeatureKey) -> EdgePlan:
        """The edge to a parent.

        Raises:
            UnknownParentError: the feature does not depend on it.
        """
        for edge in self.edges:
            if edge.parent.key == parent:
                return edge
        raise UnknownParentError(f"Feature '{self.key}' does not depend on '{parent}'.")


def plan_feature(spec: FeatureSpec, specs: Mapping[FeatureKey, FeatureSpec]) -> FeaturePlan:
    """Plan a feature among the features that are its parents.

    Raises:
        UnknownParentError: a parent is not among `specs`.
        UnknownFieldError: a field depends on a field its parent does not have.
        EdgeError: the edges do not fit the feature's id columns, or each other.
    """
    for dep in spec.deps:
        if dep.feature not in specs:
            raise UnknownParentError(
                f"Feature '{spec.key}' depends on '{dep.feature}', which the graph does not have."
            )
    fields = tuple(
        FieldPlan(field, _field_parents(spec, field, specs))
        for field in sorted(spec.fields, key=lambda field: field.key)
    )
    needed: dict[FeatureKey, set[FieldKey]] = {dep.feature: set() for dep in spec.deps}
    for field in fields:
        for ref in field.parents:
            needed[ref.feature].add(ref.field)
    edges = tuple(
        _edge(spec, index, dep, specs[dep.feature], needed[dep.feature])
        for index, dep in enumerate(spec.deps)
    )
    joined = _join_order(spec, edges)
    unit = _unit(spec, joined)
    _check_selected(spec, unit, edges)
    return FeaturePlan(spec, unit, edges, joined, fields)


def _field_parents(
    spec: FeatureSpec, field: FieldSpec, specs: Mapping[FeatureKey, FeatureSpec]
) -> tuple[FieldRef, ...]:
    refs: list[FieldRef] = []
    if field.deps is None:
        for dep in spec.deps:
            upstream = specs[dep.feature].field_keys
            mapped = dep.fields_mapping.mapped(field.key, upstream)
            if dep.fields_mapping.kind == "specific":
                _check_known(spec, field, dep.feature, mapped, upstream)
            refs += [FieldRef(dep.feature, key) for key in mapped]
    elif field.deps is ALL:
        refs = [FieldRef(d.feature, key) for d in spec.deps for key in specs[d.feature].field_keys]
    else:
        for fielddep in field.deps:
            if fielddep.feature not in {dep.feature for dep in spec.deps}:
                raise UnknownParentError(
                    f"Field '{spec.key}.{field.key}' depends on fields of '{fielddep.feature}', "
                    f"which is not among the deps of '{spec.key}'."
                )
            upstream = specs[fielddep.feature].field_keys
            chosen = upstream if fielddep.fields is ALL else fielddep.fields
            _check_known(spec, field, fielddep.feature, chosen, upstream)
            refs += [FieldRef(fielddep.feature, key) for key in chosen]
    by_text = {str(ref): ref for ref in refs}
    return tuple(by_text[text] for text in sorted(by_text))


def _check_known(
    spec: FeatureSpec,
    field: FieldSpec,
    parent: FeatureKey,
    chosen: Iterable[FieldKey],
    upstream: tuple[FieldKey, ...],
) -> None:
    for key in chosen:
        if key not in upstream:
            raise UnknownFieldError(
                f"Field '{spec.key}.{field.key}' depends on '{FieldRef(parent, key)}', but the "
                f"fields of '{parent}' are: {', '.join(map(str, upstream))}."
            )


def _edge(
    spec: FeatureSpec, index: int, dep: FeatureDep, parent: FeatureSpec, needed: set[FieldKey]
) -> EdgePlan:
    ids = tuple(dep.rename.get(column, column) for column in parent.id_columns)
    where = f"The edge '{spec.key}' <- '{parent.key}'"
    if len(set(ids)) < len(ids):
        raise EdgeError(f"{where}: renaming gives two id columns one name: {', '.join(ids)}.")
    on = dep.lineage.on or ids
    match dep.lineage.kind:
        case LineageKind.IDENTITY:
            if not set(ids) <= set(spec.id_columns):
                raise EdgeError(
                    f"{where} is 1:1, but the parent is identified by {', '.join(ids)} and the "
                    f"feature by {', '.join(spec.id_columns)}: rename the parent's id columns, or "
                    "declare an aggregation if many parent samples make one."
                )
        case LineageKind.AGGREGATION:
            if not set(on) <= set(spec.id_columns):
                raise EdgeError(
                    f"{where} aggregates on {', '.join(on)}, but the id columns of '{spec.key}' "
                    f"are: {', '.join(spec.id_columns)}."
                )
        case LineageKind.EXPANSION:
            if set(on) != set(ids):
                raise EdgeError(
                    f"{where} expands on {', '.join(on)}, but a parent sample is identified by: "
                    f"{', '.join(ids)}."
                )
            if not set(on) < set(spec.id_columns):
                raise EdgeError(
                    f"{where} is 1:N: '{spec.key}' needs the parent's id columns "
                    f"({', '.join(on)}) and at least one of its own; its id columns are: "
                    f"{', '.join(spec.id_columns)}."
                )
    fields = tuple(key for key in parent.field_keys if key in needed)
    # In the order of the feature's own id columns, so that every edge says it alike.
    on = tuple(column for column in spec.id_columns if column in on)
    return EdgePlan(index, dep, parent, ids, on, fields)


def _join_order(spec: FeatureSpec, edges: tuple[EdgePlan, ...]) -> tuple[EdgePlan, ...]:
    """Required edges, each sharing a column with those before it, then optional ones."""
    waiting = [edge for edge in edges if not edge.dep.optional]
    optional = [edge for edge in edges if edge.dep.optional]
    joined = waiting[:1]
    del waiting[:1]
    while waiting:
        known = {column for edge in joined for column in edge.on}
        edge = next((edge for edge in waiting if known & set(edge.on)), None)
        if edge is None:
            raise EdgeError(
                f"Feature '{spec.key}': the edges to {_names(joined)} and {_names(waiting)} have "
                "no common id column to be joined on."
            )
        joined.append(edge)
        waiting.remove(edge)
    known = {column for edge in joined for column in edge.on}
    for edge in optional:
        if joined and not set(edge.on) <= known:
            raise EdgeError(
                f"Feature '{spec.key}': the optional edge to '{edge.parent.key}' is on "
                f"{', '.join(edge.on)}, finer than the required edges ({', '.join(sorted(known))})."
            )
        if not joined and edge.on != optional[0].on:
            raise EdgeError(
                f"Feature '{spec.key}' has optional edges only, on different columns: "
                f"{_names(optional[:1])} on {', '.join(optional[0].on)}, '{edge.parent.key}' on "
                f"{', '.join(edge.on)}. Make one of them required."
            )
    return (*joined, *optional)


def _check_selected(spec: FeatureSpec, unit: tuple[str, ...], edges: tuple[EdgePlan, ...]) -> None:
    """Refuse two edges that select one column; those that select nothing are renamed apart."""
    taken = dict.fromkeys(unit, f"the id column of '{spec.key}'")
    for edge in edges:
        if edge.kind is LineageKind.AGGREGATION:
            continue
        for column in edge.dep.select or ():
            if column in edge.ids:
                continue
            if column in taken:
                raise EdgeError(
                    f"Feature '{spec.key}': the edge to '{edge.parent.key}' selects {column!r}, "
                    f"which is {taken[column]} already. Rename one of them."
                )
            taken[column] = f"selected from '{edge.parent.key}'"


def _unit(spec: FeatureSpec, edges: tuple[EdgePlan, ...]) -> tuple[str, ...]:
    if not edges:
        return spec.id_columns
    given = {column for edge in edges for column in edge.on}
    unit = tuple(column for column in spec.id_columns if column in given)
    expansions = [edge for edge in edges if edge.kind is LineageKind.EXPANSION]
    if not expansions and unit != spec.id_columns:
        missing = ", ".join(sorted(set(spec.id_columns) - given))
        raise EdgeError(
            f"Feature '{spec.key}': no edge gives its id column {missing}. Rename a parent's "
            "column to it, or declare an expansion if one parent sample makes many."
        )
    if expansions and unit == spec.id_columns:
        raise EdgeError(
            f"Feature '{spec.key}': the edge to {_names(expansions)} is 1:N, but the other edges "
            f"already give all its id columns ({', '.join(unit)})."
        )
    return unit


def _names(edges: list[EdgePlan]) -> str:
    return ", ".join(f"'{edge.parent.key}'" for edge in edges)
