"""One full comparison of what should be with what is stored, labelled once.

Statuses and their rules are docs/semantics.md, section 5.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import and_, or_

import narwhals as nw

from metaxy_core.columns import STALE_FIELDS, STATUS, provenance_of
from metaxy_core.frames.dialect import LazyFrame
from metaxy_core.frames.filters import Predicate, everything, fits
from metaxy_core.graph import EdgePlan, FeaturePlan
from metaxy_core.keys import FeatureKey
from metaxy_core.versioning.names import (
    EXPECTED,
    INSIDE,
    STALE,
    STORED,
    STORED_BY_IDS,
    STORED_INSIDE,
    WAITING,
    stored_provenance,
)

NEW, STALE_STATUS, ORPHANED, WAITING_STATUS = "new", "stale", "orphaned", "waiting"


@dataclass(frozen=True)
class Comparison:
    """What a comparison is asked beyond provenance.

    Attributes:
        stale_if: predicates on stored rows; a unit with such a row is stale.
        target: run-time filters on the feature's own stored rows.
        parents: run-time filters on the parents, under each parent's own column names.
        skip: everything expected is new.
        sampled: the expected units are the user's samples, which `target` has judged already.
    """

    stale_if: Sequence[Predicate] = ()
    target: Sequence[Predicate] = ()
    parents: Mapping[FeatureKey, Sequence[Predicate]] = field(default_factory=dict)
    skip: bool = False
    sampled: bool = False


def stored_units(plan: FeaturePlan, rows: LazyFrame, asked: Comparison) -> LazyFrame:
    """Reduce the feature's own stored rows to one row per unit.

    Columns out: the unit, the stored provenance of each field, whether a `stale_if` holds, and
    whether the unit is inside the filters on the feature itself.
    """
    provenances = [
        nw.col(provenance_of(f.key)).alias(stored_provenance(f.key)) for f in plan.fields
    ]
    schema = rows.collect_schema()
    # What asks for columns that were never stored holds for no stored row.
    stale_if = [everything([p]) for p in asked.stale_if if fits(p, schema)]
    stale = reduce(or_, stale_if, nw.lit(False)).alias(STALE)
    target = [everything([p]) if fits(p, schema) else nw.lit(False) for p in asked.target]
    inside = reduce(and_, target, nw.lit(True)).alias(STORED_INSIDE)
    units = rows.select(*plan.unit, *provenances, stale, inside, nw.lit(True).alias(STORED))
    if plan.is_expansion:
        # All rows of a set carry the same provenance: any of them speaks for the unit.
        units = units.group_by(*plan.unit).agg(
            *(nw.col(stored_provenance(f.key)).max() for f in plan.fields),
            *(nw.col(flag).max() for flag in (STALE, STORED_INSIDE, STORED)),
        )
    units = units.with_columns(nw.lit(True).alias(STORED_BY_IDS))
    for edge in plan.edges:
        if predicates := asked.parents.get(edge.parent.key):
            units = _judged_by_ids(units, plan, edge, predicates)
    return units


def _judged_by_ids(
    units: LazyFrame, plan: FeaturePlan, edge: EdgePlan, predicates: Sequence[Predicate]
) -> LazyFrame:
    """Judge the units whose parent row may be gone by the ids that came from that parent."""
    own = {renamed: name for name, renamed in edge.dep.rename.items()}
    names = {
        column: own.get(column, column) if column in edge.on else f"metaxy_other{position}"
        for position, column in enumerate(plan.unit)
    }
    schema = units.collect_schema()
    known = {names[column]: schema[column] for column in edge.on}
    if not all(fits(predicate, known) for predicate in predicates):
        return units.with_columns(nw.lit(False).alias(STORED_BY_IDS))
    passed = nw.col(STORED_BY_IDS) & everything(predicates)
    judged = units.rename(names).with_columns(passed.alias(STORED_BY_IDS))
    return judged.rename({name: column for column, name in names.items()})


def compare(
    plan: FeaturePlan, expected: LazyFrame, stored: LazyFrame, asked: Comparison
) -> LazyFrame:
    """Label the units that are not up to date.

    Columns out: the unit; `metaxy_status` ("new", "stale", "orphaned" or "waiting"); the fields
    that differ, joined by commas, in `metaxy_stale_fields`; the expected provenance of each
    field. One row per unit that has a status.
    """
    both = expected.join(stored, on=list(plan.unit), how="full", suffix="_stored").with_columns(
        nw.coalesce(nw.col(column), nw.col(f"{column}_stored")).alias(column)
        for column in plan.unit
    )
    differs = [_differs(provenance_of(f.key), stored_provenance(f.key)) for f in plan.fields]
    is_expected, is_stored = ~nw.col(EXPECTED).is_null(), ~nw.col(STORED).is_null()
    waits = nw.coalesce(nw.col(WAITING), nw.lit(False))
    stale = reduce(or_, differs) | nw.coalesce(nw.col(STALE), nw.lit(False))
    status = (
        nw.when(~is_expected)
        .then(nw.lit(ORPHANED))
        .otherwise(
            nw.when(waits)
            .then(nw.lit(WAITING_STATUS))
            .otherwise(
                nw.when(nw.lit(True) if asked.skip else ~is_stored)
                .then(nw.lit(NEW))
                .otherwise(nw.when(stale).then(nw.lit(STALE_STATUS)))
            )
        )
    )
    names = [
        nw.when(differing).then(nw.lit(str(f.key)))
        for differing, f in zip(differs, plan.fields, strict=True)
    ]
    labelled = both.with_columns(
        status.alias(STATUS),
        nw.concat_str(*names, separator=",", ignore_nulls=True).alias(STALE_FIELDS),
    )
    provenances = [provenance_of(f.key) for f in plan.fields]
    return labelled.filter(
        ~nw.col(STATUS).is_null() & _inside(plan, both, asked, is_expected, is_stored)
    ).select(*plan.unit, STATUS, STALE_FIELDS, *provenances)


def _differs(expected: str, stored: str) -> nw.Expr:
    return nw.col(stored).is_null() | (nw.col(expected) != nw.col(stored))


def _inside(
    plan: FeaturePlan,
    both: LazyFrame,
    asked: Comparison,
    is_expected: nw.Expr,
    is_stored: nw.Expr,
) -> nw.Expr:
    """Whether a unit is inside the run-time filters; where a row is gone, its ids are judged."""
    schema = both.collect_schema()
    ids = {column: schema[column] for column in plan.unit}
    judged = (everything([p]) if fits(p, ids) else nw.lit(False) for p in asked.target)
    parents = nw.when(is_expected).then(nw.col(INSIDE)).otherwise(nw.col(STORED_BY_IDS))
    target = (
        nw.when(is_stored).then(nw.col(STORED_INSIDE)).otherwise(reduce(and_, judged, nw.lit(True)))
    )
    return parents & (is_expected | target if asked.sampled else target)
