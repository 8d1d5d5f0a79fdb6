"""Which store does what: a table made from the gaps that backends declare."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, Final, get_args

import narwhals as nw

from metaxy_core.backends.base import Capability, Gap, never

BACKENDS: Final = {
    "DuckDB": ("duckdb", "DuckDBBackend"),
    "ClickHouse": ("clickhouse", "ClickHouseBackend"),
    "PostgreSQL": ("postgres", "PostgresBackend"),
    "SQLite": ("sqlite", "SQLiteBackend"),
    "DuckLake": ("ducklake", "DuckLakeBackend"),
    "Delta Lake": ("delta", "DeltaBackend"),
    "Iceberg": ("iceberg", "IcebergBackend"),
    "LanceDB": ("lancedb", "LanceDBBackend"),
    "memory": ("memory", "MemoryBackend"),
    "Ibis": ("connection", "ConnectionBackend"),
}
"""Every backend by the name that the docs have for it: its module and class."""

_TYPES: Final[dict[type[Any], Capability]] = {
    nw.List: "lists",
    nw.Struct: "structs",
    nw.Decimal: "decimals",
    nw.UInt64: "unsigned integers",
}


def gaps_of(backend: Any) -> Mapping[Capability, Gap]:
    """What a backend does not do, the column types it refuses included."""
    refused = {
        capability: never("the system has no such type")
        for dtype, capability in _TYPES.items()
        if issubclass(dtype, tuple(backend.unstorable))
    }
    return refused | dict(backend.gaps)


def support_table() -> str:
    """A Markdown table of capabilities and stores, and below it the reason of every gap."""
    gaps = {name: gaps_of(_backend(*where)) for name, where in BACKENDS.items()}
    capabilities = get_args(Capability)
    lines = [
        f"| | {' | '.join(f'[{name}]({_page(name)}.md)' for name in gaps)} |",
        f"|---|{'---|' * len(gaps)}",
    ]
    reasons: dict[tuple[str, str], list[str]] = {}
    for capability in capabilities:
        cells = []
        for name, found in gaps.items():
            gap = found.get(capability)
            cells.append("yes" if gap is None else gap.kind)
            if gap is not None:
                reasons.setdefault((capability, gap.reason), []).append(name)
        lines.append(f"| {capability} | {' | '.join(cells)} |")
    told = [
        f"- {capability}, {', '.join(names)}: {reason}."
        for (capability, reason), names in reasons.items()
    ]
    return "\n".join([*lines, "", *told])


def _backend(module: str, name: str) -> Any:
    return getattr(import_module(f"metaxy_core.backends.{module}"), name)


def _page(name: str) -> str:
    return {"PostgreSQL": "postgres", "Delta Lake": "delta"}.get(name, name.lower())
