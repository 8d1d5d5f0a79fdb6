"""Frames in local Arrow files: what was read stays readable after the store is closed."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from pathlib import Path
from typing import Any

import narwhals as nw
import polars as pl

_ROWS_PER_BATCH = 65_536


class Spool:
    """A directory of Arrow IPC files, removed by `close()` or with this object."""

    def __init__(self) -> None:
        self._path = Path(tempfile.mkdtemp(prefix="metaxy-"))
        self._files = 0
        self._remove = weakref.finalize(self, shutil.rmtree, self._path, ignore_errors=True)

    def keep(self, frame: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
        """Compute a frame batch by batch into a file; the result reads the file lazily."""
        path = self._next()
        native = frame.to_native()
        if isinstance(native, pl.LazyFrame):
            native.sink_ipc(path)
        else:
            batches = native.to_pyarrow_batches(chunk_size=_ROWS_PER_BATCH)
            with batches, _new_file(path, batches.schema) as file:
                for batch in batches:
                    file.write_batch(batch)
        return nw.from_native(pl.scan_ipc(path))

    def log(self) -> SpoolLog:
        """Begin a file that grows chunk by chunk."""
        return SpoolLog(self._next())

    def close(self) -> None:
        """Remove all files; frames that read them are invalid from here on."""
        self._remove()

    def _next(self) -> Path:
        self._files += 1
        return self._path / f"{self._files}.arrow"


class SpoolLog:
    """Rows noted one chunk after the other, read once at the end."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer: Any = None
        self._schema: Any = None

    def add(self, rows: pl.DataFrame) -> None:
        """Note rows; the first chunk's columns and types hold for all."""
        table = rows.to_arrow()
        if self._schema is None:
            self._schema = table.schema
            self._writer = _new_file(self._path, self._schema)
        self._writer.write_table(table.select(self._schema.names).cast(self._schema))

    def read(self) -> pl.LazyFrame | None:
        """All rows noted; None where there were none. Nothing can be added after."""
        if self._writer is None:
            return None
        self._writer.close()
        return pl.scan_ipc(self._path)


def _new_file(path: Path, schema: Any) -> Any:
    # Whoever loads definitions only, does without it.
    from pyarrow.ipc import new_file

    return new_file(path, schema)
