"""Engines broken on purpose, each in one place: the machine notices every one of them.

The machine is only worth what it would catch. Each mutation replaces one function wherever the
library uses it; a few dozen random graphs must then end in a mismatch.
"""

from __future__ import annotations

import dataclasses
import itertools
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Any

import narwhals as nw
import polars as pl
import pytest

from metaxy_core.backends.memory import MemoryBackend
from metaxy_core.columns import (
    COMMIT,
    CREATED_AT,
    DELETED_AT,
    FEATURE_VERSION,
    OPEN,
    STATUS,
    provenance_of,
)
from metaxy_core.frames import history
from metaxy_core.frames.filters import apply, fits
from metaxy_core.frames.polars import PolarsDialect
from metaxy_core.hashing import SEPARATOR, HashScheme
from metaxy_core.store import MetadataStore, deletion, sets, writing
from metaxy_core.testing.strategies import Declared
from metaxy_core.versioning import increment, provenance, upstream
from metaxy_core.versioning.names import EXPECTED, WAITING, present_in, waiting_in
from tests.properties.machine import MismatchError, first_failure
from tests.properties.rules import LONG, run
from tests.properties.shortcuts import guessing

pytestmark = pytest.mark.slow

BOUND = 100
EDITS = 20

Replace = Callable[[Callable[..., Any], Callable[..., Any]], None]
Mutation = Callable[[Replace], None]


def make_store(declared: Declared) -> MetadataStore:
    return MetadataStore(MemoryBackend(), graph=declared.graph)


def _modules() -> list[ModuleType]:
    return [module for name, module in sys.modules.items() if name.startswith("metaxy_core")]


@pytest.fixture
def in_place_of(monkeypatch: pytest.MonkeyPatch) -> Replace:
    """Replaces a function wherever a module of the library names it."""

    def replace(function: Callable[..., Any], broken: Callable[..., Any]) -> None:
        found = [
            (owner, name)
            for owner in (PolarsDialect, *_modules())
            for name, value in list(vars(owner).items())
            if value is function
        ]
        assert found, f"nobody uses {function}"
        for owner, name in found:
            monkeypatch.setattr(owner, name, broken)

    return replace


def parent_forgotten(replace: Replace) -> None:
    """The last parent's data version is left out of the provenance."""
    original = provenance._joined
    replace(original, lambda texts: original(texts[:-1] if len(texts) > 2 else texts))


def code_version_forgotten(replace: Replace) -> None:
    def seed(field: Any, scheme: HashScheme) -> str:
        return scheme.seed(str(field.key), "1", [f"{r.feature}/{r.field}" for r in field.parents])

    replace(provenance.seed, seed)


def parents_nameless(replace: Replace) -> None:
    """The seed counts the parents, and does not say which they are."""

    def seed(field: Any, scheme: HashScheme) -> str:
        return scheme.seed(str(field.key), field.spec.code_version, ["parent"] * len(field.parents))

    replace(provenance.seed, seed)


def field_forgotten(replace: Replace) -> None:
    def seed(field: Any, scheme: HashScheme) -> str:
        parents = [f"{ref.feature}/{ref.field}" for ref in field.parents]
        return scheme.seed("field", field.spec.code_version, parents)

    replace(provenance.seed, seed)


def texts_joined_raw(replace: Replace) -> None:
    """The user's text is not digested before the separator is put beside it."""

    def rooted(rows: Any, plan: Any, scheme: HashScheme, dialect: Any) -> Any:
        parts = {
            provenance_of(f.key): nw.concat_str(
                nw.lit(str(f.key)),
                *(nw.col(provenance_of(other.key)) for other in plan.fields),
                separator=SEPARATOR,
            )
            for f in plan.fields
        }
        return provenance._digested(rows, parts, scheme, dialect)

    replace(provenance.with_root_provenance, rooted)


def override_ignored(replace: Replace) -> None:
    def ignored(rows: Any, overrides: Mapping[Any, str], scheme: Any, dialect: Any) -> Any:
        same = (nw.col(provenance_of(f)).alias(name) for f, name in overrides.items())
        return rows.with_columns(same)

    replace(provenance.with_overrides, ignored)


def override_with_a_seed(replace: Replace) -> None:
    """An overridden data version changes with the provenance it should cut off."""
    original = provenance.with_overrides

    def seeded(rows: Any, overrides: Mapping[Any, str], scheme: Any, dialect: Any) -> Any:
        rows = rows.with_columns(
            nw.concat_str(nw.col(provenance_of(f)), nw.col(name)).alias(name)
            for f, name in overrides.items()
        )
        return original(rows, overrides, scheme, dialect)

    replace(original, seeded)


def join_kind_swapped(replace: Replace) -> None:
    def joined(units: Any, right: Any, on: list[str], edge: Any) -> Any:
        return units.join(right, on=on, how="inner")

    replace(upstream._joined, joined)


def full_join_is_left(replace: Replace) -> None:
    original = PolarsDialect.full_join

    def joined(self: Any, left: Any, right: Any, on: Any) -> Any:
        if EXPECTED in left.collect_schema().names():
            return original(self, left, right, on)
        return left.join(right, on=on, how="left")

    replace(original, joined)


def absent_is_waiting(replace: Replace) -> None:
    original = upstream.with_provenance

    def waiting(units: Any, plan: Any, *rest: Any) -> Any:
        flags = (
            (nw.col(present_in(e)).is_null() | nw.col(waiting_in(e))).alias(waiting_in(e))
            for e in plan.edges
        )
        return original(units, plan, *rest).with_columns(flags)

    replace(original, waiting)


def waiting_ignored(replace: Replace) -> None:
    original = upstream.expected_units

    def never(*args: Any) -> Any:
        return original(*args).with_columns(nw.lit(False).alias(WAITING))

    replace(original, never)


def filter_before_rename(replace: Replace) -> None:
    original = upstream.seen_rows

    def filtered(edge: Any, rows: Any) -> Any:
        names = rows.collect_schema()
        own = [text for text in edge.dep.filters if fits(text, names)]
        bare = edge.dep.model_copy(
            update={"filters": tuple(text for text in edge.dep.filters if text not in own)}
        )
        return original(dataclasses.replace(edge, dep=bare), apply(rows, own))

    replace(original, filtered)


def filter_ignored(replace: Replace) -> None:
    replace(apply, lambda frame, predicates: frame)


def null_counts_as_equal(replace: Replace) -> None:
    def differs(expected: str, stored: str) -> nw.Expr:
        return nw.coalesce(nw.col(expected) != nw.col(stored), nw.lit(False))

    replace(increment._differs, differs)


def orphans_lost(replace: Replace) -> None:
    original = increment.compare

    def without(*args: Any) -> Any:
        return original(*args).filter(nw.col(STATUS) != "orphaned")

    replace(original, without)


def tombstone_ignored(replace: Replace) -> None:
    original = history.stored_rows

    def of_live(rows: Any, unit: Any, version: str) -> Any:
        return original(rows.filter(nw.col(DELETED_AT).is_null()), unit, version)

    replace(original, of_live)


def barrier_keeps_what_was_deleted(replace: Replace) -> None:
    """Only the tombstone's own rows are left out; other versions' rows before it come back."""
    original = history.stored_rows

    def of_versions(rows: Any, unit: Any, version: str) -> Any:
        deleted = rows.filter(~nw.col(DELETED_AT).is_null())
        by = [*unit, FEATURE_VERSION]
        barriers = deleted.group_by(*by).agg(nw.col(COMMIT).max().alias("barrier"))
        live = rows.filter(nw.col(DELETED_AT).is_null()).join(barriers, on=by, how="left")
        after = live.filter(nw.col(COMMIT) >= nw.coalesce(nw.col("barrier"), nw.lit(-1)))
        return original(after.drop("barrier"), unit, version)

    replace(original, of_versions)


def open_rows_counted(replace: Replace) -> None:
    original = history.stored_rows

    def of_all(rows: Any, unit: Any, version: str) -> Any:
        return original(rows.with_columns(nw.lit(False).alias(OPEN)), unit, version)

    replace(original, of_all)


def open_rows_never_join(replace: Replace) -> None:
    replace(sets.with_open_rows, lambda store, one, rows: rows)


def old_open_rows_join(replace: Replace) -> None:
    """Open rows join whatever their provenance, and though a plain write closed them off."""
    original = sets.complete

    def reopened(plan: Any, table: Any) -> Any:
        return original(plan, table).filter(nw.col(OPEN))

    def joining(store: Any, one: Any, rows: Any) -> Any:
        sets.complete = reopened
        try:
            return unbroken(store, one, rows)
        finally:
            sets.complete = original

    unbroken = sets.with_open_rows
    replace(unbroken, joining)


def version_preference_reversed(replace: Replace) -> None:
    original = history.stored_rows
    replace(original, lambda rows, unit, version: original(rows, unit, "none"))


def old_versions_hidden(replace: Replace) -> None:
    """Rows of other feature versions do not count: children are orphaned by every bump."""
    original = history.stored_rows

    def only_current(rows: Any, unit: Any, version: str) -> Any:
        return original(rows.filter(nw.col(FEATURE_VERSION) == version), unit, version)

    replace(original, only_current)


def clock_decides(replace: Replace) -> None:
    """`metaxy_created_at` is the order, and a worker's clock runs backwards."""
    original = history.stored_rows

    def by_clock(rows: Any, unit: Any, version: str) -> Any:
        if CREATED_AT not in rows.collect_schema():
            return original(rows, unit, version)
        time = nw.col(CREATED_AT).dt.timestamp("us")
        return original(rows.with_columns(time.alias(COMMIT)), unit, version)

    replace(original, by_clock)


def members_unsorted(replace: Replace) -> None:
    """The members of a group are joined in any order, another each time."""
    times = itertools.count()

    def gather(self: Any, frame: Any, by: Any, texts: Any, flags: Any) -> Any:
        seed = next(times)
        return nw.from_native(
            frame.to_native()
            .group_by(*by)
            .agg(
                *(pl.col(text).shuffle(seed).str.join(SEPARATOR) for text in texts),
                *(pl.col(flag).any() for flag in flags),
            )
        )

    replace(PolarsDialect.gather, gather)


def members_without_ids(replace: Replace) -> None:
    replace(upstream.id_text, lambda column, dtype: nw.lit("id"))


def one_lacking_member_is_not_enough(replace: Replace) -> None:
    def gather(self: Any, frame: Any, by: Any, texts: Any, flags: Any) -> Any:
        return nw.from_native(
            frame.to_native()
            .group_by(*by)
            .agg(
                *(pl.col(text).sort().str.join(SEPARATOR) for text in texts),
                *(pl.col(flag).all() for flag in flags),
            )
        )

    replace(PolarsDialect.gather, gather)


def empty_parents_forgotten(replace: Replace) -> None:
    replace(sets.with_empty_parents, lambda one, rows, scheme: rows)


def undelete_does_nothing(replace: Replace) -> None:
    replace(deletion.undelete, lambda *args: 0)


def hard_delete_of_the_last_row_only(replace: Replace) -> None:
    replace(deletion.hard_delete, deletion.soft_delete)


MUTATIONS: dict[Mutation, int] = {
    parent_forgotten: 3,
    code_version_forgotten: 1,
    parents_nameless: 6,
    field_forgotten: 1,
    texts_joined_raw: 0,
    override_ignored: 0,
    override_with_a_seed: 3,
    join_kind_swapped: 12,
    full_join_is_left: 92,
    absent_is_waiting: 12,
    waiting_ignored: 4,
    filter_before_rename: 7,
    filter_ignored: 0,
    null_counts_as_equal: 1,
    orphans_lost: 0,
    tombstone_ignored: 0,
    barrier_keeps_what_was_deleted: 11,
    open_rows_counted: 0,
    open_rows_never_join: 0,
    old_open_rows_join: 12,
    version_preference_reversed: 7,
    old_versions_hidden: 1,
    clock_decides: 0,
    members_unsorted: 0,
    members_without_ids: 6,
    one_lacking_member_is_not_enough: 797,
    empty_parents_forgotten: 0,
    undelete_does_nothing: 0,
    hard_delete_of_the_last_row_only: 20,
}
"""The seed at which each was noticed last; where generators change, later ones will notice."""


@pytest.fixture
def clock_runs_backwards(monkeypatch: pytest.MonkeyPatch) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    ticks: Iterator[datetime] = (start - timedelta(seconds=n) for n in itertools.count())

    class Backwards(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return next(ticks)

    monkeypatch.setattr(writing, "datetime", Backwards)
    monkeypatch.setattr(deletion, "datetime", Backwards)


@pytest.mark.usefixtures("clock_runs_backwards")
@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.__name__)
def test_the_machine_notices(mutation: Mutation, in_place_of: Replace) -> None:
    mutation(in_place_of)
    first = MUTATIONS[mutation]
    assert first_failure(make_store, range(first, first + BOUND), EDITS) is not None


def test_the_machine_notices_that_rows_before_the_last_round_are_forgotten(
    in_place_of: Replace,
) -> None:
    original = history.stored_rows_since

    def later_alone(rows: Any, *of: Any) -> Any:
        *others, since, dialect = of
        return original(rows.filter(nw.col(COMMIT) > since), *others, since, dialect)

    in_place_of(original, later_alone)
    assert first_failure(lambda d: guessing(make_store(d)), range(BOUND), EDITS) is not None


@pytest.mark.usefixtures("clock_runs_backwards")
def test_the_engine_itself_passes_though_the_clock_runs_backwards() -> None:
    assert first_failure(make_store, range(10), EDITS) is None


@pytest.mark.skipif(not LONG, reason="shrinking takes half a minute: long profile only")
def test_a_failure_is_shrunk_to_the_edits_that_show_it(in_place_of: Replace) -> None:
    tombstone_ignored(in_place_of)
    with pytest.raises(MismatchError) as caught:
        run(make_store, range(10), EDITS)
    made = "\n".join(caught.value.__notes__)
    assert made.count("Put(") == made.count("Delete(") == 1
    assert made.count("FeatureSpec(") == 1
