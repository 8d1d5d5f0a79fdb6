"""What was computed and could not be stored: kept in a file until it can be.

The file is a zip archive: `write.json` says what was asked, under which graph and which write id;
each frame is an Arrow IPC file beside it. Nothing in it is ever executed.
"""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import platformdirs
import polars as pl

from metaxy_core.backends.base import to_polars
from metaxy_core.errors import NotStoredError, SpoolFileError
from metaxy_core.graph import Graph, GraphSnapshot
from metaxy_core.store.request import Write

if TYPE_CHECKING:
    from metaxy_core.store.base import BaseStore

SUFFIX = ".metaxy-write"
_FORMAT = 1
_ASKED = "write.json"


@dataclass(frozen=True)
class Kept:
    """A write that failed, with the graph it was computed for."""

    graph: Graph
    writes: Sequence[Write]
    materialization_id: str | None
    write_id: str


def folder() -> Path:
    """Where files are kept unless the store says otherwise: `METAXY_SPOOL_DIR`, or per user."""
    named = os.environ.get("METAXY_SPOOL_DIR")
    return Path(named) if named else platformdirs.user_state_path("metaxy") / "spool"


def not_stored(
    store: BaseStore,
    writes: Sequence[Write],
    materialization_id: str | None,
    write_id: str,
    error: Exception,
) -> NotStoredError:
    """Keep the rows of a failed write; the error to raise names the file."""
    features = [str(one.plan.key) for one in writes]
    cause = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
    try:
        path = keep(store, writes, materialization_id, write_id)
    except OSError as second:
        return NotStoredError(features, store.display(), cause, None, str(second))
    return NotStoredError(features, store.display(), cause, path)


def keep(
    store: BaseStore, writes: Sequence[Write], materialization_id: str | None, write_id: str
) -> Path:
    """Write the file, complete or not at all. Returns its path.

    Raises:
        OSError: the file cannot be written either.
    """
    asked: dict[str, Any] = {
        "format": _FORMAT,
        "write_id": write_id,
        "materialization_id": materialization_id,
        "graph": GraphSnapshot.of(store.graph).to_json(),
        "writes": [],
    }
    directory = Path(store.spool_dir) if store.spool_dir else folder()
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    feature = writes[0].plan.key.to_table()
    name = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{feature}-{write_id[-12:]}{SUFFIX}"
    path, partial = directory / name, directory / f".{name}"
    with zipfile.ZipFile(partial, "w") as archive:
        for position, one in enumerate(writes):
            frames = {"rows": one.rows, "empty_parents": one.empty_parents}
            entry: dict[str, Any] = {
                "feature": str(one.plan.key),
                "partial": one.partial,
                "on_duplicate": one.on_duplicate,
            }
            for part, frame in frames.items():
                if frame is not None:
                    entry[part] = f"{position}-{part}.arrow"
                    archive.writestr(entry[part], _to_bytes(frame))
            asked["writes"].append(entry)
        archive.writestr(_ASKED, json.dumps(asked))
    partial.replace(path)
    return path


def read(path: Path) -> Kept:
    """What a file keeps.

    Raises:
        SpoolFileError: it is not such a file.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            asked = json.loads(archive.read(_ASKED))
            if asked.get("format") != _FORMAT:
                raise SpoolFileError(
                    f"{path} was kept by another version of this library (format "
                    f"{asked.get('format')!r}; this one reads {_FORMAT})."
                )
            graph = GraphSnapshot.from_json(asked["graph"]).graph
            writes = [_read(archive, graph, entry) for entry in asked["writes"]]
            return Kept(graph, writes, asked["materialization_id"], asked["write_id"])
    except FileNotFoundError as error:
        raise SpoolFileError(f"There is no file {path}.") from error
    except (zipfile.BadZipFile, KeyError, ValueError, pl.exceptions.PolarsError) as error:
        raise SpoolFileError(
            f"{path} is not a file of rows that could not be stored, or it is damaged: {error}"
        ) from error


def _read(archive: zipfile.ZipFile, graph: Graph, entry: dict[str, Any]) -> Write:
    frames = {
        part: pl.read_ipc(io.BytesIO(archive.read(entry[part])))
        for part in ("rows", "empty_parents")
        if part in entry
    }
    return Write(
        graph.plan(entry["feature"]),
        frames["rows"],
        entry["partial"],
        frames.get("empty_parents"),
        entry["on_duplicate"],
    )


def _to_bytes(frame: Any) -> bytes:
    kept = io.BytesIO()
    to_polars(frame).collect().to_native().write_ipc(kept)
    return kept.getvalue()
