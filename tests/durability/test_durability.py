"""Killed, crowded and full: what was acknowledged is there once, and nothing half."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from metaxy_core.errors import StoreUnavailableError
from tests.builders import rows
from tests.durability.writer import CHUNK, STORES, chunk

pytestmark = pytest.mark.slow

LONG = os.environ.get("METAXY_FUZZ") == "long"
ROUNDS = 50 if LONG else 4
WRITERS, BATCHES = (8, 25) if LONG else (4, 10)
HERE = Path(__file__).parents[2]


@pytest.fixture(params=sorted(STORES))
def engine(request):
    return request.param


def started(engine, folder, worker, chunks, how="open"):
    command = [sys.executable, "-m", "tests.durability.writer", engine, str(folder), worker]
    environment = os.environ | {"PYTHONPATH": str(HERE)}
    return subprocess.Popen(
        [*command, str(chunks), how],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=HERE,
        env=environment,
    )


def stored(engine, folder):
    """How often each chunk's samples are there, of all commits."""
    store = STORES[engine](folder)
    with store.open("r"):
        found = store.read("a", with_sample_history=True, columns=["id"]).collect("polars")
        assert store.verify() == []
    return Counter(found["id"].to_list())


def assert_whole(found, acknowledged):
    """Every acknowledged chunk is there once, and no chunk is there in part."""
    assert set(found.values()) <= {1}
    for name in acknowledged:
        assert {found[sample] for sample in chunk(name)} == {1}, f"{name} was acknowledged"
    chunks = Counter(sample.rsplit("-", 1)[0] for sample in found)
    assert set(chunks.values()) <= {CHUNK}


def test_a_process_killed_at_any_moment_loses_nothing_acknowledged(engine, tmp_path):
    rng = random.Random(7)
    acknowledged: list[str] = []
    for number in range(ROUNDS):
        how = rng.choice(["open", "reopen"])
        process = started(engine, tmp_path, f"w{number}", 10_000, how)
        lines = [process.stdout.readline() for _ in range(rng.randint(1, 4))]
        time.sleep(rng.random() * 0.1)
        process.send_signal(signal.SIGKILL)
        rest, _ = process.communicate(timeout=60)
        acknowledged += [line.strip() for line in [*lines, *rest.splitlines(True)]
                         if line.endswith("\n")]  # fmt: skip
        assert_whole(stored(engine, tmp_path), acknowledged)
    assert len(acknowledged) >= ROUNDS


def test_many_processes_write_one_store_and_none_is_refused(engine, tmp_path):
    workers = [started(engine, tmp_path, f"w{n}", BATCHES, "reopen") for n in range(WRITERS)]
    acknowledged: list[str] = []
    for worker in workers:
        out, error = worker.communicate(timeout=300)
        assert worker.returncode == 0, error
        acknowledged += out.split()
    found = stored(engine, tmp_path)
    assert len(acknowledged) == WRITERS * BATCHES
    assert_whole(found, acknowledged)
    assert len(found) == WRITERS * BATCHES * CHUNK


def test_a_full_disk_is_told_with_the_file_that_keeps_the_rows(engine, tmp_path):
    process = started(engine, tmp_path, "w0", 2_000, "limit=1500000")
    out, error = process.communicate(timeout=300)
    assert process.returncode == 1
    assert "NotStoredError" in error
    assert "metaxy metadata replay" in error
    assert_whole(stored(engine, tmp_path), out.split())
    kept = list((tmp_path / "spool").glob("*.metaxy-write"))
    assert len(kept) == 1
    store = STORES[engine](tmp_path)
    with store:
        assert store.replay(kept[0]) == {"a": CHUNK}
    names = {sample.rsplit("-", 1)[0] for sample in stored(engine, tmp_path)}
    assert len(names) == len(out.split()) + 1


def test_a_truncated_file_is_a_typed_error(engine, tmp_path):
    store = STORES[engine](tmp_path)
    with store:
        store.write("a", rows({"id": [f"{n:09}" for n in range(20_000)]}))
    [path] = tmp_path.glob("a.*")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 3])
    with pytest.raises(StoreUnavailableError) as error:
        with store.open("r"):
            store.read("a").collect("polars")
    assert error.value.reason == "corrupt"
    path.write_bytes(whole)
    with store.open("r"):
        assert len(store.read("a").collect("polars")) == 20_000


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write read-only files")
def test_a_read_only_file_is_a_typed_error_and_can_be_read(engine, tmp_path):
    store = STORES[engine](tmp_path)
    with store:
        store.write("a", rows({"id": ["x"]}))
    for path in tmp_path.iterdir():
        path.chmod(0o444)
    with pytest.raises(StoreUnavailableError) as error:
        with store.open("w"):
            pass
    assert error.value.reason == "read-only"
    with store.open("r"):
        assert len(store.read("a").collect("polars")) == 1
