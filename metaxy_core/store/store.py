"""The store: the one place where declarations, algebra and tables meet; its verbs are its files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

from metaxy_core.aliases import StoreSpellings
from metaxy_core.graph import FeaturePlan, GraphSnapshot
from metaxy_core.keys import FeatureKey
from metaxy_core.store import (
    copying,
    rebasing,
    retention,
    verifying,
)
from metaxy_core.store.base import listed
from metaxy_core.store.configs import StoreConfig, arguments, config_model
from metaxy_core.store.incoming import Rows
from metaxy_core.store.reads import FilterMap
from metaxy_core.store.verifying import Finding
from metaxy_core.store.writes import WriteStore
from metaxy_core.system import snapshots


class MetadataStore(WriteStore, StoreSpellings):
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
            `"polars"` in memory, `"auto"` in the database after loading what is elsewhere; in
            memory with a `PolarsMaterializationWarning` where the database cannot.
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

    @classmethod
    def config_model(cls) -> type[StoreConfig]:
        """The pydantic model of what this store is made from.

        >>> from metaxy_core import DuckDBMetadataStore
        >>> DuckDBMetadataStore.config_model()(path="meta.duckdb").project
        'default'
        """
        return config_model(cls)  # type: ignore[arg-type]  # a class has a hash

    @classmethod
    def from_config(cls, config: StoreConfig | Mapping[str, Any], **options: Any) -> Self:
        """Make a store from its config, a model or a mapping; `options` win, such as `graph=`.

        Raises:
            ConfigError: an option is unknown or of the wrong type.

        >>> from metaxy_core import DuckDBMetadataStore
        >>> DuckDBMetadataStore.from_config({"path": "meta.duckdb", "project": "demo"}).display()
        'duckdb://meta.duckdb'
        """
        return cls(**arguments(cls, config) | options)

    def copy_metadata(
        self,
        source: MetadataStore,
        features: Sequence[Any] | None = None,
        *,
        filters: FilterMap | None = None,
        snapshot_version: str | None = None,
        history: bool = True,
        dry_run: bool = False,
    ) -> dict[str, int]:
        """Copy rows of another store into this one; what is here already is not copied again.

        Args:
            source: the store to copy from; opened for reading if it is not open.
            features: which; by default every feature of the graph that the source has.
            filters: per feature, predicates on its stored rows; whole units come.
            snapshot_version: only rows written under this graph: its version, or the beginning.
            history: all rows, deleted and superseded ones too; else only those that count.
            dry_run: copy nothing, only count.

        Returns how many rows, per feature key. Copied rows are this store's newest: a unit that
        was written here meanwhile is replaced by a newer row from there.

        Raises:
            HashSchemeMismatchError: the source keeps other digests.
            MetadataSchemaError: a feature's columns do not fit those stored here.
        """
        (self._readable if dry_run else self._writable)()
        asked = {FeatureKey.of(key): listed(found) for key, found in (filters or {}).items()}
        with source.open("r"):
            there = source.using(self.graph).list_features()
            keys = there if features is None else [FeatureKey.of(one) for one in features]
            copied = {}
            for key in keys:
                plan = self._plan(key)
                if not dry_run:
                    self._check_project(plan)
                copied[str(key)] = copying.copy_feature(
                    self,
                    source,
                    plan,
                    asked.get(key, ()),
                    snapshot_version,
                    history=history,
                    dry_run=dry_run,
                )
        return copied

    def copy_snapshots(self, source: MetadataStore, *, dry_run: bool = False) -> int:
        """Copy the recorded graphs of the project, with their code and tags. How many.

        Only into a store that has recorded none, because the order of graphs is their history.
        Without them diffs, `explain` and the check of code do not know what was before.

        Args:
            source: the store to copy from; opened for reading if it is not open.
            dry_run: copy nothing, only count.
        """
        (self._readable if dry_run else self._writable)()
        with source.open("r"):
            return snapshots.copy(self.backend, source.backend, self.project, dry_run=dry_run)

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

        A feature that was settled is compared in full as well, and its increment must be the same.
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
