"""The plan of a graph: what is coming, why, what it costs, and what the limits let in."""

from __future__ import annotations

import polars as pl
import pytest

from metaxy_core.errors import PlanError
from metaxy_core.work import WorkPlan
from tests.builders import aggregation, edge, expansion, feature, graph, rows, settle

FIELDS = ["audio", "frames"]


def media(audio=1, **changed):
    """video -> crop -> faces, and video -> speech."""
    known = {
        "video": feature("video", fields=[("audio", audio), "frames"]),
        "crop": feature("crop", "video", fields=FIELDS),
        "faces": feature("faces", "crop", fields=["frames"]),
        "speech": feature("speech", "video", fields=["audio"]),
    }
    return graph(*(known | changed).values())


def videos(**audio):
    return rows({"id": list(audio)}, [{"audio": text, "frames": "1"} for text in audio.values()])


def done(store, samples):
    settle(store, "video", samples=samples)
    for key in ("crop", "faces", "speech"):
        settle(store, key)
    store.push()


def then(plan):
    return {one.feature: one.then and (one.then.new, one.then.stale) for one in plan}


def causes(plan, feature):
    return [str(cause) for cause in plan.of(feature).causes]


def test_nothing_to_do_is_in_sync(make_store):
    with make_store(media()) as store:
        done(store, videos(x="1", y="1"))
        plan = store.plan(samples={"video": videos(x="1", y="1")})
        assert plan.is_in_sync
        assert plan.planned == 0
        assert [one.rows for one in plan] == [2, 2, 2, 2]


def test_new_samples_are_seen_all_the_way_down_before_anything_ran(make_store):
    with make_store(media()) as store:
        plan = store.plan(samples={"video": videos(x="1", y="1")})
        assert then(plan) == dict.fromkeys(["video", "crop", "faces", "speech"], (2, 0))
        assert [one.now and one.now.new for one in plan] == [2, None, None, None]
        assert causes(plan, "video") == ["2 by new samples"]
        assert causes(plan, "faces") == ["2 by new crop"]
        assert not plan.is_in_sync


def test_a_change_of_data_reaches_exactly_what_is_made_from_it(make_store):
    with make_store(media()) as store:
        done(store, videos(x="1", y="1"))
        plan = store.plan(samples={"video": videos(x="2", y="1")})
        assert then(plan) == {"video": (0, 1), "crop": (0, 1), "faces": (0, 0), "speech": (0, 1)}
        assert causes(plan, "crop") == ["1 by new video.audio"]
        assert plan.of("crop").now.todo == 0


def test_a_roots_code_bump_is_seen_below_before_it_has_run(make_store):
    with make_store(media()) as store:
        done(store, videos(x="1", y="1"))
        plan = store.using(media(audio=2)).plan()
        assert then(plan) == {"video": (0, 2), "crop": (0, 2), "faces": (0, 0), "speech": (0, 2)}
        for key in ("video", "crop", "speech"):
            assert causes(plan, key) == ["2 by video.audio code 1 → 2"]
        assert [one.now and one.now.stale for one in plan] == [None, 0, 0, 0]


def test_causes_are_grouped_and_counted(make_store):
    with make_store(media()) as store:
        done(store, videos(x="1", y="1", z="1"))
        bumped = store.using(media(crop=feature("crop", "video", fields=[("audio", 2), "frames"])))
        settle(bumped, "video", samples=videos(x="2", y="1", z="1", w="1"))
        plan = bumped.plan(["crop"])
        assert [one.feature for one in plan] == ["crop"]
        assert causes(plan, "crop") == ["3 by crop.audio code 1 → 2", "1 by new video"]
        bumped.push()
        assert causes(bumped.plan(["crop"]), "crop")[0] == "3 by crop.audio code 1 → 2"


def test_rows_of_code_that_was_never_recorded_say_so(make_store):
    with make_store(media()) as store:
        settle(store, "video", samples=videos(x="1"))
        settle(store, "crop")
        old = store.graph.versions[store.graph["crop"].key].feature[:8]
        plan = store.using(
            media(crop=feature("crop", "video", fields=["frames", ("audio", 2)]))
        ).plan()
        assert causes(plan, "crop") == [
            f"1 by code since feature version {old}, which is not recorded"
        ]


def test_an_added_field_and_a_rewired_one_are_named(make_store):
    with make_store(media()) as store:
        done(store, videos(x="1"))
        more = feature("crop", "video", fields=["audio", "frames", "both"])
        plan = store.using(media(crop=more)).plan()
        assert causes(plan, "crop") == ["1 by crop.both added"]


def test_a_stored_override_stops_a_code_bump_in_the_plan_too(make_store):
    with make_store(media()) as store:
        given = videos(x="1").with_columns(
            pl.Series("metaxy_data_version_by_field", [{"audio": "same", "frames": None}])
        )
        settle(store, "video", samples=videos(x="1"))
        store.write("video", given)
        for key in ("crop", "faces", "speech"):
            settle(store, key)
        store.push()
        assert then(store.using(media(audio=2)).plan())["crop"] == (0, 0)


def test_what_cannot_be_known_is_said(make_store):
    chunks = feature("crop", edge("video", lineage=expansion()), ids=["id", "n"], fields=FIELDS)
    with make_store(media(crop=chunks, faces=feature("faces", "crop", ids=["id", "n"]))) as store:
        assert "known when it runs" in store.plan().of("speech").unknown
        plan = store.plan(samples={"video": videos(x="1")})
        assert plan.of("crop").then.new == 1
        assert plan.of("faces").inexact == (
            "how many children crop gives 1 parents is known then, so there may be more"
        )
        assert not plan.is_in_sync


def test_groups_by_a_column_that_the_feature_itself_makes(make_store):
    sites = feature("faces", edge("crop", lineage=aggregation(["site"])), ids="site")
    with make_store(media(faces=sites)) as store:
        samples = videos(x="1", y="1").with_columns(site=pl.Series(["north", "south"]))
        plan = store.plan(samples={"video": samples})
        assert plan.of("faces").then.new == 2
        assert plan.of("faces").inexact == "provided that crop keeps site as above it"
        settle(store, "video", samples=videos(x="1"))
        assert store.plan().of("faces").unknown == "site of crop is known when it has run"


def test_the_limits_let_in_the_first_units_and_what_follows_from_them(make_store):
    with make_store(media()) as store:
        samples = {"video": videos(x="1", y="1", z="1")}
        plan = store.plan(samples=samples, max_samples=5, with_units=True)
        assert [(one.feature, one.planned) for one in plan] == [
            ("video", 3), ("crop", 2), ("faces", 0), ("speech", 0),
        ]  # fmt: skip
        assert plan.of("crop").units == (("x",), ("y",))
        assert plan.of("crop").then.new == 3
        settle(store, "video", samples=samples["video"])
        found = store.resolve_update("crop", units=pl.DataFrame(plan.of("crop").frame()))
        assert sorted(found.new["id"]) == ["x", "y"]


def test_money_and_time_come_from_runs_or_from_the_declaration(make_store):
    priced = feature("crop", "video", fields=FIELDS, metadata={"cost_per_sample": 0.5})
    with make_store(media(crop=priced)) as store:
        for seconds in (10, 20, 30):
            store.record_run("crop", units=10, seconds=seconds)
        plan = store.plan(samples={"video": videos(x="1", y="1", z="1", w="1")})
        crop = plan.of("crop")
        assert (crop.seconds.p50, crop.seconds.runs) == (8.0, 3)
        assert crop.seconds.p90 == pytest.approx(11.2)
        assert (crop.money.p50, crop.money.runs) == (2.0, 0)
        assert plan.of("faces").seconds is None
        assert plan.money.p50 == 2.0
        limited = store.plan(samples={"video": videos(x="1", y="1", z="1")}, max_cost=1.0)
        assert [one.planned for one in limited] == [3, 2, 2, 3]


def test_failures_are_counted_and_left_out(make_store):
    with make_store(media()) as store:
        settle(store, "video", samples=videos(x="1", y="1"))
        store.record_failures("crop", store.resolve_update("crop").todo().head(1), "broken")
        plan = store.plan()
        assert (plan.of("crop").then.new, plan.of("crop").then.failed) == (1, 1)
        assert plan.of("faces").then.new == 1


def test_a_plan_is_saved_and_read_back(make_store, tmp_path):
    with make_store(media()) as store:
        plan = store.plan(samples={"video": videos(x="1")}, with_units=True)
    plan.save(tmp_path / "plan.json")
    assert WorkPlan.load(tmp_path / "plan.json") == plan
    (tmp_path / "other.json").write_text('{"format": 2}')
    for path, told in (("other.json", "is not a plan"), ("none.json", "cannot be read")):
        with pytest.raises(PlanError, match=told):
            WorkPlan.load(tmp_path / path)
    with pytest.raises(PlanError, match="does not have the feature 'none'"):
        plan.of("none")


def test_samples_are_for_roots_and_limits_are_not_negative(make_store):
    with make_store(media()) as store:
        with pytest.raises(PlanError, match="'crop' has parents"):
            store.plan(samples={"crop": videos(x="1")})
        with pytest.raises(PlanError, match="max_samples is not negative"):
            store.plan(max_samples=-1)


def test_orphans_are_not_in_sync(make_store):
    with make_store(media()) as store:
        done(store, videos(x="1", y="1"))
        store.delete("video", "id = 'y'")
        assert not store.plan().is_in_sync


def test_a_group_column_that_the_root_never_stored(make_store):
    sites = feature("faces", edge("video", lineage=aggregation(["site"])), ids="site")
    with make_store(media(faces=sites)) as store:
        settle(store, "video", samples=videos(x="1"))
        assert store.plan().of("faces").unknown == "site of video is known when it has run"
