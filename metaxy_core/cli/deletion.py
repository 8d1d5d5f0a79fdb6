"""Deleting: counted first, and done only when the user has said yes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from metaxy_core.cli.metadata import DryRun, RowCount, show_counts
from metaxy_core.cli.output import Format, gives
from metaxy_core.cli.project import Project
from metaxy_core.errors import ConfigError, FeatureNotFoundError

if TYPE_CHECKING:
    import polars as pl

    from metaxy_core.keys import FeatureKey
    from metaxy_core.store import MetadataStore

_HERE = Project()
Yes = Annotated[
    bool, Parameter(alias="-y", negative=(), help="Do it; without it nothing is changed.")
]


@dataclass(frozen=True)
class SampleCount:
    """How many samples of a feature were deleted, or would be."""

    feature: str
    samples: int


@gives(lambda: list[SampleCount])
def delete(
    feature: str,
    *,
    where: str | None = None,
    id: Annotated[tuple[str, ...], Parameter(negative=(), consume_multiple=False)] = (),
    hard: Annotated[bool, Parameter(negative=())] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    project: Project = _HERE,
    format: Format = "plain",
) -> int:
    """Delete stored samples of a feature: mark them, or with --hard remove all their rows.

    Marked samples are brought back by `store.undelete` in Python.

    Example: metaxy metadata delete example/crop --where "height < 100" --dry-run

    Example: metaxy metadata delete example/crop --id cat --id arrival --yes

    Exit codes: 0 deleted, or counted; 1 a mistake, or --yes is missing.

    Args:
        feature: The feature's key.
        where: A condition in the filter language, such as "height > 720".
        id: One sample: the value of its id column, or `column=value,column=value`; may be given
            again. With a condition, only the samples that both mean.
        hard: Remove the samples' rows of every version for good.
    """
    if where is None and not id:
        raise ConfigError("Which samples? Give --where CONDITION or --id VALUE.")
    store = project.metadata_store(project.graph())
    key = store.graph[feature].key
    conditions = () if where is None else (where,)
    with store.open("r"):
        samples = _samples(store, key, id) if id else None
        found = store.delete(key, conditions, samples=samples, soft=not hard, dry_run=True)
    if found and not dry_run:
        _ask(yes, f"{found:,} samples of '{key}' in {store.display()}")
        with store.open("w"):
            found = store.delete(key, conditions, samples=samples, soft=not hard)
    verb = "removed" if hard else "deleted"
    show_counts({str(key): found}, format, f"to be {verb}" if dry_run else verb, "samples")
    return 0


@gives(lambda: list[RowCount])
def drop(
    *features: str,
    dry_run: DryRun = False,
    yes: Yes = False,
    project: Project = _HERE,
    format: Format = "plain",
) -> int:
    """Remove the tables of features from the store, with all their rows; for good.

    Example: metaxy metadata drop example/crop --dry-run

    Exit codes: 0 removed, or counted; 1 a mistake, or --yes is missing.

    Args:
        features: The features' keys.
    """
    if not features:
        raise ConfigError("Which features? Give the key of one at least.")
    store = project.metadata_store(project.graph())
    counts = {}
    with store.open("r"):
        for name in features:
            key = store.graph[name].key
            stored = store.inventory(key, allow_fallback=False)
            if stored is None:
                raise FeatureNotFoundError(str(key), [store.display()])
            counts[str(key)] = stored.rows
    if not dry_run:
        named = ", ".join(f"'{key}' ({rows:,} rows)" for key, rows in counts.items())
        _ask(yes, f"{named} in {store.display()}")
        with store.open("w"):
            for name in counts:
                store.drop(name)
    show_counts(counts, format, "to be removed" if dry_run else "removed")
    return 0


def _ask(yes: bool, what: str) -> None:
    if not yes:
        raise ConfigError(f"This would delete {what}. Say --yes to do it; nothing was changed.")


def _samples(store: MetadataStore, key: FeatureKey, given: Sequence[str]) -> pl.DataFrame:
    """The ids as a frame, in the types of the stored columns."""
    import polars as pl

    columns = store.graph[key].id_columns
    schema = store.read(key, columns=columns, allow_fallback=False).collect_schema().to_polars()
    rows = [_named(columns, one) for one in given]
    texts = pl.DataFrame(rows, schema=dict.fromkeys(columns, pl.String))
    try:
        return texts.select(pl.col(name).cast(schema[name]) for name in columns)
    except pl.exceptions.PolarsError as error:
        kinds = ", ".join(f"{name} is {schema[name]}" for name in columns)
        raise ConfigError(f"--id does not fit the id columns of '{key}': {kinds}.") from error


def _named(columns: Sequence[str], text: str) -> dict[str, str]:
    if len(columns) == 1:
        return {columns[0]: text.removeprefix(f"{columns[0]}=")}
    found = dict(part.partition("=")[::2] for part in text.split(","))
    if set(found) != set(columns):
        wanted = ",".join(f"{name}=…" for name in columns)
        raise ConfigError(f"--id is to be written {wanted}; given: {text}")
    return found
