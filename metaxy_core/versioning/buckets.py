"""Units in buckets, by a stable hash of their ids: the same one on every engine and in Python.

The first digits of the MD5 of a unit's ids are its slot; a bucket is a range of slots. Hex text is
compared, because all engines sort it alike and none has to make numbers of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Final

import narwhals as nw

from metaxy_core.errors import DefinitionError
from metaxy_core.frames.dialect import DataFrame, Dialect, LazyFrame
from metaxy_core.frames.polars import PolarsDialect
from metaxy_core.hashing import SEPARATOR, HashAlgorithm
from metaxy_core.versioning.upstream import id_text

SLOT: Final = "metaxy_slot"
"""The working column of slots; never stored."""
MOST: Final = 4096
"""Buckets of a feature at most, so that each has as many slots as any other, or one more."""
_DIGITS = 4
_SLOTS = 16**_DIGITS


@dataclass(frozen=True)
class Buckets:
    """Some of the buckets that a feature's units are divided into.

    A unit is in the same bucket on every engine, in every store, as long as there are as many;
    and so are those of other features that have the same ids in the same order.

    Attributes:
        of: how many there are.
        chosen: those that are meant, from 0.

    Raises:
        DefinitionError: more than 4096, or one that is not there.

    >>> import polars as pl
    >>> halves = [Buckets(2, (number,)) for number in (0, 1)]
    >>> ids = pl.DataFrame({"id": ["a", "b", "c", "d"]})
    >>> [half.keep(nw.from_native(ids), ["id"])["id"].to_list() for half in halves]
    [['a', 'c'], ['b', 'd']]
    """

    of: int
    chosen: tuple[int, ...]

    def __post_init__(self) -> None:
        if not 1 <= self.of <= MOST:
            raise DefinitionError(f"There may be 1 to {MOST} buckets; given: {self.of}.")
        if wrong := [number for number in self.chosen if not 0 <= number < self.of]:
            raise DefinitionError(
                f"Of {self.of} buckets, numbered from 0, there is no {wrong[0]}. Chosen: "
                f"{', '.join(map(str, self.chosen))}."
            )

    @classmethod
    def number_of(cls, slot: str, of: int) -> int:
        """The bucket that a slot is in."""
        # Bounds are rounded up, so this is the last bucket whose bound is not above the slot.
        number: int = int(slot, 16) * of // _SLOTS
        return number

    def predicate(self) -> nw.Expr:
        """Whether a row with a `SLOT` is in one of them; NULL is in none."""
        slot = nw.col(SLOT)
        parts = [slot < ""]  # none of them chosen: never true, and still of the rows
        for first, last in self._runs():
            after = slot >= _bound(first, self.of)
            inside = after if last == self.of else after & (slot < _bound(last, self.of))
            parts.append(inside)
        return nw.coalesce(reduce(or_, parts), nw.lit(False))

    def within(self, rows: LazyFrame, ids: Sequence[str], dialect: Dialect) -> LazyFrame:
        """Keep the rows whose ids are in one of them; columns as given."""
        return with_slots(rows, ids, dialect).filter(self.predicate()).drop(SLOT)

    def keep(self, rows: DataFrame, ids: Sequence[str]) -> DataFrame:
        """Keep the rows, over Polars, whose ids are in one of them, in their order.

        Args:
            ids: the columns of the unit's ids, in the order of the feature's declaration.
        """
        return self.within(rows.lazy(), ids, PolarsDialect()).collect()

    def _runs(self) -> Iterator[tuple[int, int]]:
        """First bucket, and the one after the last, of consecutive chosen ones."""
        numbers = sorted(set(self.chosen))
        for start in (n for n in numbers if n - 1 not in self.chosen):
            end = start + 1
            while end in self.chosen:
                end += 1
            yield start, end


def with_slots(rows: LazyFrame, ids: Sequence[str], dialect: Dialect) -> LazyFrame:
    """Add each row's `SLOT`; NULL where an id is."""
    schema = rows.collect_schema()
    texts = [id_text(column, schema[column]) for column in ids]
    joined = texts[0] if len(texts) == 1 else nw.concat_str(*texts, separator=SEPARATOR)
    digested = dialect.digest(rows.with_columns(joined.alias(SLOT)), [SLOT], HashAlgorithm.MD5)
    return digested.with_columns(nw.col(SLOT).str.head(_DIGITS))


def _bound(bucket: int, of: int) -> str:
    """The first slot of a bucket."""
    return f"{-(-bucket * _SLOTS // of):0{_DIGITS}x}"
