"""metaxy_dagster.testing: what it runs, what it asserts, what it says where that fails."""

import json
import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from metaxy_core import DefinitionError, FeatureGraph, FeatureKey, FeatureSpec
from metaxy_dagster import (
    Increment,
    MetaxyStore,
    Outcome,
    feature_asset,
    feature_specs,
    multi_feature_asset,
)
from metaxy_dagster.testing import (
    assert_increment,
    ephemeral_store,
    launch_via_graphql,
    materialize_features,
    run_in_processes,
)
from tests.dagster.conftest import materialized, rows, videos


@pytest.fixture
def crop(graph: FeatureGraph) -> dg.AssetsDefinition:
    @feature_asset("ex/crop", graph=graph)
    def crop(increment: Increment) -> Any:
        return increment.todo()

    return crop


@pytest.fixture
def video(graph: FeatureGraph) -> dg.AssetsDefinition:
    return feature_asset("ex/video", graph=graph)(lambda: videos({"a": "1", "b": "1"}))


def test_a_store_is_new_and_in_a_file_where_there_is_a_folder(
    graph: FeatureGraph, tmp_path: Path
) -> None:
    one, other = ephemeral_store(tmp_path, graph=graph), ephemeral_store(tmp_path, graph=graph)
    assert {Path(one.path).parent, Path(other.path).parent} == {tmp_path}
    assert one.path != other.path
    assert ephemeral_store().path != ephemeral_store().path


class TestMaterialising:
    def test_each_change_is_a_run(
        self, video: dg.AssetsDefinition, crop: dg.AssetsDefinition, store: MetaxyStore
    ) -> None:
        changed, gone = videos({"a": "2", "b": "1"}), videos({"b": "1"})
        runs = materialize_features(
            [video, crop], store, changes=[{"ex/video": changed}, {"ex/video": gone}, {}]
        )
        assert [materialized(run.result) for run in runs] == [["ex/video", "ex/crop"]] * 4
        assert_increment(runs[0], "ex/crop", new=2, written=["a", "b"])
        assert_increment(runs[1], "ex/video", stale=1, written=["a"])
        assert_increment(runs[1], "ex/crop", stale=1, written=["a"])
        assert_increment(runs[2], "ex/video", orphaned=1, written=[])
        # What a change said holds in the runs after it.
        assert_increment(runs[3], "ex/video", orphaned=1)
        assert runs[0].increments[FeatureKey.of("ex/crop")]["new"] == Outcome(2, 2)

    def test_samples_stand_in_for_a_root_that_is_not_there(
        self, graph: FeatureGraph, crop: dg.AssetsDefinition, store: MetaxyStore
    ) -> None:
        specs = feature_specs(["ex/video"], graph=graph)
        for assets in ([crop], [*specs, crop]):
            (run,) = materialize_features(assets, store, samples={"ex/video": videos({"a": "1"})})
            assert materialized(run.result) == ["ex/video", "ex/crop"]

    def test_samples_that_nothing_can_list_are_refused(
        self, graph: FeatureGraph, crop: dg.AssetsDefinition, store: MetaxyStore
    ) -> None:
        other = FeatureGraph([FeatureSpec(key, id_columns=["id"]) for key in ("a", "b")])
        both = multi_feature_asset(["a", "b"], graph=other)(lambda increments: None)
        with pytest.raises(DefinitionError, match="'ex/crop' has parents"):
            materialize_features([crop], store, samples={"ex/crop": videos({})})
        with pytest.raises(DefinitionError, match="other features, too: b"):
            materialize_features([both], store.with_graph(other), samples={"a": videos({})})

    def test_units_of_several_columns_are_tuples(
        self, graph: FeatureGraph, crop: dg.AssetsDefinition, store: MetaxyStore
    ) -> None:
        @feature_asset("ex/scene", graph=graph)
        def scene(increment: Increment) -> Any:
            import polars as pl

            return increment.todo().to_native().with_columns(n=pl.lit(1))

        (run,) = materialize_features(
            [crop, scene], store, samples={"ex/video": videos({"a": "1"})}
        )
        assert_increment(run, "ex/scene", new=1, written=[("a", 1)])

    def test_an_error_can_be_looked_at(self, graph: FeatureGraph, store: MetaxyStore) -> None:
        @feature_asset("ex/crop", graph=graph)
        def crop(increment: Increment) -> Any:
            raise ValueError("boom")

        samples = {"ex/video": videos({"a": "1"})}
        with pytest.raises(ValueError, match="boom"):
            materialize_features([crop], store, samples=samples)
        (run,) = materialize_features([crop], store, samples=samples, raise_on_error=False)
        assert not run.result.success
        with pytest.raises(AssertionError, match=r"'ex/crop' was not.*materialised ex/video"):
            assert_increment(run, "ex/crop")

    def test_what_was_expected_and_found_is_said(
        self, crop: dg.AssetsDefinition, store: MetaxyStore
    ) -> None:
        samples = {"ex/video": videos({"a": "1"})}
        (run,) = materialize_features([crop], store, samples=samples)
        with pytest.raises(AssertionError, match=r"expected 0 new, 2 stale.*found 1 new, 0 stale"):
            assert_increment(run, "ex/crop", stale=2)
        with pytest.raises(AssertionError, match=r"expected \['b'\].*stored \['a'\]"):
            assert_increment(run, "ex/crop", new=1, written=["b"])


def broken() -> dg.Definitions:
    raise ValueError("no definitions")


@pytest.mark.slow
def test_a_process_that_fails_says_why() -> None:
    (run,) = run_in_processes(broken, n=1)
    assert (run.success, run.error) == (False, "ValueError: no definitions")


@contextmanager
def answering(*answers: dict[str, Any]) -> Iterator[str]:
    """A server that gives these answers, one after the other, and the last one from then on."""
    left = list(answers)

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            answer = left.pop(0) if len(left) > 1 else left[0]
            body = json.dumps({"data": answer}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


KNOWN = {
    "assetNodes": [
        {
            "assetKey": {"path": ["video"]},
            "repository": {"name": "__repository__", "location": {"name": "here"}},
        }
    ]
}


class TestGraphQL:
    def test_an_asset_that_the_server_does_not_know(self) -> None:
        with answering(KNOWN) as url, pytest.raises(LookupError, match="no assets ex/crop"):
            launch_via_graphql(url, ["video", "ex/crop"])

    def test_a_run_that_is_refused(self) -> None:
        refused = {"__typename": "RunConfigValidationInvalid", "errors": [{"message": "no limit"}]}
        with (
            answering(KNOWN, {"launchRun": refused}) as url,
            pytest.raises(RuntimeError, match="refused the run: no limit"),
        ):
            launch_via_graphql(url, ["video"])

    def test_a_run_that_does_not_end(self) -> None:
        launched = {"launchRun": {"__typename": "LaunchRunSuccess", "run": {"runId": "r"}}}
        waiting = {"runOrError": {"__typename": "Run", "status": "QUEUED"}}
        with (
            answering(KNOWN, launched, waiting) as url,
            pytest.raises(TimeoutError, match="Run r is QUEUED"),
        ):
            launch_via_graphql(url, ["video"], timeout=0.2, every=0.05)

    @pytest.mark.skipif(os.environ.get("METAXY_FUZZ") != "long", reason="a server: a minute")
    def test_a_run_on_a_server(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, graph: FeatureGraph
    ) -> None:
        monkeypatch.setenv("METAXY_TEST_DB", str(tmp_path / "meta.duckdb"))
        (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
        monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
        (tmp_path / "place.py").write_text(
            "from tests.dagster.pipeline import *\n"
            "defs = dg.Definitions([video, crop], resources=resources(store()))\n"
        )
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        server = subprocess.Popen(
            ["dagster", "dev", "-f", str(tmp_path / "place.py"), "-p", str(port)],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        )
        try:
            url, begin = f"http://127.0.0.1:{port}", time.monotonic()
            while True:
                try:
                    run = launch_via_graphql(url, ["ex/video", "ex/crop"], tags={"by": "a test"})
                    break
                except (OSError, LookupError):
                    assert time.monotonic() - begin < 120
                    time.sleep(1)
        finally:
            server.terminate()
            server.wait()
        assert run.success
        store = MetaxyStore.duckdb(str(tmp_path / "meta.duckdb"), graph=graph)
        assert len(rows(store, "ex/crop")) == 10
