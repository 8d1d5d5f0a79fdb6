"""Rebase: carry results over to new code versions without computing them again.

For when the new code gives the same results: a unit that was up to date under the old graph is
up to date under the new one afterwards, and its data versions stay, so nothing downstream runs
again. A unit that was stale under the old graph stays stale.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from metaxy_core.columns import PROVENANCE_BY_FIELD, provenance_of
from metaxy_core.errors import MetadataSchemaError
from metaxy_core.frames.dialect import LazyFrame
from metaxy_core.frames.nesting import flatten, nest
from metaxy_core.frames.polars import PolarsDialect
from metaxy_core.graph import FeaturePlan, Graph
from metaxy_core.hashing import HashScheme
from metaxy_core.store.incoming import Rows
from metaxy_core.versioning.provenance import with_root_provenance

if TYPE_CHECKING:
    from metaxy_core.store.store import MetadataStore


def rebase(
    store: MetadataStore, plan: FeaturePlan, before: Graph, samples: Rows | None, *, dry_run: bool
) -> int:
    """Carry a feature's rows from the graph they were made under. Units carried, or that would be.

    Raises:
        ValueError: a root without `samples`.
        MetadataSchemaError: the old graph does not have the feature, or other ids or fields.
    """
    _check(plan, before)
    old = store.using(before).resolve_update(plan.key, samples=samples)
    new = store.resolve_update(plan.key, samples=samples)
    unit = list(plan.unit)
    carried = new.stale.lazy().select(*unit, PROVENANCE_BY_FIELD)
    for stale in (old.new, old.stale):
        carried = carried.join(stale.lazy().select(*unit), on=unit, how="anti")
    if plan.spec.is_root:
        carried = _digested(plan, carried, store.scheme)
    wanted = carried.collect()
    if dry_run or not len(wanted):
        return len(wanted)
    stored = store.read(plan.key, allow_fallback=False).collect("polars").lazy()
    rows = stored.drop(PROVENANCE_BY_FIELD).join(wanted.lazy(), on=unit, how="inner")
    childless = wanted.lazy().join(stored.select(*unit), on=unit, how="anti").collect()
    store.write(plan.key, rows, empty_parents=childless if plan.is_expansion else None)
    return len(wanted)


def _digested(plan: FeaturePlan, rows: LazyFrame, scheme: HashScheme) -> LazyFrame:
    """The provenance that a root's texts give under the new graph."""
    members = {str(field.key): provenance_of(field.key) for field in plan.fields}
    flat = flatten(rows, PROVENANCE_BY_FIELD, members, list(members))
    return nest(
        with_root_provenance(flat, plan, scheme, PolarsDialect()), PROVENANCE_BY_FIELD, members
    )


def _check(plan: FeaturePlan, before: Graph) -> None:
    known = before.plan(plan.key) if plan.key in before else None
    if known is None or known.spec.id_columns != plan.spec.id_columns or known.unit != plan.unit:
        raise MetadataSchemaError(
            str(plan.key), "the graph to rebase from does not have it with the same id columns."
        )
    if known.spec.field_keys != plan.spec.field_keys:
        raise MetadataSchemaError(
            str(plan.key),
            "its fields are not those of the graph to rebase from: what a new field is made of "
            "cannot be carried over.",
        )
