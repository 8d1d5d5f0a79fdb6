"""One sample, explained: the chain of causes down to the root's data or a code version."""

from __future__ import annotations

import polars as pl
import pytest

from metaxy_core.errors import MetadataSchemaError
from metaxy_core.keys import FeatureKey
from tests.builders import aggregation, edge, expansion, feature, graph, rows, settle

CHAIN = graph(
    feature("video", fields=["audio", "frames"]),
    feature("crop", "video", fields=["audio", "frames"]),
    feature("speech", "crop", fields=["audio"]),
)


def videos(**audio):
    return rows({"id": list(audio)}, [{"audio": text, "frames": "1"} for text in audio.values()])


def done(store, run, **audio):
    store.materialization_id = run
    settle(store, "video", samples=videos(**audio))
    settle(store, "crop")
    settle(store, "speech")
    store.push()


def reasons(found, field):
    """Kind and subject of each reason, with those below it."""
    return [_told(reason) for reason in found.fields[field]]


def _told(reason):
    below = [_told(one) for one in reason.because]
    return (reason.kind, reason.subject, *([below] if below else []))


def test_a_change_of_data_is_followed_to_the_root(make_store):
    with make_store(CHAIN) as store:
        done(store, "run1", x="1", y="1")
        store.materialization_id = "run2"
        settle(store, "video", samples=videos(x="2", y="1"))
        settle(store, "crop")
        found = store.explain("speech", {"id": "x"})
        assert (found.status, found.run) == ("stale", "run1")
        root = ("data", "video.audio", [("samples", "video.audio")])
        assert reasons(found, "audio") == [("data", "crop.audio", [root])]
        (reason,) = found.fields["audio"]
        assert reason.run == "run2"
        assert reason.at > found.stored_at
        assert len(reason.before) == len(reason.after) == 8
        assert "speech (id=x) is stale" in str(found)
        assert store.explain("speech", {"id": "y"}).status == "up to date"


def test_a_code_version_is_named_where_it_was_changed(make_store):
    with make_store(CHAIN) as store:
        done(store, "run1", x="1")
        crop = feature("crop", "video", fields=[("audio", 2), "frames"])
        bumped = store.using(graph(CHAIN["video"], crop, CHAIN["speech"]))
        found = bumped.explain("crop", {"id": "x"})
        assert reasons(found, "audio") == [("code", "crop.audio")]
        (reason,) = found.fields["audio"]
        assert (reason.before, reason.after) == ("1", "2")
        settle(bumped, "crop")
        bumped.push()
        found = bumped.explain("speech", {"id": "x"})
        assert reasons(found, "audio") == [("data", "crop.audio", [("code", "crop.audio")])]


def test_a_new_sample_and_an_orphaned_one_name_the_parent(make_store):
    with make_store(CHAIN) as store:
        done(store, "run1", x="1")
        store.materialization_id = "run2"
        settle(store, "video", samples=videos(x="1", y="1"))
        new = store.explain("crop", {"id": "y"})
        assert (new.status, reasons(new, ""), new.fields[""][0].run) == (
            "new", [("new", "video")], "run2",
        )  # fmt: skip
        store.delete("video", "id = 'x'")
        gone = store.explain("crop", {"id": "x"})
        assert (gone.status, reasons(gone, "")) == ("orphaned", [("gone", "video")])
        assert gone.fields[""][0].at is not None
        assert store.explain("crop", {"id": "z"}).status == "unknown"


def test_a_group_names_the_members_that_came_went_and_changed(make_store):
    sites = feature("site", edge("video", lineage=aggregation(["place"])), ids="place")
    with make_store(graph(CHAIN["video"], sites)) as store:
        places = {"place": ["north"] * 3}
        before = rows({"id": ["a", "b", "c"], **places}, [{"audio": "1", "frames": "1"}] * 3)
        settle(store, "video", samples=before)
        settle(store, "site")
        after = [{"audio": "2", "frames": "1"}, *[{"audio": "1", "frames": "1"}] * 2]
        settle(store, "video", samples=rows({"id": ["a", "b", "d"], **places}, after))
        store.materialization_id = "run2"
        store.delete("video", "id = 'c'")
        found = store.explain("site", {"place": "north"})
        (reason,) = found.fields["f"]
        assert reason.because[1].at > store.read("site").collect("polars")["metaxy_updated_at"][0]
        assert reason.subject == "video: 1 new, 1 gone, 1 changed"
        told = [(one.kind, one.sample["id"]) for one in reason.because]
        assert told == [("new", "d"), ("gone", "c"), ("data", "a")]


def test_parents_of_children_are_explained_as_units(make_store):
    chunks = feature("chunk", edge("video", lineage=expansion()), ids=["id", "n"])
    with make_store(graph(CHAIN["video"], chunks)) as store:
        settle(store, "video", samples=videos(x="1"))
        todo = store.resolve_update("chunk").todo().to_native()
        store.write("chunk", todo.with_columns(n=1))
        settle(store, "video", samples=videos(x="2"))
        found = store.explain("chunk", {"id": "x", "n": 1})
        assert reasons(found, "f") == [("data", "video.audio", [("samples", "video.audio")])]


def test_an_overridden_data_version_is_said(make_store):
    with make_store(CHAIN) as store:
        done(store, "run1", x="1")
        row = store.resolve_update("crop", skip_comparison=True).todo()
        store.write(
            "crop",
            row.to_native().with_columns(
                metaxy_data_version_by_field=row.to_native()["metaxy_provenance_by_field"]
            ),
        )
        found = store.explain("speech", {"id": "x"})
        assert reasons(found, "audio") == [("data", "crop.audio", [("override", "crop.audio")])]


def test_roots_are_explained_with_their_samples(make_store):
    with make_store(CHAIN) as store:
        done(store, "run1", x="1")
        assert store.explain("video", {"id": "x"}).status == "stored"
        found = store.explain("video", {"id": "x"}, samples=videos(x="2"))
        assert (found.status, reasons(found, "audio")) == ("stale", [("samples", "video.audio")])
        with pytest.raises(MetadataSchemaError, match="id is not given"):
            store.explain("video", {"other": "x"})


def test_ids_given_as_texts_are_read_as_their_type(make_store):
    with make_store(CHAIN) as store:
        settle(store, "video", samples=rows({"id": [5]}, [{"audio": "1", "frames": "1"}]))
        assert store.explain("crop", {"id": "5"}).status == "new"
        settle(store, "crop")
        assert store.explain("crop", {"id": "5"}).status == "up to date"
        with pytest.raises(MetadataSchemaError, match="the id id is Int64; given: 'five'"):
            store.explain("crop", {"id": "five"})


def test_a_feature_version_that_is_not_recorded_is_said_to_be_so(make_store):
    with make_store(graph(feature("a", fields=["f"]), feature("b", "a", fields=["f"]))) as store:
        settle(store, "a", samples=rows({"id": ["x"]}, [{"f": "1"}]))
        settle(store, "b")
        old = store.graph.versions[FeatureKey("b")].feature[:8]
        raised = store.using(
            graph(feature("a", fields=["f"]), feature("b", "a", fields=[("f", 2)]))
        )
        new = raised.graph.versions[FeatureKey("b")].feature[:8]
        (reason,) = raised.explain("b", {"id": "x"}).fields["f"]
        assert (reason.kind, reason.before, reason.after) == ("unrecorded", old, new)
        assert str(reason) == f"another feature version of b, not recorded here: {old} → {new}"


def test_a_sample_that_failed_tells_how(make_store):
    with make_store(graph(feature("a", fields=["f"]), feature("b", "a", fields=["f"]))) as store:
        settle(store, "a", samples=rows({"id": ["x", "y"]}, [{"f": "1"}, {"f": "1"}]))
        todo = store.resolve_update("b").todo().to_native()
        error = ValueError("no picture")
        failed = todo.filter(pl.col("id") == "x")
        store.record_failures("b", failed, error, materialization_id="r1")
        found = store.explain("b", {"id": "x"})
        assert found.status == "failed"
        assert (found.failure.error, found.failure.message) == ("ValueError", "no picture")
        assert "failed with ValueError: no picture (attempt 1 of run r1, " in str(found)
        assert "offered again" in str(found)
        assert [reason.kind for reason in found.fields[""]] == ["new"]
        assert store.explain("b", {"id": "y"}).failure is None
