"""Names that people give to recorded graphs; the last one to be given a name has it."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import narwhals as nw
import polars as pl

from metaxy_core.backends.base import Backend
from metaxy_core.errors import TagError
from metaxy_core.system.tables import TAGS

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/+-]{0,99}")
_RESERVED = ("latest", "code")


def check(backend: Backend, project: str, tag: str, snapshot: int | None, *, move: bool) -> None:
    """Refuse a text that is no name, or that another graph than that of this commit has.

    Args:
        snapshot: the commit that recorded the graph; None for one that is not recorded yet.
        move: take the name from the other graph.

    Raises:
        TagError: says which of them.
    """
    if tag in _RESERVED or tag.endswith(".json") or not _NAME.fullmatch(tag):
        raise TagError(
            f"A graph cannot have the tag {tag!r}. A tag begins with a letter or a digit and is "
            "made of letters, digits and . _ / + -; it is not 'latest' or 'code', and does not "
            "end in .json."
        )
    taken = recorded(backend, project).get((project, tag))
    if taken not in (None, snapshot) and not move:
        raise TagError(
            f"Another recorded graph has the tag {tag!r}: choose another, or take it away from "
            "that one with --move-tag (move_tag=True)."
        )


def append(backend: Backend, project: str, tag: str, snapshot: int, commit: int) -> None:
    """Give a name to the graph recorded by the commit `snapshot`. Called inside `commit`."""
    row = {
        "project": project,
        "tag": tag,
        "snapshot_commit": snapshot,
        "tagged_at": datetime.now(UTC),
        "metaxy_commit": commit,
    }
    backend.append(TAGS, nw.from_native(pl.LazyFrame([row])))


def recorded(backend: Backend, project: str | None) -> dict[tuple[str, str], int]:
    """Per project and name, the commit of the graph that has it; of all projects for None."""
    table = backend.scan(TAGS)
    if table is None:
        return {}
    if project is not None:
        table = table.filter(nw.col("project") == project)
    rows = table.sort("metaxy_commit").collect("polars").rows(named=True)
    return {(row["project"], row["tag"]): row["snapshot_commit"] for row in rows}
