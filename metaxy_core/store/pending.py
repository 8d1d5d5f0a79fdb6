"""Since when units have been pending, as far as the rows of these units tell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import narwhals as nw

from metaxy_core.columns import UPDATED_AT
from metaxy_core.frames.dialect import Dialect, LazyFrame
from metaxy_core.graph import FeaturePlan
from metaxy_core.keys import FeatureKey
from metaxy_core.store.reading import own_rows
from metaxy_core.store.scope import Scope
from metaxy_core.versioning import edge_rows
from metaxy_core.versioning.increment import TO_DO

if TYPE_CHECKING:
    from metaxy_core.store.base import BaseStore

SINCE = "metaxy_since"
_MADE = "metaxy_made"


def oldest(
    store: BaseStore,
    plan: FeaturePlan,
    labels: LazyFrame,
    tables: Mapping[FeatureKey, LazyFrame],
    own: LazyFrame,
    dialect: Dialect,
) -> LazyFrame:
    """One row: since when the unit that is pending for longest is known to be, or NULL.

    A unit is pending since the newest of the rows that it is to be made from was written. Units
    whose own rows are newer than that are pending for another reason: code that changed, a row
    that was deleted. Their rows do not tell since when, so that they are left out.

    Args:
        labels: one row per unit with its `metaxy_status`.
        tables, own: the whole tables of the parents that are there, and of the feature.

    Columns out: `SINCE`.
    """
    unit = list(plan.unit)
    todo = labels.filter(TO_DO).select(*unit)
    scope = Scope(plan, dialect, todo)
    found = []
    for edge in plan.edges:
        if edge.parent.key not in tables:
            continue
        parent = store.graph.plan(edge.parent.key)
        version = store.graph.versions[parent.key].feature
        table = tables[edge.parent.key]
        columns = table.collect_schema().names()
        rows = scope.samples_in(parent, edge, table, columns, version)
        rows = edge_rows(edge, own_rows(parent, rows), keep=(*edge.on, UPDATED_AT)).select(
            *edge.on, UPDATED_AT
        )
        found.append(todo.join(rows, on=list(edge.on), how="inner").select(*unit, UPDATED_AT))
    if not found:
        return own.head(0).select(nw.col(UPDATED_AT).max().alias(SINCE))
    inputs = nw.concat(found).group_by(*unit).agg(nw.col(UPDATED_AT).max().alias(SINCE))
    made = scope.units_in(own).group_by(*unit).agg(nw.col(UPDATED_AT).max().alias(_MADE))
    is_known = nw.col(_MADE).is_null() | (nw.col(SINCE) > nw.col(_MADE))
    known = inputs.join(made, on=unit, how="left").filter(is_known)
    return known.select(nw.col(SINCE).min())
