"""What was measured: kept as JSON, shown as tables."""

from __future__ import annotations

import json
import os
import platform
import statistics
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

KEPT = Path(__file__).parents[1] / ".benchmarks"
"""Not in the repository: `python -m benchmarks.report` writes the documentation from it."""


def median_ratio(ones: Sequence[float], others: Sequence[float]) -> float:
    """The median of the ratios, pair by pair."""
    return statistics.median(one / other for one, other in zip(ones, others, strict=True))


def keep(name: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Keep figures, with the machine they were measured on."""
    KEPT.mkdir(exist_ok=True)
    found = {"machine": machine(), "rows": rows}
    (KEPT / f"{name}.json").write_text(json.dumps(found, indent=1, ensure_ascii=False))


def kept(name: str) -> dict[str, Any] | None:
    """Figures kept last; None where none are."""
    path = KEPT / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else None


def machine() -> dict[str, str]:
    """What the figures depend on, and how busy it is."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    system = platform.freedesktop_os_release() if sys.platform == "linux" else {}
    return {
        "cores": str(os.cpu_count()),
        "memory": f"{memory / 2**30:.0f} GiB",
        "system": system.get("PRETTY_NAME", platform.system()),
        "load": f"{os.getloadavg()[1]:.1f}",
        "Python": platform.python_version(),
        **{name: version(name) for name in ("duckdb", "polars", "ibis-framework", "narwhals")},
    }


def seconds(value: float) -> str:
    """As a person says it."""
    return f"{value * 1e3:.0f} ms" if value < 0.5 else f"{value:.2f} s"


def many(count: int) -> str:
    """10 k, 1 M."""
    for size, letter in ((1_000_000, "M"), (1_000, "k")):
        if count >= size:
            return f"{count / size:g} {letter}"
    return str(count)


def show(title: str, names: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table."""
    table = Table(title=title)
    for position, name in enumerate(names):
        table.add_column(name, justify="left" if not position else "right", no_wrap=bool(position))
    for row in rows:
        table.add_row(*row)
    Console(width=130).print(table)
