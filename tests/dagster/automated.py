"""A small pipeline with a history, for the tests of automation."""

from __future__ import annotations

from typing import Any

import dagster as dg

from metaxy_core import FeatureGraph, FeatureSpec
from metaxy_dagster import Increment, MetaxyStore, feature_asset
from tests.dagster.conftest import resources, videos


class History:
    """video -> crop -> words over one store and one Dagster instance; ticks see what runs left."""

    def __init__(self, store: MetaxyStore | None = None, **crop: Any) -> None:
        self.graph = FeatureGraph(
            [
                FeatureSpec("ex/video", id_columns=["id"], fields=["audio", "frames"]),
                FeatureSpec("ex/crop", id_columns=["id"], deps=["ex/video"]),
                FeatureSpec("ex/words", id_columns=["id"], deps=["ex/crop"]),
            ]
        )
        self.store = (store or MetaxyStore.memory()).with_graph(self.graph)
        self.instance = dg.DagsterInstance.ephemeral()
        self.listed = videos({})
        self.broken = False

        def video() -> Any:
            return self.listed

        def computed(increment: Increment) -> Any:
            if self.broken:
                raise ValueError("boom")
            return increment.todo()

        make = {key: crop if key == "ex/crop" else {} for key in ("ex/crop", "ex/words")}
        self.assets = [
            feature_asset("ex/video", graph=self.graph)(video),
            *(feature_asset(k, graph=self.graph, **more)(computed) for k, more in make.items()),
        ]

    @property
    def defs(self) -> dg.Definitions:
        """What a code location would load."""
        return dg.Definitions(self.assets, resources=resources(self.store))

    def list(self, **audio: str) -> None:
        """Run the root with these samples."""
        self.listed = videos(audio)
        self.run("ex/video")

    def run(self, *keys: str, **how: Any) -> bool:
        """Materialise assets in this process. Returns whether it worked."""
        wanted = [dg.AssetKey.from_user_string(key) for key in keys]
        result = dg.materialize(
            self.assets,
            selection=dg.AssetSelection.assets(*wanted),
            resources=resources(self.store, preview_rows=0),
            instance=self.instance,
            raise_on_error=False,
            **how,
        )
        return result.success
