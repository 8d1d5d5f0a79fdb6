"""Four features made from one, for tests with many processes on one file.

`METAXY_TEST_CROWD` is a folder: `meta.duckdb`, `computed-<feature>.txt` with a line per computed
sample, and `asked.json`, which says what goes wrong: `kill` (feature to the chunk at which its
process is killed, and after how many seconds), `fail` (features whose first attempt fails at
their second chunk), `pause` (seconds per chunk). What went wrong once is marked by a file.
"""

import json
import os
import signal
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import dagster as dg

from metaxy_core import FeatureGraph, FeatureSpec
from metaxy_dagster import Increment, MetaxyStore, feature_asset
from tests.dagster.conftest import resources, videos

NAMES = ("cut", "face", "sound", "text")
GRAPH = FeatureGraph(
    [
        FeatureSpec("ex/video", id_columns=["id"], fields=["audio", "frames"]),
        *(FeatureSpec(f"ex/{name}", id_columns=["id"], deps=["ex/video"]) for name in NAMES),
    ]
)
IDS = [f"v{n:03}" for n in range(40)]
CHUNK = 4


def folder() -> Path:
    return Path(os.environ["METAXY_TEST_CROWD"])


def store() -> MetaxyStore:
    return MetaxyStore.duckdb(str(folder() / "meta.duckdb"), graph=GRAPH)


def ask(**asked: Any) -> None:
    """Say what goes wrong."""
    (folder() / "asked.json").write_text(json.dumps(asked))


def computed(name: str) -> Counter[str]:
    """How often each sample of a feature was computed."""
    return Counter((folder() / f"computed-{name}.txt").read_text().split())


def list_videos(audio: str = "1") -> None:
    """List the videos, each with this sound."""
    with store().open("w") as opened:
        samples = videos(dict.fromkeys(IDS, audio))
        increment = opened.resolve_update("ex/video", samples=samples)
        opened.write("ex/video", increment.todo())


def _made(name: str, **policy: Any) -> dg.AssetsDefinition:
    def compute(increment: Increment) -> Any:
        asked = json.loads((folder() / "asked.json").read_text())
        for number, batch in enumerate(increment.iter_batches(CHUNK)):
            time.sleep(asked.get("pause", 0))
            with (folder() / f"computed-{name}.txt").open("a") as file:
                file.writelines(f"{one}\n" for one in batch["id"].to_list())
            chunk, seconds = asked.get("kill", {}).get(name, (None, 0))
            if number == chunk and _is_first(name):  # what was computed so far is not stored
                threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGKILL)).start()
                if not seconds:
                    threading.Event().wait()
            if number == 1 and name in asked.get("fail", ()) and _is_first(name):
                raise RuntimeError(f"the first attempt at {name} fails")
            yield batch

    return feature_asset(f"ex/{name}", graph=GRAPH, **policy)(compute)


def _is_first(name: str) -> bool:
    mark = folder() / f"went-wrong-{name}"
    if mark.exists():
        return False
    mark.touch()
    return True


def job_of_all() -> dg.JobDefinition:
    """Every feature in a process of its own, all at once; each may fail once."""
    return _job(*(_made(name, retry_policy=dg.RetryPolicy(max_retries=1)) for name in NAMES))


def job_of_one() -> dg.JobDefinition:
    """One feature in a process of its own."""
    return _job(_made("cut"))


def _job(*assets: dg.AssetsDefinition) -> dg.JobDefinition:
    defs = dg.Definitions(
        assets=assets,
        resources=resources(store(), preview_rows=0),
        jobs=[dg.define_asset_job("crowd")],
        executor=dg.multiprocess_executor.configured({"max_concurrent": 4}),
    )
    return defs.resolve_job_def("crowd")


def run_one() -> None:
    """Materialise one feature in this process."""
    dg.materialize([_made("cut")], resources=resources(store(), preview_rows=0))
