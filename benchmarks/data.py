"""The same made-up samples for every system that is measured."""

from __future__ import annotations

from typing import Literal

import polars as pl

from benchmarks.graphs import Feature

Ids = Literal["text", "integer"]
MEMBERS, CHILDREN = 10, 2
"""Of a group; of a parent."""


def samples(
    root: Feature,
    count: int,
    *,
    first: int = 0,
    step: int = 1,
    version: int = 0,
    ids: Ids = "text",
) -> pl.DataFrame:
    """Samples of a root, every `step`-th, with a text of one's own for each field.

    Of another `version` they differ in the first field alone.
    """
    number = pl.int_range(first, first + count * step, step, dtype=pl.Int64)
    texts = {name: pl.format(f"{name}-{{}}", number) for name in root.fields}
    changing = next(iter(texts))
    texts[changing] = pl.format(f"{changing}-{{}}-{version}", number)
    members = [text.alias(name) for name, text in texts.items()]
    told = {
        "channel": pl.format("channel-{}", number // MEMBERS),
        "path": pl.format("s3://bucket/videos/{}.mp4", number),
        "caption": pl.format("what is said of {}", number),
    }
    return pl.select(
        pl.format("sample-{}", number).alias("id") if ids == "text" else number.alias("id"),
        told[root.column].alias(root.column),
        pl.struct(*members).alias("metaxy_provenance_by_field"),
    )


def results(feature: Feature, todo: pl.DataFrame) -> pl.DataFrame:
    """What computing the rows of an increment gives: themselves; of an expansion, children."""
    if "expansion" not in feature.parents.values():
        return todo
    numbers = pl.DataFrame({"number": range(CHILDREN)}, schema={"number": pl.Int64})
    return todo.join(numbers, how="cross")
