"""One full comparison of what should be with what is stored, labelled once.

Statuses and their rules are docs/semantics.md, section 5.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import and_, or_

import narwhals as nw

from metaxy_core.columns import MADE_FROM, STALE_FIELDS, STATUS, provenance_of
from metaxy_core.frames.dialect import Dialect, LazyFrame
from metaxy_core.frames.filters import Predicate, everything, fits
from metaxy_core.graph import FeaturePlan
from metaxy_core.keys import FeatureKey
from metaxy_core.versioning.inside import Filters, with_inside
from metaxy_core.versioning.names import (
    EXPECTED,
    INSIDE,
    STALE,
    STORED,
    STORED_INSIDE,
    WAITING,
    commits_in,
    stored_provenance,
)
from metaxy_core.versioning.provenance import made_from

NEW, STALE_STATUS, ORPHANED, WAITING_STATUS = "new", "stale", "orphaned", "waiting"
FAILED = "failed"
"""Would be new or stale, but failed with the same inputs and code and is not to be tried now."""
TO_DO = nw.col(STATUS).is_in([NEW, STALE_STATUS])
"""Whether a labelled unit is new or stale."""


@dataclass(frozen=True)
class Comparison:
    """What a comparison is asked beyond provenance.

    Attributes:
        stale_if: predicates on stored rows; a unit with such a row is stale.
        filters: run-time filters per parent, and on the feature itself, under their own names.
        skip: everything expected is new.
        sampled: the expected units are the user's samples, which the filters have judged.
    """

    stale_if: Sequence[Predicate] = ()
    filters: Filters = field(default_factory=dict)
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
    target = asked.filters.get(plan.key, ())
    passed = [everything([p]) if fits(p, schema) else nw.lit(False) for p in target]
    inside = reduce(and_, passed, nw.lit(True)).alias(STORED_INSIDE)
    units = rows.select(*plan.unit, *provenances, stale, inside, nw.lit(True).alias(STORED))
    if plan.is_expansion:
        # All rows of a set carry the same provenance: any of them speaks for the unit.
        units = units.group_by(*plan.unit).agg(
            *(nw.col(stored_provenance(f.key)).max() for f in plan.fields),
            *(nw.col(flag).max() for flag in (STALE, STORED_INSIDE, STORED)),
        )
    return units


def compare(
    plan: FeaturePlan,
    expected: LazyFrame,
    stored: LazyFrame,
    asked: Comparison,
    rows: Mapping[FeatureKey, LazyFrame],
    dialect: Dialect,
) -> LazyFrame:
    """Label the units that are not up to date.

    `rows` are the parents' stored rows, which the filters judge; none where `asked.sampled`.

    Columns out: the unit; `metaxy_status` ("new", "stale", "orphaned" or "waiting"); the fields
    that differ, joined by commas, in `metaxy_stale_fields`; the expected provenance of each
    field; the commits that `expected` tells. One row per unit that has a status.
    """
    both = dialect.full_join(expected, stored, plan.unit)
    if asked.sampled:
        judged = nw.coalesce(nw.col(INSIDE), nw.col(STORED_INSIDE))
        both = both.with_columns(judged.alias(INSIDE))
    else:
        both = with_inside(both, plan, asked.filters, rows)
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
    chosen = labelled.filter(~nw.col(STATUS).is_null() & nw.col(INSIDE))
    commits = commits_in(plan, expected.collect_schema().names())
    return chosen.select(*plan.unit, STATUS, STALE_FIELDS, *provenances, *commits)


def hold_back(plan: FeaturePlan, labels: LazyFrame, failed: LazyFrame) -> LazyFrame:
    """Label units that failed, as long as they would be made from the same again.

    Columns in `failed`: the unit and `metaxy_made_from`; one row per unit.
    """
    same = nw.coalesce(nw.col(MADE_FROM) == made_from(plan), nw.lit(False))
    status = nw.when(TO_DO & same).then(nw.lit(FAILED)).otherwise(nw.col(STATUS))
    marked = labels.join(failed, on=list(plan.unit), how="left")
    return marked.with_columns(status.alias(STATUS)).drop(MADE_FROM)


def _differs(expected: str, stored: str) -> nw.Expr:
    return nw.col(stored).is_null() | (nw.col(expected) != nw.col(stored))
