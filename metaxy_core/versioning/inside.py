"""Which units the run-time filters choose; docs/semantics.md, section 5.

A filter on a parent judges its rows: a unit is inside if any of its rows of that parent passes.
Where the parent has no row for the unit, the ids that came from it are judged, or the unit is
outside. A filter on the feature itself judges its stored rows likewise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from operator import and_

import narwhals as nw

from metaxy_core.frames.dialect import LazyFrame
from metaxy_core.frames.filters import Predicate, everything, fits
from metaxy_core.graph import EdgePlan, FeaturePlan
from metaxy_core.keys import FeatureKey
from metaxy_core.versioning.names import INSIDE, STORED_INSIDE, by_ids_in, inside_in
from metaxy_core.versioning.upstream import seen_rows

Filters = Mapping[FeatureKey, Sequence[Predicate]]


def with_inside(
    units: LazyFrame,
    plan: FeaturePlan,
    filters: Filters,
    rows: Mapping[FeatureKey, LazyFrame],
) -> LazyFrame:
    """Say of each unit whether it is inside the filters on the parents and the feature.

    Columns in: the unit; `STORED_INSIDE`, NULL where nothing is stored. Columns added: `INSIDE`
    and working columns. `filters` are under each feature's own column names, `rows` are the
    parents' stored rows.
    """
    inside = [nw.coalesce(nw.col(STORED_INSIDE), _by_ids(units, plan, filters.get(plan.key, ())))]
    for edge in plan.edges:
        if predicates := filters.get(edge.parent.key):
            units = _with_ids_judged(units, plan, edge, predicates)
            passes = nw.col(by_ids_in(edge))
            if edge.parent.key in rows:
                judged = _passing(edge, rows[edge.parent.key], predicates)
                units = units.join(judged, on=list(edge.on), how="left")
                passes = nw.coalesce(nw.col(inside_in(edge)), passes)
            inside.append(passes)
    return units.with_columns(reduce(and_, inside).alias(INSIDE))


def _passing(edge: EdgePlan, rows: LazyFrame, predicates: Sequence[Predicate]) -> LazyFrame:
    """Per unit of the edge that the parent has rows for: whether any of them passes."""
    judged = seen_rows(edge, rows.with_columns(everything(predicates).alias(inside_in(edge))))
    return judged.group_by(*edge.on).agg(nw.col(inside_in(edge)).max())


def _by_ids(units: LazyFrame, plan: FeaturePlan, predicates: Sequence[Predicate]) -> nw.Expr:
    """Whether the ids of a unit pass; what asks for more than ids is not passed."""
    schema = units.collect_schema()
    ids = {column: schema[column] for column in plan.unit}
    judged = (everything([p]) if fits(p, ids) else nw.lit(False) for p in predicates)
    return reduce(and_, judged, nw.lit(True))


def _with_ids_judged(
    units: LazyFrame, plan: FeaturePlan, edge: EdgePlan, predicates: Sequence[Predicate]
) -> LazyFrame:
    """Judge the ids that came from a parent, under the names that the parent has for them."""
    names = {
        column: edge.own(column) if column in edge.on else f"metaxy_other{position}"
        for position, column in enumerate(plan.unit)
    }
    schema = units.collect_schema()
    known = {names[column]: schema[column] for column in edge.on}
    if not all(fits(predicate, known) for predicate in predicates):
        return units.with_columns(nw.lit(False).alias(by_ids_in(edge)))
    judged = units.rename(names).with_columns(everything(predicates).alias(by_ids_in(edge)))
    return judged.rename({name: column for column, name in names.items()})
