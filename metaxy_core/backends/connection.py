"""Any other database that Ibis speaks to: its connection, and what its engine calls our functions.

What Ibis says alike for every database is used: tables are made, filled and dropped through it.
There are no transactions in that language, and no sequences: commits are numbered in a table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Literal, cast

import ibis
import ibis.expr.types as ir
import polars as pl
import pyarrow as pa

from metaxy_core.backends.base import Capability, Gap, Mode, notyet
from metaxy_core.backends.sql import SqlBackend
from metaxy_core.errors import HashAlgorithmNotSupportedError
from metaxy_core.frames.ibis import IbisDialect, SqlFunctions, builtin, join_sorted_text
from metaxy_core.hashing import HashAlgorithm

_COUNTER = "metaxy_system__commits"
_MD5, _SHA256 = HashAlgorithm.MD5, HashAlgorithm.SHA256


def _join_sorted_array(texts: ir.StringColumn, separator: str) -> ir.StringScalar:
    """For engines that sort arrays, not the input of an aggregate."""
    return cast("ir.StringScalar", texts.collect().sort().join(separator))


def _hexdigest(how: Literal["md5", "sha256"]) -> Callable[[ir.StringValue], ir.StringValue]:
    """Ibis' own word for a digest, where it has one for the engine."""
    return lambda text: text.hexdigest(how)


def _composed(*names: str) -> Callable[[ir.StringValue], ir.StringValue]:
    """Functions of the engine applied one after the other."""
    functions = [builtin(name) for name in names]

    def composed(text: ir.StringValue) -> ir.StringValue:
        for function in functions:
            text = function(text)
        return text

    return composed


def _sha2(text: ir.StringValue) -> ir.StringValue:
    @ibis.udf.scalar.builtin(name="SHA2")
    def sha2(text: str, bits: int) -> str: ...  # type: ignore[empty-body]  # Ibis writes its name

    return cast("ir.StringValue", sha2(text, 256))


FUNCTIONS: Mapping[str, SqlFunctions] = {
    "duckdb": SqlFunctions(
        {_MD5: _hexdigest("md5"), _SHA256: _hexdigest("sha256")}, join_sorted_text
    ),
    "bigquery": SqlFunctions(
        {_MD5: _composed("MD5", "TO_HEX"), _SHA256: _composed("SHA256", "TO_HEX")},
        join_sorted_text,
    ),
    "snowflake": SqlFunctions({_MD5: builtin("MD5"), _SHA256: _sha2}, join_sorted_text),
    "databricks": SqlFunctions(
        {_MD5: _hexdigest("md5"), _SHA256: _hexdigest("sha256")}, _join_sorted_array
    ),
    "pyspark": SqlFunctions(
        {_MD5: _hexdigest("md5"), _SHA256: _hexdigest("sha256")}, _join_sorted_array
    ),
    "trino": SqlFunctions(
        {
            _MD5: _composed("TO_UTF8", "MD5", "TO_HEX", "LOWER"),
            _SHA256: _composed("TO_UTF8", "SHA256", "TO_HEX", "LOWER"),
        },
        _join_sorted_array,
    ),
}
"""Per engine, under the name that Ibis has for it."""


def functions_of(name: str) -> SqlFunctions:
    """What an engine calls our functions.

    Raises:
        HashAlgorithmNotSupportedError: nobody has said it for this engine.
    """
    try:
        return FUNCTIONS[name]
    except KeyError:
        raise HashAlgorithmNotSupportedError(
            f"Nobody has said what the Ibis backend {name!r} calls md5 and an ordered "
            f"concatenation. Known: {', '.join(sorted(FUNCTIONS))}; give functions= for another."
        ) from None


class ConnectionBackend(SqlBackend):
    """See `Backend`.

    Args:
        connection: an open Ibis connection, which stays the caller's to close; or a function that
            makes one, for stores that are pickled and opened elsewhere.
        functions: what its engine calls our functions; known for the engines in `FUNCTIONS`.
    """

    gaps: Mapping[Capability, Gap] = {
        "atomic commits": notyet("Ibis has no common word for a transaction"),
        "several writers": notyet("two writers at one moment may get one commit number"),
    }

    def __init__(
        self, connection: Any | Callable[[], Any], *, functions: SqlFunctions | None = None
    ) -> None:
        super().__init__()
        self._given = connection
        self._functions = functions
        self._made: Any = None

    @property
    def dialect(self) -> IbisDialect:  # type: ignore[override]  # known once there is a connection
        """The frame functions of the connection's engine."""
        name = self._connected().name
        return IbisDialect(name, self._functions or functions_of(name))

    def __getstate__(self) -> dict[str, Any]:
        if not callable(self._given):
            raise TypeError(
                "A store on an open Ibis connection cannot be pickled: give a function instead."
            )
        return self.__dict__ | {"_made": None, "_texts": {}}

    @contextmanager
    def connected(self, mode: Mode) -> Iterator[Any]:
        """See `SqlBackend.connected`."""
        yield self._connected()

    def prepare(self) -> None:
        """See `SqlBackend.prepare`."""
        if _COUNTER not in self.connection.list_tables():
            self.connection.create_table(_COUNTER, schema=ibis.schema({"last": "int64"}))

    def transaction(self) -> AbstractContextManager[None]:
        """See `SqlBackend.transaction`; there is none, see `gaps`."""
        return nullcontext()

    def numbers(self, count: int) -> Sequence[int]:
        """See `SqlBackend.numbers`: one more than the last, kept in a table; see `gaps`."""
        last = self.connection.table(_COUNTER)["last"].max().as_table().to_polars().item()
        first = (last or 0) + 1
        self.insert(_COUNTER, pl.DataFrame({"last": [first + count - 1]}).to_arrow())
        return range(first, first + count)

    def insert(self, table: str, rows: pa.Table) -> None:
        """See `SqlBackend.insert`: by Ibis, whichever way it has for the database."""
        known = self.connection.table(table).schema()
        frame = ibis.memtable(rows)
        missing = {name: ibis.null(kind) for name, kind in known.items() if name not in frame}
        self.connection.insert(table, frame.mutate(**missing).select(*known).cast(known))

    def tables(self) -> Sequence[str]:
        """See `Backend.tables`."""
        return [name for name in super().tables() if name != _COUNTER]

    def describe(self) -> Mapping[str, str]:
        """See `Backend.describe`; of the connection only what kind it is."""
        return {"type": "ibis", "uri": f"ibis:{self._connected().name}"}

    def _connected(self) -> Any:
        if not callable(self._given):
            return self._given
        if self._made is None:
            self._made = self._given()
        return self._made
