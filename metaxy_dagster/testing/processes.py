"""The same job in several processes at once: whether a store stands it."""

from __future__ import annotations

import importlib
import multiprocessing
import queue
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.synchronize import Barrier
from typing import Any

import dagster as dg

_MEETING: list[Barrier] = []
"""Where the processes of `run_in_processes` meet; in all others there is none."""


@dataclass(frozen=True)
class ProcessRun:
    """What became of the run of one process.

    Attributes:
        error: why it failed; None where it succeeded.
    """

    run_id: str | None
    error: str | None = None

    @property
    def success(self) -> bool:
        """Whether it succeeded."""
        return self.error is None


def run_in_processes(
    defs: Callable[[], dg.Definitions] | str,
    n: int = 4,
    *,
    job: str | None = None,
    timeout: float = 120.0,
) -> list[ProcessRun]:
    """Run a job in `n` new processes that begin together once all have loaded it.

    What they share is what the definitions name: a store in a file, never one in memory. They
    wait for each other wherever an asset says `meet()`.

    Args:
        defs: makes the definitions: a function that a new process can import, or where to find
            the definitions: `"my_project.definitions:defs"`.
        job: its name; by default all assets.
        timeout: seconds to wait for all of them.

    Returns:
        one run for each process, in the order in which they ended.

    Raises:
        TimeoutError: a process did not say in time what became of its run, or died before; says
            how they ended.

    >>> runs = run_in_processes("my_project.definitions:defs", n=2)  # doctest: +SKIP
    >>> [run.error for run in runs]  # doctest: +SKIP
    [None, None]
    """
    context = multiprocessing.get_context("spawn")
    barrier, answers = context.Barrier(n), context.Queue()
    started = [
        context.Process(target=_run, args=(defs, job, barrier, timeout, answers)) for _ in range(n)
    ]
    try:
        for process in started:
            process.start()
        runs = [answers.get(timeout=timeout) for _ in started]
        for process in started:
            process.join(timeout)
        return runs
    except queue.Empty:
        ended = ", ".join(str(process.exitcode) for process in started)
        raise TimeoutError(
            f"After {timeout} seconds not all of {n} runs had ended; exit codes: {ended}."
        ) from None
    finally:
        for process in started:
            process.terminate()
            process.join()


def meet(timeout: float = 60.0) -> None:
    """In an asset's function: wait until the other processes have come to this point as well.

    In a run outside `run_in_processes` it does nothing.

    Raises:
        threading.BrokenBarrierError: they have not come in time.

    >>> meet()
    """
    for barrier in _MEETING:
        barrier.wait(timeout)


def _run(
    defs: Callable[[], dg.Definitions] | str,
    job: str | None,
    barrier: Barrier,
    timeout: float,
    answers: Any,
) -> None:
    """What each process does."""
    _MEETING.append(barrier)
    try:
        made = _found(defs) if isinstance(defs, str) else defs()
        found = made.resolve_job_def(job) if job else made.resolve_implicit_global_asset_job_def()
        meet(timeout)
        result = found.execute_in_process(raise_on_error=False)
    except BaseException as error:
        barrier.abort()  # the others need not wait for this one
        answers.put(ProcessRun(None, f"{type(error).__name__}: {error}"))
        raise
    failed = [
        event.step_failure_data for event in result.filter_events(lambda e: e.is_step_failure)
    ]
    said = "\n".join(one.error.to_string() for one in failed if one.error)
    answers.put(ProcessRun(result.run_id, None if result.success else said or "the run failed"))


def _found(name: str) -> dg.Definitions:
    module, _, attribute = name.partition(":")
    found = getattr(importlib.import_module(module), attribute or "defs")
    made: dg.Definitions = found if isinstance(found, dg.Definitions) else found()
    return made
