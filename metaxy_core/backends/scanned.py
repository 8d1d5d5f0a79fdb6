"""What backends share whose tables are scanned and computed by Polars: lakehouse tables.

Each table is committed by itself. The order of commits is the version of one small table, which
every commit advances first: no clock decides, and two writers never get one number.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import narwhals as nw
import polars as pl

from metaxy_core.backends.base import (
    Capability,
    Gap,
    Mode,
    Reach,
    T,
    never,
    reach_of,
    rows_of,
    to_polars,
)
from metaxy_core.errors import ConfigError, StoreNotOpenError, StoreUnavailableError
from metaxy_core.frames.dialect import DataFrame, LazyFrame
from metaxy_core.frames.engine import hold_in_memory, take_in_memory
from metaxy_core.frames.polars import PolarsDialect

COUNTER = "metaxy_system__commits"
_NUMBERS_PER_COMMIT = 2**20


class ScannedBackend:
    """Tables of a lakehouse; see `Backend`.

    A subclass gives `begin`, `names`, `read`, `write`, `remove`, `drop`, `advance` and `describe`.
    """

    dialect = PolarsDialect()
    one_thread = False
    gaps: Mapping[Capability, Gap] = {
        "native engine": never("rows are scanned and compared by Polars, in this process"),
        "atomic commits": never("each table has a log of its own"),
    }
    failures: tuple[type[Exception], ...] = (OSError,)
    unstorable: tuple[type[nw.dtypes.DType], ...] = (nw.UInt64,)

    def __init__(self) -> None:
        self._is_open = False
        self._pending: list[tuple[str, pl.DataFrame]] | None = None

    def refusal(self, rows: DataFrame) -> str | None:
        """See `Backend.refusal`."""
        return None

    # -- what a system says ----------------------------------------------------------------------

    def begin(self, mode: Mode) -> None:
        """Connect.

        Raises:
            StoreUnavailableError: see `Backend.open`.
        """
        raise NotImplementedError

    def names(self) -> Sequence[str]:
        """The names of all tables, the counter's too."""
        raise NotImplementedError

    def read(self, table: str) -> pl.LazyFrame | None:
        """Scan a table; None where there is no such table."""
        raise NotImplementedError

    def write(self, table: str, rows: pl.DataFrame) -> None:
        """Append rows in one commit of the table; makes it, and adds missing columns."""
        raise NotImplementedError

    def remove(self, table: str, ids: pl.DataFrame) -> int:
        """Delete the rows that agree with one of `ids` on its columns. Rows removed."""
        raise NotImplementedError

    def drop(self, table: str) -> None:
        """See `Backend.drop`."""
        raise NotImplementedError

    def advance(self) -> int:
        """Advance the counter by one commit; its version then, which nobody else gets."""
        raise NotImplementedError

    def describe(self) -> Mapping[str, str]:
        """See `Backend.describe`."""
        raise NotImplementedError

    # -- the contract ----------------------------------------------------------------------------

    @contextmanager
    def open(self, mode: Mode) -> Iterator[None]:
        """See `Backend.open`."""
        self.begin(mode)
        self._is_open = True
        try:
            yield
        finally:
            self._is_open = False

    def tables(self) -> Sequence[str]:
        """See `Backend.tables`."""
        self._check_open()
        return sorted(name for name in self.names() if name != COUNTER)

    def scan(self, table: str) -> LazyFrame | None:
        """See `Backend.scan`."""
        self._check_open()
        found = self.read(table)
        return None if found is None else nw.from_native(found)

    def rows(self, table: str) -> int:
        """See `Backend.rows`."""
        return rows_of(self.scan(table))

    def reach(self, table: str, commit: int) -> Reach | None:
        """See `Backend.reach`."""
        return reach_of(self.scan(table), commit)

    def last_rounds(self, ids: Mapping[str, Sequence[str]]) -> Mapping[str, int]:
        """See `Backend.last_rounds`: there are no statistics."""
        return {}

    def commit(self, work: Callable[[Sequence[int]], T], numbers: int = 1) -> T:
        """See `Backend.commit`; nothing is stored before `work` has returned."""
        self._check_open()
        first = self.advance() * _NUMBERS_PER_COMMIT
        self._pending = []
        try:
            result = work(range(first, first + numbers))
            for table, rows in self._pending:
                self.write(table, rows)
        finally:
            self._pending = None
        return result

    def append(self, table: str, rows: LazyFrame, key: Sequence[str] = ()) -> int:
        """See `Backend.append`."""
        if self._pending is None:
            raise RuntimeError("append() is called inside commit().")
        frame: pl.DataFrame = to_polars(rows).collect().to_native()
        self._pending.append((table, frame))
        return frame.height

    def delete(self, table: str, ids: LazyFrame) -> int:
        """See `Backend.delete`."""
        gone: pl.DataFrame = to_polars(ids).collect().to_native()
        return self.remove(table, gone) if gone.height else 0

    def load(self, frame: LazyFrame) -> LazyFrame:
        """See `Backend.load`."""
        return to_polars(frame)

    hold = staticmethod(hold_in_memory)
    take = staticmethod(take_in_memory)

    def release(self, frame: LazyFrame) -> None:
        """See `Backend.release`; memory is freed with the frame."""

    def shape(self) -> Hashable:
        """See `Backend.shape`; nothing is compiled, so nothing needs to be told apart."""
        return None

    def _check_open(self) -> None:
        if not self._is_open:
            raise StoreNotOpenError(f"The store at {self.describe()['uri']} is not open.")


def check_path(path: str, *, unusable: str) -> None:
    """Refuse a folder whose path has characters that a system's client takes for something else.

    Raises:
        StoreUnavailableError: names them.
    """
    if found := sorted({character for character in path if character in unusable}):
        raise StoreUnavailableError(
            path,
            "unreachable",
            f"its client cannot use a folder with {' '.join(found)} in its path. Take another.",
        )


def check_address(address: str) -> None:
    """Refuse an address with credentials in it: messages of clients repeat addresses.

    Raises:
        ConfigError: it does not repeat the address.
    """
    scheme, separator, rest = address.partition("://")
    user, at, _ = rest.rpartition("@")
    if separator and (set("?#") & set(rest) or (at and ":" in user)):
        raise ConfigError(
            f"The {scheme.partition(':')[0] or 'given'} address has a user's password or a query "
            "in it. Give credentials as options of their own (storage_options=, catalog=)."
        )
