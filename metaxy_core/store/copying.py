"""Copy rows from another store: the same copy twice is a no-op, history is kept.

A row is known by the write that made it and by its ids, so what is here already is not copied
again. Rows come in the order of the source's commits and get numbers of this store's own. A row
older than one of the same unit that was copied before is left out: it could only hide that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import narwhals as nw

from metaxy_core.columns import COMMIT, OPEN, SNAPSHOT_VERSION, WRITE_ID
from metaxy_core.errors import HashSchemeMismatchError
from metaxy_core.frames.dialect import DataFrame, LazyFrame
from metaxy_core.frames.filters import Predicate, apply
from metaxy_core.graph import FeaturePlan
from metaxy_core.store import fallback
from metaxy_core.store.incoming import check_types
from metaxy_core.store.reading import check_table, complete, stored_with_marks
from metaxy_core.store.tables import check_id_types, sorted_by

if TYPE_CHECKING:
    from metaxy_core.store.base import BaseStore

_KEY = "metaxy_row_key"
_ORDER = "metaxy_source_order"
_KNOWN = "metaxy_known_order"


def copy_feature(
    target: BaseStore,
    source: BaseStore,
    plan: FeaturePlan,
    filters: Sequence[Predicate],
    snapshot_version: str | None,
    *,
    history: bool,
    dry_run: bool = False,
) -> int:
    """Copy one feature's closed rows, of the units that the filters choose. Rows copied, or that
    would be.

    Filters judge the stored rows of the source, and whole units come with them.
    """
    if source.scheme != target.scheme:
        raise HashSchemeMismatchError(
            f"{source.display()} keeps digests of {source.scheme}, {target.display()} of "
            f"{target.scheme}: their rows cannot be mixed."
        )
    found = fallback.find(source, plan.key, allow_fallback=False)
    if found is None:
        return 0
    table = complete(plan, found[1]).filter(~nw.col(OPEN))
    rows = _chosen(target, plan, table, filters, snapshot_version, history).collect("polars")

    def store(numbers: Sequence[int]) -> tuple[int, int]:
        """How many rows, and how many numbers they take; nothing is done with fewer."""
        missing = _fitted(target, plan, _missing(target, plan, rows))
        numbered = missing.with_columns(_order().alias(_ORDER))
        needed = numbered[_ORDER].n_unique()
        if 0 < needed <= len(numbers):
            commits = nw.col(_ORDER).replace_strict(
                list(range(needed)), list(numbers[:needed]), return_dtype=nw.Int64()
            )
            stamped = numbered.with_columns(commits.alias(COMMIT)).drop(_ORDER)
            target.backend.append(plan.key.to_table(), stamped.lazy(), sorted_by(plan))
        return len(missing), needed

    missing = _missing(target, plan, rows)
    if dry_run:
        return len(missing)
    # What is missing is looked for again in the commit: somebody may be copying the same.
    given = missing[COMMIT].n_unique()
    while given:
        copied, needed = target.backend.commit(store, numbers=given)
        if needed <= given:
            return copied
        given = needed
    return 0


def _fitted(target: BaseStore, plan: FeaturePlan, rows: DataFrame) -> DataFrame:
    """The rows with the types of the target's table as it is now."""
    own = target.backend.scan(plan.key.to_table())
    check_id_types(target, plan, rows, own)
    stored = {} if own is None else own.collect_schema()
    if own is not None:
        check_table(plan, stored)
    return check_types(plan, rows, stored, target.backend.unstorable)


def _order() -> nw.Expr:
    return nw.col(COMMIT).rank("dense").cast(nw.Int64()) - 1


def _chosen(
    target: BaseStore,
    plan: FeaturePlan,
    table: LazyFrame,
    filters: Sequence[Predicate],
    snapshot_version: str | None,
    history: bool,
) -> LazyFrame:
    unit = list(plan.unit)
    version = target.graph.versions[plan.key].feature
    if snapshot_version is not None:
        table = table.filter(nw.col(SNAPSHOT_VERSION).str.starts_with(snapshot_version))
    stored = stored_with_marks(plan, table, version)
    if filters:
        units = apply(stored, filters).select(*unit).unique(unit, keep="any")
        table, stored = (rows.join(units, on=unit, how="semi") for rows in (table, stored))
    return table if history else stored.select(*table.collect_schema().names())


def _missing(target: BaseStore, plan: FeaturePlan, rows: DataFrame) -> DataFrame:
    """The rows that the target does not have, nor newer ones of the same unit from here."""
    own = target.backend.scan(plan.key.to_table())
    if own is None or not len(rows):
        return rows
    there = complete(plan, own).select(*plan.spec.id_columns, WRITE_ID).collect("polars")
    keyed = _keyed(plan, rows)
    known = keyed.join(_keyed(plan, there).select(_KEY).unique().lazy(), on=_KEY, how="semi")
    unit = list(plan.unit)
    newest = known.group_by(*unit).agg(nw.col(COMMIT).max().alias(_KNOWN))
    later = nw.col(COMMIT) > nw.coalesce(nw.col(_KNOWN), nw.lit(-1))
    return keyed.join(newest, on=unit, how="left").filter(later).drop(_KEY, _KNOWN).collect()


def _keyed(plan: FeaturePlan, rows: DataFrame) -> LazyFrame:
    """Say of each row what it is known by; the own ids of a childless parent's mark are NULL."""
    parts: list[nw.Expr] = []
    for column in plan.spec.id_columns:
        text = nw.col(column).cast(nw.String())
        # Framed by its length, so that no two ids are known by one text.
        parts += [text.str.len_chars().cast(nw.String()).fill_null("-"), text.fill_null("")]
    key = nw.concat_str(nw.col(WRITE_ID), *parts, separator=":")
    return rows.lazy().with_columns(key.alias(_KEY))
