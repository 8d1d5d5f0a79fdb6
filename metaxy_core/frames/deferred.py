"""Rows from elsewhere as a lazy frame over Polars that reads them when it is collected."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence

import narwhals as nw
import polars as pl
from polars.io.plugins import register_io_source

from metaxy_core.frames.dialect import LazyFrame, lazy

_ONE_AT_A_TIME = threading.RLock()
"""Polars reads two frames at once; a connection answers one query at a time."""


def deferred(frame: LazyFrame) -> LazyFrame:
    """The same rows, over Polars; columns that are not asked for are not read.

    Filters are applied in memory. Valid as long as the frame is: while its store is open.
    """

    def read(columns: Sequence[str] | None) -> pl.DataFrame:
        part = frame if columns is None else frame.select(*columns)
        found: pl.DataFrame = part.collect("polars").to_native()
        return found

    return lazy(lazily(read, nw.Schema(frame.collect_schema()).to_polars()))


def lazily(read: Callable[[Sequence[str] | None], pl.DataFrame], schema: pl.Schema) -> pl.LazyFrame:
    """A lazy frame of what `read` gives for some columns, or for all of them (None)."""

    def batches(
        columns: list[str] | None, predicate: pl.Expr | None, rows: int | None, batch: int | None
    ) -> Iterator[pl.DataFrame]:
        with _ONE_AT_A_TIME:
            found = read(columns)
        if rows is not None:
            found = found.head(rows)  # Polars counts rows before it filters them
        typed = found.cast({name: schema[name] for name in found.columns})
        yield typed if predicate is None else typed.filter(predicate)

    return register_io_source(batches, schema=schema)
