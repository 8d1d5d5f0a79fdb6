"""What Narwhals cannot say, once for Polars and once for every SQL engine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias

import narwhals as nw

from metaxy_core.hashing import HashAlgorithm

LazyFrame: TypeAlias = nw.LazyFrame[Any]
DataFrame: TypeAlias = nw.DataFrame[Any]


class Dialect(Protocol):
    """A few frame functions that each engine has its own words for.

    Every engine gives the same bits: text is UTF-8, digests are lower-case hex, sorting is of hex
    text alone and so independent of collations.
    """

    name: str
    algorithms: frozenset[HashAlgorithm]

    def full_join(self, left: LazyFrame, right: LazyFrame, on: Sequence[str]) -> LazyFrame:
        """The rows of both; `on` columns coalesced, no other column in common; one row per `on`
        on each side."""
        ...

    def few_rows(self, rows: LazyFrame, wanted: LazyFrame, on: Sequence[str]) -> LazyFrame:
        """The rows that agree with a wanted one in `on`: a semi join, where few are wanted."""
        ...

    def presentable(self, frame: LazyFrame) -> LazyFrame:
        """The frame where structs and lists can be made: as it is, or read into memory when it is
        collected."""
        ...

    def digest(
        self, frame: LazyFrame, columns: Sequence[str], algorithm: HashAlgorithm
    ) -> LazyFrame:
        """Replace text columns by their digests, in one projection; NULL stays NULL."""
        ...

    def gather(
        self, frame: LazyFrame, by: Sequence[str], texts: Sequence[str], flags: Sequence[str]
    ) -> LazyFrame:
        """One row per group: each text column sorted and joined by the separator, each flag or-ed.

        Columns out: `by`, `texts`, `flags`.
        """
        ...


def full_join(left: LazyFrame, right: LazyFrame, on: Sequence[str]) -> LazyFrame:
    """`Dialect.full_join` for engines that have one."""
    joined = left.join(right, on=list(on), how="full", suffix="_right")
    return joined.with_columns(
        nw.coalesce(nw.col(column), nw.col(f"{column}_right")).alias(column) for column in on
    ).drop(*(f"{column}_right" for column in on))


def few_rows(rows: LazyFrame, wanted: LazyFrame, on: Sequence[str]) -> LazyFrame:
    """`Dialect.few_rows` for engines without a better way."""
    return rows.join(wanted, on=list(on), how="semi")


def lazy(native: Any) -> LazyFrame:
    """Wrap a native lazy frame or table."""
    frame: LazyFrame = nw.from_native(native).lazy()
    return frame
