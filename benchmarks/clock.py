"""Timing: of one call, and of two things in turns."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

from benchmarks.figures import median_ratio


def seconds(work: Callable[[], object]) -> float:
    """Wall-clock seconds of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def processor_seconds(work: Callable[[], object]) -> float:
    """Seconds that this process had a processor in one call; waiting is left out."""
    start = time.process_time()
    work()
    return time.process_time() - start


def paired(
    ours: Callable[[], object],
    theirs: Callable[[], object],
    runs: int = 5,
    clock: Callable[[Callable[[], object]], float] = seconds,
) -> tuple[float, float, float]:
    """Medians of both, and the median of the ratios ours / theirs, pair by pair."""
    ours(), theirs()
    pairs = [(clock(ours), clock(theirs)) for _ in range(runs)]
    one, other = zip(*pairs, strict=True)
    return statistics.median(one), statistics.median(other), median_ratio(one, other)
