"""The dialect of Polars, with polars-hash for digests."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl
import polars_hash as plh

from metaxy_core.frames.dialect import LazyFrame, few_rows, full_join, lazy
from metaxy_core.hashing import SEPARATOR, HashAlgorithm


class PolarsDialect:
    """See `Dialect`."""

    name = "polars"
    algorithms = frozenset(HashAlgorithm)

    def full_join(self, left: LazyFrame, right: LazyFrame, on: Sequence[str]) -> LazyFrame:
        """See `Dialect.full_join`."""
        return full_join(left, right, on)

    def few_rows(self, rows: LazyFrame, wanted: LazyFrame, on: Sequence[str]) -> LazyFrame:
        """See `Dialect.few_rows`."""
        return few_rows(rows, wanted, on)

    def presentable(self, frame: LazyFrame) -> LazyFrame:
        """See `Dialect.presentable`."""
        return frame

    def digest(
        self, frame: LazyFrame, columns: Sequence[str], algorithm: HashAlgorithm
    ) -> LazyFrame:
        """See `Dialect.digest`."""
        return lazy(_native(frame).with_columns(_digest(column, algorithm) for column in columns))

    def gather(
        self, frame: LazyFrame, by: Sequence[str], texts: Sequence[str], flags: Sequence[str]
    ) -> LazyFrame:
        """See `Dialect.gather`."""
        return lazy(
            _native(frame)
            .group_by(*by)
            .agg(
                *(pl.col(text).sort().str.join(SEPARATOR) for text in texts),
                *(pl.col(flag).any() for flag in flags),
            )
        )


def _digest(column: str, algorithm: HashAlgorithm) -> pl.Expr:
    if algorithm is HashAlgorithm.MD5:
        return plh.col(column).nchash.md5().alias(column)
    return plh.col(column).chash.sha2_256().alias(column)


def _native(frame: LazyFrame) -> pl.LazyFrame:
    native: pl.LazyFrame = frame.to_native()
    return native
