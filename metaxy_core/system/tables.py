"""Names of the library's own tables, and the store's hash scheme, recorded at the first write."""

from __future__ import annotations

import narwhals as nw
import polars as pl

from metaxy_core.backends.base import Backend
from metaxy_core.errors import HashSchemeMismatchError
from metaxy_core.hashing import HashScheme

PREFIX = "metaxy_system__"
"""Feature keys may not begin with `metaxy_`, so no feature's table has this prefix."""
STORE = f"{PREFIX}store"
SNAPSHOTS = f"{PREFIX}snapshots"
TAGS = f"{PREFIX}tags"


def is_system_table(table: str) -> bool:
    """Whether a table is the library's own."""
    return table.startswith(PREFIX)


def check_scheme(backend: Backend, scheme: HashScheme, *, record: bool) -> None:
    """Refuse a store whose rows were hashed otherwise; record the scheme of a new one.

    Raises:
        HashSchemeMismatchError: the store keeps another scheme.
    """
    rows = backend.scan(STORE)
    if rows is None and record:
        backend.commit(lambda _: _record(backend, scheme))
        rows = backend.scan(STORE)
    if rows is None:
        return
    found = rows.filter(nw.col("key") == "hash_scheme").select("value").collect("polars")
    recorded = found["value"].to_list()
    if recorded and recorded[0] != str(scheme):
        algorithm, _, formula = str(recorded[0]).partition("/")
        advice = (
            f"Open it with hash_algorithm={algorithm!r}, or use another store."
            if formula == str(scheme.formula)
            else "It was written by another version of this library; use that, or another store."
        )
        raise HashSchemeMismatchError(
            f"The store at {backend.describe()['uri']} keeps digests of the scheme {recorded[0]}, "
            f"this one is asked to use {scheme}. {advice}"
        )


def _record(backend: Backend, scheme: HashScheme) -> None:
    """Write down the scheme, unless another writer of a new store was faster."""
    if backend.scan(STORE) is None:
        row = pl.LazyFrame({"key": ["hash_scheme"], "value": [str(scheme)]})
        backend.append(STORE, nw.from_native(row))
