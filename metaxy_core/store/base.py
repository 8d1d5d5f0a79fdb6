"""A store as it is described, opened and shown; what it does is in `reads` and `writes`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Literal, Self, get_args

import narwhals as nw

from metaxy_core.ambient import active_graph
from metaxy_core.backends.base import Backend, Mode
from metaxy_core.errors import (
    CrossProjectWriteError,
    HashAlgorithmNotSupportedError,
    HashSchemeMismatchError,
    StoreNotOpenError,
)
from metaxy_core.frames.engine import EngineName
from metaxy_core.frames.filters import Predicate
from metaxy_core.graph import FeatureGraph, FeaturePlan, Graph
from metaxy_core.hashing import HashAlgorithm, HashScheme
from metaxy_core.keys import FeatureKey
from metaxy_core.store.lifetime import Lifetime
from metaxy_core.system.tables import check_scheme


class BaseStore:
    """Tables of a backend, under a graph and a hash scheme; see `MetadataStore`."""

    def __init__(
        self,
        backend: Backend,
        *,
        graph: Graph | FeatureGraph | None = None,
        name: str | None = None,
        hash_algorithm: HashAlgorithm | str = HashAlgorithm.MD5,
        versioning_engine: EngineName = "auto",
        fallback_stores: Sequence[BaseStore] = (),
        auto_create_tables: bool = True,
        materialization_id: str | None = None,
        project: str = "default",
        spool_dir: str | Path | None = None,
    ) -> None:
        self.backend = backend
        self.name = name
        self.scheme = HashScheme(_algorithm(backend, hash_algorithm))
        self.versioning_engine = check_engine(versioning_engine)
        self.fallback_stores = tuple(fallback_stores)
        self.auto_create_tables = auto_create_tables
        self.materialization_id = materialization_id
        self.project = project
        self.spool_dir = spool_dir
        self._graph = graph
        self._cross_project = False
        self._lifetime = Lifetime(backend)
        self._entered: list[AbstractContextManager[Self]] = []

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

    def using(self, graph: Graph | FeatureGraph) -> Self:
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
        self._check_fallback_schemes()
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

    def enter(self, other: BaseStore) -> None:
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

    @contextmanager
    def allow_cross_project_writes(self) -> Iterator[None]:
        """Let features of other projects be written and deleted for a while."""
        before, self._cross_project = self._cross_project, True
        try:
            yield
        finally:
            self._cross_project = before

    def native_implementation(self) -> nw.Implementation:
        """What Narwhals calls the frames that the store's own system computes with.

        >>> from metaxy_core import InMemoryMetadataStore
        >>> InMemoryMetadataStore().native_implementation()
        <Implementation.POLARS: 'polars'>
        """
        in_memory = self.backend.dialect.name == "polars"
        return nw.Implementation.POLARS if in_memory else nw.Implementation.IBIS

    def validate_hash_algorithm(self, *, check_fallback_stores: bool = True) -> None:
        """Refuse an open store whose engine, rows or fallback stores have another hash scheme.

        Opening does this as well; here it is for those who want to know before they compute.

        Raises:
            HashAlgorithmNotSupportedError: the engine has no such function.
            HashSchemeMismatchError: rows here, or a fallback store, were hashed otherwise.
        """
        self._readable()
        _algorithm(self.backend, self.scheme.algorithm)
        check_scheme(self.backend, self.scheme, record=False)
        if check_fallback_stores:
            self._check_fallback_schemes()
            for other in self.fallback_stores:
                self.enter(other)
                other.validate_hash_algorithm()

    def _check_fallback_schemes(self) -> None:
        for other in self.fallback_stores:
            if other.scheme != self.scheme:
                raise HashSchemeMismatchError(
                    f"The fallback store {other.display()} uses the scheme {other.scheme}, "
                    f"{self.display()} uses {self.scheme}: their digests cannot be compared."
                )

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


def check_engine(name: EngineName) -> EngineName:
    """Refuse an engine that there is not."""
    if name not in (known := get_args(EngineName)):
        raise ValueError(f"versioning_engine is one of {', '.join(known)}; given: {name!r}")
    return name


def listed(predicates: Predicate | Sequence[Predicate]) -> tuple[Predicate, ...]:
    """One predicate or several, as several."""
    if isinstance(predicates, list | tuple):
        return tuple(predicates)
    return (predicates,)  # type: ignore[return-value]  # one predicate
