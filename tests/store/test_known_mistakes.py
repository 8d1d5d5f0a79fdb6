"""Mistakes known from systems of this kind (docs/semantics.md, section 6), on every engine."""

from __future__ import annotations

import polars as pl
import pytest

from metaxy_core import FieldDep, FieldSpec
from metaxy_core.errors import FallbackDeleteError, KeyCollisionError, MetadataSchemaError
from tests.builders import (
    NOTHING,
    aggregation,
    edge,
    expansion,
    feature,
    graph,
    rows,
    said,
    settle,
    stale_fields,
)


def test_three_parents_without_select_are_joined_and_no_system_column_leaks(make_store):
    parents = [feature(key) for key in ("a", "b", "c")]
    store = make_store(graph(*parents, feature("d", "a", "b", "c")))
    with store:
        for key in ("a", "b", "c"):
            settle(store, key, samples=rows({"id": ["x"], "path": [key], key: [1]}))
        increment = store.resolve_update("d")
    assert set(increment.new.columns) == {
        "id", "path", "path__b", "path__c", "a", "b", "c",
        "metaxy_stale_fields", "metaxy_provenance_by_field",
    }  # fmt: skip
    assert increment.new.select("path", "path__b", "path__c").rows() == [("a", "b", "c")]


def test_parents_of_different_granularity_settle_after_one_write(make_store):
    store = make_store(
        graph(feature("a"), feature("b", ids=["id", "k"]), feature("d", "a", "b", ids=["id", "k"]))
    )
    with store:
        settle(store, "a", samples=rows({"id": ["x", "y"]}))
        settle(store, "b", samples=rows({"id": ["x", "x", "z"], "k": [1, 2, 1]}))
        assert said(settle(store, "d"), "id", "k")["new"] == [("x", 1), ("x", 2)]
        assert said(store.resolve_update("d"), "id", "k") == NOTHING
        settle(store, "a", samples=rows({"id": ["x", "y"]}, ["2", "1"]))
        assert said(store.resolve_update("d"), "id", "k")["stale"] == [("x", 1), ("x", 2)]


def _chunks(store, parents, numbers, **how):
    todo = store.resolve_update("chunk", skip_comparison=True).new.to_native()
    frame = todo.filter(pl.col("id").is_in(parents)).join(
        pl.DataFrame({"n": list(numbers)}, schema={"n": pl.Int64}), how="cross"
    )
    store.write("chunk", frame, **how)


@pytest.fixture
def chunked(make_store):
    """A video and its chunks, one to many; videos x and y are stored."""
    store = make_store(
        graph(
            feature("video"), feature("chunk", edge("video", lineage=expansion()), ids=["id", "n"])
        )
    )
    with store:
        settle(store, "video", samples=rows({"id": ["x", "y"]}))
        yield store


def test_a_half_written_set_is_offered_again(chunked):
    _chunks(chunked, ["x"], [1, 2], partial=True)
    assert said(chunked.resolve_update("chunk"))["new"] == ["x", "y"]
    assert len(chunked.read("chunk").collect()) == 0
    _chunks(chunked, ["x"], [3])
    assert said(chunked.resolve_update("chunk"))["new"] == ["y"]
    assert chunked.read("chunk").collect()["n"].sort().to_list() == [1, 2, 3]


def test_open_rows_of_another_provenance_are_dropped(chunked):
    _chunks(chunked, ["x"], [1, 2], partial=True)
    settle(chunked, "video", samples=rows({"id": ["x", "y"]}, ["2", "1"]))
    _chunks(chunked, ["x"], [3])
    assert chunked.read("chunk").collect()["n"].to_list() == [3]


def test_a_set_shrinks_grows_and_vanishes_without_ghosts(chunked):
    for position, numbers in enumerate([[1, 2, 3], [1, 2], [], [1, 2, 3]]):
        samples = rows({"id": ["x"]}, [str(position)])
        with chunked.using(chunked.graph).open("w") as store:
            settle(store, "video", samples=samples)
            assert "x" in [*said(store.resolve_update("chunk"))["new"],
                           *said(store.resolve_update("chunk"))["stale"]]  # fmt: skip
            if numbers:
                _chunks(store, ["x"], numbers)
            else:
                todo = store.resolve_update("chunk").todo().to_native().filter(id="x")
                store.write("chunk", todo.with_columns(n=1).head(0), empty_parents=todo)
            found = store.read("chunk", filters="id = 'x'").collect()["n"].sort().to_list()
            assert found == numbers
            after = said(store.resolve_update("chunk"))
            assert "x" not in [*after["new"], *after["stale"], *after["orphaned"]]


def test_a_childless_parent_is_settled_and_not_offered_for_ever(chunked):
    todo = chunked.resolve_update("chunk").todo()
    chunked.write("chunk", todo.head(0).to_native().with_columns(n=1), empty_parents=todo)
    assert said(chunked.resolve_update("chunk")) == NOTHING
    assert len(chunked.read("chunk").collect()) == 0


def test_deleting_some_children_leaves_the_rest_done_and_the_last_makes_the_parent_new(chunked):
    _chunks(chunked, ["x", "y"], [1, 2])
    chunked.delete("chunk", "id = 'x' AND n = 1")
    assert said(chunked.resolve_update("chunk")) == NOTHING
    assert chunked.read("chunk", filters="id = 'x'").collect()["n"].to_list() == [2]
    chunked.delete("chunk", "id = 'x'")
    assert said(chunked.resolve_update("chunk")) == NOTHING | {"new": ["x"]}


def test_a_second_plain_write_of_one_parent_is_an_error(chunked):
    _chunks(chunked, ["x"], [1])
    with pytest.raises(Exception, match="x.*already written by this writer or run"):
        _chunks(chunked, ["x"], [2])
    assert chunked.read("chunk").collect()["n"].to_list() == [1]


@pytest.fixture
def grouped(make_store):
    """Takes of speakers, and a voice per speaker."""
    voice = feature("voice", edge("take", lineage=aggregation(["speaker"])), ids="speaker")
    with make_store(graph(feature("take"), voice)) as store:
        yield store


def _takes(**speakers: list[str]):
    pairs = [(speaker, take) for speaker, takes in speakers.items() for take in takes]
    return rows({"id": [take for _, take in pairs], "speaker": [speaker for speaker, _ in pairs]})


def test_a_replaced_removed_added_or_null_member_makes_its_group_stale(grouped):
    settle(grouped, "take", samples=_takes(ann=["1", "2"], bob=["3"]))
    assert said(settle(grouped, "voice"), "speaker")["new"] == ["ann", "bob"]
    settle(grouped, "take", samples=_takes(ann=["1", "2"], bob=["3"]).with_columns(
        metaxy_provenance_by_field=pl.Series([{"f": "1"}, {"f": "new"}, {"f": "1"}])))  # fmt: skip
    assert said(settle(grouped, "voice"), "speaker")["stale"] == ["ann"]
    grouped.delete("take", "id = '2'")
    assert said(settle(grouped, "voice"), "speaker")["stale"] == ["ann"]
    settle(grouped, "take", samples=_takes(bob=["4"]))
    assert said(settle(grouped, "voice"), "speaker")["stale"] == ["bob"]
    moved = rows({"id": ["3"], "speaker": [None]}, "moved").with_columns(
        pl.col("speaker").cast(pl.String)
    )
    settle(grouped, "take", samples=moved)
    assert said(settle(grouped, "voice"), "speaker")["stale"] == ["bob"]
    assert said(grouped.resolve_update("voice"), "speaker") == NOTHING


def test_inputs_of_an_aggregation_are_the_members_of_the_groups_to_do(grouped):
    settle(grouped, "take", samples=_takes(ann=["1", "2"], bob=["3"]))
    increment = grouped.resolve_update("voice")
    members = increment.inputs("take").collect("polars").select("id", "speaker").rows()
    assert sorted(members) == [("1", "ann"), ("2", "ann"), ("3", "bob")]


def test_a_soft_delete_never_hides_what_lives_in_the_fallback_store(make_store):
    features = graph(feature("a"), feature("b", "a"))
    production = make_store(features)
    with production:
        settle(production, "a", samples=rows({"id": ["x", "y"]}))
    branch = make_store(features, fallback_stores=[production], name="branch")
    with branch:
        with pytest.raises(FallbackDeleteError, match="fallback store"):
            branch.delete("a", "id = 'x'")
        assert not branch.has_feature("a")
        assert said(settle(branch, "b"))["new"] == ["x", "y"]


def test_a_lazy_read_through_a_fallback_store_stays_valid(make_store):
    features = graph(feature("a"))
    production = make_store(features)
    with production:
        settle(production, "a", samples=rows({"id": ["x"]}))
    branch = make_store(features, fallback_stores=[make_store(features), production])
    with branch.open("w"):
        frame = branch.read("a")
        assert frame.collect()["id"].to_list() == ["x"]


def test_a_new_field_and_a_new_user_column_are_added_to_the_table(make_store):
    store = make_store(graph(feature("a", fields=["f"])))
    with store:
        settle(store, "a", samples=rows({"id": ["x"]}))
    wider = store.using(graph(feature("a", fields=["f", "g"])))
    with wider:
        samples = rows({"id": ["x"], "size": [3]}, fields=("f", "g"))
        increment = settle(wider, "a", samples=samples)
        assert stale_fields(increment) == {"x": ["g"]}
        found = wider.read("a").collect("polars").rows(named=True)[0]
        assert found["size"] == 3
        assert set(found["metaxy_provenance_by_field"]) == {"f", "g"}


def test_a_null_field_version_is_refused_at_write(make_store):
    store = make_store(graph(feature("a")))
    with store:
        given = rows({"id": ["x", "y"]}, [{"f": "1"}, {"f": None}])
        with pytest.raises(MetadataSchemaError, match="provenance of field 'f' is NULL in 1 of"):
            store.write("a", given)
        assert not store.has_feature("a")


def test_children_wait_for_a_parent_to_which_a_field_was_added(make_store):
    child = feature("b", "a", fields=["f"])
    store = make_store(graph(feature("a", fields=["f"]), child))
    with store:
        settle(store, "a", samples=rows({"id": ["x"]}))
        settle(store, "b")
    explicit = [FieldDep(feature="a", fields=["f", "g"])]
    wider = store.using(
        graph(
            feature("a", fields=["f", "g"]),
            feature("b", "a", fields=[FieldSpec("f", deps=explicit)]),
        )
    )
    with wider:
        increment = wider.resolve_update("b")
        assert said(increment) == NOTHING
        assert increment.waiting == 1
        settle(wider, "a", samples=rows({"id": ["x"]}, fields=("f", "g")))
        assert said(settle(wider, "b"))["stale"] == ["x"]
        assert said(wider.resolve_update("b")) == NOTHING


def test_a_parents_code_bump_orphans_nothing_before_it_has_run(make_store):
    store = make_store(graph(feature("a"), feature("b", "a"), feature("c", "b")))
    with store:
        settle(store, "a", samples=rows({"id": ["x"]}))
        settle(store, "b")
        settle(store, "c")
    bumped = store.using(
        graph(feature("a"), feature("b", "a", fields=[("f", 2)]), feature("c", "b"))
    )
    with bumped:
        assert said(bumped.resolve_update("c")) == NOTHING
        assert said(settle(bumped, "b"))["stale"] == ["x"]
        assert said(settle(bumped, "c"))["stale"] == ["x"]


def test_a_roots_code_bump_with_equal_provenance_makes_exactly_its_dependents_stale(make_store):
    def features(version):
        return graph(
            feature("a", fields=[("audio", version), "frames"]),
            feature("both", "a", fields=["audio", "frames"]),
            feature("frames", "a", fields=["frames"]),
        )

    samples = rows({"id": ["x"]}, fields=("audio", "frames"))
    store = make_store(features(1))
    with store:
        settle(store, "a", samples=samples)
        settle(store, "both")
        settle(store, "frames")
    bumped = store.using(features(2))
    with bumped:
        assert stale_fields(settle(bumped, "a", samples=samples)) == {"x": ["audio"]}
        assert stale_fields(bumped.resolve_update("both")) == {"x": ["audio"]}
        assert said(bumped.resolve_update("frames")) == NOTHING


def test_an_equal_override_stops_a_code_bump_from_going_further(make_store):
    def features(version):
        return graph(feature("a"), feature("b", "a", fields=[("f", version)]), feature("c", "b"))

    def run(store):
        increment = store.resolve_update("b").todo().to_native()
        same = pl.Series("metaxy_data_version_by_field", [{"f": "same"}] * increment.height)
        store.write("b", increment.with_columns(same))

    store = make_store(features(1))
    with store:
        settle(store, "a", samples=rows({"id": ["x"]}))
        run(store)
        settle(store, "c")
    bumped = store.using(features(2))
    with bumped:
        assert said(bumped.resolve_update("b"))["stale"] == ["x"]
        run(bumped)
        assert said(bumped.resolve_update("c")) == NOTHING


def test_a_separator_inside_a_value_is_a_change(make_store):
    child = feature("b", "a", fields=[FieldSpec("f", deps=[FieldDep(feature="a")])])
    store = make_store(graph(feature("a", fields=["u", "v"]), child))
    with store:
        for separator in ("|", "\x1f", "/"):
            one = rows({"id": ["x"]}, [{"u": f"x{separator}y", "v": "z"}])
            settle(store, "a", samples=one)
            settle(store, "b")
            other = rows({"id": ["x"]}, [{"u": "x", "v": f"y{separator}z"}])
            assert said(settle(store, "a", samples=other))["stale"] == ["x"]
            assert said(settle(store, "b"))["stale"] == ["x"]


def test_one_id_twice_in_one_write_is_refused_or_resolved_and_reads_stay_the_same(make_store):
    store = make_store(graph(feature("a")))
    with store:
        twice = rows({"id": ["x", "x"], "size": [1, 2]})
        with pytest.raises(MetadataSchemaError, match="2 of the 2 rows given share their id"):
            store.write("a", twice)
        assert not store.has_feature("a")
        store.write("a", twice, on_duplicate="last")
        assert [store.read("a").collect()["size"].to_list() for _ in range(3)] == [[2]] * 3


def test_the_order_of_commits_decides_not_the_workers_clock(make_store, monkeypatch):
    from datetime import UTC, datetime

    from metaxy_core.store import writing

    class Behind(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime(2001, 1, 1, tzinfo=UTC)

    store = make_store(graph(feature("a")))
    with store:
        settle(store, "a", samples=rows({"id": ["x"]}, "1"))
        monkeypatch.setattr(writing, "datetime", Behind)
        settle(store, "a", samples=rows({"id": ["x"]}, "2"))
        assert said(store.resolve_update("a", samples=rows({"id": ["x"]}, "2"))) == NOTHING


def test_a_version_left_and_come_back_to_is_current_at_once(make_store):
    def features(version):
        return graph(feature("a"), feature("b", "a", fields=[("f", version)]))

    store = make_store(features(1))
    with store:
        settle(store, "a", samples=rows({"id": ["x"]}))
        settle(store, "b")
    with store.using(features(2)) as bumped:
        assert said(settle(bumped, "b"))["stale"] == ["x"]
    with store:
        assert said(store.resolve_update("b")) == NOTHING


def test_keys_that_would_share_a_table_or_column_are_distinct_or_refused(make_store):
    store = make_store(graph(feature("my-f"), feature("my_f")))
    with store:
        settle(store, "my-f", samples=rows({"id": ["x"]}))
        assert not store.has_feature("my_f")
        settle(store, "my_f", samples=rows({"id": ["y"]}))
        assert store.read("my-f").collect()["id"].to_list() == ["x"]
    two = make_store(graph(feature("a", fields=["u/v", "u_v"])))
    with two:
        settle(two, "a", samples=rows({"id": ["x"]}, [{"u/v": "1", "u_v": "2"}]))
        changed = rows({"id": ["x"]}, [{"u/v": "1", "u_v": "3"}])
        assert stale_fields(two.resolve_update("a", samples=changed)) == {"x": ["u_v"]}
    with pytest.raises(KeyCollisionError, match="Video.*video"):
        graph(feature("Video"), feature("video"))
    with pytest.raises(KeyCollisionError, match=r"'Audio'.*'audio'|'audio'.*'Audio'"):
        feature("a", fields=["Audio", "audio"])


def test_a_run_time_filter_on_a_parent_leaves_everything_outside_alone(make_store):
    store = make_store(graph(feature("a"), feature("b", "a")))
    with store:
        settle(store, "a", samples=rows({"id": ["x", "y"], "size": [1, 9]}))
        settle(store, "b")
        store.delete("a", "id = 'y'")
        filtered = store.resolve_update("b", filters={"a": "size < 5"})
        assert said(filtered) == NOTHING
        assert said(store.resolve_update("b", filters={"a": "id = 'y'"}))["orphaned"] == ["y"]
        settle(store, "a", samples=rows({"id": ["x", "z"], "size": [1, 9]}, ["2", "1"]))
        assert said(store.resolve_update("b", global_filters=["size < 5"])) == NOTHING | {
            "stale": ["x"]
        }


def test_a_filter_chooses_whole_groups_and_never_what_they_are_made_from(grouped):
    settle(grouped, "take", samples=_takes(ann=["1", "2"], bob=["3"]))
    settle(grouped, "voice", filters={"take": "id = '1'"})
    everything = grouped.resolve_update("voice")
    assert said(everything, "speaker") == NOTHING | {"new": ["bob"]}
