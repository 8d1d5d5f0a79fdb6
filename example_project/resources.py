"""One DuckDB file, for the metadata and for the results."""

from dagster_duckdb import DuckDBResource

from example_project import paths
from metaxy_dagster import MetaxyIOManager, MetaxyStore

results = DuckDBResource(database=str(paths.DATABASE))
store = MetaxyStore.from_duckdb(results)
io_manager = MetaxyIOManager(store=store)
