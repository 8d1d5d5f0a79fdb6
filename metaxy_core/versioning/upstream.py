"""From the stored rows of the parents to the units that a feature should have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import narwhals as nw

from metaxy_core.columns import COMMIT, data_version_of, is_system, provenance_of
from metaxy_core.errors import MetadataSchemaError
from metaxy_core.frames.dialect import Dialect, LazyFrame
from metaxy_core.frames.filters import Predicate, apply, everything, fits
from metaxy_core.graph import EdgePlan, FeaturePlan
from metaxy_core.hashing import SEPARATOR, HashScheme
from metaxy_core.keys import FeatureKey
from metaxy_core.spec import LineageKind
from metaxy_core.versioning.names import (
    EXPECTED,
    INSIDE,
    WAITING,
    commit_in,
    commits_in,
    data_version_in,
    present_in,
    waiting_in,
)
from metaxy_core.versioning.provenance import with_provenance, with_root_provenance


def expected_units(
    plan: FeaturePlan,
    rows: Mapping[FeatureKey, LazyFrame],
    nothing: LazyFrame,
    scheme: HashScheme,
    dialect: Dialect,
) -> LazyFrame:
    """The units that should exist, and what each is made from.

    Args:
        rows: the stored rows of each parent, under the parent's own column names; an optional
            parent that no store has is left out.
        nothing: the feature's id columns without rows, for when no parent is there.

    Columns out: the unit, `metaxy_provenance__<field>`, whether the unit waits for a parent, and
    the commit of each parent's rows it is made from, where these have one; one row per unit.
    """
    there = [edge for edge in plan.joined if edge.parent.key in rows]
    units, known, full = nothing.select(*plan.unit), set(plan.unit), True
    for position, edge in enumerate(there):
        right = _of_edge(edge, rows[edge.parent.key], scheme, dialect)
        if position == 0:
            units, known, full = right, set(edge.on), edge.dep.optional
            continue
        on = [column for column in edge.on if column in known]
        known |= set(edge.on)
        units = dialect.full_join(units, right, on) if full else _joined(units, right, on, edge)
    for edge in plan.edges:
        if edge not in there:
            units = _without(edge, units)
    waiting = [nw.col(waiting_in(edge)) for edge in plan.edges]
    units = with_provenance(units, plan, scheme, dialect).with_columns(
        nw.any_horizontal(*waiting, ignore_nulls=True).alias(WAITING)
    )
    commits = commits_in(plan, units.collect_schema().names())
    return units.select(*plan.unit, *_provenances(plan), WAITING, _true(EXPECTED), *commits)


def sampled_units(
    plan: FeaturePlan,
    samples: LazyFrame,
    inside: Sequence[Predicate],
    scheme: HashScheme,
    dialect: Dialect,
) -> LazyFrame:
    """The units that the user's samples name, and whether filters on the samples choose them.

    Columns out: as `expected_units`, and `INSIDE`.

    Columns in: the id columns and `metaxy_provenance__<field>`, the user's text for a root and
    digests for a derived feature.
    """
    units = samples.with_columns(nw.lit(False).alias(WAITING), everything(inside).alias(INSIDE))
    if plan.spec.is_root:
        units = with_root_provenance(units, plan, scheme, dialect)
    return units.select(*plan.unit, *_provenances(plan), WAITING, INSIDE, _true(EXPECTED)).unique(
        list(plan.unit), keep="any"
    )


def check_edge(edge: EdgePlan, schema: Mapping[str, nw.dtypes.DType]) -> None:
    """Refuse an edge that names columns which its parent's rows do not have.

    Raises:
        MetadataSchemaError: names the edge's part, the columns missing and those there.
    """
    own = {name: dtype for name, dtype in schema.items() if not is_system(name)}
    seen = {edge.dep.rename.get(name, name): dtype for name, dtype in own.items()}
    for part, columns, known in (
        ("renames", edge.dep.rename, own),
        ("selects", edge.dep.select or (), seen),
        ("groups on", edge.on, seen),
    ):
        if missing := [column for column in columns if column not in known]:
            raise MetadataSchemaError(
                str(edge.parent.key),
                f"an edge {part} {', '.join(missing)}, which its stored rows do not have. Their "
                f"columns: {', '.join(known)}.",
            )
    for predicate in edge.dep.filters:
        if not fits(predicate, seen):
            raise MetadataSchemaError(
                str(edge.parent.key),
                f"an edge's filter {predicate!r} names columns which its stored rows do not have. "
                f"Their columns: {', '.join(seen)}.",
            )


def edge_rows(edge: EdgePlan, rows: LazyFrame, keep: Sequence[str] = ()) -> LazyFrame:
    """A parent's rows as the feature sees them: renamed, filtered, selected.

    Columns out: the edge's id columns, `keep`, and the selected user columns.
    """
    rows = seen_rows(edge, rows)
    names = rows.collect_schema().names() if edge.dep.select is None else edge.dep.select
    wanted = dict.fromkeys((*edge.ids, *keep, *(name for name in names if not is_system(name))))
    return rows.select(*wanted)


def seen_rows(edge: EdgePlan, rows: LazyFrame) -> LazyFrame:
    """A parent's rows renamed and filtered, with all their columns."""
    renamed = rows.rename(dict(edge.dep.rename)) if edge.dep.rename else rows
    return apply(renamed, edge.dep.filters)


def _of_edge(edge: EdgePlan, rows: LazyFrame, scheme: HashScheme, dialect: Dialect) -> LazyFrame:
    """One row per unit of the edge: `on`, a data version per field, waiting, present, commit."""
    versions = {data_version_of(key): data_version_in(edge, key) for key in edge.fields}
    parent = seen_rows(edge, rows).rename(versions)
    lacking = [nw.col(name).is_null() for name in versions.values()]
    parent = parent.with_columns(_any(lacking).alias(waiting_in(edge)))
    commit: list[nw.Expr] = []
    if edge.kind is LineageKind.AGGREGATION:
        parent = _grouped(edge, parent, list(versions.values()), scheme, dialect)
    elif COMMIT in parent.collect_schema():  # forecast rows are in no commit yet
        commit = [nw.col(COMMIT).alias(commit_in(edge))]
    told = (*versions.values(), waiting_in(edge))
    return parent.select(*edge.on, *told, _true(present_in(edge)), *commit)


def _without(edge: EdgePlan, units: LazyFrame) -> LazyFrame:
    """Units that have nothing of an optional parent."""
    texts = [nw.lit(None).cast(nw.String()).alias(data_version_in(edge, f)) for f in edge.fields]
    flags = [
        nw.lit(None).cast(nw.Boolean()).alias(name) for name in (present_in(edge), waiting_in(edge))
    ]
    return units.with_columns(*texts, *flags)


def _grouped(
    edge: EdgePlan,
    members: LazyFrame,
    versions: Sequence[str],
    scheme: HashScheme,
    dialect: Dialect,
) -> LazyFrame:
    """Digest the members of each group: H of the sorted elements H(ids ␟ data version)."""
    ids = [f"metaxy_member_id{position}" for position in range(len(edge.ids))]
    members = members.filter(
        ~nw.any_horizontal(*(nw.col(c).is_null() for c in edge.on), ignore_nulls=True)
    )
    if versions:
        schema = members.collect_schema()
        members = members.with_columns(
            id_text(column, schema[column]).alias(name)
            for column, name in zip(edge.ids, ids, strict=True)
        )
        members = dialect.digest(members, ids, scheme.algorithm).with_columns(
            nw.concat_str(*map(nw.col, ids), nw.col(version), separator=SEPARATOR).alias(version)
            for version in versions
        )
        members = dialect.digest(members, versions, scheme.algorithm)
    groups = dialect.gather(members, edge.on, versions, [waiting_in(edge)])
    return dialect.digest(groups, versions, scheme.algorithm) if versions else groups


def id_text(column: str, dtype: nw.dtypes.DType) -> nw.Expr:
    """An id as text, the same on every engine: text as it is, decimal integers, true and false."""
    value = nw.col(column)
    if dtype == nw.Boolean:
        negative = nw.when(~value).then(nw.lit("false"))
        return nw.when(value).then(nw.lit("true")).otherwise(negative)
    return value if dtype == nw.String else value.cast(nw.String())


def _joined(units: LazyFrame, right: LazyFrame, on: list[str], edge: EdgePlan) -> LazyFrame:
    how = "left" if edge.dep.optional else "inner"
    return units.join(right, on=on, how=how)  # type: ignore[arg-type]  # a literal of two


def _provenances(plan: FeaturePlan) -> list[str]:
    return [provenance_of(field.key) for field in plan.fields]


def _true(name: str) -> nw.Expr:
    return nw.lit(True).alias(name)


def _any(conditions: Sequence[nw.Expr]) -> nw.Expr:
    return nw.any_horizontal(*conditions, ignore_nulls=True) if conditions else nw.lit(False)
