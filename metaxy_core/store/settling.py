"""Compare only what may have moved since a feature was last compared; the result is the same.

A unit's status follows from the rows of its parents' samples and its own, whatever their age. So
a unit can have another status than before only if one of these rows is newer, or one is gone. What
was compared is remembered as a mark: per table the number of rows and the highest commit, and the
units that had a status. The next comparison looks at those, and at the units of rows beyond the
mark. Rows that came late with a lower number, or that were removed, change the number of rows up to
the mark; other declarations change its key: then everything is compared.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import narwhals as nw
import polars as pl

from metaxy_core.columns import COMMIT
from metaxy_core.frames.dialect import LazyFrame
from metaxy_core.frames.engine import Engine
from metaxy_core.graph import EdgePlan, FeaturePlan, Graph
from metaxy_core.hashing import sha256
from metaxy_core.keys import FeatureKey
from metaxy_core.store.request import Request
from metaxy_core.system import marks
from metaxy_core.system.marks import Extent, Mark

if TYPE_CHECKING:
    from metaxy_core.backends.base import Reach
    from metaxy_core.store.base import BaseStore

FROM_ROWS: Final = 100_000
"""Below so many rows of a feature and its parents a mark is not worth its while."""
MOST_PENDING: Final = 10_000
"""More units than that are not remembered one by one, or looked for so."""
LARGEST_PART: Final = 0.2
"""What is beyond the mark may be this part of all rows; else everything is compared."""


@dataclass(frozen=True)
class Moved:
    """The units that a comparison looks at, and the mark it will leave.

    Attributes:
        units: the unit columns, once each; None for all units.
        since: of the features with rows beyond the mark, the commit that it ends with.
        are_few: whether looking for the units by their ids is the quickest way.
        mark: without pending units, which the comparison finds; None where none is left.
        known: the mark before.
    """

    units: LazyFrame | None = None
    mark: Mark | None = None
    known: Mark | None = None
    since: Mapping[FeatureKey, int] = field(default_factory=dict)
    are_few: bool = False

    def left(self, plan: FeaturePlan, labels: LazyFrame) -> Mark | None:
        """The mark with the units that have a status; None where it says nothing new."""
        if self.mark is None:
            return None
        found = labels.select(*plan.unit).head(MOST_PENDING + 1).collect("polars")
        pending = [list(row) for row in found.sort(*plan.unit).rows()]
        mark = replace(self.mark, pending=pending if len(pending) <= MOST_PENDING else None)
        return None if mark == self.known else mark


def look(
    store: BaseStore,
    request: Request,
    engine: Engine,
    own: Callable[[], LazyFrame],
    tables: Callable[[], Mapping[FeatureKey, LazyFrame]],
    key: Hashable | None,
) -> Moved:
    """What has moved since the feature's last mark.

    Args:
        own, tables: make the whole tables of the feature and its parents, in the engine.
        key: see `Hold`, for the comparison as it was asked for.
    """
    plan = request.plan
    if not _is_plain(store, request):
        return Moved()
    keys = [plan.key, *(edge.parent.key for edge in plan.edges)]
    if sum(store.backend.rows(key.to_table()) for key in keys) < FROM_ROWS:
        return Moved()
    known, removed = marks.load(store.backend, plan.key, [key.to_table() for key in keys])
    reached = _reached(store, keys, known)
    total = sum(reach.rows for reach in reached.values())
    if not any(edge.parent.key in reached for edge in _finest(plan)):
        return Moved()
    at = {
        key.to_table(): Extent(reach.rows, reach.last, removed.get(key.to_table(), 0))
        for key, reach in reached.items()
    }
    mark = Mark(str(plan.key), where(store), _key(store, plan), at)
    if known is None or known.key != mark.key or known.tables.keys() != at.keys():
        return Moved(None, mark, known)
    up_to = {key: known.tables[key.to_table()] for key in reached}
    for table, before in up_to.items():
        rows = reached[table].rows - reached[table].beyond
        if (rows, removed.get(table.to_table(), 0)) != (before.rows, before.removals):
            return Moved(None, mark, known)
    if sum(reach.beyond for reach in reached.values()) > total * LARGEST_PART:
        return Moved(None, mark, known)
    commits = {key: before.last for key, before in up_to.items() if reached[key].beyond}
    pending = _pending(plan, known, own(), engine) if known.pending else None

    def units(*numbers: int) -> LazyFrame:
        beyond = dict(zip(commits, numbers, strict=True))
        return Moving(plan, store.graph, own(), tables(), beyond).units(pending)

    kind = (pending is None, tuple(commits))
    uses = [] if pending is None or engine.dialect.name == "polars" else [pending]
    found = engine.hold(units, key and ("moved", key, kind), uses, list(commits.values()))
    are_few = sum(reach.beyond for reach in reached.values()) <= MOST_PENDING
    return Moved(found, mark, known, commits, are_few)


def where(store: BaseStore) -> str:
    """What names the store whose tables a mark is about."""
    return store.backend.describe()["uri"]


def _reached(
    store: BaseStore, keys: Sequence[FeatureKey], known: Mark | None
) -> dict[FeatureKey, Reach]:
    """How far the tables that exist go, and how far beyond a mark."""
    found = {}
    for key in keys:
        before = None if known is None else known.tables.get(key.to_table())
        reach = store.backend.reach(key.to_table(), before.last if before else 0)
        if reach is not None:
            found[key] = reach
    return found


def _is_plain(store: BaseStore, request: Request) -> bool:
    """Whether all there is to do is asked for, of tables that are all in this store."""
    chosen = request.units is not None or request.buckets is not None
    limited = request.skip_comparison or chosen
    return not (request.full or limited or request.has_predicates or store.fallback_stores)


def _finest(plan: FeaturePlan) -> list[EdgePlan]:
    """The edges whose parents tell a unit whole; other edges only judge it.

    An optional edge tells units only where every edge is optional.
    """
    telling = [edge for edge in plan.edges if not edge.dep.optional] or plan.edges
    return [edge for edge in telling if set(edge.on) == set(plan.unit)]


def _key(store: BaseStore, plan: FeaturePlan) -> str:
    """What decides, besides rows, which status a unit has."""
    versions = store.graph.versions
    # Those above the parents decide what a parent's unit is.
    keys = [plan.key, *store.graph.upstream(plan.key)]
    parts = [str(store.scheme), *(f"{versions[k].definition} {versions[k].feature}" for k in keys)]
    return sha256("\n".join(parts))


def _pending(plan: FeaturePlan, mark: Mark, own: LazyFrame, engine: Engine) -> LazyFrame:
    schema = own.select(*plan.unit).collect_schema()
    rows = pl.DataFrame(
        [list(row) for row in mark.pending or ()], schema=schema.to_polars(), orient="row"
    )
    return engine.bring(nw.from_native(rows.lazy()))


@dataclass(frozen=True)
class Moving:
    """The tables of a comparison, and the commits up to which they were compared before.

    Attributes:
        commits: of the features with rows beyond these.
    """

    plan: FeaturePlan
    graph: Graph
    own: LazyFrame
    tables: Mapping[FeatureKey, LazyFrame]
    commits: Mapping[FeatureKey, int]

    def units(self, pending: LazyFrame | None) -> LazyFrame:
        """The units of rows beyond the commits, and those that were pending."""
        unit = list(self.plan.unit)
        found = [] if pending is None else [pending]
        if self.plan.key in self.commits:
            found.append(_beyond(self.own, self.commits[self.plan.key]).select(*unit))
        for edge in self.plan.edges:
            if edge.parent.key not in self.commits:
                continue
            seen = self._seen(edge)
            if edge in _finest(self.plan):
                found.append(seen.select(*unit))
            else:
                found += [rows.join(seen, on=list(edge.on), how="semi") for rows in self._all()]
        together = nw.concat(found) if found else self.own.select(*unit).head(0)
        return together.unique(unit, keep="any")

    def _seen(self, edge: EdgePlan) -> LazyFrame:
        """What the parent's samples with a row beyond its commit are joined on, now or before."""
        rows, unit = self.tables[edge.parent.key], list(self.graph.plan(edge.parent.key).unit)
        history = samples = _beyond(rows, self.commits[edge.parent.key])
        if {edge.own(column) for column in edge.on} != set(unit):
            samples = samples.select(*unit).unique(unit, keep="any")
            history = rows.join(samples, on=unit, how="semi")
        named = history.select(nw.col(edge.own(column)).alias(column) for column in edge.on)
        return named.unique(list(edge.on), keep="any")

    def _all(self) -> list[LazyFrame]:
        """All units that are stored, or that a parent tells or told."""
        found = [self.own.select(*self.plan.unit)]
        for edge in _finest(self.plan):
            rows = self.tables.get(edge.parent.key)
            if rows is not None:
                found.append(rows.select(nw.col(edge.own(c)).alias(c) for c in self.plan.unit))
        return found


def _beyond(rows: LazyFrame, commit: int) -> LazyFrame:
    return rows.filter(nw.col(COMMIT) > commit)
