"""Frames from anywhere: recognised, computed, counted."""

from __future__ import annotations

from typing import Any

import narwhals as nw
import polars as pl

LazyFrame = nw.LazyFrame[Any]


def is_frame(value: Any) -> bool:
    """Whether Narwhals wraps it: Polars, pandas, PyArrow, Ibis, DuckDB and others."""
    return isinstance(nw.from_native(value, pass_through=True), nw.DataFrame | nw.LazyFrame)


def in_polars(frame: Any) -> pl.DataFrame:
    """Any frame, computed, as a Polars one."""
    wrapped = nw.from_native(frame)
    native: pl.DataFrame = wrapped.lazy().collect("polars").to_native()
    return native


def length(frame: LazyFrame) -> int:
    """How many rows a frame has."""
    return int(frame.select(nw.len().alias("n")).collect("polars")["n"][0])
