"""How long a backend is open: once for all who open it, closed by the last to leave."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

from metaxy_core.backends.base import Backend, Mode
from metaxy_core.errors import StoreError, StoreNotOpenError


class Lifetime:
    """The openings of one backend, shared by the stores that use it.

    Opening again for the same, or less, is free and counted. A backend whose connection is for
    one thread refuses others: give each thread a store of its own.

    Attributes:
        writer: names whoever writes during one outermost opening.
    """

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.writer = ""
        self._lock = threading.RLock()
        self._stack: ExitStack | None = None
        self._mode: Mode = "r"
        self._depth = 0
        self._thread = 0

    @contextmanager
    def open(self, mode: Mode) -> Iterator[bool]:
        """Open, or join what is open; yields whether this is the outermost opening.

        Raises:
            StoreError: it is open for reading and writing was asked for, or in another thread.
        """
        with self._lock:
            outermost = self._depth == 0
            if outermost:
                self._begin(mode)
            else:
                self._check(mode)
            self._depth += 1
        try:
            yield outermost
        finally:
            with self._lock:
                self._depth -= 1
                if self._depth == 0:
                    self._end()

    def enter(self, other: AbstractContextManager[Any]) -> None:
        """Keep something open until this is closed."""
        self.require("r").enter_context(other)

    def require(self, mode: Mode) -> ExitStack:
        """What is open.

        Raises:
            StoreNotOpenError: nothing is; the message names the mode that is needed.
        """
        if self._stack is None:
            raise StoreNotOpenError(
                f"The store {self.backend.describe()['uri']} is not open: use "
                f"`with store.open({mode!r}):`."
            )
        return self._stack

    @property
    def is_open(self) -> bool:
        """Whether it is open."""
        return self._stack is not None

    @property
    def is_writable(self) -> bool:
        """Whether it is open for writing."""
        return self.is_open and self._mode == "w"

    def _begin(self, mode: Mode) -> None:
        stack = ExitStack()
        stack.enter_context(self.backend.open(mode))
        self._stack, self._mode, self._thread = stack, mode, threading.get_ident()
        self.writer = uuid.uuid4().hex

    def _end(self) -> None:
        stack, self._stack = self._stack, None
        if stack is not None:
            stack.close()

    def _check(self, mode: Mode) -> None:
        uri = self.backend.describe()["uri"]
        if self.backend.one_thread and self._thread != threading.get_ident():
            raise StoreError(
                f"The store {uri} is open in another thread: make a store for each thread."
            )
        if mode == "w" and self._mode == "r":
            raise StoreError(
                f"The store {uri} is open for reading only: close it, or open it with "
                "`store.open('w')` from the start."
            )
