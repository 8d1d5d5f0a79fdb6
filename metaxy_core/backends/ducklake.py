"""DuckLake: Parquet files and their catalog in DuckDB, SQLite or PostgreSQL; DuckDB computes.

The extensions come from wheels and are loaded from there; nothing is downloaded.
"""

from __future__ import annotations

import importlib.util
import sqlite3
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import duckdb
import ibis
import tenacity

from metaxy_core.backends.base import Capability, Gap, Mode, T, never
from metaxy_core.backends.duckdb import FUNCTIONS, OFFLINE, DuckDBBackend, is_lock
from metaxy_core.backends.files import MAKE_IT, make_folder
from metaxy_core.backends.scanned import check_address
from metaxy_core.backends.sql import text_with_nul
from metaxy_core.backends.waiting import telling
from metaxy_core.errors import ConfigError, MissingExtraError, StoreUnavailableError
from metaxy_core.frames.dialect import DataFrame
from metaxy_core.frames.ibis import IbisDialect

_LAKE = "lake"
_COUNTER = "metaxy_system__commits"
_EXTENSIONS = {
    "sqlite": "sqlite_scanner",
    "postgres": "postgres_scanner",
}
_NO_FILE = "Cannot open database"


class DuckLakeBackend(DuckDBBackend):
    """See `Backend`.

    Args:
        catalog: where the lake's catalog is: a DuckDB file, `sqlite:PATH`, or
            `postgres:dbname=... host=...` (never shown, it may hold a password).
        data_path: the folder of the Parquet files, or its address; by default beside the catalog.
        lock_timeout: seconds to wait for other processes to let go of the catalog.
        config: DuckDB settings, as `duckdb.connect` takes them.
    """

    dialect = IbisDialect("duckdb", FUNCTIONS)
    gaps: Mapping[Capability, Gap] = {
        "NUL in texts": never("DuckLake 1.5 writes the bounds of a column into queries of its own"),
    }

    def __init__(
        self,
        catalog: str | Path,
        *,
        data_path: str | Path | None = None,
        lock_timeout: float = 60.0,
        config: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(str(catalog), lock_timeout=lock_timeout, config=config)
        self._has_turn = False
        self.kind, _, self.address = self._split(str(catalog))
        self.data_path = None if data_path is None else str(data_path)
        check_address(self.data_path or "")
        if self.kind == "postgres" and data_path is None:
            raise ValueError("A catalog in PostgreSQL needs data_path=, where the files are kept.")

    @staticmethod
    def _split(catalog: str) -> tuple[str, str, str]:
        """What keeps the catalog, and where.

        Raises:
            ConfigError: nothing that is known; the message does not repeat it.
        """
        kind, colon, place = catalog.removeprefix("ducklake:").partition(":")
        if kind in _EXTENSIONS:
            return kind, colon, place
        if kind.isalpha() and len(kind) > 1 and colon:  # one letter is a drive
            raise ConfigError(
                "The catalog of a DuckLake is a DuckDB file, sqlite:PATH, or postgres: and what "
                "libpq reads."
            )
        return "duckdb", "", catalog.removeprefix("ducklake:")

    @contextmanager
    def connected(self, mode: Mode) -> Iterator[Any]:
        """See `SqlBackend.connected`; waits, bounded and with jitter, for a catalog in a file."""
        if self.kind != "postgres" and mode == "r" and not Path(self.address).exists():
            raise StoreUnavailableError(
                self.address, "missing", f"there is no such catalog. {MAKE_IT}"
            )
        if self.kind != "postgres" and mode == "w":
            make_folder(self.address)
        retry = tenacity.Retrying(
            stop=tenacity.stop_after_delay(self.lock_timeout),
            wait=tenacity.wait_random_exponential(multiplier=0.02, max=0.5),
            retry=tenacity.retry_if_exception(is_lock),
            before_sleep=telling(self.describe()["uri"]),
            reraise=True,
        )
        connection = duckdb.connect(":memory:", config=OFFLINE | self.config)
        try:
            for name in ("ducklake", _EXTENSIONS.get(self.kind)):
                if name is not None:
                    _load(connection, name)
            try:
                with self._turn() if mode == "w" else nullcontext():
                    retry(self._attach, connection, mode)
            except duckdb.Error as error:
                raise self._unavailable(error) from None
            yield ibis.duckdb.from_connection(connection)
        finally:
            connection.close()

    def _attach(self, connection: duckdb.DuckDBPyConnection, mode: Mode) -> None:
        prefix = "" if self.kind == "duckdb" else f"{self.kind}:"
        options = [f"DATA_PATH {_literal(self._data_path())}"]
        if mode == "r":
            options.append("READ_ONLY")
        elif self.kind == "sqlite":
            # Readers and a writer are not in each other's way, and wait for what is short.
            options += ["META_JOURNAL_MODE 'WAL'", "META_BUSY_TIMEOUT 5000"]
        lake = _literal(f"ducklake:{prefix}{self.address}")
        connection.execute(f"ATTACH {lake} AS {_LAKE} ({', '.join(options)})")
        connection.execute(f"USE {_LAKE}")

    def _data_path(self) -> str:
        """The files' folder; beside a catalog file it is named like it."""
        return self.data_path or f"{Path(self.address).absolute()}.files/"

    def _unavailable(self, error: duckdb.Error) -> StoreUnavailableError:
        uri = self.describe()["uri"]
        if is_lock(error):
            return StoreUnavailableError(
                uri, "locked", f"somebody else had the catalog open for {self.lock_timeout:g} s."
            )
        reason = "corrupt" if "not a valid" in str(error) else "unreachable"
        # The text of the error may quote the address, and with it a password.
        shown = "" if self.kind == "postgres" else f" ({str(error).splitlines()[0]})"
        return StoreUnavailableError(
            uri, reason, f"DuckLake cannot open the catalog ({type(error).__name__}).{shown}"
        )

    def prepare(self) -> None:
        """See `SqlBackend.prepare`."""
        if _COUNTER in super().tables():
            return
        with self._turn():
            self.run(f"CREATE TABLE IF NOT EXISTS {_COUNTER} (last BIGINT)")
            self.run(
                f"INSERT INTO {_COUNTER} SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM {_COUNTER})"  # noqa: S608
            )

    def commit(self, work: Callable[[Sequence[int]], T], numbers: int = 1) -> T:
        """See `Backend.commit`; done again when another writer committed meanwhile."""
        retry = tenacity.Retrying(
            stop=tenacity.stop_after_delay(self.lock_timeout),
            wait=tenacity.wait_random_exponential(multiplier=0.02, max=0.5),
            retry=tenacity.retry_if_exception(_is_conflict),
            reraise=True,
        )
        with self._turn():
            done: T = retry(super().commit, work, numbers)
        return done

    def drop(self, table: str) -> None:
        """See `Backend.drop`."""
        with self._turn():
            super().drop(table)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Nobody else changes a catalog in SQLite meanwhile.

        DuckDB's transactions over SQLite lock each other out for good where several processes
        change one file: they take turns by the lock of an empty file beside it.
        """
        if self.kind != "sqlite" or self._has_turn:
            yield
            return
        with closing(self._gate()):
            self._has_turn = True
            try:
                yield
            finally:
                self._has_turn = False

    def _gate(self) -> sqlite3.Connection:
        """What nobody else has while it is open; a process that dies lets go of it."""
        uri = self.describe()["uri"]
        try:
            gate = sqlite3.connect(
                f"{self.address}.turn", timeout=self.lock_timeout, isolation_level=None
            )
            gate.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                advice = f"somebody else was writing for {self.lock_timeout:g} s. Wait for it."
                raise StoreUnavailableError(uri, "locked", advice) from error
            advice = f"the folder of the catalog cannot be written. ({error})"
            raise StoreUnavailableError(uri, "read-only", advice) from error
        return gate

    def numbers(self, count: int) -> Sequence[int]:
        """See `SqlBackend.numbers`: a row that two commits cannot both change."""
        self.run(f"UPDATE {_COUNTER} SET last = last + {count}")  # noqa: S608  # a number
        [(last,)] = self.fetch(f"SELECT max(last) FROM {_COUNTER}")  # noqa: S608
        return range(last - count + 1, last + 1)

    def tables(self) -> Sequence[str]:
        """See `Backend.tables`."""
        found = self.fetch(
            "SELECT table_name FROM information_schema.tables "
            "WHERE table_catalog = current_database() AND table_schema = 'main' ORDER BY 1"
        )
        return [name for (name,) in found if name != _COUNTER]

    def shape(self) -> Hashable:
        """See `Backend.shape`."""
        return tuple(
            self.fetch(
                "SELECT table_name, column_name, data_type FROM duckdb_columns() "
                "WHERE database_name = current_database() ORDER BY ALL"
            )
        )

    def refusal(self, rows: DataFrame) -> str | None:
        """See `Backend.refusal`."""
        return text_with_nul(rows, "DuckLake")

    def describe(self) -> Mapping[str, str]:
        """See `Backend.describe`."""
        shown = self.data_path if self.kind == "postgres" else self.address
        return {"type": "ducklake", "uri": f"ducklake:{self.kind}:{shown}"}


def _load(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    """Load an extension from its wheel."""
    package = f"duckdb_extension_{name}"
    found = importlib.util.find_spec(package)
    folder = None if found is None or found.origin is None else Path(found.origin).parent
    version = f"v{duckdb.__version__}"
    path = folder and folder / "extensions" / version / f"{name}.duckdb_extension"
    if path is None or not path.exists():
        raise MissingExtraError("DuckLakeMetadataStore", f"{package} for {version}", "ducklake")
    connection.execute(f"LOAD {_literal(str(path))}")


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _is_conflict(error: BaseException) -> bool:
    """Whether another commit came between; DuckLake says so in words only."""
    text = str(error).lower()
    return isinstance(error, duckdb.Error) and ("conflict" in text or "database is locked" in text)
