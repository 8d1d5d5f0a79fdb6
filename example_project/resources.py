"""One DuckDB file, for the metadata and for the results; how its features look in Dagster."""

import dagster as dg
from dagster_duckdb import DuckDBResource

from example_project import paths
from metaxy_dagster import (
    FeatureTranslator,
    FeatureTranslatorData,
    MetaxyIOManager,
    MetaxyStore,
)

results = DuckDBResource(database=str(paths.DATABASE))
store = MetaxyStore.from_duckdb(results)
io_manager = MetaxyIOManager(store=store)


class Translator(FeatureTranslator):
    """Puts all features into one group, of one team, and shows where they are kept."""

    def get_asset_spec(self, data: FeatureTranslatorData) -> dg.AssetSpec:
        """The asset of a feature."""
        spec = super().get_asset_spec(data)
        return spec.replace_attributes(
            group_name="media", owners=["team:media"], kinds=spec.kinds | {"duckdb"}
        )


translator = Translator()
