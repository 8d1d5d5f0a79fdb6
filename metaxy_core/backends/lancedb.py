"""LanceDB: one Lance table per feature, in a folder or an object store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import lancedb
import narwhals as nw
import polars as pl
import pyarrow as pa
from sqlglot import exp

from metaxy_core.addresses import harmless
from metaxy_core.backends.base import Mode
from metaxy_core.backends.files import MAKE_IT
from metaxy_core.backends.scanned import COUNTER, ScannedBackend, check_address
from metaxy_core.errors import StoreUnavailableError
from metaxy_core.frames.deferred import lazily

_IDS_PER_DELETE = 500


class LanceDBBackend(ScannedBackend):
    """See `Backend`.

    Args:
        uri: the folder of the tables: a path, or an address such as `s3://bucket/prefix`.
        storage_options: credentials and settings of the object store; never shown.
    """

    failures = (OSError, RuntimeError)
    unstorable = (nw.UInt64,)

    def __init__(
        self, uri: str | Path, *, storage_options: Mapping[str, str] | None = None
    ) -> None:
        super().__init__()
        self.uri = str(uri).rstrip("/")
        check_address(self.uri)
        self.storage_options = dict(storage_options or {})
        self._database: Any = None

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_database": None}

    def begin(self, mode: Mode) -> None:
        """See `ScannedBackend.begin`; a folder on disk is made by the first writer."""
        if mode == "r" and "://" not in self.uri and not Path(self.uri).is_dir():
            raise StoreUnavailableError(
                self.describe()["uri"],
                "missing",
                f"there is no such folder. {MAKE_IT}",
            )
        try:
            self._database = lancedb.connect(self.uri, storage_options=self.storage_options or None)
        except (OSError, ValueError, RuntimeError) as error:
            raise StoreUnavailableError(
                self.describe()["uri"],
                "unreachable",
                f"LanceDB cannot open it ({type(error).__name__}).",
            ) from None  # its text may repeat options

    def names(self) -> Sequence[str]:
        """See `ScannedBackend.names`."""
        found, token = [], None
        while True:
            page = self._database.list_tables(page_token=token)
            found += page.tables
            token = page.page_token
            if not token:
                return found

    def read(self, table: str) -> pl.LazyFrame | None:
        """See `ScannedBackend.read`; columns that are not asked for are not read."""
        if table not in self.names():
            return None
        opened = self._database.open_table(table)

        def rows(columns: Sequence[str] | None) -> pl.DataFrame:
            asked = opened.search() if columns is None else opened.search().select(list(columns))
            return pl.DataFrame(asked.to_arrow())

        return lazily(rows, pl.DataFrame(opened.schema.empty_table()).schema)

    def write(self, table: str, rows: pl.DataFrame) -> None:
        """See `ScannedBackend.write`."""
        arrow = rows.to_arrow()
        if table not in self.names():
            self._database.create_table(table, data=arrow)
            return
        opened = self._database.open_table(table)
        missing = [field for field in arrow.schema if field.name not in opened.schema.names]
        if missing:
            opened.add_columns([pa.field(field.name, field.type) for field in missing])
        opened.add(arrow)

    def remove(self, table: str, ids: pl.DataFrame) -> int:
        """See `ScannedBackend.remove`; a few hundred ids at a time."""
        opened, removed = self._database.open_table(table), 0
        for part in ids.iter_slices(_IDS_PER_DELETE):
            rows = [
                exp.and_(*(exp.column(exp.to_identifier(name, quoted=True)).eq(value)
                           for name, value in row.items()))
                for row in part.iter_rows(named=True)
            ]  # fmt: skip
            found = opened.delete(exp.or_(*rows).sql(dialect="duckdb"))
            removed += int(found.num_deleted_rows)
        return removed

    def drop(self, table: str) -> None:
        """See `Backend.drop`."""
        self._database.drop_table(table, ignore_missing=True)

    def advance(self) -> int:
        """See `ScannedBackend.advance`: Lance gives every commit a version of its own."""
        row = pl.DataFrame({"commits": [1]}).to_arrow()
        counter = self._database.create_table(COUNTER, schema=row.schema, exist_ok=True)
        return int(counter.add(row).version)

    def describe(self) -> Mapping[str, str]:
        """See `Backend.describe`."""
        shown = harmless(self.uri) if "://" in self.uri else f"lancedb://{self.uri}"
        return {"type": "lancedb", "uri": shown}
