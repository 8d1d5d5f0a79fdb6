"""The same made-up videos for every measurement: text ids, two fields."""

from __future__ import annotations

import polars as pl

from metaxy_core import FeatureSpec, Graph

GRAPH = Graph(
    [
        FeatureSpec("video", id_columns=["id"], fields=["audio", "frames"]),
        FeatureSpec("crop", id_columns=["id"], fields=["audio", "frames"], deps=["video"]),
    ]
)


def videos(samples: int, changed: int = 0) -> pl.DataFrame:
    """Videos with a path and text provenance; the first `changed` have another sound track."""
    number = pl.int_range(samples)
    audio = pl.when(number < changed).then(pl.lit("new")).otherwise(pl.lit("old"))
    return pl.select(
        id=pl.format("sample-{}", number),
        path=pl.format("s3://bucket/videos/{}.mp4", number),
        metaxy_provenance_by_field=pl.struct(audio=audio, frames=pl.format("frames-{}", number)),
    )


def layered(features: int, width: int = 10) -> list[FeatureSpec]:
    """A layered graph: each feature has three fields and three parents in the layer above."""
    fields = ["a", "b", "c"]
    return [
        FeatureSpec(
            f"layer{i // width}/f{i % width}",
            fields=fields,
            deps=[f"layer{i // width - 1}/f{j}" for j in range(3)] if i >= width else [],
        )
        for i in range(features)
    ]
