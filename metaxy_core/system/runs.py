"""What runs took: seconds and money per feature, the source of estimates."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import narwhals as nw
import polars as pl

from metaxy_core.backends.base import Backend
from metaxy_core.keys import FeatureKey
from metaxy_core.system.tables import PREFIX

RUNS = f"{PREFIX}runs"
RECENT = 50
"""How many of the last runs an estimate is made from."""

_SCHEMA: dict[str, Any] = {
    "feature": pl.String,
    "run": pl.String,
    "ended_at": pl.Datetime("us", "UTC"),
    "units": pl.Int64,
    "seconds": pl.Float64,
    "money": pl.Float64,
}


def record(
    backend: Backend,
    feature: FeatureKey,
    units: int,
    seconds: float,
    money: float | None,
    run: str | None,
) -> None:
    """Note what a run of a feature took; the store must be open for writing."""
    row = (str(feature), run, datetime.now(UTC), units, seconds, money)
    frame = pl.DataFrame([row], schema=_SCHEMA, orient="row")

    def append(numbers: Sequence[int]) -> None:
        stamped = frame.with_columns(metaxy_commit=pl.lit(numbers[0]))
        backend.append(RUNS, nw.from_native(stamped.lazy()))

    backend.commit(append)


def per_unit(backend: Backend, feature: FeatureKey) -> pl.DataFrame:
    """What the last runs of a feature took for one unit; one row per run.

    Columns: `seconds` and `money` (NULL where the run did not say), both Float64.
    """
    table = backend.scan(RUNS)
    if table is None:
        return pl.DataFrame(schema={"seconds": pl.Float64, "money": pl.Float64})
    rows = table.filter((nw.col("feature") == str(feature)) & (nw.col("units") > 0))
    found: pl.DataFrame = rows.collect("polars").to_native().sort("metaxy_commit").tail(RECENT)
    return found.select(pl.col("seconds") / pl.col("units"), pl.col("money") / pl.col("units"))
