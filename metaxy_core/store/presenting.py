"""What the labelled units look like to users: parents' columns, samples as given, orphans.

Which rows of the parents units are to be made from was chosen by the comparison: its labels tell
their commits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import narwhals as nw

from metaxy_core.backends.base import to_polars
from metaxy_core.columns import (
    COMMIT,
    PROVENANCE_BY_FIELD,
    STALE_FIELDS,
    STATUS,
    is_system,
    provenance_of,
)
from metaxy_core.frames.dialect import DataFrame, LazyFrame
from metaxy_core.frames.history import rows_of_commits
from metaxy_core.frames.nesting import nest
from metaxy_core.graph import EdgePlan, FeaturePlan
from metaxy_core.keys import FeatureKey
from metaxy_core.spec import LineageKind
from metaxy_core.store.incoming import Rows
from metaxy_core.store.reading import own_rows, shown, stored
from metaxy_core.versioning import edge_rows
from metaxy_core.versioning.increment import ORPHANED, TO_DO
from metaxy_core.versioning.names import commit_in, commits_in

if TYPE_CHECKING:
    from metaxy_core.store.base import BaseStore


@dataclass(frozen=True)
class Presented:
    """How flat rows become what users see: the last step, wherever structs can be made."""

    plan: FeaturePlan

    def todo(self, rows: LazyFrame) -> LazyFrame:
        """Provenance as a struct, the fields that differ as a list."""
        members = {str(field.key): provenance_of(field.key) for field in self.plan.fields}
        empty = nw.when(nw.col(STALE_FIELDS) != "").then(nw.col(STALE_FIELDS))
        listed = rows.with_columns(empty.str.split(",").alias(STALE_FIELDS))
        return nest(listed, PROVENANCE_BY_FIELD, members)

    def orphaned(self, rows: LazyFrame) -> LazyFrame:
        """Stored rows as `read` gives them."""
        return shown(self.plan, rows)


def todo(
    store: BaseStore,
    plan: FeaturePlan,
    labels: LazyFrame,
    tables: Mapping[FeatureKey, LazyFrame],
) -> LazyFrame:
    """New and stale units with the parents' columns and the provenance to be written, flat."""
    todo = labels.filter(TO_DO)
    frame = todo
    taken = {*plan.unit}
    for edge in plan.edges:
        if edge.kind is LineageKind.AGGREGATION or edge.parent.key not in tables:
            continue
        parent = store.graph.plan(edge.parent.key)
        rows = _made_from(parent, edge, tables[edge.parent.key], todo)
        columns = [name for name in rows.collect_schema().names() if name not in edge.ids]
        renamed = {name: _free(edge, name, taken) for name in columns}
        taken |= set(renamed.values())
        clash = {name: new for name, new in renamed.items() if name != new}
        # A unit whose parent's rows are gone since is not to be made from nothing.
        how: Literal["left", "inner"] = "left" if edge.dep.optional else "inner"
        frame = frame.join(rows.rename(clash) if clash else rows, on=list(edge.on), how=how)
    return frame.drop(*commits_in(plan, labels.collect_schema().names()))


def todo_of_samples(
    plan: FeaturePlan, labels: LazyFrame, samples: DataFrame, given: Rows
) -> LazyFrame:
    """The user's own samples, those that are new or stale, as they were given."""
    provenances = _provenances(plan)
    status = labels.select(*plan.unit, STATUS, STALE_FIELDS).collect("polars")
    status = status.filter(TO_DO)
    frame = to_polars(given)
    names = frame.collect_schema().names()
    user = [name for name in names if not is_system(name)]
    joined = frame.select(*user).join(
        samples.lazy().select(*plan.unit, *provenances), on=list(plan.unit), how="inner"
    )
    return joined.join(status.lazy(), on=list(plan.unit), how="inner")


def orphaned(store: BaseStore, plan: FeaturePlan, own: LazyFrame, labels: LazyFrame) -> LazyFrame:
    """The feature's own stored rows whose units are not expected any more."""
    gone = labels.filter(nw.col(STATUS) == ORPHANED).select(*plan.unit)
    rows = own.join(gone, on=list(plan.unit), how="semi")
    return stored(plan, rows, store.graph.versions[plan.key].feature)


def inputs(edge: EdgePlan, parents: Mapping[FeatureKey, LazyFrame], labels: LazyFrame) -> LazyFrame:
    """A parent's rows that belong to the units to do, as the feature sees them."""
    todo = labels.filter(TO_DO)
    if edge.parent.key not in parents:
        return todo.select(*edge.on).head(0)
    rows = edge_rows(edge, parents[edge.parent.key], keep=edge.on)
    units = todo.select(*edge.on).unique(list(edge.on), keep="any")
    return rows.join(units, on=list(edge.on), how="semi")


def _made_from(parent: FeaturePlan, edge: EdgePlan, table: LazyFrame, todo: LazyFrame) -> LazyFrame:
    """The rows of a parent that units are to be made from, as the feature sees them."""
    wanted = todo.select(
        *(nw.col(column).alias(edge.own(column)) for column in edge.on),
        nw.col(commit_in(edge)).alias(COMMIT),
    )
    rows = rows_of_commits(table, wanted, [edge.own(column) for column in edge.on])
    return edge_rows(edge, own_rows(parent, rows))


def _free(edge: EdgePlan, name: str, taken: set[str]) -> str:
    """A column name that no earlier parent has, case folded; else with the parent's name."""
    known = {other.lower() for other in taken}
    return f"{name}__{edge.parent.key.to_table()}" if name.lower() in known else name


def _provenances(plan: FeaturePlan) -> list[str]:
    return [provenance_of(field.key) for field in plan.fields]
