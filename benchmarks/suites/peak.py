"""The process of `test_memory`: a resolve of a file, and what it took at most."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks import ours
from benchmarks.graphs import SHAPES
from metaxy_core import Buckets


def resolve(path: Path, name: str, buckets: int) -> None:
    """Find what the last feature has to do, as frames in memory, bucket by bucket."""
    shape = SHAPES[name]
    feature = shape.derived[-1]
    with ours.store_of(path, shape).open("r") as store:
        for number in range(buckets):
            chosen = Buckets(buckets, (number,)) if buckets > 1 else None
            store.resolve_update(feature.key, full=True, buckets=chosen)


def peak() -> int:
    """Bytes that this process had in memory at most.

    Not `ru_maxrss`: a process begins with that of the one that started it.
    """
    status = Path("/proc/self/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    resolve(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
    print(peak())
