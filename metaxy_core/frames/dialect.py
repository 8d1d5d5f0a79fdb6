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


def lazy(native: Any) -> LazyFrame:
    """Wrap a native lazy frame or table."""
    frame: LazyFrame = nw.from_native(native).lazy()
    return frame
