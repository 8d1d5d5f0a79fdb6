"""Stores by name: a backend handed to `MetadataStore`, a few lines each."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from metaxy_core.backends.memory import MemoryBackend
from metaxy_core.store.store import MetadataStore


class DuckDBMetadataStore(MetadataStore):
    """A store in one DuckDB file, or in memory with `":memory:"`; see `DuckDBBackend`.

    Args:
        path: the file; created at the first write.
        lock_timeout: seconds to wait for other processes to let go of the file.
        config: DuckDB settings.
        options: as `MetadataStore`.
    """

    def __init__(
        self,
        path: str | Path = ":memory:",
        *,
        lock_timeout: float = 60.0,
        config: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        from metaxy_core.backends.duckdb import DuckDBBackend

        backend = DuckDBBackend(path, lock_timeout=lock_timeout, config=config)
        super().__init__(backend, **options)


class InMemoryMetadataStore(MetadataStore):
    """A store in this process's memory, computed by Polars: for tests and notebooks."""

    def __init__(self, **options: Any) -> None:
        super().__init__(MemoryBackend(), **options)
