"""The jobs that keep stored rows in order."""

from __future__ import annotations

import narwhals as nw
import polars as pl

from metaxy_dagster import build_feature_definitions
from tests.dagster.conftest import videos


def job(store, graph, name):
    return build_feature_definitions(graph, store=store).resolve_job_def(name)


def test_verify_fails_and_says_where(graph, store):
    with store.open("w") as opened:
        opened.write("ex/video", videos({"a": "1"}))
    assert job(store, graph, "verify_metadata").execute_in_process().success
    with store.open("w") as opened:
        rows = opened.backend.scan("ex__video").collect("polars").to_native()
        broken = rows.with_columns(metaxy_provenance=pl.lit("0" * 32), metaxy_commit=pl.lit(99))
        opened.backend.commit(
            lambda _: opened.backend.append("ex__video", nw.from_native(broken.lazy()))
        )
    result = job(store, graph, "verify_metadata").execute_in_process(raise_on_error=False)
    assert not result.success
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    assert "of stored rows, first: ex/video" in str(failure.event_specific_data)


def test_compact_counts_and_then_removes(graph, store):
    with store.open("w") as opened:
        for text in "123":
            opened.write("ex/video", videos({"a": text}))
    compact = job(store, graph, "compact_metadata")
    op = "remove_superseded_rows"
    for dry_run, left in ((True, 3), (False, 1)):
        config = {"ops": {op: {"config": {"dry_run": dry_run}}}}
        assert compact.execute_in_process(run_config=config).success
        with store.open("r") as opened:
            history = opened.read("ex/video", with_sample_history=True).collect("polars")
        assert len(history) == left
