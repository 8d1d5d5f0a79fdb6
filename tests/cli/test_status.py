import json

import polars as pl
import pytest

from metaxy_core import DuckDBMetadataStore, FeatureGraph, MetadataStore, use_graph

COLUMNS = ["feature", "rows", "new", "stale", "orphaned", "waiting", "failed", "needs"]


@pytest.fixture
def store(here) -> MetadataStore:
    text = (here.path / "cli_features.py").read_text()
    with use_graph(FeatureGraph()) as graph:
        exec(compile(text, "cli_features.py", "exec"), {"__name__": "status_features"})
    return DuckDBMetadataStore(here.path / "meta.duckdb", graph=graph)


def videos(audio="1"):
    provenance = [{"audio": audio, "frames": "1"}] * 2
    return pl.DataFrame({"id": ["a", "b"], "metaxy_provenance_by_field": provenance})


def write(store, *features, audio="1"):
    with store.open("w"):
        if "video" in features:
            store.write("video", videos(audio))
        for key in features[1:]:
            store.write(key, store.resolve_update(key).todo())


def table(out):
    return [line.split() for line in out.splitlines()]


def test_parents_that_have_not_run_are_named(here, store):
    with store.open("w"):
        pass
    ran = here.run("status")
    assert ran.code == 2
    assert table(ran.out) == [
        COLUMNS,
        ["video", *"-------"],
        ["crop", *"------", "video"],
        ["faces", *"------", "crop"],
    ]


def test_new_samples_are_counted(here, store):
    write(store, "video")
    ran = here.run("status")
    assert ran.code == 2
    assert table(ran.out)[1:3] == [
        ["video", "2", *"------"],
        ["crop", "-", "2", "0", "0", "0", "0", "-"],
    ]


def test_all_done_is_in_sync(here, store):
    write(store, "video", "crop", "faces")
    ran = here.run("status")
    assert ran.code == 0
    assert table(ran.out)[3] == ["faces", "2", "0", "0", "0", "0", "0", "-"]


def test_a_new_sound_track_makes_the_crop_stale_and_not_the_faces(here, store):
    write(store, "video", "crop", "faces")
    write(store, "video", audio="2")
    rows = json.loads(here.run("status", "--format", "json").out)
    assert [(row["feature"], row["stale"]) for row in rows] == [
        ("video", None),
        ("crop", 2),
        ("faces", 0),
    ]


def test_orphans_are_something_to_do(here, store):
    write(store, "video", "crop")
    with store.open("w"):
        store.delete("video", "id = 'a'")
    ran = here.run("status", "crop")
    assert ran.code == 2
    assert table(ran.out)[1] == ["crop", "2", "0", "0", "1", "0", "0", "-"]


def test_only_the_features_asked_for_are_shown(here, store):
    write(store, "video", "crop")
    ran = here.run("status", "video", "crop")
    assert ran.code == 0
    assert [line[0] for line in table(ran.out)] == ["feature", "video", "crop"]


def test_an_unknown_feature_is_refused(here, store):
    ran = here.run("status", "nope")
    assert (ran.code, ran.out) == (1, "")
    assert "no feature 'nope'" in ran.err


def test_looking_writes_nothing(here, store):
    write(store, "video", "crop")
    before = (here.path / "meta.duckdb").read_bytes()
    here.run("status")
    assert (here.path / "meta.duckdb").read_bytes() == before
