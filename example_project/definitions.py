"""What Dagster loads: the four assets, one DuckDB file for metadata and results."""

import dagster as dg
from dagster_duckdb import DuckDBResource

from example_project import paths
from example_project.assets import crop, face_detection, stt, video
from metaxy_dagster import MetaxyIOManager, MetaxyStore

paths.prepare()
results = DuckDBResource(database=str(paths.DATABASE))
store = MetaxyStore.from_duckdb(results)

defs = dg.Definitions(
    assets=[video, crop, face_detection, stt],
    resources={
        "results": results,
        "metaxy": store,
        "metaxy_io": MetaxyIOManager(store=store),
    },
)
