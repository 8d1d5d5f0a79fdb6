"""FeatureGraphComponent: what its attributes mean, what it refuses, what a subclass can change."""

import sys
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest
import yaml
from dagster.components.core.component_tree import ComponentTree
from dagster.components.testing import create_defs_folder_sandbox
from dagster.components.testing.test_cases import TestTranslation as TranslationCases

from metaxy_core import (
    ConfigError,
    DefinitionError,
    FeatureGraph,
    FeatureSpec,
    GraphSnapshot,
    use_graph,
)
from metaxy_core.drift import functions, sources
from metaxy_core.external import make_lock
from metaxy_dagster import (
    FeatureGraphComponent,
    FeatureTranslatorData,
    Increment,
    Increments,
    MetaxyStore,
    computes,
    multi_feature_asset,
)
from metaxy_dagster.checks.definition import CHECKS
from metaxy_dagster.component.checks import Checks
from metaxy_dagster.component.scaffolder import ScaffoldParams
from tests.dagster.conftest import materialized, media_graph, outcomes, rows, videos

Functions = Mapping[str, Any]


@computes("ex/video")
def listed() -> Any:
    """Two videos."""
    return videos({"a": "1", "b": "1"})


@computes("ex/crop")
@computes("ex/a_faces", pool="gpu")
def passed(increment: Increment) -> Any:
    return increment.todo()


ALL = ["ex/video", "ex/crop", "ex/a_faces"]
ELSEWHERE = ["ex/scene", "ex/site"]
COMPUTE = {"listed": listed, "passed": passed}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Attributes to a component; `shapes` and `deeds` are its modules, in a project of its own."""
    monkeypatch.chdir(tmp_path)

    def component(
        functions: Functions | None = COMPUTE,
        kind: type[FeatureGraphComponent] = FeatureGraphComponent,
        graph: FeatureGraph | None = None,
        **attributes: Any,
    ) -> FeatureGraphComponent:
        for name, content in (("shapes", {"graph": graph or media_graph()}), ("deeds", functions)):
            module = types.ModuleType(name)
            vars(module).update(content or {})
            monkeypatch.setitem(sys.modules, name, module)
        defaults = {"features": "shapes:graph", "store": {"type": "memory"}}
        if functions is not None:
            defaults |= {"compute": "deeds", "external": ELSEWHERE}
        return kind.from_attributes_dict(attributes={**defaults, **attributes})

    return component


def build(component: FeatureGraphComponent) -> dg.Definitions:
    return component.build_defs(ComponentTree.for_test().load_context)


def specs(defs: dg.Definitions) -> dict[str, dg.AssetSpec]:
    return {spec.key.to_user_string(): spec for spec in defs.resolve_all_asset_specs()}


def everything(defs: dg.Definitions) -> dg.ExecuteInProcessResult:
    return defs.resolve_job_def("materialize_default").execute_in_process()


class TestDefinitions:
    def test_functions_become_assets_and_the_rest_is_external(self, project: Any) -> None:
        defs = build(project())
        graph = defs.resolve_asset_graph()
        assert {key.to_user_string() for key in graph.executable_asset_keys} == set(ALL)
        assert {key.to_user_string() for key in graph.external_asset_keys} == set(ELSEWHERE)
        assert materialized(everything(defs)) == ALL
        assert outcomes(everything(defs), "ex/crop")["new"] == (0, 0, 0, 0)

    def test_without_functions_named_everything_is_external(self, project: Any) -> None:
        defs = build(project(functions=None))
        assert not defs.resolve_asset_graph().executable_asset_keys

    def test_features_can_be_observed(self, project: Any) -> None:
        defs = build(project(external=["ex/scene"], observe=["ex/site"]))
        assert defs.resolve_asset_graph().observable_asset_keys == {dg.AssetKey(["ex", "site"])}

    def test_a_function_stays_plain(self) -> None:
        assert passed.__name__ == "passed"
        assert listed().height == 2

    def test_arguments_of_one_function_win_over_those_of_all(self, project: Any) -> None:
        defs = build(project(op={"pool": "cpu", "tags": {"x": "y"}, "retry": {"max_retries": 2}}))
        ops = {key: defs.resolve_assets_def(dg.AssetKey.from_user_string(key)).op for key in ALL}
        assert {key: op.pool for key, op in ops.items()} == {
            "ex/video": "cpu",
            "ex/crop": "cpu",
            "ex/a_faces": "gpu",
        }
        assert {op.tags["x"] for op in ops.values()} == {"y"}
        assert {op.retry_policy for op in ops.values()} == {dg.RetryPolicy(max_retries=2)}

    def test_assets_of_decorators_are_taken(self, project: Any) -> None:
        graph = media_graph()

        @multi_feature_asset(["ex/a_faces", "ex/site"], graph=graph)
        def both(increments: Increments) -> Any:
            return {feature: increment.todo() for feature, increment in increments.items()}

        @computes("ex/crop")
        def crop(increment: Increment) -> Any:
            return increment.todo()

        functions = {"listed": listed, "crop": crop, "both": both}
        defs = build(project(functions, graph=graph, external=["ex/scene"]))
        assert materialized(everything(defs)) == ["ex/video", "ex/crop", "ex/a_faces", "ex/site"]

    def test_partitions_are_of_the_translation_and_a_column(self, project: Any) -> None:
        sites = {"type": "static", "partition_keys": ["north", "south"]}
        defs = build(project(partition_by="site", translation={"partitions_def": sites}))
        result = defs.resolve_job_def("materialize_default").execute_in_process(
            partition_key="north", raise_on_error=False
        )
        # The two videos are both of the north; a partition refuses rows of another.
        assert materialized(result) == ALL


class TestChecksAndAutomation:
    def check_keys(self, defs: dg.Definitions) -> set[str]:
        return {key.name for key in defs.resolve_asset_graph().asset_check_keys}

    def test_no_checks_unless_asked_for(self, project: Any) -> None:
        assert self.check_keys(build(project())) == set()
        for nothing in (False, None, {}):
            assert self.check_keys(build(project(checks=nothing))) == set()

    def test_all_checks(self, project: Any) -> None:
        assert len(self.check_keys(build(project(checks=True)))) == 6

    def test_named_checks_with_their_options(self, project: Any) -> None:
        asked = {
            "graph_diff": {"blocking": True},
            "one_version": {},
            "pending_increment": {"cron": "@hourly"},
        }
        (made,) = build(project(checks=asked)).asset_checks or []
        assert isinstance(made, dg.AssetChecksDefinition)
        found = {spec.name: spec for spec in made.check_specs}
        assert set(found) == set(asked)
        assert [name for name, spec in found.items() if spec.blocking] == ["graph_diff"]
        assert found["pending_increment"].automation_condition is not None

    def test_a_name_alone_is_a_check_with_its_defaults(self, project: Any) -> None:
        defs = build(project(checks={"one_version": None, "unique_samples": None}))
        assert self.check_keys(defs) == {"one_version", "unique_samples"}

    def test_every_check_can_be_named_and_those_that_can_block_do(self, project: Any) -> None:
        assert tuple(one.name for one in fields(Checks)) == CHECKS
        grave = ["graph_diff", "unique_samples", "provenance_complete"]
        asked = {name: {"blocking": True} for name in grave}
        made = build(project(checks=asked)).asset_checks or []
        assert all(spec.blocking for one in made for spec in one.check_specs)  # type: ignore[union-attr]

    @pytest.mark.parametrize("said", [{}, {"automation": None}])
    def test_nothing_is_automated_unless_asked_for(self, project: Any, said: Any) -> None:
        defs = build(project(**said))
        assert not defs.sensors
        assert not defs.schedules
        assert specs(defs)["ex/crop"].automation_condition is None

    @pytest.mark.parametrize(
        "said", ["increment", {"on_increment": {"min_samples": 100, "max_wait_minutes": 360}}]
    )
    def test_a_condition_and_its_sensor(self, project: Any, said: Any) -> None:
        defs = build(project(automation=said))
        (sensor,) = defs.sensors or []
        condition = specs(defs)["ex/crop"].automation_condition
        assert isinstance(sensor, dg.AutomationConditionSensorDefinition)
        assert condition is not None
        assert condition.get_label() == "on_increment"

    def test_a_sensor_that_runs_from_the_start(self, project: Any) -> None:
        (sensor,) = build(project(automation={"sensor": {"every": 30}, "running": True})).sensors
        assert sensor.minimum_interval_seconds == 30
        assert sensor.default_status is dg.DefaultSensorStatus.RUNNING

    def test_a_schedule(self, project: Any) -> None:
        said = {"cron": "0 6 * * *", "timezone": "Europe/Berlin"}
        (schedule,) = build(project(automation=said)).schedules
        assert (schedule.cron_schedule, schedule.execution_timezone) == tuple(said.values())
        (named,) = build(project(automation="@daily")).schedules
        assert named.cron_schedule == "@daily"


class TestStores:
    def test_a_store_of_the_configuration_beside_the_project(
        self, project: Any, tmp_path: Path
    ) -> None:
        toml = tmp_path / "metaxy.toml"
        toml.write_text("[stores.dev]\ntype = 'duckdb'\npath = 'm.duckdb'\n")
        for said in (None, {}, {"name": "dev"}):
            store = (build(project(store=said)).resources or {})["metaxy"]
            assert (store.name, store.config_file) == ((said or {}).get("name"), str(toml))
        with store.open("w"):
            assert (tmp_path / "m.duckdb").exists()

    def test_an_inline_path_is_relative_to_the_project(self, project: Any, tmp_path: Path) -> None:
        (tmp_path / "metaxy.toml").write_text("project = 'vision'\n")
        defs = build(project(store={"type": "duckdb", "path": "data.duckdb", "lock_timeout": 5}))
        store = (defs.resources or {})["metaxy"]
        assert (store.path, store.lock_timeout) == (str(tmp_path / "data.duckdb"), 5)
        assert store.project == "vision"

    def test_a_store_can_be_a_template_variable(self, project: Any) -> None:
        store = MetaxyStore.memory()
        said = "store: '{{ mine }}'"
        made = FeatureGraphComponent.resolve_from_yaml(said, scope={"mine": store})
        assert made.store is store
        component = project()
        component.store = made.store
        assert (build(component).resources or {})["metaxy"].path == store.path

    def test_a_store_that_is_not_there_is_named(self, project: Any) -> None:
        with pytest.raises(ConfigError, match="'prod'"):
            build(project(store={"name": "prod"}))


@pytest.mark.filterwarnings("ignore:Accessing:DeprecationWarning")  # one of Dagster's own cases
class TestTranslation(TranslationCases):
    def test_attributes_reach_the_asset(
        self,
        project: Any,
        attributes: dict[str, Any],
        assertion: Callable[[dg.AssetSpec], bool],
        key_modifier: Callable[[dg.AssetKey], dg.AssetKey] | None,
    ) -> None:
        partitions = {"partition_by": "site"} if "partitions_def" in attributes else {}
        defs = build(project(translation=attributes, **partitions))
        key = dg.AssetKey(["ex", "video"])
        spec = specs(defs)[(key_modifier(key) if key_modifier else key).to_user_string()]
        assert assertion(spec)

    def test_variables_of_the_feature(self, project: Any) -> None:
        said = {
            "group_name": "{{ feature.name }}",
            "description": "{{ feature.key }}: {{ feature.fields | join(', ') }}",
            "tags": {"table": "{{ feature.table }}"},
        }
        crop = specs(build(project(translation=said)))["ex/crop"]
        assert crop.group_name == "crop"
        assert crop.description == "ex/crop: audio, frames"
        assert crop.tags["table"] == "ex__crop"

    def test_deps_never_take_the_place_of_parents(self, project: Any) -> None:
        crop = specs(build(project(translation={"deps": ["more"]})))["ex/crop"]
        assert [dep.asset_key.to_user_string() for dep in crop.deps] == ["ex/video", "more"]

    def test_a_new_key_is_seen_by_the_features_below(self, project: Any) -> None:
        defs = build(project(translation={"key_prefix": "lab"}))
        assert materialized(everything(defs)) == [f"lab/{key}" for key in ALL]


class TestFeatures:
    def test_by_default_they_are_those_of_the_configuration(
        self, project: Any, tmp_path: Path
    ) -> None:
        component = project()
        component.features = None
        (tmp_path / "metaxy.toml").write_text("entrypoints = ['shapes:graph']\n")
        assert set(specs(build(component))) == {*ALL, *ELSEWHERE}

    def test_those_of_other_projects_are_external(self, project: Any, tmp_path: Path) -> None:
        other = FeatureGraph([FeatureSpec("their/video", id_columns=["id"])])
        mine = FeatureGraph([FeatureSpec("speech", id_columns=["id"], deps=["their/video"])])
        lock = make_lock(mine, {"their": GraphSnapshot.of(other.freeze())})
        (tmp_path / "metaxy.lock").write_text(lock.to_json())
        speech = computes("speech")(lambda increment: increment.todo())
        graph = build(project({"speech": speech}, graph=mine, external=[])).resolve_asset_graph()
        assert graph.external_asset_keys == {dg.AssetKey(["their", "video"])}

    def test_the_code_of_a_function_is_watched_without_an_asset(self) -> None:
        graph = media_graph()

        @computes("ex/crop", graph=graph)
        def crop(increment: Increment) -> Any:
            return increment.todo()

        assert functions(graph.freeze()["ex/crop"]) == (crop,)
        with use_graph(graph):
            computes("ex/site")(crop)
        assert functions(graph.freeze()["ex/site"]) == (crop,)

    def test_arguments_of_computes_are_no_code_of_the_feature(self, project: Any) -> None:
        graph = media_graph()
        build(project(graph=graph))
        texts, missing = sources(graph.freeze(), ["ex/crop", "ex/a_faces"])
        assert missing == {}
        assert ["computes" in text for text in texts.values()] == [False, False]


class TestMistakes:
    @pytest.mark.parametrize(
        ("said", "named"),
        [
            ({"features": "shapes.no"}, "'shapes.no'"),
            ({"features": "nowhere.features"}, "'nowhere'"),
            ({"features": "shapes:grahp"}, "'grahp'"),
            ({"features": ["shapes:graph", "shapes:other"]}, "several graphs"),
            ({"compute": "nowhere"}, "'nowhere'"),
            ({"external": []}, "without a function in deeds: ex/scene, ex/site"),
            ({"external": [*ELSEWHERE, "ex/crop"]}, "as external or observed: ex/crop"),
            ({"external": [*ELSEWHERE, "ex/nothing"]}, "'ex/nothing'"),
            ({"partition_by": "site"}, "partitions_def"),
        ],
    )
    def test_what_does_not_fit_is_named(self, project: Any, said: Any, named: str) -> None:
        component = project(**said)
        sys.modules["shapes"].other = FeatureGraph()  # type: ignore[attr-defined]
        with pytest.raises(DefinitionError, match=named):
            build(component)

    def test_a_function_for_a_feature_outside_the_graph(self, project: Any) -> None:
        lost = computes("ex/lost")(lambda increment: None)
        with pytest.raises(DefinitionError, match=r"deeds.lost computes 'ex/lost'. The graph has"):
            build(project({**COMPUTE, "lost": lost}))

    def test_two_functions_for_a_feature(self, project: Any) -> None:
        again = computes("ex/crop")(lambda increment: None)
        with pytest.raises(DefinitionError, match=r"'ex/crop': deeds.passed and deeds.again"):
            build(project({**COMPUTE, "again": again}))

    def test_a_module_that_raises_is_not_called_missing(
        self, project: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "broken_deeds.py").write_text("import not_installed_at_all\n")
        monkeypatch.syspath_prepend(str(tmp_path))
        with pytest.raises(ModuleNotFoundError, match="not_installed_at_all"):
            build(project(compute="broken_deeds"))

    @pytest.mark.parametrize(
        ("said", "named"),
        [
            ({"fetaures": "x"}, "fetaures"),
            ({"store": {"type": "postgres"}}, "'postgres'"),
            ({"store": {"name": "dev", "path": "x"}}, "leave out path"),
            ({"store": {"path": "x"}}, "duckdb or memory"),
            ({"store": {"type": "memory", "path": "x"}}, "no path"),
            ({"checks": {"graph_dif": {}}}, "graph_dif"),
            ({"checks": {"one_version": {"blocking": True}}}, "blocking"),
            ({"checks": {"graph_diff": {"severity": "WARN"}}}, "severity"),
            ({"automation": "incremnt"}, "incremnt"),
            ({"automation": {"cron": "@daily", "sensor": {}}}, "sensor and cron"),
            ({"automation": {}}, "none of them"),
            ({"automation": "{{ dg.AutomationCondition.eager() }}"}, "automation_condition"),
            ({"store": "dev"}, "name: dev"),
            ({"checks": "all"}, "'all'"),
            ({"automation": {"sensor": {}, "timezone": "UTC"}}, "timezone"),
            ({"orphans": "forget"}, "'forget'"),
            ({"guard": "all"}, "'all'"),
            ({"op": {"pol": "gpu"}}, "pol"),
            ({"translation": {"gruop": "x"}}, "gruop"),
        ],
    )
    def test_wrong_attributes_are_named(self, project: Any, said: Any, named: str) -> None:
        with pytest.raises(Exception, match=named):  # of Dagster or pydantic
            build(project(**said))


@dataclass
class Ours(FeatureGraphComponent):
    """A component that writes down what it does."""

    said: Any = None

    def get_asset_spec(self, data: FeatureTranslatorData) -> dg.AssetSpec:
        return super().get_asset_spec(data).replace_attributes(owners=["team:ours"])

    def get_asset_check_spec(
        self, spec: dg.AssetCheckSpec, data: FeatureTranslatorData
    ) -> dg.AssetCheckSpec | None:
        return None if data.feature.is_root else spec

    def execute(self, context: Any, feature: Any, increment: Any, compute: Any) -> Any:
        todo = None if increment is None else increment.size
        self.said.append((str(feature.key), context.asset_key.path[-1], todo))
        return super().execute(context, feature, increment, compute)


@dataclass
class Alone(FeatureGraphComponent):
    """A component that computes every feature itself."""

    def execute(self, context: Any, feature: FeatureSpec, increment: Any, compute: Any) -> Any:
        assert compute is None
        return videos({"a": "1"}) if feature.is_root else increment.todo()


class TestSubclasses:
    def test_every_method_can_be_overridden(self, project: Any) -> None:
        class Size(dg.Config):
            size: int = 3

        @computes("ex/crop")
        def crop(
            context: dg.AssetExecutionContext, work: Increment, settings: Size, video: pl.DataFrame
        ) -> Any:
            said.append((context.asset_key.path[-1], settings.size, video.height))
            return work.todo()

        functions = {"listed": listed, "crop": crop}
        component = project(functions, Ours, checks=True, external=["ex/a_faces", *ELSEWHERE])
        component.said = said = []
        defs = build(component)
        everything(defs)
        assert said == [
            ("ex/video", "video", None),
            ("ex/crop", "crop", 2),
            ("crop", 3, 2),
        ]
        assert {tuple(spec.owners) for spec in specs(defs).values()} == {("team:ours",)}
        checked = {key.asset_key.path[-1] for key in defs.resolve_asset_graph().asset_check_keys}
        assert checked == {"crop", "a_faces", "scene", "site"}

    def test_execute_alone_needs_no_functions(self, project: Any) -> None:
        defs = build(project(None, Alone, external=ELSEWHERE))
        assert materialized(everything(defs)) == ALL


PROJECT = Path(__file__).parent / "yaml_project"


@pytest.fixture
def archive(monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.Definitions]:
    """The project that is nothing but YAML, features and functions, as Dagster loads it."""
    monkeypatch.setenv("METAXY_STORES__DEV__TYPE", "memory")
    monkeypatch.syspath_prepend(str(PROJECT / "src"))
    with use_graph(FeatureGraph()):
        yield dg.load_from_defs_folder(path_within_project=PROJECT / "src")
    for name in [name for name in sys.modules if name.startswith("photo_archive")]:
        del sys.modules[name]


def test_the_yaml_project_computes_what_is_new_or_changed(
    archive: dg.Definitions, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = archive.resolve_job_def("materialize_archive")
    work = ["archive/photo", "archive/size", "archive/label"]
    first = job.execute_in_process()
    assert {key: outcomes(first, key)["new"][1] for key in work} == dict.fromkeys(work, 3)
    monkeypatch.setenv("PHOTOS", "a:1 b:2 c:1")
    second = job.execute_in_process()
    assert {key: outcomes(second, key)["stale"][1] for key in work} == dict.fromkeys(work, 1)
    label = specs(archive)["archive/label"]
    assert (label.group_name, label.owners) == ("archive", ["team:archive"])
    assert (label.tags["table"], label.tags["expensive"]) == ("archive__label", "true")
    assert label.metadata["fields"] == "label"


class TestScaffold:
    def test_what_is_scaffolded_runs(self) -> None:
        with create_defs_folder_sandbox() as sandbox, use_graph(FeatureGraph()):
            path = sandbox.scaffold_component(FeatureGraphComponent)
            said = yaml.safe_load((path / "defs.yaml").read_text())
            assert said["attributes"].pop("store")["type"] == "duckdb"
            said["attributes"]["store"] = {"type": "memory"}
            (path / "defs.yaml").write_text(yaml.safe_dump(said))
            with sandbox.load_component_and_build_defs(path) as (component, defs):
                assert isinstance(component, FeatureGraphComponent)
                result = everything(defs)
            assert materialized(result) == ["document", "length"]
            assert rows((defs.resources or {})["metaxy"], "length", "document_id", "words") == [
                ("a", 2),
                ("b", 1),
            ]

    def test_names_are_taken_over(self) -> None:
        params = ScaffoldParams(module="my.features", compute="my.compute", store="dev")
        with create_defs_folder_sandbox() as sandbox:
            path = sandbox.scaffold_component(
                FeatureGraphComponent, scaffold_params=params.model_dump()
            )
            assert [one.name for one in path.iterdir()] == ["defs.yaml"]
            assert yaml.safe_load((path / "defs.yaml").read_text())["attributes"] == {
                "features": "my.features",
                "compute": "my.compute",
                "store": {"name": "dev"},
            }
