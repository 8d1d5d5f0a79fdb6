"""Check what is stored against the rules of docs/semantics.md; says what is wrong, and where."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Any

import narwhals as nw

from metaxy_core.columns import (
    COMMIT,
    CREATED_AT,
    DATA_VERSION,
    FEATURE_VERSION,
    OPEN,
    PROVENANCE,
    SNAPSHOT_VERSION,
    STATUS,
    WRITE_ID,
    data_version_of,
    provenance_of,
)
from metaxy_core.frames.dialect import LazyFrame
from metaxy_core.graph import FeaturePlan
from metaxy_core.store import fallback
from metaxy_core.store.reading import complete
from metaxy_core.store.request import Request
from metaxy_core.store.resolving import resolve
from metaxy_core.system import marks
from metaxy_core.versioning.provenance import with_total

if TYPE_CHECKING:
    from metaxy_core.store.base import BaseStore

_EXAMPLES = 3
_ALWAYS = (COMMIT, WRITE_ID, OPEN, FEATURE_VERSION, SNAPSHOT_VERSION, CREATED_AT)
_CHECKED = "metaxy_checked"


@dataclass(frozen=True)
class Finding:
    """Rows of a feature that break a rule.

    Attributes:
        rule: the rule, in words.
        rows: how many rows, or sets of rows, break it.
        examples: ids of up to three of them.
    """

    feature: str
    rule: str
    rows: int
    examples: tuple[Mapping[str, Any], ...]

    def __str__(self) -> str:
        shown = ", ".join(str(dict(example)) for example in self.examples)
        return f"{self.feature}: {self.rule}: {self.rows} ({shown})"


def verify(store: BaseStore, plan: FeaturePlan) -> list[Finding]:
    """Check the rows of a feature in this very store; none for a feature that was never written.

    Raises:
        MetadataSchemaError: the table is not this feature's.
    """
    found = fallback.find(store, plan.key, allow_fallback=False)
    if found is None:
        return []
    table = complete(plan, found[1])
    findings = [_finding(plan, rule, rows) for rule, rows in _broken(store, plan, table)]
    return [finding for finding in [*findings, _mistaken(store, plan)] if finding is not None]


def _mistaken(store: BaseStore, plan: FeaturePlan) -> Finding | None:
    """Units whose status from the last mark on is not what comparing everything says."""
    known, _ = marks.load(store.backend, plan.key, [])
    parents = [edge.parent.key for edge in plan.edges if not edge.dep.optional]
    if known is None or any(fallback.find(store, key) is None for key in parents):
        return None
    by = [*plan.unit, STATUS]
    marked, full = resolve(store, Request(plan)), resolve(store, Request(plan, full=True))
    one, other = marked.labels.select(*by), full.labels.select(*by)
    differing = [one.join(other, on=by, how="anti"), other.join(one, on=by, how="anti")]
    found = _finding(plan, "its mark gives another increment than all rows", nw.concat(differing))
    for increment in (marked, full):
        increment.release()
    return found


def _broken(
    store: BaseStore, plan: FeaturePlan, table: LazyFrame
) -> Iterator[tuple[str, LazyFrame]]:
    ids, unit = list(plan.spec.id_columns), list(plan.unit)
    closed = table.filter(~nw.col(OPEN))
    yield "a column that every row has is NULL", table.filter(_any_null(_ALWAYS))
    yield "an id column is NULL", _without_ids(plan, table)
    yield "a sample is twice in one commit", _more_than_one(closed, [*ids, COMMIT])
    sets = closed.select(*unit, COMMIT, FEATURE_VERSION, PROVENANCE)
    versions = sets.unique([*unit, COMMIT, FEATURE_VERSION], keep="any")
    yield "a unit has two feature versions in one commit", _more_than_one(versions, [*unit, COMMIT])
    if plan.is_expansion:
        made = sets.unique([*unit, COMMIT, PROVENANCE], keep="any")
        yield (
            "the children of one parent differ in provenance",
            _more_than_one(made, [*unit, COMMIT]),
        )
    # What a row of another version should look like, its own graph would know.
    now = table.filter(nw.col(FEATURE_VERSION) == store.graph.versions[plan.key].feature)
    for total, name_of in ((PROVENANCE, provenance_of), (DATA_VERSION, data_version_of)):
        columns = [name_of(field.key) for field in plan.fields]
        yield f"a field has no value in {total}_by_field", now.filter(_any_null(columns))
        length = store.scheme.algorithm.hex_length
        wrong = [nw.col(name).str.len_chars() != length for name in (total, *columns)]
        yield f"{total} is no digest of {store.scheme}", now.filter(reduce(or_, wrong))
        known = now.filter(~_any_null(columns))
        checked = with_total(known, _CHECKED, columns, store.scheme, store.backend.dialect)
        yield (
            f"{total} is not the digest of its fields",
            checked.filter(nw.col(_CHECKED) != nw.col(total)),
        )


def _without_ids(plan: FeaturePlan, table: LazyFrame) -> LazyFrame:
    """Rows with NULL ids; marks of childless parents have NULL in all their own columns."""
    own = [column for column in plan.spec.id_columns if column not in plan.unit]
    unit_missing = _any_null(plan.unit)
    if not own:
        return table.filter(unit_missing)
    some = _any_null(own)
    every = nw.all_horizontal(*(nw.col(c).is_null() for c in own), ignore_nulls=False)
    return table.filter(unit_missing | (some & ~every))


def _more_than_one(rows: LazyFrame, by: list[str]) -> LazyFrame:
    return rows.group_by(*by).agg(nw.len().alias(_CHECKED)).filter(nw.col(_CHECKED) > 1)


def _any_null(columns: Any) -> nw.Expr:
    return nw.any_horizontal(*(nw.col(c).is_null() for c in columns), ignore_nulls=False)


def _finding(plan: FeaturePlan, rule: str, rows: LazyFrame) -> Finding | None:
    names = rows.collect_schema().names()
    shown = [column for column in plan.spec.id_columns if column in names]
    count = int(rows.select(nw.len().alias("n")).collect("polars")["n"][0])
    if not count:
        return None
    examples = rows.select(*shown).head(_EXAMPLES).collect("polars").rows(named=True)
    return Finding(str(plan.key), rule, count, tuple(examples))
