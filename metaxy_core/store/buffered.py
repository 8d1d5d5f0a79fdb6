"""Write in the background: batches are put into a bounded queue and stored together.

The store is opened for each flush and closed again, in the thread that writes, so a DuckDB file is
free in between. A batch of a 1:N feature must hold whole sets of children: batches of one flush
are put together, those of two are not.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from queue import Empty, Full, Queue
from typing import TYPE_CHECKING, Any, Self

import narwhals as nw
import polars as pl
import tenacity

from metaxy_core.backends.base import to_polars
from metaxy_core.errors import NotStoredError, StoreUnavailableError
from metaxy_core.frames.dialect import DataFrame
from metaxy_core.keys import FeatureKey
from metaxy_core.store.incoming import Rows

if TYPE_CHECKING:
    from metaxy_core.store.store import MetadataStore

_ATTEMPTS = 3
_NAP = 0.05


@dataclass(frozen=True)
class _Flush:
    """Asks the thread to store what it has, and says when it has."""

    done: threading.Event


_Batch = Mapping[FeatureKey, DataFrame]


class BufferedMetadataWriter:
    """Stores rows from a thread of its own, so that the work that makes them need not wait.

    Each flush is one commit of all features' rows; of a sample put twice the later row is stored.
    A flush that fails is tried again; then its rows are kept in a file that the error names (see
    `MetadataStore.replay`), and the next `put`, `flush` or `stop` raises.

    Args:
        store: not open; its graph and options are used.
        flush_batch_size: rows that are stored at once as soon as they are there; None: by time.
        flush_interval: seconds after which what is there is stored.
        max_queue_size: batches that wait at most; `put` then waits, so memory stays bounded.
        materialization_id: stamped on every row, over the store's.

    >>> import polars as pl
    >>> from metaxy_core import FeatureGraph, FeatureSpec, InMemoryMetadataStore
    >>> graph = FeatureGraph([FeatureSpec("video", id_columns=["id"], fields=["audio"])])
    >>> rows = pl.DataFrame({"id": ["a"], "metaxy_provenance_by_field": [{"audio": "v1"}]})
    >>> with BufferedMetadataWriter(InMemoryMetadataStore(graph=graph)) as writer:
    ...     writer.put({"video": rows})
    >>> writer.num_written
    {'video': 1}
    """

    def __init__(
        self,
        store: MetadataStore,
        flush_batch_size: int | None = None,
        flush_interval: float = 2.0,
        max_queue_size: int = 1_000,
        *,
        materialization_id: str | None = None,
    ) -> None:
        if flush_batch_size is not None and flush_batch_size < 1:
            raise ValueError(f"flush_batch_size is at least 1; given: {flush_batch_size}")
        if flush_interval <= 0 or max_queue_size < 1:
            raise ValueError(
                "flush_interval and max_queue_size are greater than 0; given: "
                f"{flush_interval}, {max_queue_size}"
            )
        self.store = store
        self.flush_batch_size = flush_batch_size
        self.flush_interval = flush_interval
        self.materialization_id = materialization_id
        self._queue: Queue[_Batch | _Flush] = Queue(max_queue_size)
        self._written: Counter[str] = Counter()
        self._error: NotStoredError | None = None
        self._lock = threading.Lock()
        self._stopping = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin.

        Raises:
            RuntimeError: it was started before.
        """
        if self._thread is not None:
            raise RuntimeError("The writer was started before; make another one.")
        self._thread = threading.Thread(target=self._run, name="metaxy-writer", daemon=True)
        self._thread.start()

    def put(self, rows: Mapping[Any, Rows]) -> None:
        """Hand over rows per feature, as `write` takes them; waits while the queue is full.

        Raises:
            RuntimeError: the writer is not running, or the background write failed.
        """
        batch = {
            self.store.graph[feature].key: to_polars(frame).collect()
            for feature, frame in rows.items()
        }
        while not self._queued(batch):
            time.sleep(_NAP)

    def flush(self, timeout: float | None = None) -> None:
        """Wait until everything put so far is stored.

        Raises:
            RuntimeError: the writer is not running, or the background write failed.
            TimeoutError: it took longer than `timeout` seconds; the writer goes on.
        """
        asked = _Flush(threading.Event())
        deadline = None if timeout is None else time.monotonic() + timeout
        while not self._queued(asked):
            _check_time(deadline, timeout)
            time.sleep(_NAP)
        while not asked.done.wait(_NAP):
            _check_time(deadline, timeout)
        self._check_error()

    def stop(self, timeout: float = 30.0) -> dict[str, int]:
        """Store what is left and end. Returns how many rows were stored, per feature key.

        Raises:
            RuntimeError: it was never started, or the background write failed.
            TimeoutError: it took longer than `timeout` seconds; the writer goes on.
        """
        if self._thread is None:
            raise RuntimeError("The writer was never started.")
        with self._lock:
            self._stopping = True
        self._thread.join(timeout)
        if self._thread.is_alive():
            raise TimeoutError(f"The writer is still storing after {timeout:g} s; it goes on.")
        self._check_error()
        return self.num_written

    @property
    def num_written(self) -> dict[str, int]:
        """Rows stored so far, per feature key."""
        return dict(self._written)

    @property
    def has_error(self) -> bool:
        """Whether a background write failed for good."""
        return self._error is not None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: Any) -> None:
        try:
            self.stop()
        except RuntimeError:
            # The user's own error is the one to see; the failed rows are in their file.
            if kind is None:
                raise

    def _queued(self, item: _Batch | _Flush) -> bool:
        """Put into the queue, unless it is full. What is in it when `stop` is called is stored."""
        with self._lock:
            self._check_running()
            try:
                self._queue.put_nowait(item)
            except Full:
                return False
        return True

    def _check_running(self) -> None:
        self._check_error()
        if self._thread is None:
            raise RuntimeError("The writer was not started: call start(), or use `with`.")
        if self._stopping or not self._thread.is_alive():
            raise RuntimeError("The writer was stopped; make another one.")

    def _check_error(self) -> None:
        if self._error is not None:
            raise RuntimeError(f"Writing in the background failed: {self._error}") from self._error

    # -- in the thread ---------------------------------------------------------------------------

    def _run(self) -> None:
        batches: list[_Batch] = []
        due = time.monotonic() + self.flush_interval
        while True:
            try:
                item = self._queue.get(timeout=max(min(due - time.monotonic(), _NAP), 0.001))
            except Empty:
                item = None
            if isinstance(item, Mapping):
                batches.append(item)
            rows = sum(len(frame) for batch in batches for frame in batch.values())
            full = self.flush_batch_size is not None and rows >= self.flush_batch_size
            ending = item is None and self._stopping
            if full or ending or isinstance(item, _Flush) or time.monotonic() >= due:
                self._store(batches)
                batches = []
                due = time.monotonic() + self.flush_interval
            if isinstance(item, _Flush):
                item.done.set()
            if ending:
                return

    def _store(self, batches: list[_Batch]) -> None:
        if not batches:
            return
        try:
            rows = _together(batches)
        except (nw.exceptions.NarwhalsError, pl.exceptions.PolarsError):
            # Columns of one name and several types: the store says which of them fit.
            for batch in batches:
                self._store_rows(batch)
        else:
            self._store_rows(rows)

    def _store_rows(self, rows: _Batch) -> None:
        attempts = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(_ATTEMPTS),
            wait=tenacity.wait_random_exponential(multiplier=0.1, max=2.0),
            retry=tenacity.retry_if_exception_type(StoreUnavailableError),
            reraise=True,
        )
        try:
            self._written.update(attempts(self._write, rows))
        except NotStoredError as error:
            self._error = self._error or error
        except Exception as error:  # noqa: BLE001  # nobody else has these rows any more
            run = self.materialization_id
            kept = self.store.keep(rows, error, materialization_id=run)
            self._error = self._error or kept

    def _write(self, rows: _Batch) -> dict[str, int]:
        with self.store.open("w"):
            return self.store.write_multi(
                rows, materialization_id=self.materialization_id, on_duplicate="last"
            )


def _together(batches: list[_Batch]) -> _Batch:
    keys = dict.fromkeys(key for batch in batches for key in batch)
    frames = {key: [batch[key] for batch in batches if key in batch] for key in keys}
    return {key: nw.concat(found, how="diagonal") for key, found in frames.items()}


def _check_time(deadline: float | None, timeout: float | None) -> None:
    if deadline is not None and time.monotonic() >= deadline:
        raise TimeoutError(f"The rows were not stored within {timeout:g} s; the writer goes on.")
