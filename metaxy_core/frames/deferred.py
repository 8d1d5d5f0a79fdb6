"""A frame of a database as a lazy frame over Polars that reads it when it is collected."""

from __future__ import annotations

import threading
from collections.abc import Iterator

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
    schema = nw.Schema(frame.collect_schema()).to_polars()

    def read(
        columns: list[str] | None, predicate: pl.Expr | None, rows: int | None, batch: int | None
    ) -> Iterator[pl.DataFrame]:
        part = frame if columns is None else frame.select(*columns)
        if rows is not None:
            part = part.head(rows)  # Polars counts rows before it filters them
        with _ONE_AT_A_TIME:
            found: pl.DataFrame = part.collect("polars").to_native()
        typed = found.cast({name: schema[name] for name in found.columns})
        yield typed if predicate is None else typed.filter(predicate)

    return lazy(register_io_source(read, schema=schema))
