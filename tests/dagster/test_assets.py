"""@feature_asset: what the function is given, what is stored, what the event says."""

import contextlib
import functools
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import narwhals as nw
import polars as pl
import pytest

import metaxy_core
from metaxy_core import (
    DefinitionError,
    FeatureDep,
    FeatureGraph,
    FeatureKey,
    FeatureSpec,
    LineageRelationship,
)
from metaxy_core.store import settling
from metaxy_core.system import marks
from metaxy_dagster import FeatureTranslator, Increment, MetaxyStore, feature_asset
from metaxy_dagster.testing import assert_increment, materialize_features
from tests.dagster.conftest import (
    data_version,
    materialized,
    media_graph,
    metadata,
    outcomes,
    rows,
    run,
    videos,
)


class Size(dg.Config):
    size: int = 1


class Camera(dg.ConfigurableResource[Any]):
    name: str = "one"


def listing(graph: FeatureGraph, audio: dict[str, str], **arguments: Any) -> dg.AssetsDefinition:
    """The video asset, listing these samples."""

    def video() -> Any:
        return videos(audio)

    return feature_asset("ex/video", graph=graph, **arguments)(video)


def crops(graph: FeatureGraph, **arguments: Any) -> dg.AssetsDefinition:
    def crop(increment: Increment) -> Any:
        return increment.todo()

    return feature_asset("ex/crop", graph=graph, **arguments)(crop)


ABC = {"a": "1", "b": "1", "c": "1"}


class TestParameters:
    def test_everything_an_asset_can_take_is_given(
        self, graph: FeatureGraph, store: MetaxyStore
    ) -> None:
        seen: list[Any] = []

        @feature_asset("ex/crop", graph=graph)
        def crop(
            context: dg.AssetExecutionContext,
            work: Increment,
            settings: Size,
            camera: Camera,
            kept: MetaxyStore,
            video: nw.LazyFrame[Any],
        ) -> None:
            seen.append((context.asset_key.path, work.size, settings.size, camera.name))
            seen.append((kept.path == store.path, video.collect().shape[0]))

        config = {"ex__crop": {"config": {"size": 7}}}
        run([listing(graph, ABC), crop], store, config=config, more={"camera": Camera(name="x")})
        assert seen == [(["ex", "crop"], 3, 7, "x"), (True, 3)]

    def test_a_bare_name_increment_is_enough(self, graph: FeatureGraph, store: MetaxyStore) -> None:
        @feature_asset("ex/crop", graph=graph)
        def crop(increment):  # type: ignore[no-untyped-def]
            return increment.todo()

        run([listing(graph, ABC), crop], store)
        assert len(rows(store, "ex/crop")) == 3

    def test_partials_and_objects_are_functions_too(
        self, graph: FeatureGraph, store: MetaxyStore
    ) -> None:
        def crop(increment: Increment, size: int) -> Any:
            return increment.todo().with_columns(size=nw.lit(size))

        class Faces:
            def __call__(self, increment: Increment) -> Any:
                return increment.todo()

        first = feature_asset("ex/crop", graph=graph)(functools.partial(crop, size=3))
        run([listing(graph, ABC), first, feature_asset("ex/a_faces", graph=graph)(Faces())], store)
        assert rows(store, "ex/a_faces", "id", "size") == [("a", 3), ("b", 3), ("c", 3)]

    def test_the_return_annotation_does_not_matter(
        self, graph: FeatureGraph, store: MetaxyStore
    ) -> None:
        @feature_asset("ex/crop", graph=graph)
        def crop(increment: Increment) -> Iterator[nw.DataFrame[Any]]:
            yield from increment.iter_batches(2)

        run([listing(graph, ABC), crop], store)
        assert len(rows(store, "ex/crop")) == 3

    @pytest.mark.parametrize("kind", [metaxy_core.Increment, metaxy_core.LazyIncrement])
    def test_the_cores_increment_is_refused_with_advice(
        self, graph: FeatureGraph, kind: Any
    ) -> None:
        def crop(work: Any) -> None: ...

        crop.__annotations__["work"] = kind
        with pytest.raises(DefinitionError, match=r"'ex/crop'.*crop.*metaxy_dagster.Increment"):
            feature_asset("ex/crop", graph=graph)(crop)

    def test_an_unknown_feature_is_refused_by_name(self, graph: FeatureGraph) -> None:
        with pytest.raises(DefinitionError, match="'ex/nothing'"):
            feature_asset("ex/nothing", graph=graph)(lambda increment: None)

    def test_an_async_function_is_refused(self, graph: FeatureGraph) -> None:
        async def crop(increment: Increment) -> None: ...

        with pytest.raises(DefinitionError, match="asynchronous"):
            feature_asset("ex/crop", graph=graph)(crop)

    def test_an_unresolvable_annotation_is_refused(self, graph: FeatureGraph) -> None:
        def crop(increment: Increment, x: "NotThere") -> None: ...  # type: ignore[name-defined]  # noqa: F821

        with pytest.raises(DefinitionError, match=r"crop.*cannot be resolved"):
            feature_asset("ex/crop", graph=graph)(crop)

    def test_arbitrary_arguments_are_refused(self, graph: FeatureGraph) -> None:
        def crop(increment: Increment, **more: Any) -> None: ...

        with pytest.raises(DefinitionError, match=r"\*\*more"):
            feature_asset("ex/crop", graph=graph)(crop)

    def test_a_config_with_a_field_of_ours_is_refused(self, graph: FeatureGraph) -> None:
        class Taken(dg.Config):
            metaxy: int = 1

        def crop(increment: Increment, config: Any) -> None: ...

        crop.__annotations__["config"] = Taken
        with pytest.raises(DefinitionError, match="Rename it"):
            feature_asset("ex/crop", graph=graph)(crop)


class TestDefinition:
    def test_what_the_asset_says_of_itself(self, graph: FeatureGraph) -> None:
        crop = crops(graph)
        spec = crop.get_asset_spec()
        assert spec.key == dg.AssetKey(["ex", "crop"])
        assert [dep.asset_key for dep in spec.deps] == [dg.AssetKey(["ex", "video"])]
        assert spec.code_version == graph.freeze().versions[graph.freeze()["ex/crop"].key].feature
        assert spec.kinds == {"metaxy"}
        assert spec.metadata["metaxy/feature"] == "ex/crop"
        assert [r.data["field"] for r in spec.metadata["metaxy/field_versions"].records] == [
            "audio",
            "frames",
        ]
        (reference,) = spec.metadata["dagster/code_references"].code_references
        assert reference.label == "function crop"

    def test_a_wrapped_function_is_linked_to_where_it_is_written(self, graph: FeatureGraph) -> None:
        @contextlib.contextmanager
        def crop(increment: Increment) -> Iterator[Any]:
            yield increment.todo()

        spec = feature_asset("ex/crop", graph=graph)(crop).get_asset_spec()
        (reference,) = spec.metadata["dagster/code_references"].code_references
        assert reference.file_path == __file__

    def test_arguments_of_dg_asset_win(self, graph: FeatureGraph) -> None:
        crop = crops(
            graph,
            group_name="mine",
            owners=["team:ml"],
            kinds={"python"},
            tags={"a": "b"},
            metadata={"metaxy/feature_version": "mine", "more": 1},
            description="Mine.",
            code_version="7",
            pool="gpu",
            retry_policy=dg.RetryPolicy(max_retries=2),
            automation_condition=dg.AutomationCondition.eager(),
            deps=["something"],
        )
        spec = crop.get_asset_spec()
        assert (spec.group_name, spec.owners, spec.kinds) == ("mine", ["team:ml"], {"python"})
        assert (spec.tags["a"], spec.description, spec.code_version) == ("b", "Mine.", "7")
        assert (spec.metadata["metaxy/feature_version"], spec.metadata["more"]) == ("mine", 1)
        assert {d.asset_key.to_user_string() for d in spec.deps} == {"ex/video", "something"}
        assert crop.op.pool == "gpu"
        assert crop.op.retry_policy == dg.RetryPolicy(max_retries=2)

    def test_a_key_of_ones_own(self, graph: FeatureGraph) -> None:
        assert crops(graph, key=["x", "y"]).key == dg.AssetKey(["x", "y"])
        assert crops(graph, name="z", key_prefix="w").key == dg.AssetKey(["w", "z"])

    def test_a_translators_key_is_seen_below(self, graph: FeatureGraph) -> None:
        class Prefixed(FeatureTranslator):
            def get_asset_spec(self, data: Any) -> dg.AssetSpec:
                spec = super().get_asset_spec(data)
                return spec.replace_attributes(key=spec.key.with_prefix("prod"))

        crop = crops(graph, translator=Prefixed())
        assert crop.key.to_user_string() == "prod/ex/crop"
        assert [key.to_user_string() for key in crop.dependency_keys] == ["prod/ex/video"]

    def test_config_schema_of_ones_own_replaces_the_options(
        self, graph: FeatureGraph, store: MetaxyStore
    ) -> None:
        seen: list[Any] = []

        @feature_asset("ex/crop", graph=graph, config_schema={"deep": int})
        def crop(context: dg.AssetExecutionContext, increment: Increment) -> Any:
            seen.append(context.op_execution_context.op_config)

        run([listing(graph, ABC), crop], store, config={"ex__crop": {"config": {"deep": 3}}})
        assert seen == [{"deep": 3}]

    def test_a_bad_orphan_policy_is_refused_early(self, graph: FeatureGraph) -> None:
        with pytest.raises(ValueError, match=r"'ex/crop'.*'soft_delete'"):
            crops(graph, orphans="remove")

    def test_a_freshness_policy_passes(self, graph: FeatureGraph) -> None:
        policy = dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=1))
        assert crops(graph, freshness_policy=policy).get_asset_spec().freshness_policy == policy


class TestWhatIsStored:
    def test_rows_without_provenance_get_it_back(
        self, graph: FeatureGraph, store: MetaxyStore
    ) -> None:
        @feature_asset("ex/crop", graph=graph)
        def crop(increment: Increment) -> Any:
            for batch in increment.iter_batches(2):
                yield batch.to_native().select("id", pl.lit(1).alias("size")).to_pandas()

        run([listing(graph, ABC), crop], store)
        assert rows(store, "ex/crop", "id", "size") == [("a", 1), ("b", 1), ("c", 1)]
        assert outcomes(run([crop], store), "ex/crop")["new"] == (0, 0, 0, 0)

    def test_rows_of_other_units_are_refused(self, graph: FeatureGraph, store: MetaxyStore) -> None:
        @feature_asset("ex/crop", graph=graph)
        def crop(increment: Increment) -> Any:
            return pl.DataFrame({"id": ["a", "zzz"]})

        run([listing(graph, ABC)], store)
        with pytest.raises(metaxy_core.MetadataSchemaError, match="zzz"):
            run([crop], store)
        assert rows(store, "ex/crop") == []

    def test_a_function_without_increment_stores_only_what_is_to_do(
        self, graph: FeatureGraph, store: MetaxyStore
    ) -> None:
        @feature_asset("ex/crop", graph=graph)
        def crop(video: pl.DataFrame) -> Any:
            return video.select("id")

        _, again = materialize_features(
            [crop],
            store,
            samples={"ex/video": videos(ABC)},
            changes={"ex/video": videos(ABC | {"a": "2"})},
        )
        assert_increment(again, "ex/crop", stale=1, written=["a"])

    def test_something_else_is_refused_with_the_feature_named(
        self, graph: FeatureGraph, store: MetaxyStore
    ) -> None:
        @feature_asset("ex/crop", graph=graph)
        def crop(increment: Increment) -> Any:
            return 42

        with pytest.raises(TypeError, match="'ex/crop', gave a int"):
            run([listing(graph, ABC), crop], store)

    def test_nothing_for_a_sample_leaves_it_to_do(
        self, graph: FeatureGraph, store: MetaxyStore
    ) -> None:
        @feature_asset("ex/crop", graph=graph)
        def crop(increment: Increment) -> Any:
            return increment.todo().filter(nw.col("id") != "b")

        result = run([listing(graph, ABC), crop], store)
        assert outcomes(result, "ex/crop")["new"] == (3, 2, 0, 1)
        assert outcomes(run([crop], store), "ex/crop")["new"] == (1, 0, 0, 1)

    def test_events_pass_through(self, graph: FeatureGraph, store: MetaxyStore) -> None:
        @feature_asset("ex/crop", graph=graph)
        def crop(increment: Increment) -> Any:
            yield dg.AssetObservation(["ex", "crop"], metadata={"seen": 1})
            yield increment.todo()

        result = run([listing(graph, ABC), crop], store)
        (event,) = result.get_asset_observation_events()
        assert event.event_specific_data.asset_observation.metadata["seen"].value == 1  # type: ignore[union-attr]

    def test_the_users_error_is_the_assets_error(
        self, graph: FeatureGraph, store: MetaxyStore
    ) -> None:
        @feature_asset("ex/crop", graph=graph)
        def crop(increment: Increment) -> Any:
            raise RuntimeError("the camera is <b>broken</b>")

        with pytest.raises(RuntimeError, match="the camera is <b>broken</b>"):
            run([listing(graph, ABC), crop], store)


class TestIncrement:
    def test_stale_rows_say_which_fields_differ(
        self, graph: FeatureGraph, store: MetaxyStore
    ) -> None:
        seen: list[Any] = []

        @feature_asset("ex/crop", graph=graph)
        def crop(increment: Increment) -> Any:
            stale = increment.stale.collect("polars")
            seen.append((stale["id"].to_list(), stale["metaxy_stale_fields"].to_list()))
            return increment.todo()

        run([listing(graph, ABC), crop], store)
        run([listing(graph, ABC | {"b": "2"}), crop], store)
        assert seen[1] == (["b"], [["audio"]])

    def test_a_field_nobody_uses_recomputes_nothing(
        self, graph: FeatureGraph, store: MetaxyStore
    ) -> None:
        @feature_asset("ex/crop", graph=graph)
        def crop(increment: Increment) -> Any:
            return increment.todo()

        run([listing(graph, ABC), crop], store)
        same = run([listing(graph, ABC), crop], store)
        assert metadata(same, "ex/crop")["metaxy/rows_written"] == 0

    def test_the_body_is_not_called_for_nothing(
        self, graph: FeatureGraph, store: MetaxyStore
    ) -> None:
        calls: list[int] = []

        @feature_asset("ex/crop", graph=graph)
        def crop(increment: Increment) -> Any:
            calls.append(increment.size)
            return increment.todo()

        first = run([listing(graph, ABC), crop], store)
        second = run([crop], store)
        assert calls == [3]
        assert materialized(second) == ["ex/crop"]
        assert data_version(first, "ex/crop") == data_version(second, "ex/crop")

    def test_on_empty_skip_makes_no_materialisation(
        self, graph: FeatureGraph, store: MetaxyStore
    ) -> None:
        crop = crops(graph, on_empty="skip")
        run([listing(graph, ABC), crop], store)
        assert materialized(run([crop], store)) == []

    def test_an_aggregation_reads_its_members(
        self, graph: FeatureGraph, store: MetaxyStore
    ) -> None:
        @feature_asset("ex/site", graph=graph)
        def site(increment: Increment) -> Any:
            members = increment.inputs("ex/crop").collect("polars").to_native()
            sums = members.group_by("site").agg(pl.len().alias("sum"))
            return increment.todo().collect("polars").to_native().join(sums, on="site")

        _, again = materialize_features(
            [crops(graph), site],
            store,
            samples={"ex/video": videos(ABC)},
            changes={"ex/video": videos(ABC | {"c": "2"})},
        )
        assert rows(store, "ex/site", "site", "sum") == [("north", 2), ("south", 1)]
        assert_increment(again, "ex/site", stale=1, written=["south"])


class TestRoots:
    def test_only_the_difference_is_stored(self, graph: FeatureGraph, store: MetaxyStore) -> None:
        run([listing(graph, ABC)], store)
        result = run([listing(graph, {"a": "1", "b": "2", "d": "1"})], store)
        assert outcomes(result, "ex/video") == {
            "new": (1, 1, 0, 0),
            "stale": (1, 1, 0, 0),
            "orphaned": (1, 0, 1, 0),
        }

    def test_a_partial_feed_orphans_nothing(self, graph: FeatureGraph, store: MetaxyStore) -> None:
        run([listing(graph, ABC)], store)
        result = run([listing(graph, {"d": "1"}, complete=False)], store)
        assert outcomes(result, "ex/video")["orphaned"] == (0, 0, 0, 0)
        assert len(rows(store, "ex/video")) == 4

    def test_a_listing_may_come_in_pages(self, graph: FeatureGraph, store: MetaxyStore) -> None:
        pages = [{"a": "1", "b": "1"}, {"c": "1"}]

        def video() -> Any:
            for page in pages:
                yield videos(page)

        asset = feature_asset("ex/video", graph=graph, orphans="soft_delete")(video)
        run([asset], store)
        pages.pop()
        result = run([asset], store)
        assert outcomes(result, "ex/video")["orphaned"] == (1, 1, 0, 0)
        assert rows(store, "ex/video") == [("a",), ("b",)]

    def test_samples_first_then_the_function_sees_the_increment(
        self, graph: FeatureGraph, store: MetaxyStore
    ) -> None:
        def bucket(camera: Camera) -> Any:
            return videos(ABC if camera.name == "one" else ABC | {"d": "1"})

        @feature_asset("ex/video", graph=graph, samples=bucket)
        def video(increment: Increment) -> Any:
            for batch in increment.iter_batches(1):
                yield batch.with_columns(seen=nw.lit(increment.size))

        run([video], store, more={"camera": Camera()})
        run([video], store, more={"camera": Camera(name="two")})
        assert rows(store, "ex/video", "id", "seen") == [("a", 3), ("b", 3), ("c", 3), ("d", 1)]

    def test_a_root_that_wants_an_increment_needs_samples(self, graph: FeatureGraph) -> None:
        with pytest.raises(DefinitionError, match=r"'ex/video' is a root.*samples="):
            feature_asset("ex/video", graph=graph)(lambda increment: None)

    def test_samples_are_for_roots(self, graph: FeatureGraph) -> None:
        with pytest.raises(DefinitionError, match=r"'ex/crop' has parents"):
            feature_asset("ex/crop", graph=graph, samples=lambda: None)(lambda increment: None)


@pytest.mark.slow
class TestExpansion:
    def scenes(self, graph: FeatureGraph, children: dict[str, int], size: int = 2) -> Any:
        """The scene asset: so many children per crop, batch by batch."""

        @feature_asset("ex/scene", graph=graph)
        def scene(increment: Increment) -> Any:
            for batch in increment.iter_batches(size):
                made = [
                    {"id": id_, "n": n}
                    for id_ in batch["id"].to_list()
                    for n in range(children.get(id_, 0))
                ]
                if made:
                    yield pl.DataFrame(made)

        return scene

    def test_parents_without_children_are_settled(
        self, graph: FeatureGraph, store: MetaxyStore
    ) -> None:
        scene = self.scenes(graph, {"a": 2})
        result = run([listing(graph, ABC), crops(graph), scene], store)
        assert rows(store, "ex/scene") == [("a", 0), ("a", 1)]
        assert outcomes(result, "ex/scene")["new"] == (3, 3, 0, 0)
        assert metadata(result, "ex/scene")["metaxy/parents_without_children"] == 2
        assert outcomes(run([scene], store), "ex/scene")["new"] == (0, 0, 0, 0)

    @pytest.mark.parametrize("declared", [{}, {"n": "int"}])
    def test_all_parents_may_be_childless_and_get_children_later(
        self, declared: dict[str, str]
    ) -> None:
        specs = media_graph().freeze()
        graph = FeatureGraph(
            spec.model_copy(update={"columns": declared}) if str(key) == "ex/scene" else spec
            for key, spec in specs.items()
        )
        store = MetaxyStore.memory(graph=graph)
        run([listing(graph, ABC), crops(graph), self.scenes(graph, {})], store)
        assert rows(store, "ex/scene") == []
        again = outcomes(run([self.scenes(graph, {})], store), "ex/scene")["new"]
        # Where no type is declared, nothing can be stored yet, so nothing can be settled.
        assert again == ((0, 0, 0, 0) if declared else (3, 0, 0, 3))
        changed = listing(graph, ABC | {"a": "2"})
        run([changed, crops(graph), self.scenes(graph, {"a": 1})], store)
        assert rows(store, "ex/scene") == [("a", 0)]

    def test_a_set_that_shrinks_to_nothing_is_gone(
        self, graph: FeatureGraph, store: MetaxyStore
    ) -> None:
        run([listing(graph, ABC), crops(graph), self.scenes(graph, {"a": 3, "b": 1})], store)
        changed = listing(graph, ABC | {"a": "2"})
        run([changed, crops(graph), self.scenes(graph, {})], store)
        assert rows(store, "ex/scene") == [("b", 0)]

    def test_what_the_limit_left_out_is_not_settled(
        self, graph: FeatureGraph, store: MetaxyStore
    ) -> None:
        run([listing(graph, ABC), crops(graph)], store)
        scene = self.scenes(graph, {})
        result = run([scene], store, options={"limit": 2})
        assert outcomes(result, "ex/scene")["new"] == (3, 2, 1, 0)
        assert outcomes(run([scene], store), "ex/scene")["new"] == (1, 1, 0, 0)

    def test_batches_that_were_not_finished_are_not_settled(
        self, graph: FeatureGraph, store: MetaxyStore
    ) -> None:
        @feature_asset("ex/scene", graph=graph)
        def stops_early(increment: Increment) -> Any:
            for number, batch in enumerate(increment.iter_batches(1)):
                if number == 2:
                    break
                yield batch.head(0).with_columns(n=nw.lit(0))

        result = run([listing(graph, ABC), crops(graph), stops_early], store)
        assert outcomes(result, "ex/scene")["new"] == (3, 2, 0, 1)

    def test_a_function_that_takes_everything_settles_everything(
        self, graph: FeatureGraph, store: MetaxyStore
    ) -> None:
        @feature_asset("ex/scene", graph=graph)
        def at_once(increment: Increment) -> Any:
            return increment.todo().filter(nw.col("id") == "b").with_columns(n=nw.lit(5))

        run([listing(graph, ABC), crops(graph), at_once], store)
        assert rows(store, "ex/scene") == [("b", 5)]
        assert outcomes(run([at_once], store), "ex/scene")["new"] == (0, 0, 0, 0)

    def test_a_crash_settles_nothing(self, graph: FeatureGraph, store: MetaxyStore) -> None:
        @feature_asset("ex/scene", graph=graph)
        def crashes(increment: Increment) -> Any:
            for number, batch in enumerate(increment.iter_batches(1)):
                if number == 2:
                    raise RuntimeError("boom")
                if number == 1:
                    yield batch.with_columns(n=nw.lit(0))

        run([listing(graph, ABC), crops(graph), crashes], store, fails=True)
        again = run([self.scenes(graph, {"a": 1, "b": 1, "c": 1})], store)
        assert outcomes(again, "ex/scene")["new"] == (2, 2, 0, 0)
        assert [id_ for id_, _ in rows(store, "ex/scene")] == ["a", "b", "c"]


@pytest.mark.slow
class TestOptions:
    def test_limit(self, graph: FeatureGraph, store: MetaxyStore) -> None:
        run([listing(graph, ABC)], store)
        result = run([crops(graph)], store, options={"limit": 2})
        assert outcomes(result, "ex/crop")["new"] == (3, 2, 1, 0)

    def test_limit_of_a_listing(self, graph: FeatureGraph, store: MetaxyStore) -> None:
        result = run([listing(graph, ABC)], store, options={"limit": 2})
        assert outcomes(result, "ex/video")["new"] == (3, 2, 1, 0)
        assert outcomes(run([listing(graph, ABC)], store), "ex/video")["new"] == (1, 1, 0, 0)

    def test_only(self, graph: FeatureGraph, store: MetaxyStore) -> None:
        run([listing(graph, ABC), crops(graph)], store)
        run([listing(graph, {"a": "2", "b": "1", "c": "1", "d": "1"})], store)
        result = run([crops(graph)], store, options={"only": ["stale"]})
        assert outcomes(result, "ex/crop") == {
            "new": (1, 0, 1, 0),
            "stale": (1, 1, 0, 0),
            "orphaned": (0, 0, 0, 0),
        }

    def test_only_of_nothing_is_refused(self, graph: FeatureGraph, store: MetaxyStore) -> None:
        run([listing(graph, ABC)], store)
        with pytest.raises(Exception, match="at least 1 item"):
            run([crops(graph)], store, options={"only": []})

    def test_where(self, graph: FeatureGraph, store: MetaxyStore) -> None:
        run([listing(graph, ABC)], store)
        run([crops(graph)], store, options={"where": "site = 'south'"})
        assert rows(store, "ex/crop") == [("c",)]

    def test_dry_run_reports_and_changes_nothing(
        self, graph: FeatureGraph, store: MetaxyStore
    ) -> None:
        run([listing(graph, ABC)], store)
        crop = crops(graph, orphans="hard_delete")
        result = run([crop], store, options={"dry_run": True})
        assert materialized(result) == []
        (event,) = result.get_asset_observation_events()
        observed = event.event_specific_data.asset_observation  # type: ignore[union-attr]
        assert observed.metadata["metaxy/new"].value == 3
        assert rows(store, "ex/crop") == []

    def test_dry_run_of_a_listing_changes_nothing(
        self, graph: FeatureGraph, store: MetaxyStore
    ) -> None:
        run([listing(graph, ABC)], store)
        other = listing(graph, {"a": "2"}, orphans="hard_delete")
        result = run([other], store, options={"dry_run": True})
        assert materialized(result) == []
        (event,) = result.get_asset_observation_events()
        found = event.event_specific_data.asset_observation.metadata  # type: ignore[union-attr]
        assert (found["metaxy/stale"].value, found["metaxy/orphaned"].value) == (1, 2)
        assert rows(store, "ex/video") == [("a",), ("b",), ("c",)]

    def test_force_computes_everything_again(self, graph: FeatureGraph, store: MetaxyStore) -> None:
        run([listing(graph, ABC), crops(graph)], store)
        result = run([crops(graph)], store, options={"force": True})
        assert outcomes(result, "ex/crop")["stale"] == (3, 3, 0, 0)

    @pytest.mark.parametrize("key", ["ex/crop", "ex/scene"])
    def test_a_forced_run_that_crashed_continues_in_its_retry(
        self, graph: FeatureGraph, store: MetaxyStore, key: str
    ) -> None:
        seen: list[str] = []

        def compute(context: dg.AssetExecutionContext, increment: Increment) -> Any:
            for number, batch in enumerate(increment.iter_batches(1)):
                if number == 2 and context.retry_number == 0 and len(seen) >= 5:
                    raise RuntimeError("boom")
                seen.extend(batch["id"].to_list())
                yield batch.with_columns(n=nw.lit(0)) if key == "ex/scene" else batch

        asset = feature_asset(key, graph=graph, retry_policy=dg.RetryPolicy(max_retries=1))(compute)
        run([listing(graph, ABC), crops(graph)], store)
        run([asset], store, options={"force": True})
        run([asset], store, options={"force": True})
        assert sorted(seen[3:]) == ["a", "b", "c"]

    def test_an_unknown_option_is_refused(self, graph: FeatureGraph, store: MetaxyStore) -> None:
        with pytest.raises(dg.DagsterInvalidConfigError, match="limits"):
            run([crops(graph)], store, options={"limits": 2})


@pytest.mark.parametrize("fails", [False, True])
def test_no_local_file_is_left_behind(
    graph: FeatureGraph,
    store: MetaxyStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fails: bool,
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    @feature_asset("ex/crop", graph=graph)
    def crop(increment: Increment, video: pl.LazyFrame) -> Any:
        assert list(tmp_path.glob("metaxy-*"))
        yield increment.todo()
        if fails:
            raise RuntimeError("boom")

    run([listing(graph, ABC), crop], store, fails=fails)
    assert list(tmp_path.glob("metaxy-*")) == []


def test_a_guard_refuses_before_anything_is_computed(
    graph: FeatureGraph, store: MetaxyStore
) -> None:
    def guard(context: Any, plan: Any) -> None:
        raise dg.Failure(f"not {plan.key}", allow_retries=False)

    run([listing(graph, ABC)], store)
    asset = crops(graph, guard=guard, retry_policy=dg.RetryPolicy(max_retries=3))
    with pytest.raises(dg.Failure, match="not ex/crop"):
        run([asset], store)
    assert rows(store, "ex/crop") == []


def test_the_snapshot_is_recorded_when_the_graph_has_changed(store: MetaxyStore) -> None:
    run([listing(media_graph(), ABC)], store)
    run([listing(media_graph(), ABC)], store)
    with store.open() as opened:
        assert len(opened.snapshots()) == 1
    changed = media_graph()
    changed.add(FeatureSpec("ex/more", id_columns=["id"], deps=["ex/video"]))
    run([listing(changed, ABC)], store)
    with store.open() as opened:
        assert len(opened.snapshots()) == 2


def test_a_feature_with_two_parents(store: MetaxyStore) -> None:
    graph = FeatureGraph(
        [
            FeatureSpec("a", id_columns=["id"], fields=["x"], provenance_from={"x": ["id"]}),
            FeatureSpec("b", id_columns=["id"], fields=["x"], provenance_from={"x": ["id"]}),
            FeatureSpec("c", id_columns=["id"], fields=["x"], deps=["a", FeatureDep("b")]),
            FeatureSpec(
                "d",
                id_columns=["id", "k"],
                deps=[FeatureDep("c", lineage=LineageRelationship.expansion())],
            ),
        ]
    )
    first = feature_asset("a", graph=graph)(lambda: pl.DataFrame({"id": ["1", "2"]}))
    second = feature_asset("b", graph=graph)(lambda: pl.DataFrame({"id": ["2", "3"]}))
    both = feature_asset("c", graph=graph)(lambda increment: increment.todo())
    other = MetaxyStore.memory(graph=graph)
    run([both, first, second], other)
    assert rows(other, "c") == [("2",)]


class TestSettling:
    def test_a_run_remembers_what_it_compared(
        self, graph: FeatureGraph, store: MetaxyStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(settling, "FROM_ROWS", 1)
        monkeypatch.setattr(settling, "LARGEST_PART", 1)
        crop = crops(graph)
        run([listing(graph, ABC), crop], store)
        with store.open("r", graph=graph) as opened:
            mark, _ = marks.load(opened.backend, FeatureKey("ex/crop"))
            assert mark is not None
            assert sorted(ids for (ids,) in mark.pending) == ["a", "b", "c"]
        result = run([listing(graph, ABC | {"a": "2"}), crop], store)
        assert outcomes(result, "ex/crop")["stale"][1] == 1
        with store.open("r", graph=graph) as opened:
            mark, _ = marks.load(opened.backend, FeatureKey("ex/crop"))
            assert mark is not None
            assert mark.pending == [["a"]]
            assert opened.resolve_update("ex/crop").is_empty
