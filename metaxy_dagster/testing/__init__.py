"""For tests of projects: stores that leave nothing, runs with their increments, several processes.

Nothing here needs pytest.
"""

from metaxy_dagster.testing.graphql import LaunchedRun, launch_via_graphql
from metaxy_dagster.testing.processes import ProcessRun, meet, run_in_processes
from metaxy_dagster.testing.runs import FeatureRun, assert_increment, materialize_features
from metaxy_dagster.testing.stores import ephemeral_store

__all__ = [
    "FeatureRun",
    "LaunchedRun",
    "ProcessRun",
    "assert_increment",
    "ephemeral_store",
    "launch_via_graphql",
    "materialize_features",
    "meet",
    "run_in_processes",
]
