"""Where a feature's table is found in the chain of stores."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from metaxy_core.errors import FeatureNotFoundError
from metaxy_core.frames.dialect import LazyFrame
from metaxy_core.keys import FeatureKey

if TYPE_CHECKING:
    from metaxy_core.store.base import BaseStore


def chain(store: BaseStore) -> Iterator[BaseStore]:
    """The store, then its fallback stores, depth first, each opened for reading on first use."""
    yield store
    for fallback in store.fallback_stores:
        store.enter(fallback)
        yield from chain(fallback)


def find(
    store: BaseStore, key: FeatureKey, *, allow_fallback: bool = True
) -> tuple[BaseStore, LazyFrame] | None:
    """The first store with rows of the feature, and its table; tombstones are rows.

    One feature comes whole from one store, never mixed.
    """
    if not (allow_fallback and store.fallback_stores):
        rows = store.backend.scan(key.to_table())
        return None if rows is None else (store, rows)
    empty = None
    for candidate in chain(store):
        rows = candidate.backend.scan(key.to_table())
        if rows is not None and len(rows.head(1).collect("polars")):
            return candidate, rows
        if rows is not None and empty is None:
            empty = candidate, rows
    return empty


def locate(
    store: BaseStore, key: FeatureKey, *, allow_fallback: bool = True
) -> tuple[BaseStore, LazyFrame]:
    """Like `find`.

    Raises:
        FeatureNotFoundError: no store of the chain has the feature; names those tried.
    """
    found = find(store, key, allow_fallback=allow_fallback)
    if found is None:
        tried = chain(store) if allow_fallback else [store]
        raise FeatureNotFoundError(str(key), [candidate.display() for candidate in tried])
    return found
