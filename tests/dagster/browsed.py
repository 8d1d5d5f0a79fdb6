"""A small project to look at in a browser; METAXY_TEST_HOME is where its store is."""

import os
from pathlib import Path

import dagster as dg
import polars as pl

from metaxy_core import Feature, FeatureGraph, FeatureSpec, FieldSpec, use_graph
from metaxy_dagster import Increment, MetaxyStore, build_feature_definitions


def build(home: Path, audio_code: str) -> dg.Definitions:
    """video -> crop -> words, under a code version of the videos' sound."""
    with use_graph(FeatureGraph()) as graph:

        class Video(
            Feature,
            spec=FeatureSpec(
                "ex/video",
                id_columns=["id"],
                fields=[FieldSpec("audio", code_version=audio_code), "frames"],
                provenance_from={"audio": ["sound"], "frames": ["pictures"]},
            ),
        ):
            """A video."""

            id: str

        class Crop(
            Feature,
            spec=FeatureSpec(
                "ex/crop", id_columns=["id"], deps=[Video], fields=["audio", "frames"]
            ),
        ):
            """The middle of a video."""

        class Words(
            Feature,
            spec=FeatureSpec("ex/words", id_columns=["id"], deps=[Crop], fields=["audio"]),
        ):
            """What is said in it."""

    def video() -> pl.DataFrame:
        return pl.DataFrame({"id": ["a", "b"], "sound": ["1", "1"], "pictures": ["1", "1"]})

    def computed(increment: Increment):
        yield from increment.iter_batches(1)

    return build_feature_definitions(
        graph,
        store=MetaxyStore.duckdb(str(home / "meta.duckdb"), graph=graph),
        compute={Video: video, Crop: computed, Words: computed},
        checks=True,
        automation="increment",
        group="pictures",
    )


@dg.definitions
def defs() -> dg.Definitions:
    """What the server loads: the code as it is after the change."""
    return build(Path(os.environ["METAXY_TEST_HOME"]), "2")
