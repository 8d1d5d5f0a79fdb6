"""Iceberg: one table per feature in a namespace of a catalog; by default a catalog in SQLite."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import narwhals as nw
import polars as pl
from pyiceberg.catalog import load_catalog
from pyiceberg.exceptions import NoSuchTableError, RESTError
from pyiceberg.expressions import And, BooleanExpression, EqualTo, In, Or
from pyiceberg.table import Table
from sqlalchemy.exc import SQLAlchemyError

from metaxy_core.addresses import harmless
from metaxy_core.backends.base import Mode
from metaxy_core.backends.scanned import COUNTER, ScannedBackend, check_address, check_path
from metaxy_core.errors import StoreUnavailableError
from metaxy_core.frames.deferred import lazily

_NAME = "metaxy"


class IcebergBackend(ScannedBackend):
    """See `Backend`.

    Args:
        warehouse: the folder of the tables, or their address.
        catalog: PyIceberg's properties of a catalog, such as `{"type": "rest", "uri": ...}`; by
            default one in a SQLite file in the warehouse's folder. Never shown.
        namespace: where in the catalog the tables are.
    """

    failures = (OSError, RESTError)
    unstorable = (nw.UInt64,)

    def __init__(
        self,
        warehouse: str | Path,
        *,
        catalog: Mapping[str, str] | None = None,
        namespace: str = "metaxy",
    ) -> None:
        super().__init__()
        self.warehouse = str(warehouse).rstrip("/")
        check_address(self.warehouse)
        self.catalog = dict(catalog or {})
        self.namespace = namespace
        self._catalog: Any = None

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_catalog": None}

    def begin(self, mode: Mode) -> None:
        """See `ScannedBackend.begin`; a folder on disk is made by the first writer."""
        folder = Path(self.warehouse)
        if not self.catalog:
            check_path(self.warehouse, unusable="#?%")
            if mode == "w":
                folder.mkdir(parents=True, exist_ok=True)
            if not (folder / "catalog.db").exists() and mode == "r":
                raise StoreUnavailableError(
                    self.describe()["uri"],
                    "missing",
                    "there is no catalog there. Write to it first.",
                )
        try:
            self._catalog = load_catalog(_NAME, **self._properties(folder))
            if mode == "w":
                self._catalog.create_namespace_if_not_exists(self.namespace)
        except (OSError, ValueError, RESTError, SQLAlchemyError) as error:
            raise StoreUnavailableError(
                self.describe()["uri"],
                "unreachable",
                f"the catalog cannot be opened. ({type(error).__name__})",
            ) from None  # its text may repeat properties

    def _properties(self, folder: Path) -> dict[str, str]:
        if self.catalog:
            return {"warehouse": self.warehouse, **self.catalog}
        path = folder.absolute()
        return {
            "type": "sql",
            "uri": f"sqlite:///{path / 'catalog.db'}",
            "warehouse": f"file://{path}",  # PyIceberg does not read escapes
        }

    def names(self) -> Sequence[str]:
        """See `ScannedBackend.names`."""
        return [name for _, name in self._catalog.list_tables(self.namespace)]

    def read(self, table: str) -> pl.LazyFrame | None:
        """See `ScannedBackend.read`."""
        found = self._table(table)
        if found is None:
            return None
        arrow = found.schema().as_arrow()

        def rows(columns: Sequence[str] | None) -> pl.DataFrame:
            asked = found.scan(selected_fields=("*",) if columns is None else tuple(columns))
            return pl.DataFrame(asked.to_arrow())

        return lazily(rows, pl.DataFrame(arrow.empty_table()).schema)

    def write(self, table: str, rows: pl.DataFrame) -> None:
        """See `ScannedBackend.write`."""
        arrow = rows.to_arrow()
        found = self._table(table)
        if found is None:
            found = self._catalog.create_table_if_not_exists(
                (self.namespace, table), schema=arrow.schema
            )
        with found.update_schema() as update:
            update.union_by_name(arrow.schema)
        found.append(arrow)

    def remove(self, table: str, ids: pl.DataFrame) -> int:
        """See `ScannedBackend.remove`."""
        kept = self.read(table)
        if kept is None:
            return 0
        here = kept.select(ids.columns).join(ids.lazy(), on=ids.columns, how="semi").collect()
        if here.height:
            self._catalog.load_table((self.namespace, table)).delete(_any_of(here.unique()))
        return here.height

    def drop(self, table: str) -> None:
        """See `Backend.drop`."""
        if self._table(table) is not None:
            self._catalog.drop_table((self.namespace, table))

    def advance(self) -> int:
        """See `ScannedBackend.advance`: every snapshot of a table has a number of its own."""
        row = pl.DataFrame({"commits": [1]}).to_arrow()
        counter = self._catalog.create_table_if_not_exists(
            (self.namespace, COUNTER), schema=row.schema
        )
        counter.append(row)
        return int(counter.current_snapshot().sequence_number)

    def describe(self) -> Mapping[str, str]:
        """See `Backend.describe`."""
        shown = (
            harmless(self.warehouse) if "://" in self.warehouse else f"iceberg://{self.warehouse}"
        )
        return {"type": "iceberg", "uri": f"{shown}/{self.namespace}"}

    def _table(self, table: str) -> Table | None:
        try:
            found: Table = self._catalog.load_table((self.namespace, table))
        except NoSuchTableError:
            return None
        return found


def _any_of(ids: pl.DataFrame) -> BooleanExpression:
    if len(ids.columns) == 1:
        return In(ids.columns[0], literals=set(ids.to_series()))
    rows = [
        And(*(EqualTo(name, value=value) for name, value in row.items()))
        for row in ids.iter_rows(named=True)
    ]
    return rows[0] if len(rows) == 1 else Or(*rows)
