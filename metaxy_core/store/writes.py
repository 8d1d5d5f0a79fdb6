"""What a store keeps, and takes back."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from metaxy_core.backends.base import to_polars
from metaxy_core.drift import sources
from metaxy_core.errors import (
    NotStoredError,
    StoreError,
    StoreUnavailableError,
)
from metaxy_core.frames.filters import Predicate
from metaxy_core.graph import GraphSnapshot
from metaxy_core.keys import FeatureKey
from metaxy_core.store import (
    deletion,
    failing,
    settling,
    spool,
    writing,
)
from metaxy_core.store.base import listed
from metaxy_core.store.incoming import OnDuplicate, Rows
from metaxy_core.store.increment import Increment, LazyIncrement
from metaxy_core.store.reads import ReadStore
from metaxy_core.store.request import Write
from metaxy_core.system import failures, marks, runs, snapshots
from metaxy_core.system.failures import DEFAULT_POLICY, RetryPolicy
from metaxy_core.system.marks import Mark


class WriteStore(ReadStore):
    """A store, as far as rows come in and go; see `MetadataStore`."""

    def write(
        self,
        feature: Any,
        rows: Rows,
        *,
        materialization_id: str | None = None,
        partial: bool = False,
        empty_parents: Rows | None = None,
        on_duplicate: OnDuplicate = "error",
        write_id: str | None = None,
    ) -> int:
        """Store rows of a feature, atomically. Returns how many.

        Args:
            rows: the id columns; `metaxy_provenance_by_field` as the increment gave it (a root:
                text of your own per field, or the columns of `provenance_from`);
                `metaxy_data_version_by_field` where you override data versions with text of your
                own; user columns. Rows that came from `read` are taken as they are.
            materialization_id: overrides the store's.
            partial: 1:N only: add to open sets, closed by the next plain write of their parents.
            empty_parents: 1:N only: parents that have no children: the increment's rows.
            on_duplicate: what to do with a sample that is there twice.
            write_id: give the same again when retrying a write: it is stored once.

        Raises:
            MetadataSchemaError: the rows do not fit; nothing was stored.
            SetClosedError: a parent's children were written before by this writer or run.
            CrossProjectWriteError: the feature belongs to another project.
            NotStoredError: the database failed; the rows are kept in a file, to be replayed.
        """
        one = Write(self._plan(feature), rows, partial, empty_parents, on_duplicate)
        return self._write([one], materialization_id, write_id)[str(one.plan.key)]

    def write_multi(
        self,
        rows: Mapping[Any, Rows],
        *,
        materialization_id: str | None = None,
        write_id: str | None = None,
        on_duplicate: OnDuplicate = "error",
    ) -> dict[str, int]:
        """Store rows of several features in one commit. Returns how many, per feature key."""
        writes = [
            Write(self._plan(feature), found, on_duplicate=on_duplicate)
            for feature, found in rows.items()
        ]
        keys = [str(one.plan.key) for one in writes]
        if twice := sorted({key for key in keys if keys.count(key) > 1}):
            raise ValueError(f"write_multi() was given twice: {', '.join(twice)}.")
        return self._write(writes, materialization_id, write_id)

    def deliver(self, feature: Any, rows: Rows, **options: Any) -> int:
        """Open for writing, `write`, and close; for results that were expensive to make.

        Where `write` needs an open store, this keeps the rows in a file also when the store
        cannot be opened.

        Raises:
            NotStoredError: the store cannot be opened, or the database failed.
        """
        try:
            with self.open("w"):
                return self.write(feature, rows, **options)
        except StoreUnavailableError as error:
            raise self.keep({feature: rows}, error, **options) from error

    def keep(
        self,
        rows: Mapping[Any, Rows],
        error: Exception,
        *,
        materialization_id: str | None = None,
        write_id: str | None = None,
        **options: Any,
    ) -> NotStoredError:
        """Keep rows that could not be stored in a file; the error to raise, which names it.

        The store need not be open. Takes the options of `write`.
        """
        writes = [Write(self._plan(key), found, **options) for key, found in rows.items()]
        run = materialization_id or self.materialization_id
        named = write_id or writing.new_write_id(uuid.uuid4().hex)
        return spool.not_stored(self, writes, run, named, error)

    def replay(self, path: str | Path, *, dry_run: bool = False) -> dict[str, int]:
        """Store what a file of `NotStoredError` keeps; nothing where it got through after all.

        Returns how many rows, or with `dry_run` would be, per feature key. The file stays.

        Raises:
            SpoolFileError: it is not such a file.
        """
        kept = spool.read(Path(path))
        store = self.using(kept.graph)
        if dry_run:
            self._readable()
            return {
                str(one.plan.key): 0
                if writing.is_stored(store, one.plan, kept.write_id)
                else len(to_polars(one.rows).collect())
                for one in kept.writes
            }
        return store._write(kept.writes, kept.materialization_id, kept.write_id)

    def _write(
        self, writes: Sequence[Write], materialization_id: str | None, write_id: str | None
    ) -> dict[str, int]:
        self._writable()
        for one in writes:
            self._check_project(one.plan)
        run = materialization_id or self.materialization_id
        named = write_id or writing.new_write_id(self.writer)
        failures: tuple[type[Exception], ...] = (*self.backend.failures, StoreUnavailableError)
        try:
            return writing.write(self, writes, run, named, may_be_stored=write_id is not None)
        except failures as error:
            raise spool.not_stored(self, writes, run, named, error) from error

    def delete(
        self,
        feature: Any,
        filters: Predicate | Sequence[Predicate] = (),
        *,
        samples: Rows | None = None,
        soft: bool = True,
        dry_run: bool = False,
    ) -> int:
        """Delete stored samples: those the filters choose, of those `samples` names.

        `soft` marks them; `undelete` brings a whole unit back, so some children of a 1:N set that
        has others left come back only by writing the set again. Otherwise all their rows of every
        version are removed. Returns how many samples, or with `dry_run` would be.

        Raises:
            FallbackDeleteError: the feature lives in a fallback store only.
            ValueError: neither filters nor samples were given.
        """
        (self._readable if dry_run else self._writable)()
        chosen = listed(filters)
        if not chosen and samples is None:
            raise ValueError(
                "delete() needs filters or samples. To delete everything say filters='true', or "
                "use drop()."
            )
        plan = self._plan(feature)
        if dry_run:
            return deletion.count(self, plan, chosen, samples, soft=soft)
        self._check_project(plan)
        verb = deletion.soft_delete if soft else deletion.hard_delete
        return verb(self, plan, chosen, samples)

    def undelete(
        self,
        feature: Any,
        filters: Predicate | Sequence[Predicate] = (),
        *,
        samples: Rows | None = None,
    ) -> int:
        """Restore soft-deleted units as they were; does nothing where a live row exists.

        Returns how many units.
        """
        self._writable()
        plan = self._plan(feature)
        self._check_project(plan)
        return deletion.undelete(self, plan, listed(filters), samples)

    def drop(self, feature: Any) -> None:
        """Remove the feature's table from this very store, with all its rows."""
        self._writable()
        key = FeatureKey.of(feature)
        if key in self.graph:
            self._check_project(self._plan(key))
        table = key.to_table()
        self.backend.commit(lambda numbers: marks.note_removal(self.backend, table, numbers[0]))
        self.backend.drop(table)
        self.backend.drop(failures.table_of(key))

    def record_failures(
        self,
        feature: Any,
        rows: Rows,
        errors: failing.Failure | Sequence[failing.Failure],
        *,
        policy: RetryPolicy = DEFAULT_POLICY,
        materialization_id: str | None = None,
    ) -> int:
        """Note that units of a feature failed; they are not offered until the policy says so.

        They are offered again at once when their inputs or code change. Returns how many are
        quarantined by that: offered no more for the same inputs and code.

        Args:
            rows: rows of the increment: the unit's id columns and `metaxy_provenance_by_field`.
            errors: an exception or a text for all of them, or one for each row.
            policy: how often and when they are tried again.
            materialization_id: the run; overrides the store's.

        Raises:
            MetadataSchemaError: the rows do not fit the feature.
            CrossProjectWriteError: the feature belongs to another project.
        """
        self._writable()
        plan = self._plan(feature)
        self._check_project(plan)
        run = materialization_id or self.materialization_id
        return failing.record(self, plan, rows, errors, policy, run)

    def retry_failures(
        self,
        feature: Any,
        filters: Predicate | Sequence[Predicate] = (),
        *,
        units: Rows | None = None,
    ) -> int:
        """Offer failed units again, from their first attempt on; all, or those chosen. How many."""
        self._writable()
        plan = self._plan(feature)
        self._check_project(plan)
        found = failing.chosen(self, plan, listed(filters), units)
        return failures.release(self.backend, plan, found)

    def clear_failures(
        self,
        feature: Any,
        filters: Predicate | Sequence[Predicate] = (),
        *,
        units: Rows | None = None,
    ) -> int:
        """Forget the failures of units; all, or those chosen. How many."""
        self._writable()
        plan = self._plan(feature)
        self._check_project(plan)
        found = failing.chosen(self, plan, listed(filters), units)
        return failures.clear(self.backend, plan, found)

    def record_run(
        self,
        feature: Any,
        units: int,
        seconds: float,
        *,
        money: float | None = None,
        materialization_id: str | None = None,
    ) -> None:
        """Note what computing units of a feature took: what plans are estimated from."""
        self._writable()
        run = materialization_id or self.materialization_id
        runs.record(self.backend, self._plan(feature).key, units, seconds, money, run)

    def settle(self, increment: Increment | LazyIncrement | Mark) -> bool:
        """Remember what an increment has seen, so that the next one costs what changed since.

        Of a large feature (with its parents 100,000 rows or more) the next `resolve_update` then
        looks at rows written since, and at the units that had a status. The result is the same as
        that of a full comparison: whenever that is not certain (rows were removed, came late, or
        declarations are others) everything is compared. Where more than 10,000 units had a status,
        what is left of them is found by one more comparison.

        False where there is nothing to remember: nothing has changed since what is remembered,
        the feature is a root, or smaller than that; its tables are in several stores; not all of
        it was compared (`full=True`, filters, units, buckets); or over 10,000 units are left.

        Args:
            increment: what `resolve_update` gave, or its `mark`, which outlives an opening.

        Raises:
            StoreError: it is of another store.

        """
        self._writable()
        mark = increment if isinstance(increment, Mark) else increment.mark
        if mark is None:
            return False
        if mark.store != settling.where(self):
            raise StoreError(
                f"What was compared in {mark.store} says nothing of {settling.where(self)}."
            )
        if mark.pending is None:
            again = self.resolve_update(mark.feature, lazy=True)
            mark = again.mark
            again.release()
            if mark is None or mark.pending is None:
                return False
        marks.record(self.backend, mark)
        return True

    def push(
        self, tag: str | None = None, *, move_tag: bool = False, dry_run: bool = False
    ) -> bool:
        """Record the graph, and the code of its features, as the project's newest.

        False where both are the newest already. The code is that of the functions known by
        `implements`; `metaxy graph check` compares with it.

        Args:
            tag: a name for the graph, for `load_snapshot` and diffs.
            move_tag: take the name from another graph that has it.
            dry_run: only say whether it would be recorded.

        Raises:
            TagError: the tag is no name, or another graph has it.
        """
        (self._readable if dry_run else self._writable)()
        graph = self.graph
        code, _ = sources(graph)
        return snapshots.push(
            self.backend,
            GraphSnapshot.of(graph),
            self.project,
            code,
            tag,
            move_tag=move_tag,
            dry_run=dry_run,
        )
