"""The schedule: it runs when there is something to do and says why when there is not."""

from __future__ import annotations

from typing import Any

import dagster as dg

from metaxy_dagster import build_increment_schedule
from tests.dagster.automated import History


def decide(history: History, selection: Any, **how: Any) -> Any:
    schedule = build_increment_schedule("@daily", selection, graph=history.graph)
    context = dg.build_schedule_context(
        instance=history.instance, resources={"metaxy": history.store}, **how
    )
    with context:
        return schedule.evaluate_tick(context)


def counts(found: Any) -> tuple[str, str]:
    (request,) = found.run_requests
    return request.tags["metaxy/new"], request.tags["metaxy/stale"]


def test_nothing_pending_is_skipped_with_a_reason() -> None:
    history = History()
    history.list(a="1")
    history.run("ex/crop")
    found = decide(history, ["ex/crop"])
    assert (found.run_requests, found.skip_message) == ([], "There are no pending samples.")


def test_pending_samples_are_run_with_their_counts() -> None:
    history = History()
    history.list(a="1", b="1")
    found = decide(history, ["ex/crop", "ex/words"])
    assert counts(found) == ("2", "0")


def test_a_selection_with_a_root_always_runs() -> None:
    assert len(decide(History(), ["ex/video", "ex/crop"]).run_requests) == 1


def test_an_asset_selection_is_resolved_in_its_code_location() -> None:
    history = History()
    history.list(a="1")
    repository = history.defs.get_repository_def()
    selection = dg.AssetSelection.assets(*history.assets) - dg.AssetSelection.all().roots()
    found = decide(history, selection, repository_def=repository)
    assert counts(found) == ("1", "0")
