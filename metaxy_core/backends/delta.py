"""Delta Lake: one Delta table per feature in a folder, on disk or in an object store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import deltalake
import fsspec
import polars as pl
import tenacity
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from metaxy_core.addresses import harmless
from metaxy_core.backends.base import Mode
from metaxy_core.backends.files import MAKE_IT
from metaxy_core.backends.scanned import COUNTER, ScannedBackend, check_address, check_path
from metaxy_core.errors import StoreUnavailableError

_ONCE = deltalake.CommitProperties(max_commit_retries=0)


class DeltaBackend(ScannedBackend):
    """See `Backend`.

    Args:
        uri: the folder of the tables: a path, or an address such as `s3://bucket/prefix`.
        storage_options: credentials and settings of the object store; never shown.
    """

    failures = (OSError, DeltaError)

    def __init__(
        self, uri: str | Path, *, storage_options: Mapping[str, str] | None = None
    ) -> None:
        super().__init__()
        self.uri = str(uri).rstrip("/")
        check_address(self.uri)
        self.storage_options = dict(storage_options or {})

    def begin(self, mode: Mode) -> None:
        """See `ScannedBackend.begin`; a folder on disk is made by the first writer."""
        if "://" in self.uri:
            return
        check_path(self.uri, unusable="%")
        folder = Path(self.uri)
        try:
            if mode == "w":
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreUnavailableError(
                self.describe()["uri"],
                "unreachable",
                f"the folder cannot be made. ({error.strerror})",
            ) from error
        if not folder.is_dir():
            raise StoreUnavailableError(
                self.describe()["uri"],
                "missing",
                f"there is no such folder. {MAKE_IT}",
            )

    def names(self) -> Sequence[str]:
        """See `ScannedBackend.names`."""
        files, root = fsspec.url_to_fs(self.uri, **self.storage_options)
        if not files.exists(root):
            return []
        found = [entry.rstrip("/").rpartition("/")[2] for entry in files.ls(root, detail=False)]
        return [name for name in found if self._exists(name)]

    def read(self, table: str) -> pl.LazyFrame | None:
        """See `ScannedBackend.read`."""
        if not self._exists(table):
            return None
        found = self._table(table)
        if "%" in found.table_uri and "://" not in self.uri:
            # Polars takes an escaped path, of a folder with a space say, for the folder's name.
            return pl.scan_pyarrow_dataset(found.to_pyarrow_dataset())
        return pl.scan_delta(found)

    def write(self, table: str, rows: pl.DataFrame) -> None:
        """See `ScannedBackend.write`; two writers that make one table are one after the other."""
        retry = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(10),
            wait=tenacity.wait_random_exponential(multiplier=0.05, max=1.0),
            retry=tenacity.retry_if_exception_type(CommitFailedError),
            reraise=True,
        )
        retry(
            deltalake.write_deltalake,
            self._path(table),
            rows.to_arrow(),
            mode="append",
            schema_mode="merge",
            storage_options=self.storage_options,
        )

    def remove(self, table: str, ids: pl.DataFrame) -> int:
        """See `ScannedBackend.remove`."""
        agree = " AND ".join(f't."{name}" = s."{name}"' for name in map(_escaped, ids.columns))
        merged = (
            self._table(table)
            .merge(ids.to_arrow(), agree, source_alias="s", target_alias="t")
            .when_matched_delete()
            .execute()
        )
        return int(merged["num_target_rows_deleted"])

    def drop(self, table: str) -> None:
        """See `Backend.drop`: removes the table's folder, its log and history too."""
        files, root = fsspec.url_to_fs(self._path(table), **self.storage_options)
        if files.exists(root):
            files.rm(root, recursive=True)

    def advance(self) -> int:
        """See `ScannedBackend.advance`: a commit of the counter that is refused beside another."""
        retry = tenacity.Retrying(
            stop=tenacity.stop_after_delay(60),
            wait=tenacity.wait_random_exponential(multiplier=0.02, max=0.5),
            retry=tenacity.retry_if_exception_type(CommitFailedError),
            reraise=True,
        )
        version: int = retry(self._advance_once)
        return version

    def describe(self) -> Mapping[str, str]:
        """See `Backend.describe`."""
        return {
            "type": "delta",
            "uri": harmless(self.uri) if "://" in self.uri else f"delta://{self.uri}",
        }

    def _advance_once(self) -> int:
        row = pl.DataFrame({"commits": [1]}).to_arrow()
        try:
            table = self._table(COUNTER)
        except TableNotFoundError:
            path = self._path(COUNTER)
            deltalake.write_deltalake(path, row, storage_options=self.storage_options)
            table = self._table(COUNTER)
        deltalake.write_deltalake(table, row, mode="append", commit_properties=_ONCE)
        return int(table.version())

    def _exists(self, table: str) -> bool:
        return deltalake.DeltaTable.is_deltatable(
            self._path(table), storage_options=self.storage_options
        )

    def _table(self, table: str) -> deltalake.DeltaTable:
        return deltalake.DeltaTable(self._path(table), storage_options=self.storage_options)

    def _path(self, table: str) -> str:
        return f"{self.uri}/{table}"


def _escaped(name: str) -> str:
    return name.replace('"', '""')
