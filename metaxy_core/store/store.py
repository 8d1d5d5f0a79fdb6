"""The store: the one place where declarations, algebra and tables meet; its verbs are its files."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Literal, Self, get_args, overload

from metaxy_core.ambient import active_graph
from metaxy_core.backends.base import Backend, Mode
from metaxy_core.errors import (
    CrossProjectWriteError,
    HashAlgorithmNotSupportedError,
    HashSchemeMismatchError,
    StoreNotOpenError,
    StoreUnavailableError,
)
from metaxy_core.frames.dialect import LazyFrame
from metaxy_core.frames.engine import EngineName
from metaxy_core.frames.filters import Predicate, apply
from metaxy_core.graph import FeatureGraph, FeaturePlan, Graph, GraphSnapshot
from metaxy_core.hashing import HashAlgorithm, HashScheme
from metaxy_core.keys import FeatureKey
from metaxy_core.store import (
    copying,
    deletion,
    fallback,
    reading,
    rebasing,
    resolving,
    retention,
    spool,
    verifying,
    writing,
)
from metaxy_core.store.fingerprint import Fingerprint, fingerprint
from metaxy_core.store.incoming import OnDuplicate, Rows
from metaxy_core.store.increment import Increment, LazyIncrement
from metaxy_core.store.lifetime import Lifetime
from metaxy_core.store.request import Request, Write
from metaxy_core.store.verifying import Finding
from metaxy_core.system import snapshots
from metaxy_core.system.tables import check_scheme

FilterMap = Mapping[Any, Predicate | Sequence[Predicate]]


class MetadataStore:
    """Append-only metadata of features, kept by a backend and versioned by a graph.

    An unopened store is a cheap description; open it with `with store.open("r"):` or
    `with store.open("w"):` (`with store:` opens it for writing). Frames it gives are valid while
    it is open.

    Args:
        backend: the system that keeps the tables.
        graph: the features; by default the active graph as it stands when the store is opened.
        name: how messages call the store.
        hash_algorithm: recorded in the store at its first write; must be the same ever after.
        versioning_engine: `"native"` computes in the database and refuses samples from elsewhere,
            `"polars"` in memory, `"auto"` in the database after loading what is elsewhere.
        fallback_stores: asked in order for parents that this store does not have.
        auto_create_tables: create a feature's table at its first write.
        materialization_id: stamped on every row written; an orchestrator's run id.
        project: the project that snapshots are recorded for, and whose features may be written.
        spool_dir: where rows are kept that were computed and could not be stored; by default the
            environment's `METAXY_SPOOL_DIR`, else a folder of the user's.

    >>> import polars as pl
    >>> from metaxy_core import DuckDBMetadataStore, FeatureGraph, FeatureSpec
    >>> graph = FeatureGraph([FeatureSpec("video", id_columns=["id"], fields=["audio"])])
    >>> videos = pl.DataFrame({"id": ["a"], "metaxy_provenance_by_field": [{"audio": "v1"}]})
    >>> store = DuckDBMetadataStore(":memory:", graph=graph)
    >>> with store.open("w"):
    ...     increment = store.resolve_update("video", samples=videos)
    ...     store.write("video", increment.todo())
    ...     store.resolve_update("video", samples=videos).is_empty
    1
    True
    """

    def __init__(
        self,
        backend: Backend,
        *,
        graph: Graph | FeatureGraph | None = None,
        name: str | None = None,
        hash_algorithm: HashAlgorithm | str = HashAlgorithm.MD5,
        versioning_engine: EngineName = "auto",
        fallback_stores: Sequence[MetadataStore] = (),
        auto_create_tables: bool = True,
        materialization_id: str | None = None,
        project: str = "default",
        spool_dir: str | Path | None = None,
    ) -> None:
        self.backend = backend
        self.name = name
        self.scheme = HashScheme(_algorithm(backend, hash_algorithm))
        self.versioning_engine = _engine(versioning_engine)
        self.fallback_stores = tuple(fallback_stores)
        self.auto_create_tables = auto_create_tables
        self.materialization_id = materialization_id
        self.project = project
        self.spool_dir = spool_dir
        self._graph = graph
        self._cross_project = False
        self._lifetime = Lifetime(backend)
        self._entered: list[AbstractContextManager[Self]] = []

    # ------------------------------------------------------------------ lifetime

    @property
    def graph(self) -> Graph:
        """The features as they stand."""
        if isinstance(self._graph, Graph):
            return self._graph
        return (active_graph() if self._graph is None else self._graph).freeze()

    @property
    def is_open(self) -> bool:
        """Whether the store is open."""
        return self._lifetime.is_open

    @property
    def writer(self) -> str:
        """Names whoever writes during one outermost opening."""
        return self._lifetime.writer

    def using(self, graph: Graph | FeatureGraph) -> MetadataStore:
        """Another store on the same tables, open while this one is, with another graph."""
        other = self.__class__.__new__(self.__class__)
        other.__dict__ = self.__dict__ | {"_graph": graph, "_entered": []}
        return other

    @contextmanager
    def open(self, mode: Mode | Literal["read", "write"] = "r") -> Iterator[Self]:
        """Open for reading or writing. Opening an open store again for the same is free.

        A DuckDB store is for the thread that opened it; give each thread a store of its own.

        Raises:
            StoreUnavailableError: see `Backend.open`.
            HashSchemeMismatchError: the store, or a fallback store, keeps other digests.
            StoreError: it is open in another thread, or for reading while writing is asked for.
        """
        modes: dict[str, Mode] = {"r": "r", "read": "r", "w": "w", "write": "w"}
        if mode not in modes:
            raise ValueError(f"A store is opened for 'r' or 'w'; given: {mode!r}")
        short = modes[mode]
        for other in self.fallback_stores:
            if other.scheme != self.scheme:
                raise HashSchemeMismatchError(
                    f"The fallback store {other.display()} uses the scheme {other.scheme}, "
                    f"{self.display()} uses {self.scheme}: their digests cannot be compared."
                )
        with self._lifetime.open(short) as outermost:
            if outermost:
                check_scheme(self.backend, self.scheme, record=short == "w")
            yield self

    def __enter__(self) -> Self:
        opening = self.open("w")
        entered = opening.__enter__()
        self._entered.append(opening)
        return entered

    def __exit__(self, *error: Any) -> None:
        self._entered.pop().__exit__(*error)

    def enter(self, other: MetadataStore) -> None:
        """Open a fallback store for reading, for as long as this one is open."""
        if not other.is_open:
            self._lifetime.enter(other.open("r"))

    def __getstate__(self) -> dict[str, Any]:
        if self.is_open:
            raise TypeError("An open store cannot be pickled; workers get it unopened.")
        kept = {k: v for k, v in self.__dict__.items() if k not in ("_lifetime", "_entered")}
        return kept | {"_graph": self.graph}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ = state | {"_lifetime": Lifetime(state["backend"]), "_entered": []}

    # ------------------------------------------------------------------ resolve

    @overload
    def resolve_update(
        self,
        feature: Any,
        *,
        samples: Rows | None = ...,
        filters: FilterMap | None = ...,
        global_filters: Sequence[Predicate] = ...,
        staleness_predicates: Sequence[Predicate] = ...,
        skip_comparison: bool = ...,
        versioning_engine: EngineName | None = ...,
        lazy: Literal[True],
    ) -> LazyIncrement: ...
    @overload
    def resolve_update(
        self,
        feature: Any,
        *,
        samples: Rows | None = ...,
        filters: FilterMap | None = ...,
        global_filters: Sequence[Predicate] = ...,
        staleness_predicates: Sequence[Predicate] = ...,
        skip_comparison: bool = ...,
        versioning_engine: EngineName | None = ...,
        lazy: Literal[False] = ...,
    ) -> Increment: ...

    def resolve_update(
        self,
        feature: Any,
        *,
        samples: Rows | None = None,
        filters: FilterMap | None = None,
        global_filters: Sequence[Predicate] = (),
        staleness_predicates: Sequence[Predicate] = (),
        skip_comparison: bool = False,
        versioning_engine: EngineName | None = None,
        lazy: bool = False,
    ) -> Increment | LazyIncrement:
        """Find what a feature has to do: its new, stale and orphaned samples.

        Args:
            feature: a feature class, spec or key.
            samples: the expected samples instead of those the parents imply; needed for roots.
                Columns: the id columns, `metaxy_provenance_by_field` (or the columns of
                `provenance_from`), user columns.
            filters: per feature (a parent or the feature itself), predicates under its own column
                names. They choose whole units on both sides; what is outside has no status.
            global_filters: predicates for every parent that has their columns.
            staleness_predicates: a unit with a stored row for which one holds is stale.
            skip_comparison: everything expected is new.
            versioning_engine: overrides the store's.
            lazy: give lazy frames, valid while the store is open.

        Raises:
            ValueError: a root without `samples`.
            FeatureNotFoundError: a required parent is in no store of the chain.
            FilterError: a filter asks for unknown columns or is not in the language.
            MetadataSchemaError: `samples` do not fit the feature.
        """
        self._readable()
        request = Request(
            self._plan(feature),
            samples,
            {FeatureKey.of(key): _listed(found) for key, found in (filters or {}).items()},
            tuple(global_filters),
            tuple(staleness_predicates),
            skip_comparison,
            _engine(versioning_engine or self.versioning_engine),
        )
        increment = resolving.resolve(self, request)
        return increment if lazy else increment.collect()

    # ------------------------------------------------------------------ read

    def read(
        self,
        feature: Any,
        *,
        columns: Sequence[str] | None = None,
        filters: Predicate | Sequence[Predicate] = (),
        feature_version: str | None = None,
        with_feature_history: bool = False,
        with_sample_history: bool = False,
        include_soft_deleted: bool = False,
        allow_fallback: bool = True,
    ) -> LazyFrame:
        """The stored rows of a feature: of each unit those that count now.

        Columns out: the id columns, user columns, `metaxy_provenance_by_field` and
        `metaxy_data_version_by_field` (structs), `metaxy_provenance`, `metaxy_data_version`,
        versions, times, `metaxy_materialization_id`.

        Args:
            columns: these columns only.
            filters: predicates on the rows, after the stored rows were chosen.
            feature_version: rows of this version only (a hash, or `"current"`).
            with_feature_history: the last rows of every feature version.
            with_sample_history: every live row since the last delete, not only the last.
            include_soft_deleted: deleted rows as well.
            allow_fallback: look in fallback stores where this one has no rows.

        Raises:
            FeatureNotFoundError: no store of the chain has the feature.
        """
        self._readable()
        plan = self._plan(feature)
        where, table = fallback.locate(self, plan.key, allow_fallback=allow_fallback)
        version = self.graph.versions[plan.key].feature
        rows = reading.select_rows(
            plan,
            reading.complete(plan, table),
            version,
            only_version=version if feature_version == "current" else feature_version,
            feature_history=with_feature_history,
            sample_history=with_sample_history,
            deleted=include_soft_deleted,
        )
        found = where.backend.dialect.presentable(apply(rows, _listed(filters)))
        return reading.shown(plan, found, columns)

    def has_feature(self, feature: Any, *, allow_fallback: bool = False) -> bool:
        """Whether the store has a table of the feature."""
        self._readable()
        key = FeatureKey.of(feature)
        return fallback.find(self, key, allow_fallback=allow_fallback) is not None

    def list_features(self) -> list[FeatureKey]:
        """The features of the graph that this very store has a table of, parents first."""
        self._readable()
        tables = set(self.backend.tables())
        return [key for key in self.graph if key.to_table() in tables]

    def fingerprint(
        self, feature: Any, filters: Predicate | Sequence[Predicate] = ()
    ) -> Fingerprint:
        """Digest the content of a feature's stored rows in the database.

        The digest changes if and only if the set of (id, data version) does; a feature without a
        table is empty.
        """
        self._readable()
        plan = self._plan(feature)
        found = fallback.find(self, plan.key, allow_fallback=False)
        if found is None:
            return Fingerprint(0, self.scheme.digest(""), {})
        version = self.graph.versions[plan.key].feature
        rows = reading.stored(plan, reading.complete(plan, found[1]), version)
        return fingerprint(self, plan, apply(rows, _listed(filters)))

    # ------------------------------------------------------------------ write

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
            run = options.pop("materialization_id", None) or self.materialization_id
            named = options.pop("write_id", None) or writing.new_write_id(uuid.uuid4().hex)
            one = Write(self._plan(feature), rows, **options)
            raise spool.not_stored(self, [one], run, named, error) from error

    def replay(self, path: str | Path) -> dict[str, int]:
        """Store what a file of `NotStoredError` keeps; nothing where it got through after all.

        Returns how many rows, per feature key. The file stays.

        Raises:
            SpoolFileError: it is not such a file.
        """
        kept = spool.read(Path(path))
        store = self.using(kept.graph)
        return store._write(kept.writes, kept.materialization_id, kept.write_id)

    @contextmanager
    def allow_cross_project_writes(self) -> Iterator[None]:
        """Let features of other projects be written and deleted for a while."""
        before, self._cross_project = self._cross_project, True
        try:
            yield
        finally:
            self._cross_project = before

    def _write(
        self, writes: Sequence[Write], materialization_id: str | None, write_id: str | None
    ) -> dict[str, int]:
        self._writable()
        for one in writes:
            self._check_project(one.plan)
        run = materialization_id or self.materialization_id
        named = write_id or writing.new_write_id(self.writer)
        try:
            return writing.write(self, writes, run, named, may_be_stored=write_id is not None)
        except self.backend.failures as error:
            raise spool.not_stored(self, writes, run, named, error) from error

    # ------------------------------------------------------------------ delete

    def delete(
        self,
        feature: Any,
        filters: Predicate | Sequence[Predicate] = (),
        *,
        samples: Rows | None = None,
        soft: bool = True,
    ) -> int:
        """Delete stored samples: those the filters choose, of those `samples` names.

        `soft` marks them; `undelete` brings a whole unit back, so some children of a 1:N set that
        has others left come back only by writing the set again. Otherwise all their rows of every
        version are removed. Returns how many samples.

        Raises:
            FallbackDeleteError: the feature lives in a fallback store only.
            ValueError: neither filters nor samples were given.
        """
        self._writable()
        chosen = _listed(filters)
        if not chosen and samples is None:
            raise ValueError(
                "delete() needs filters or samples. To delete everything say filters='true', or "
                "use drop()."
            )
        plan = self._plan(feature)
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
        return deletion.undelete(self, plan, _listed(filters), samples)

    def drop(self, feature: Any) -> None:
        """Remove the feature's table from this very store, with all its rows."""
        self._writable()
        key = FeatureKey.of(feature)
        if key in self.graph:
            self._check_project(self._plan(key))
        self.backend.drop(key.to_table())

    # ------------------------------------------------------------------ upkeep

    def copy_metadata(
        self,
        source: MetadataStore,
        features: Sequence[Any] | None = None,
        *,
        filters: FilterMap | None = None,
        snapshot_version: str | None = None,
        history: bool = True,
    ) -> dict[str, int]:
        """Copy rows of another store into this one; what is here already is not copied again.

        Args:
            source: the store to copy from; opened for reading if it is not open.
            features: which; by default every feature of the graph that the source has.
            filters: per feature, predicates on its stored rows; whole units come.
            snapshot_version: only rows written under this graph: its version, or the beginning.
            history: all rows, deleted and superseded ones too; else only those that count.

        Returns how many rows, per feature key. Copied rows are this store's newest: a unit that
        was written here meanwhile is replaced by a newer row from there.

        Raises:
            HashSchemeMismatchError: the source keeps other digests.
            MetadataSchemaError: a feature's columns do not fit those stored here.
        """
        self._writable()
        asked = {FeatureKey.of(key): _listed(found) for key, found in (filters or {}).items()}
        with source.open("r"):
            there = source.using(self.graph).list_features()
            keys = there if features is None else [FeatureKey.of(one) for one in features]
            copied = {}
            for key in keys:
                plan = self._plan(key)
                self._check_project(plan)
                copied[str(key)] = copying.copy_feature(
                    self, source, plan, asked.get(key, ()), snapshot_version, history=history
                )
        return copied

    def compact(
        self, features: Sequence[Any] | None = None, *, keep: int = 1, dry_run: bool = False
    ) -> dict[str, int]:
        """Remove superseded rows for good: of each unit and feature version the last `keep` stay.

        Increments, reads of what counts, a return to an earlier code version and `undelete` say
        the same as before; only `with_sample_history` shows less. Returns how many rows were
        removed, or with `dry_run` would be, per feature key.

        Raises:
            ValueError: `keep` is less than one.
        """
        if keep < 1:
            raise ValueError(f"compact() keeps at least one version of each sample; given: {keep}")
        (self._readable if dry_run else self._writable)()
        removed = {}
        for plan in self._own_plans(features):
            if not dry_run:
                self._check_project(plan)
            removed[str(plan.key)] = retention.compact(self, plan, keep, dry_run=dry_run)
        return removed

    def verify(self, features: Sequence[Any] | None = None) -> list[Finding]:
        """Check stored rows against the rules of docs/semantics.md; what is wrong, and where.

        By default every feature that this very store has. An empty list: nothing is wrong.
        """
        self._readable()
        plans = self._own_plans(features)
        return [finding for plan in plans for finding in verifying.verify(self, plan)]

    def rebase(
        self,
        feature: Any,
        *,
        from_snapshot: GraphSnapshot | str = "latest",
        samples: Rows | None = None,
        dry_run: bool = False,
    ) -> int:
        """Carry results over to changed code versions without computing them again.

        For code that changed and gives the same results. A unit that was up to date under the old
        graph is so under this one, and its data versions stay; one that was stale stays stale.
        Returns how many units were carried, or with `dry_run` would be.

        Args:
            from_snapshot: the graph the results were made under, or its recorded version.
            samples: a root's samples, as for `resolve_update`.

        Raises:
            SystemDataNotFoundError: no such snapshot was recorded.
            MetadataSchemaError: the old graph does not have the feature, or with other fields.
        """
        (self._readable if dry_run else self._writable)()
        before = (
            from_snapshot
            if isinstance(from_snapshot, GraphSnapshot)
            else self.load_snapshot(from_snapshot)
        )
        return rebasing.rebase(self, self._plan(feature), before.graph, samples, dry_run=dry_run)

    def _own_plans(self, features: Sequence[Any] | None) -> list[FeaturePlan]:
        return [self._plan(key) for key in (self.list_features() if features is None else features)]

    # ------------------------------------------------------------------ snapshots

    def push(self) -> bool:
        """Record the graph as the project's newest; False where it already is."""
        self._writable()
        return snapshots.push(self.backend, GraphSnapshot.of(self.graph), self.project)

    def snapshots(self) -> list[snapshots.RecordedSnapshot]:
        """The recorded graphs of the project, oldest first."""
        self._readable()
        return snapshots.history(self.backend, self.project)

    def load_snapshot(self, version: str = "latest") -> GraphSnapshot:
        """Load a recorded graph of the project: `"latest"`, or the beginning of its version.

        Raises:
            SystemDataNotFoundError: no such snapshot.
        """
        self._readable()
        return snapshots.load(self.backend, version, self.project)

    # ------------------------------------------------------------------ describe

    def display(self) -> str:
        """The store in one line, without secrets."""
        uri = self.backend.describe()["uri"]
        return f"{self.name} ({uri})" if self.name else uri

    def get_store_metadata(self, feature: Any) -> dict[str, str]:
        """Where a feature's table is: `type`, `uri`, `table_name`."""
        return {**self.backend.describe(), "table_name": FeatureKey.of(feature).to_table()}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.display()!r})"

    def _check_project(self, plan: FeaturePlan) -> None:
        owner = plan.spec.project
        if owner not in (None, self.project) and not self._cross_project:
            raise CrossProjectWriteError(
                f"Feature '{plan.key}' belongs to the project {owner!r}; this store writes for "
                f"{self.project!r}. Open it with project={owner!r}, or write inside `with "
                "store.allow_cross_project_writes():`."
            )

    def _plan(self, feature: Any) -> FeaturePlan:
        return self.graph.plan(FeatureKey.of(feature))

    def _readable(self) -> None:
        self._lifetime.require("r")

    def _writable(self) -> None:
        self._lifetime.require("w")
        if not self._lifetime.is_writable:
            raise StoreNotOpenError(
                f"The store {self.display()} is open for reading: use `with store.open('w'):`."
            )


def _algorithm(backend: Backend, name: HashAlgorithm | str) -> HashAlgorithm:
    known = {algorithm.value: algorithm for algorithm in backend.dialect.algorithms}
    wanted = name.value if isinstance(name, HashAlgorithm) else name
    if wanted not in known:
        raise HashAlgorithmNotSupportedError(
            f"The {backend.dialect.name} engine has no hash algorithm {wanted!r}. "
            f"It has: {', '.join(sorted(known))}."
        )
    return known[wanted]


def _engine(name: EngineName) -> EngineName:
    if name not in (known := get_args(EngineName)):
        raise ValueError(f"versioning_engine is one of {', '.join(known)}; given: {name!r}")
    return name


def _listed(predicates: Predicate | Sequence[Predicate]) -> tuple[Predicate, ...]:
    if isinstance(predicates, list | tuple):
        return tuple(predicates)
    return (predicates,)  # type: ignore[return-value]  # one predicate
