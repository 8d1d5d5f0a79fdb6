"""A whole graph in one call."""

import sys
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from metaxy_core import DefinitionError, FeatureGraph, use_graph
from metaxy_dagster import (
    Built,
    FeatureTranslator,
    Increment,
    Increments,
    MetaxyStore,
    build_feature_definitions,
    feature_specs,
    multi_feature_asset,
    observe_features,
)
from tests.dagster.conftest import materialized, resources, rows, videos


def listed() -> Any:
    return videos({"a": "1", "b": "1"})


def passed(increment: Increment) -> Any:
    return increment.todo()


COMPUTE: dict[Any, Any] = {"ex/video": listed, "ex/crop": passed, "ex/a_faces": passed}


def test_the_graph_becomes_assets_jobs_and_resources(
    graph: FeatureGraph, store: MetaxyStore
) -> None:
    defs = build_feature_definitions(graph, store=store, compute=COMPUTE, group="vision")
    graph_of = defs.resolve_asset_graph()
    external = {k.to_user_string() for k in graph_of.external_asset_keys}
    executable = {k.to_user_string() for k in graph_of.executable_asset_keys}
    assert executable == {"ex/video", "ex/crop", "ex/a_faces"}
    assert external == {"ex/scene", "ex/site"}
    assert {spec.group_name for spec in defs.resolve_all_asset_specs()} == {"vision"}
    assert {spec.kinds for spec in map(_frozen_kinds, defs.resolve_all_asset_specs())} == {
        frozenset({"metaxy", "memory"})
    }
    names = {job.name for job in defs.resolve_all_job_defs() if not job.name.startswith("__")}
    assert names == {
            "materialize_vision", "record_graph_snapshot", "cleanup_orphans", "verify_metadata",
            "compact_metadata",
        }  # fmt: skip
    result = defs.resolve_job_def("materialize_vision").execute_in_process()
    assert materialized(result) == ["ex/video", "ex/crop", "ex/a_faces"]
    assert rows(store, "ex/a_faces") == [("a",), ("b",)]


class _frozen_kinds:  # a value with hashable kinds
    def __init__(self, spec: dg.AssetSpec) -> None:
        self.kinds = frozenset(spec.kinds)


def test_the_snapshot_job_records_the_graph(graph: FeatureGraph, store: MetaxyStore) -> None:
    defs = build_feature_definitions(graph, store=store)
    defs.resolve_job_def("record_graph_snapshot").execute_in_process()
    with store.open("r") as opened:
        assert [s.version for s in opened.snapshots()] == [graph.freeze().snapshot_version]


def test_assets_made_by_the_decorators_are_taken(graph: FeatureGraph, store: MetaxyStore) -> None:
    @multi_feature_asset(["ex/a_faces", "ex/site"], graph=graph)
    def both(increments: Increments) -> Any:
        return {feature: increment.todo() for feature, increment in increments.items()}

    defs = build_feature_definitions(
        graph, store=store, compute={**COMPUTE, "ex/a_faces": both, "ex/site": both}
    )
    assert len(defs.resolve_asset_graph().executable_asset_keys) == 4


def test_an_asset_for_another_feature_is_refused(graph: FeatureGraph, store: MetaxyStore) -> None:
    other = multi_feature_asset(["ex/crop"], graph=graph)(lambda increments: None)
    with pytest.raises(DefinitionError, match=r"'ex/video'.*computes ex/crop"):
        build_feature_definitions(graph, store=store, compute={"ex/video": other})


def test_a_function_for_no_feature_is_refused(graph: FeatureGraph, store: MetaxyStore) -> None:
    with pytest.raises(DefinitionError, match="'ex/none'"):
        build_feature_definitions(graph, store=store, compute={"ex/none": passed})


def test_the_translator_and_arguments_reach_every_asset(
    graph: FeatureGraph, store: MetaxyStore
) -> None:
    class Owned(FeatureTranslator):
        def get_asset_spec(self, data: Any) -> dg.AssetSpec:
            return super().get_asset_spec(data).replace_attributes(owners=["team:ml"])

    daily = dg.StaticPartitionsDefinition(["x", "y"])
    condition = dg.AutomationCondition.eager()
    defs = build_feature_definitions(
        graph,
        store=store,
        compute=COMPUTE,
        translator=Owned(),
        pool="gpu",
        automation_condition=condition,
        partitions={"ex/video": (daily, "day")},
    )
    specs = {spec.key.to_user_string(): spec for spec in defs.resolve_all_asset_specs()}
    assert all(spec.owners == ["team:ml"] for spec in specs.values())
    assert specs["ex/crop"].automation_condition == condition
    assert specs["ex/video"].partitions_def == daily
    assert specs["ex/crop"].partitions_def is None


def test_checks_and_automation_see_what_was_built(graph: FeatureGraph, store: MetaxyStore) -> None:
    seen: list[Built] = []

    def checks(built: Built) -> list[dg.AssetChecksDefinition]:
        seen.append(built)
        return []

    def automation(built: Built) -> list[Any]:
        job = dg.define_asset_job("again", dg.AssetSelection.all())
        return [dg.ScheduleDefinition(job=job, cron_schedule="@daily")]

    defs = build_feature_definitions(
        graph, store=store, compute=COMPUTE, checks=checks, automation=automation
    )
    assert [str(key) for key in seen[0].computed] == ["ex/video", "ex/crop", "ex/a_faces"]
    assert len(defs.schedules or []) == 1


def test_a_package_of_features(store: MetaxyStore, tmp_path: Path) -> None:
    package = tmp_path / "someones_features"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "media.py").write_text(
        "from metaxy_core import Feature, FeatureSpec\n"
        "class Clip(Feature, spec=FeatureSpec('clip', id_columns=['id'])):\n"
        "    '''A clip.'''\n"
        "    id: str\n"
    )
    sys.path.insert(0, str(tmp_path))
    try:
        with use_graph(FeatureGraph()):
            defs = build_feature_definitions("someones_features", store=MetaxyStore.memory())
    finally:
        sys.path.remove(str(tmp_path))
    (spec,) = defs.resolve_all_asset_specs()
    assert (spec.key, spec.description) == (dg.AssetKey("clip"), "A clip.")


def test_feature_specs_can_be_loaded(graph: FeatureGraph, store: MetaxyStore) -> None:
    with store.open("w") as opened:
        opened.write("ex/video", listed())
    seen: list[Any] = []

    @dg.asset(ins={"ids": dg.AssetIn(["ex", "video"])})
    def use(ids: Any) -> None:
        seen.extend(sorted(ids.collect()["id"].to_list()))

    specs = feature_specs(["ex/video"], graph=graph)
    dg.materialize([*specs, use], selection=[use], resources=resources(store))
    assert seen == ["a", "b"]


def test_observed_features_say_what_is_there(graph: FeatureGraph, store: MetaxyStore) -> None:
    with store.open("w") as opened:
        opened.write("ex/video", listed())
    observed, schedule = observe_features(["ex/video", "ex/crop"], graph=graph, cron="@hourly")
    assert schedule.cron_schedule == "@hourly"
    job = dg.define_asset_job("watch", dg.AssetSelection.all(include_sources=True))
    defs = dg.Definitions(assets=[observed], jobs=[job], resources=resources(store))
    result = defs.resolve_job_def("watch").execute_in_process()
    counts = {
        event.asset_key.to_user_string(): event.event_specific_data.asset_observation.metadata[
            "dagster/row_count"
        ].value
        for event in result.get_asset_observation_events()
    }
    assert counts == {"ex/video": 2, "ex/crop": 0}
    versions = {
        event.asset_key.to_user_string(): event.event_specific_data.asset_observation.metadata[
            "metaxy/versions"
        ].value
        for event in result.get_asset_observation_events()
    }
    with store.open("r") as opened:
        current = opened.graph.versions[opened.graph["ex/video"].key].feature
    assert versions == {"ex/video": {current: 2}, "ex/crop": {}}


def test_observed_features_in_the_factory(graph: FeatureGraph, store: MetaxyStore) -> None:
    defs = build_feature_definitions(graph, store=store, observe=["ex/video"])
    assert dg.AssetKey(["ex", "video"]) in defs.resolve_asset_graph().observable_asset_keys
