"""The process of `test_memory`: a resolve of a file, and what it took at most."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks import ours
from benchmarks.graphs import SHAPES
from metaxy_core import Buckets


def resolve(path: str, name: str, buckets: str = "1", limit: str = "") -> None:
    """Find what the last feature has to do, as frames in memory, bucket by bucket.

    Args:
        limit: of memory for DuckDB; else it takes what it likes.
    """
    shape, count = SHAPES[name], int(buckets)
    feature = shape.derived[-1]
    config = {"memory_limit": limit} if limit else {}
    with ours.store_of(Path(path), shape, config).open("r") as store:
        for number in range(count):
            chosen = Buckets(count, (number,)) if count > 1 else None
            store.resolve_update(feature.key, full=True, buckets=chosen)


def peak() -> int:
    """Bytes that this process had in memory at most.

    Not `ru_maxrss`: a process begins with that of the one that started it.
    """
    status = Path("/proc/self/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    resolve(*sys.argv[1:])
    print(peak())
