"""One sample, explained: its rows and those of its parents are read, then and now.

*Then* is the commit at which the sample's stored row was written: what its parents' stored rows
were at that commit is what it was made from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import narwhals as nw
import polars as pl

from metaxy_core.columns import (
    COMMIT,
    DELETED_AT,
    FEATURE_VERSION,
    MATERIALIZATION_ID,
    STALE_FIELDS,
    STATUS,
    UPDATED_AT,
    data_version_of,
    provenance_of,
)
from metaxy_core.errors import MetadataSchemaError
from metaxy_core.graph import EdgePlan, FeaturePlan, Graph
from metaxy_core.keys import FieldKey, FieldRef
from metaxy_core.spec import LineageKind
from metaxy_core.store import failing, fallback
from metaxy_core.store.reading import complete, filled, stored, stored_with_marks
from metaxy_core.store.request import Request
from metaxy_core.store.resolving import resolve
from metaxy_core.store.tables import empty_table, id_types_of_parents
from metaxy_core.versioning import edge_rows
from metaxy_core.versioning.increment import ORPHANED
from metaxy_core.work.causes import code_changes
from metaxy_core.work.explanation import Explanation, Failure, Reason, Status

if TYPE_CHECKING:
    from metaxy_core.store.base import BaseStore
    from metaxy_core.store.recorded import Recorded

Unit = Mapping[str, Any]
_MEMBERS = 3
"""How many members of a group are explained one by one."""
_LAST = 2**62


def explain(
    store: BaseStore, plan: FeaturePlan, sample: Unit, samples: Any, recorded: Recorded
) -> Explanation:
    """See `MetadataStore.explain`."""
    unit = check_sample(store, plan, sample)
    about = Explaining(store, recorded)
    own = about.now(plan, unit)
    kept = own.row(0, named=True) if own.height else None
    label = _label(store, plan, unit, samples)
    known: Status = "stored" if plan.spec.is_root and samples is None else "up to date"
    status: Status = "unknown" if kept is None else known
    fields: dict[str, tuple[Reason, ...]] = {}
    if label is not None:
        status = label[STATUS]
        if status == ORPHANED:
            fields = {"": about.gone(plan, unit)}
        elif kept is None:
            fields = {"": about.appeared(plan, unit)}
        else:
            names = [FieldKey(name) for name in (label[STALE_FIELDS] or "").split(",") if name]
            fields = {str(name): about.field(plan, name, unit, kept) for name in names}
            if not names and status == "stale":
                fields = {"": (Reason(kind="predicate", subject=str(plan.key)),)}
    return Explanation(
        feature=str(plan.key),
        sample=dict(unit),
        status=status,
        stored_at=kept and kept[UPDATED_AT],
        run=kept and kept[MATERIALIZATION_ID],
        version=kept and kept[FEATURE_VERSION],
        failure=_failure(store, plan, unit),
        fields=fields,
    )


def check_sample(store: BaseStore, plan: FeaturePlan, sample: Unit) -> Unit:
    """The ids of a unit out of those given, in order; texts are read as the ids' types.

    Raises:
        MetadataSchemaError: an id is missing, or is no value of its type.
    """
    if missing := [name for name in plan.unit if name not in sample]:
        raise MetadataSchemaError(
            str(plan.key),
            f"a sample to explain is named by {', '.join(plan.unit)}; {', '.join(missing)} is not "
            "given.",
        )
    table = store.backend.scan(plan.key.to_table())
    known = id_types_of_parents(store, plan) if table is None else table.collect_schema()
    return {name: _id(plan, name, sample[name], known.get(name)) for name in plan.unit}


def _id(plan: FeaturePlan, name: str, value: Any, dtype: nw.dtypes.DType | None) -> Any:
    if dtype is None or not isinstance(value, str) or dtype == nw.String:
        return value
    booleans = {"true": True, "false": False}
    if dtype == nw.Boolean and value.lower() in booleans:
        return booleans[value.lower()]
    try:
        return int(value)
    except ValueError:
        raise MetadataSchemaError(
            str(plan.key), f"the id {name} is {dtype}; given: {value!r}"
        ) from None


class Explaining:
    """Reads the history of single units, and compares what was with what is."""

    def __init__(self, store: BaseStore, recorded: Recorded) -> None:
        self.store, self.recorded = store, recorded
        self.graph: Graph = store.graph

    def field(
        self, plan: FeaturePlan, field: FieldKey, unit: Unit, then: Mapping[str, Any]
    ) -> tuple[Reason, ...]:
        """Why a field of a stored row differs from what it would be made from now."""
        version = self.graph.versions[plan.key].feature
        reasons = self._made(plan, field, unit, then, version, _LAST)
        if not reasons:
            # Rows of another store have commits of their own: what they were then is not known.
            parents = next(one.parents for one in plan.fields if one.key == field)
            subject = str(FieldRef(plan.key, field))
            reasons = [Reason(kind="data", subject=str(ref)) for ref in parents]
            reasons = reasons or [Reason(kind="samples", subject=subject)]
        return tuple(reasons)

    def appeared(self, plan: FeaturePlan, unit: Unit) -> tuple[Reason, ...]:
        """The parents' rows that make a unit expected."""
        reasons = []
        for edge in plan.edges:
            rows = self._seen(edge, self._history(edge, unit), unit, _LAST)
            if rows.height:
                reasons.append(_new(edge, rows.sort(COMMIT).row(-1, named=True)))
        return tuple(reasons) or (Reason(kind="new", subject=str(plan.key)),)

    def gone(self, plan: FeaturePlan, unit: Unit) -> tuple[Reason, ...]:
        """The parents whose rows a unit would need."""
        reasons = []
        for edge in plan.edges:
            history = self._history(edge, unit)
            if not self._seen(edge, history, unit, _LAST).height:
                reasons.append(_gone(edge, history))
        return tuple(reasons) or (Reason(kind="gone", subject=str(plan.key)),)

    def now(self, plan: FeaturePlan, unit: Unit) -> pl.DataFrame:
        """The unit's own stored rows, in this store only."""
        table = self.store.backend.scan(plan.key.to_table())
        if table is None:
            return pl.DataFrame()
        rows = complete(plan, table)
        for name, value in unit.items():
            rows = rows.filter(nw.col(name) == value)
        version = self.graph.versions[plan.key].feature
        found: pl.DataFrame = stored_with_marks(plan, rows, version).collect("polars").to_native()
        return found

    def _made(
        self,
        plan: FeaturePlan,
        field: FieldKey,
        unit: Unit,
        then: Mapping[str, Any],
        version: str,
        now: int,
    ) -> list[Reason]:
        """What made a unit's field another since a row: its own code, then what its parents gave.

        Args:
            then: the row.
            version: the feature version now.
            now: the commit up to which the parents' rows are looked at.
        """
        before = self.recorded.find(plan.key, then[FEATURE_VERSION])
        reasons = self._code(FieldRef(plan.key, field), then[FEATURE_VERSION], version)
        parents = next(one.parents for one in plan.fields if one.key == field)
        for edge in plan.edges:
            names = [ref.field for ref in parents if ref.feature == edge.parent.key]
            if names:
                reasons += self._edge(edge, names, unit, before, then[COMMIT], now)
        return reasons

    def _code(self, field: FieldRef, old: str, new: str) -> list[Reason]:
        """A change of the field's own declaration between two versions of its feature."""
        before, after = (self.recorded.find(field.feature, version) for version in (old, new))
        if before is None or after is None:
            unknown = {"before": old[:8], "after": new[:8]}
            return [Reason(kind="unrecorded", subject=str(field.feature), **unknown)]
        return [
            Reason(kind="code", subject=str(field), before=one.before, after=one.after)
            for one in code_changes(before, after, field)
            if one.field == str(field)
        ]

    def _edge(
        self,
        edge: EdgePlan,
        fields: Sequence[FieldKey],
        unit: Unit,
        before: Graph | None,
        then: int,
        now: int,
    ) -> list[Reason]:
        """What an edge gave to a unit then and gives now, where that differs."""
        history = self._history(edge, unit)
        old = self._seen(edge, history, unit, then, before)
        new = self._seen(edge, history, unit, now)
        if edge.kind is LineageKind.AGGREGATION:
            return self._members(edge, fields, history, old, new)
        if old.height != new.height:
            return [_new(edge, new.row(0, named=True)) if new.height else _gone(edge, history)]
        if not new.height:
            return []
        return self._rows(edge, fields, old.row(0, named=True), new.row(0, named=True))

    def _members(
        self,
        edge: EdgePlan,
        fields: Sequence[FieldKey],
        history: pl.DataFrame,
        old: pl.DataFrame,
        new: pl.DataFrame,
    ) -> list[Reason]:
        """The members of a group that came, went or changed."""
        ids = list(edge.ids)
        columns = [data_version_of(field) for field in fields]
        both = old.join(new, on=ids, how="inner", suffix="_new")
        moved = pl.any_horizontal(
            pl.lit(value=False), *(pl.col(c).ne_missing(pl.col(f"{c}_new")) for c in columns)
        )
        changed = both.filter(moved).select(ids).sort(ids)
        came, went = new.join(old, on=ids, how="anti"), old.join(new, on=ids, how="anti")
        because = []
        for row in came.sort(ids).head(_MEMBERS).rows(named=True):
            member = {name: row[name] for name in ids}
            because.append(_new(edge, row).model_copy(update={"sample": member}))
        history = history.rename(dict(edge.dep.rename))
        for row in went.sort(ids).head(_MEMBERS).rows(named=True):
            member = {name: row[name] for name in ids}
            is_it = pl.all_horizontal(pl.col(name) == value for name, value in member.items())
            reason = _gone(edge, history.filter(is_it))
            because.append(reason.model_copy(update={"sample": member}))
        for ids_of in changed.head(_MEMBERS).rows(named=True):
            is_it = pl.all_horizontal(pl.col(name) == value for name, value in ids_of.items())
            then, now = (frame.filter(is_it).row(0, named=True) for frame in (old, new))
            because += [
                reason.model_copy(update={"sample": ids_of})
                for reason in self._rows(edge, fields, then, now)
            ]
        if not because:
            return []
        counts = {"new": came.height, "gone": went.height, "changed": changed.height}
        told = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
        subject = f"{edge.parent.key}: {told}"
        return [Reason(kind="member", subject=subject, because=tuple(because))]

    def _rows(
        self,
        edge: EdgePlan,
        fields: Sequence[FieldKey],
        old: Mapping[str, Any],
        new: Mapping[str, Any],
    ) -> list[Reason]:
        """Two rows of one parent's sample: the fields whose data versions differ, and why."""
        parent = self.graph.plan(edge.parent.key)
        unit = {edge.own(name): new[name] for name in edge.ids}
        unit = {name: unit[name] for name in parent.unit}
        reasons = []
        for field in fields:
            versions = [row[data_version_of(field)] for row in (old, new)]
            if versions[0] == versions[1]:
                continue
            short = [version and version[:8] for version in versions]
            reasons.append(
                Reason(
                    kind="data",
                    subject=str(FieldRef(parent.key, field)),
                    before=short[0],
                    after=short[1],
                    at=new[UPDATED_AT],
                    run=new[MATERIALIZATION_ID],
                    because=tuple(self._why(parent, field, unit, old, new)),
                )
            )
        return reasons

    def _why(
        self,
        parent: FeaturePlan,
        field: FieldKey,
        unit: Unit,
        old: Mapping[str, Any],
        new: Mapping[str, Any],
    ) -> list[Reason]:
        """Why a sample's field had one data version in one row and another in the next."""
        ref = FieldRef(parent.key, field)
        if old[provenance_of(field)] == new[provenance_of(field)]:
            return [Reason(kind="override", subject=str(ref))]
        reasons = self._made(parent, field, unit, old, new[FEATURE_VERSION], new[COMMIT])
        if parent.spec.is_root and not reasons:
            return [Reason(kind="samples", subject=str(ref))]
        return reasons

    # -- rows ------------------------------------------------------------------------------------

    def _seen(
        self,
        edge: EdgePlan,
        history: pl.DataFrame,
        unit: Unit,
        commit: int,
        graph: Graph | None = None,
    ) -> pl.DataFrame:
        """A parent's rows of a unit as the feature saw them at a commit, out of its history."""
        key = edge.parent.key
        plan = self.graph.plan(key)
        known = graph if graph is not None and key in graph else self.graph
        rows = history
        found = fallback.find(self.store, key)
        if found is not None and found[0] is self.store:
            rows = rows.filter(pl.col(COMMIT) <= commit)
        kept = stored(plan, nw.from_native(rows.lazy()), known.versions[key].feature)
        versions = [data_version_of(field.key) for field in plan.fields]
        versions += [provenance_of(field.key) for field in plan.fields]
        keep = [*edge.on, *versions, COMMIT, UPDATED_AT, MATERIALIZATION_ID, FEATURE_VERSION]
        seen: pl.DataFrame = edge_rows(edge, kept, keep=keep).collect("polars").to_native()
        is_it = [pl.col(name) == unit[name] for name in edge.on]
        return seen.filter(pl.all_horizontal(is_it))

    def _history(self, edge: EdgePlan, unit: Unit) -> pl.DataFrame:
        """All rows, of any version, of the parent's samples that belong or belonged to a unit."""
        key = edge.parent.key
        plan = self.graph.plan(key)
        found = fallback.find(self.store, key)
        empty = empty_table(self.store, plan)
        table = complete(plan, found[1]) if found else filled(plan, empty)
        mine = table
        for name in edge.on:
            mine = mine.filter(nw.col(edge.own(name)) == unit[name])
        ids = list(plan.unit)
        members = mine.select(*ids).unique(ids, keep="any")
        rows: pl.DataFrame = table.join(members, on=ids, how="semi").collect("polars").to_native()
        return rows


def _new(edge: EdgePlan, row: Mapping[str, Any]) -> Reason:
    """A parent has a sample that it had not: since when, and by which run."""
    at, run = row[UPDATED_AT], row[MATERIALIZATION_ID]
    return Reason(kind="new", subject=str(edge.parent.key), at=at, run=run)


def _gone(edge: EdgePlan, history: pl.DataFrame) -> Reason:
    """A parent's sample is there no more: when it was deleted, and by which run, if it was."""
    deleted = history.filter(pl.col(DELETED_AT).is_not_null()).sort(COMMIT).tail(1)
    at = deleted[DELETED_AT].item() if deleted.height else None
    run = deleted[MATERIALIZATION_ID].item() if deleted.height else None
    return Reason(kind="gone", subject=str(edge.parent.key), at=at, run=run)


def _failure(store: BaseStore, plan: FeaturePlan, unit: Unit) -> Failure | None:
    """What the unit failed by, if that still says something."""
    found: pl.DataFrame = failing.standing(store, plan).to_native()
    if found.height:
        found = found.filter(pl.all_horizontal(pl.col(name) == v for name, v in unit.items()))
    if not found.height:
        return None
    row = found.row(0, named=True)
    told = {name.removeprefix("metaxy_"): value for name, value in row.items()}
    return Failure(**{name: told[name] for name in Failure.model_fields})


def _label(
    store: BaseStore, plan: FeaturePlan, unit: Unit, samples: Any
) -> Mapping[str, Any] | None:
    """The unit's line of the increment; None where it has none."""
    if plan.spec.is_root and samples is None:
        return None
    units = nw.from_native(pl.DataFrame([dict(unit)]))
    labels = resolve(
        store, Request(plan, samples, units=units, engine=store.versioning_engine)
    ).labels.collect("polars")
    return labels.rows(named=True)[0] if len(labels) else None
