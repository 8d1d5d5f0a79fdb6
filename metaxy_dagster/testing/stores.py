"""Stores for one test."""

from __future__ import annotations

import uuid
from pathlib import Path

from metaxy_core import FeatureGraph, Graph
from metaxy_dagster.resource import MetaxyStore


def ephemeral_store(
    folder: str | Path | None = None, *, graph: Graph | FeatureGraph | None = None
) -> MetaxyStore:
    """A new, empty store: in this process's memory, or in a DuckDB file that others can open.

    Args:
        folder: where the file is to be, such as pytest's `tmp_path`; in memory without it.
        graph: the features; by default the active graph's.

    >>> ephemeral_store().store_kind, ephemeral_store(".").store_kind
    ('memory', 'duckdb')
    """
    if folder is None:
        return MetaxyStore.memory(graph=graph)
    return MetaxyStore.duckdb(str(Path(folder) / f"{uuid.uuid4().hex}.duckdb"), graph=graph)
