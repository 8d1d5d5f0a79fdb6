"""The rows a feature will have once its new and stale units have run.

What a function computes is not known before it has run, but what its children are made from is:
the expected provenance becomes the data version, as long as nobody overrides it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import narwhals as nw

from metaxy_core.columns import FEATURE_VERSION, data_version_of, is_system, provenance_of
from metaxy_core.frames.dialect import LazyFrame
from metaxy_core.frames.filters import columns_of
from metaxy_core.frames.nesting import with_missing
from metaxy_core.graph import EdgePlan, FeaturePlan, Graph
from metaxy_core.hashing import SEPARATOR
from metaxy_core.keys import FeatureKey, FieldKey
from metaxy_core.spec import LineageKind
from metaxy_core.versioning.upstream import seen_rows

_COMING = "metaxy_coming"
"""Stands for the digest that a root's code will give; equal to none."""


@dataclass(frozen=True)
class Wanted:
    """Columns of a parent that its children's edges ask for, besides ids and versions.

    Attributes:
        decisive: those that choose or group its rows; without them nothing can be said.
        others: those that are renamed, or handed on to children of children.
    """

    decisive: frozenset[str] = frozenset()
    others: frozenset[str] = frozenset()

    @property
    def all(self) -> frozenset[str]:
        """Both."""
        return self.decisive | self.others


def wanted_of_parents(graph: Graph) -> dict[FeatureKey, Wanted]:
    """For each feature the columns that any edge below it needs."""
    found: dict[FeatureKey, Wanted] = {key: Wanted() for key in graph}
    for key in reversed(list(graph)):
        for edge in graph.plan(key).edges:
            before, edge_wants = found[edge.parent.key], wanted_of_edge(edge, found[key].all)
            found[edge.parent.key] = Wanted(
                before.decisive | edge_wants.decisive, before.others | edge_wants.others
            )
    return found


def wanted_of_edge(edge: EdgePlan, below: Collection[str] = ()) -> Wanted:
    """The columns of the parent, under its own names, that an edge needs.

    `below` are columns of the feature that its own children need; they may come from the parent.
    """
    filters = {column for text in edge.dep.filters for column in columns_of(text)}
    decisive = {edge.own(column) for column in (*edge.on, *filters)}
    handed = [c for c in below if edge.dep.select is None or c in edge.dep.select]
    others = {*edge.dep.rename, *(edge.own(column) for column in handed)}
    ids = set(edge.parent.id_columns)
    return Wanted(frozenset(decisive - ids), frozenset(others - decisive - ids))


Source = tuple[Sequence[str], LazyFrame]
"""Id columns of a unit, and rows identified by them that give user columns to it."""


@dataclass(frozen=True)
class Forecast:
    """A feature's rows as they will be.

    Attributes:
        rows: the id columns, the data version of each field, and the wanted user columns.
        unknown: wanted columns that only the feature's own function can make.
    """

    rows: LazyFrame
    unknown: frozenset[str] = frozenset()


def sources(plan: FeaturePlan, parents: Mapping[FeatureKey, LazyFrame]) -> list[Source]:
    """Where the user columns of a unit come from: the edges' rows, as the feature sees them."""
    found: list[Source] = []
    for edge in plan.edges:
        if edge.kind is LineageKind.AGGREGATION or edge.parent.key not in parents:
            continue
        rows = seen_rows(edge, parents[edge.parent.key])
        names = [name for name in rows.collect_schema().names() if not is_system(name)]
        given = [n for n in names if edge.dep.select is None or n in edge.dep.select]
        found.append((edge.on, rows.select(*dict.fromkeys((*edge.on, *given)))))
    return found


def after_running(
    plan: FeaturePlan,
    run: LazyFrame,
    stored: LazyFrame,
    given: Sequence[Source],
    wanted: Iterable[str],
    *,
    ran_before: bool,
) -> Forecast:
    """The rows after the units in `run` were written.

    Orphaned rows stay. A stale parent's children stay as they are, with new versions; how many
    children a new parent has is not known, so it has none here. A column that stored rows do not
    have will not be written either.

    Args:
        run: the unit and `metaxy_provenance__<field>`, one row per unit that runs.
        stored: the feature's stored rows, whole.
        given: see `sources`.
        wanted: user columns that children need.
        ran_before: whether the feature has a table.
    """
    unit, columns = list(plan.unit), sorted(wanted)
    schema = stored.collect_schema()
    versions = {data_version_of(f.key): provenance_of(f.key) for f in plan.fields}
    made = run.select(*unit, *(nw.col(old).alias(new) for new, old in versions.items()))
    from_above: set[str] = set()
    for on, rows in given if not plan.is_expansion else ():
        offered = rows.collect_schema()
        names = [
            name
            for name in columns
            if name in offered and name not in from_above and name not in on
            if not ran_before or schema.get(name) == offered[name]
        ]
        if names:
            made = made.join(rows.select(*on, *names), on=list(on), how="left")
            from_above.update(names)
    own = [name for name in columns if name in schema and name not in from_above]
    rest = [name for name in plan.spec.id_columns if name not in unit]
    if own or rest:
        how = "inner" if plan.is_expansion else "left"
        made = made.join(stored.select(*unit, *rest, *own), on=unit, how=how)  # type: ignore[arg-type]
    kept = stored.join(run.select(*unit), on=unit, how="anti")
    types = {name: kind for name, kind in made.collect_schema().items() if name in columns}
    unknown = {name: nw.String() for name in columns if name not in types}
    names = [*plan.spec.id_columns, *versions, *columns]
    after = with_missing(made, unknown).select(*names)
    if ran_before:
        after = nw.concat([with_missing(kept, {**types, **unknown}).select(*names), after])
    return Forecast(after, frozenset(unknown))


def after_code_change(
    plan: FeaturePlan, rows: LazyFrame, changed: Mapping[str, Collection[FieldKey]]
) -> LazyFrame:
    """A root's rows once its samples came back unchanged under its present code.

    `changed` says for each feature version that rows were stored under which fields' code differs.
    An overridden data version stays: it has no code in it.
    """
    updates = []
    for field in plan.fields:
        old = [version for version, fields in changed.items() if field.key in fields]
        if old:
            name = data_version_of(field.key)
            is_own = nw.col(name) == nw.col(provenance_of(field.key))
            moves = is_own & nw.col(FEATURE_VERSION).is_in(old)
            coming = nw.concat_str(nw.lit(_COMING), nw.col(name), separator=SEPARATOR)
            updates.append(nw.when(moves).then(coming).otherwise(nw.col(name)).alias(name))
    return rows.with_columns(*updates) if updates else rows
