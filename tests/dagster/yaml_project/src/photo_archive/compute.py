"""Plain functions, one for each feature."""

import os
from collections.abc import Iterator
from typing import Any

import dagster as dg
import polars as pl

from metaxy_dagster import Increment, computes
from photo_archive.features import Label, Photo, Size


@computes(Photo, orphans="soft_delete")
def photos() -> pl.DataFrame:
    """List the archive."""
    listed = os.environ.get("PHOTOS", "a:1 b:1 c:1").split()
    ids, etags = zip(*(one.split(":") for one in listed), strict=True)
    return pl.DataFrame({"photo_id": ids, "etag": etags, "width": [4] * len(ids)})


@computes(Size)
def sizes(increment: Increment) -> Any:
    """The area of every new or changed photograph."""
    return increment.todo().to_native().with_columns(area=pl.col("width") ** 2)


class LabelConfig(dg.Config):
    """How to label."""

    default: str = "cat"


@computes(Label, pool="gpu")
def labels(increment: Increment, config: LabelConfig) -> Iterator[pl.DataFrame]:
    """Label what is new or changed, two at a time."""
    for batch in increment.iter_batches(2):
        yield batch.to_native().with_columns(label=pl.lit(config.default))
