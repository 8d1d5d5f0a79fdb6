"""Assets for tests with several processes; configured by environment variables.

METAXY_TEST_DB: the DuckDB file. METAXY_TEST_LOG: a file that gets a line per computed sample.
METAXY_TEST_KILL: a file; while it does not exist, the third chunk of `ex/crop` makes it and kills
its own process.
"""

import os
import signal
from pathlib import Path
from typing import Any

import dagster as dg

from metaxy_dagster import Increment, MetaxyStore, feature_asset
from metaxy_dagster.testing import meet
from tests.dagster.conftest import media_graph, resources, videos

GRAPH = media_graph()
IDS = [f"v{n}" for n in range(10)]


@feature_asset("ex/video", graph=GRAPH)
def video() -> Any:
    return videos(dict.fromkeys(IDS, "1"))


@feature_asset("ex/crop", graph=GRAPH)
def crop(increment: Increment) -> Any:
    meet()
    for number, batch in enumerate(increment.iter_batches(2)):
        log(batch["id"].to_list())
        kill = os.environ.get("METAXY_TEST_KILL")
        if number == 2 and kill and not Path(kill).exists():
            Path(kill).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        yield batch


@feature_asset("ex/a_faces", graph=GRAPH)
def faces(increment: Increment) -> Any:
    return increment.todo()


def log(ids: list[str]) -> None:
    if path := os.environ.get("METAXY_TEST_LOG"):
        with open(path, "a") as file:
            file.writelines(f"{one}\n" for one in ids)


def store() -> MetaxyStore:
    return MetaxyStore.duckdb(os.environ["METAXY_TEST_DB"], graph=GRAPH)


def make_job() -> dg.JobDefinition:
    """The videos and, first in the alphabet, their crops: a job with one process per step."""
    executor = dg.multiprocess_executor.configured({"max_concurrent": 2})
    defs = dg.Definitions(
        assets=[crop, video],
        resources=resources(store()),
        jobs=[dg.define_asset_job("everything")],
        executor=executor,
    )
    return defs.resolve_job_def("everything")


def only_crop() -> dg.Definitions:
    """The crops alone, of videos that are stored already."""
    return dg.Definitions(assets=[crop], resources=resources(store()))


def run_crop() -> None:
    """Materialise `ex/crop` in this process."""
    dg.materialize([crop], resources=resources(store()))
