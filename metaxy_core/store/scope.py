"""Which units a comparison looks at, and their stored rows, chosen out of as few as possible."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import narwhals as nw

from metaxy_core.frames.dialect import Dialect, LazyFrame
from metaxy_core.frames.engine import Engine
from metaxy_core.frames.history import stored_rows, stored_rows_since
from metaxy_core.graph import EdgePlan, FeaturePlan
from metaxy_core.keys import FeatureKey
from metaxy_core.store.request import Request
from metaxy_core.versioning import Buckets


@dataclass(frozen=True)
class Scope:
    """Some of a feature's units, or all of them.

    Attributes:
        units: the unit columns, in the engine: these alone; None for no such limit.
        buckets: those that are in one of these alone; both limits hold together.
        since: of some tables, the feature's or parents', a commit after which rows are looked at
            first; those before it only of units that these leave open.
    """

    plan: FeaturePlan
    dialect: Dialect
    units: LazyFrame | None = None
    buckets: Buckets | None = None
    since: Mapping[FeatureKey, int] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        request: Request,
        engine: Engine,
        moved: LazyFrame | None = None,
        since: Mapping[FeatureKey, int] | None = None,
    ) -> Scope:
        """What a request says; else the units that have moved, where that is known."""
        plan, units = request.plan, moved
        if request.units is not None:
            units = engine.bring(request.units.select(*plan.unit).lazy())
        return cls(plan, engine.dialect, units, request.buckets, since or {})

    @property
    def key(self) -> Hashable:
        """What a compiled comparison of these units depends on."""
        types = None if self.units is None else tuple(self.units.collect_schema().items())
        return (types, self.buckets, tuple(self.since))

    def after(self, commits: Sequence[int]) -> Scope:
        """The same, with other commits in the order of `since`: a compiled comparison is given
        those of the day."""
        return replace(self, since=dict(zip(self.since, commits, strict=True)))

    def units_in(self, rows: LazyFrame) -> LazyFrame:
        """The rows of these units; their columns are called as in the plan."""
        return self._kept(rows, {column: column for column in self.plan.unit})

    def own_in(self, rows: LazyFrame, columns: Sequence[str], version: str) -> LazyFrame:
        """The feature's own stored rows of these units, out of all its rows.

        Columns out: `columns`.

        Args:
            version: the feature version.
        """
        names = {column: column for column in self.plan.unit}
        return self._stored(self.plan, rows, columns, names, version)

    def samples_in(
        self,
        parent: FeaturePlan,
        edge: EdgePlan,
        rows: LazyFrame,
        columns: Sequence[str],
        version: str,
    ) -> LazyFrame:
        """The stored rows of a parent's samples that belong to these units, out of all its rows.

        Columns out: `columns`.

        Of all samples, where these do not tell a unit's bucket.

        Args:
            version: the parent's feature version.
        """
        own = {column: edge.own(column) for column in edge.on}
        if self.buckets is not None and set(own) != set(self.plan.unit):
            return stored_rows(rows.select(*columns), parent.unit, version)
        is_all = self.units is None and self.buckets is None
        if is_all or set(own.values()) == set(parent.unit):
            return self._stored(parent, rows, columns, own, version)
        # A group that a sample has left loses it: its other rows must be seen too.
        unit = list(parent.unit)
        samples = self._kept(rows, own).select(*unit).unique(unit, keep="any")
        of_samples = rows.select(*columns).join(samples, on=unit, how="semi")
        return stored_rows(of_samples, unit, version)

    def _stored(
        self,
        of: FeaturePlan,
        rows: LazyFrame,
        columns: Sequence[str],
        names: Mapping[str, str],
        version: str,
    ) -> LazyFrame:
        """Stored rows of a feature; `names`: how these call columns of the unit."""
        if self.buckets is not None:
            return stored_rows(self._kept(rows.select(*columns), names), of.unit, version)
        wanted = None if self.units is None else self._named(names, rows)
        if (after := self.since.get(of.key)) is not None:
            unit, dialect = of.unit, self.dialect
            return stored_rows_since(rows, columns, unit, version, wanted, after, dialect)
        if wanted is None:  # Engines would read a shared selection of a table as a whole first.
            return stored_rows(rows, of.unit, version).select(*columns)
        found = self.dialect.few_rows(rows, wanted, of.unit).select(*columns)
        return stored_rows(found, of.unit, version)

    def _kept(self, rows: LazyFrame, names: Mapping[str, str]) -> LazyFrame:
        """The rows of these units. `names`: how the rows call columns of the unit."""
        if self.buckets is not None:
            rows = self.buckets.within(rows, [names[c] for c in self.plan.unit], self.dialect)
        if self.units is None:
            return rows
        return self.dialect.few_rows(rows, self._named(names, rows), list(names.values()))

    def _named(self, names: Mapping[str, str], rows: LazyFrame) -> LazyFrame:
        """The units as the rows call them, and with their types: plans know fewer than engines."""
        assert self.units is not None
        types = rows.collect_schema()
        return self.units.select(
            nw.col(column).cast(types[own]).alias(own) for column, own in names.items()
        )
