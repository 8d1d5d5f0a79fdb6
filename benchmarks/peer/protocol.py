"""How the driver talks to the processes that are measured: a line of JSON each way.

A process measures its own work, so that what the line takes is in no figure. Nothing but the
standard library is imported here, because the peer's environment reads it too.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

ROOT = Path(__file__).parents[2]
Counts = dict[str, int]


class Subject(Protocol):
    """What is measured. One store is open at a time."""

    def fill(self, path: str, shape: str, samples: int, changed: int) -> None:
        """Make a store in which so many samples are done, and some changed since; close it."""

    def open(self, path: str, shape: str) -> None:
        """Open a filled store for reading."""

    def resolve(self, key: str, **options: Any) -> tuple[float, Counts]:
        """Find what a feature has to do, as frames in memory: seconds, and how many."""

    def write(self, path: str, shape: str, samples: int) -> float:
        """Store the samples of the first root in a new store: seconds from opening to closing."""

    def close(self) -> None:
        """Close the store."""


def serve(subject: Subject) -> None:
    """Answer requests until the input ends."""
    # What a library prints is no answer.
    answers, sys.stdout = sys.stdout, sys.stderr
    verbs: dict[str, Callable[..., Any]] = {
        "fill": subject.fill,
        "open": subject.open,
        "resolve": subject.resolve,
        "write": subject.write,
        "close": subject.close,
    }
    for line in sys.stdin:
        verb, options = json.loads(line)
        print(json.dumps(verbs[verb](**options)), file=answers, flush=True)


class Worker:
    """A process that serves a subject."""

    def __init__(self, module: str, python: str | Path = sys.executable) -> None:
        self.module, self._python = module, python

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [self._python, "-W", "ignore", "-m", self.module],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(timeout=60)

    def ask(self, verb: str, **options: Any) -> Any:
        """Ask, and wait for the answer."""
        assert self._process.stdin
        assert self._process.stdout
        print(json.dumps([verb, options]), file=self._process.stdin, flush=True)
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"{self.module} ended during {verb} with {options}.")
        return json.loads(answer)


def frames(increment: Any, names: Sequence[str] = ("new", "stale", "orphaned")) -> Counts:
    """How many rows the frames of an increment have."""
    return {name: len(getattr(increment, name)) for name in names}
