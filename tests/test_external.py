"""Features of other projects, locked."""

import json

import pytest

from metaxy_core import FeatureGraph, Graph, GraphSnapshot, InMemoryMetadataStore
from metaxy_core.errors import CrossProjectWriteError, ExternalFeatureError, UnknownParentError
from metaxy_core.external import (
    Lock,
    Mismatch,
    compare_lock,
    lock_changes,
    make_lock,
    refuse_mismatches,
    use_lock,
)
from tests.builders import feature, rows


def theirs(audio=1, **more):
    """Two features of the project `media`, one of which nobody else uses."""
    return GraphSnapshot.of(
        Graph(
            [
                feature("media/raw", fields=["bytes"]),
                feature("media/video", "media/raw", fields=[("audio", audio), "frames"], **more),
                feature("media/unused", "media/raw"),
            ]
        )
    )


def mine():
    return FeatureGraph([feature("speech", "media/video", fields=["text"])])


def _version(graph, key):
    return graph.versions[graph[key].key].feature


def test_what_is_depended_on_is_locked_with_all_it_is_made_from():
    lock = make_lock(mine(), {"media": theirs(), "empty": GraphSnapshot.of(Graph())})
    assert {str(key): one.project for key, one in lock.features.items()} == {
        "media/raw": "media",
        "media/video": "media",
    }
    versions = theirs().graph.versions
    assert {one.version for one in lock.features.values()} == {
        versions[key].feature for key in lock.features
    }


def test_a_lock_is_the_same_text_whatever_is_said_about_the_features():
    plain = make_lock(mine(), {"media": theirs()})
    told = make_lock(mine(), {"media": theirs(description="A video.", metadata={"cost": 1})})
    assert plain.to_json() == told.to_json()
    assert Lock.from_json(plain.to_json()) == plain
    assert lock_changes(plain, told) == []


def test_the_locked_graph_has_the_versions_of_the_other_project(tmp_path):
    path = tmp_path / "metaxy.lock"
    path.write_text(make_lock(mine(), {"media": theirs()}).to_json())
    graph = mine()
    with pytest.raises(UnknownParentError, match="`metaxy lock`"):
        graph.freeze()
    assert [str(key) for key in use_lock(path, graph)] == ["media/raw", "media/video"]
    for key in ("media/raw", "media/video"):
        assert _version(graph.freeze(), key) == _version(theirs().graph, key)
    assert use_lock(path, graph) == ()


def test_what_nothing_depends_on_is_not_added(tmp_path):
    path = tmp_path / "metaxy.lock"
    path.write_text(make_lock(mine(), {"media": theirs()}).to_json())
    graph = FeatureGraph([feature("alone")])
    assert use_lock(path, graph) == ()
    assert use_lock(tmp_path / "none.lock", graph) == ()
    assert len(graph) == 1


def test_a_lock_in_use_is_made_anew(tmp_path):
    path = tmp_path / "metaxy.lock"
    lock = make_lock(mine(), {"media": theirs()})
    path.write_text(lock.to_json())
    graph = mine()
    use_lock(path, graph)
    again = make_lock(graph.freeze(), {"media": theirs(audio=2)}, lock=lock)
    assert [one.feature for one in lock_changes(lock, again)] == ["media/video"]
    without = make_lock(FeatureGraph([feature("alone")]), {}, lock=lock)
    assert without == Lock()


def test_external_features_are_read_here_and_written_there(tmp_path):
    path = tmp_path / "metaxy.lock"
    path.write_text(make_lock(mine(), {"media": theirs()}).to_json())
    graph = mine()
    use_lock(path, graph)
    with InMemoryMetadataStore(graph=graph, project="mine") as store:
        raw = rows({"id": ["a"]}, fields=["bytes"])
        with pytest.raises(CrossProjectWriteError, match="'media'"):
            store.write("media/raw", raw)
        with store.allow_cross_project_writes():
            store.write("media/raw", store.resolve_update("media/raw", samples=raw).todo())
            store.write("media/video", store.resolve_update("media/video").todo())
        store.write("speech", store.resolve_update("speech").todo())
        assert store.resolve_update("speech").is_empty


def test_other_versions_are_found():
    lock = make_lock(mine(), {"media": theirs()})
    now = _version(theirs(audio=2).graph, "media/video")
    was = _version(theirs().graph, "media/video")
    found = compare_lock(lock, {"media": theirs(audio=2)})
    assert found == [Mismatch("media/video", "media", was, now)]
    assert compare_lock(lock, {"media": theirs()}) == []
    assert compare_lock(lock, {}) == []
    gone = compare_lock(
        lock, {"media": GraphSnapshot.of(Graph([feature("media/raw", fields=["bytes"])]))}
    )
    assert gone == [Mismatch("media/video", "media", was, None)]


def test_other_versions_are_refused_where_they_are_errors():
    found = compare_lock(make_lock(mine(), {"media": theirs()}), {"media": theirs(audio=2)})
    refuse_mismatches(found, "warn")
    refuse_mismatches([], "error")
    with pytest.raises(ExternalFeatureError, match="'media/video' of 'media' is locked at"):
        refuse_mismatches(found, "error")


def test_a_feature_that_nobody_or_several_declare_is_refused():
    with pytest.raises(ExternalFeatureError, match="'speech' depends on 'media/video'.*no other"):
        make_lock(mine(), {})
    with pytest.raises(ExternalFeatureError, match=r"several others do: media, copy"):
        make_lock(mine(), {"media": theirs(), "copy": theirs()})
    lock = make_lock(mine(), {"media": theirs(), "copy": theirs()}, owners={"media/video": "media"})
    assert {one.project for one in lock.features.values()} == {"media"}


def test_a_third_projects_feature_stays_its_own():
    """`media` has locked `camera/raw`: it is in its graph, and belongs to `camera`."""
    camera = GraphSnapshot.of(Graph([feature("camera/raw", fields=["bytes"])]))
    media = GraphSnapshot.of(
        Graph(
            [
                feature("camera/raw", fields=["bytes"], project="camera"),
                feature("media/video", "camera/raw", fields=["audio"]),
            ]
        )
    )
    both = FeatureGraph([feature("speech", "media/video", "camera/raw", fields=["text"])])
    lock = make_lock(both, {"media": media, "camera": camera})
    assert {str(key): one.project for key, one in lock.features.items()} == {
        "camera/raw": "camera",
        "media/video": "media",
    }
    newer = GraphSnapshot.of(Graph([feature("camera/raw", fields=[("bytes", 2)])]))
    with pytest.raises(ExternalFeatureError, match="one of them is to run `metaxy lock`"):
        make_lock(both, {"media": media, "camera": newer})


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda text: "junk", "is not a lock file"),
        (lambda text: "[]", "is not a lock file"),
        (lambda text: "{}", "is not a lock file"),
        (lambda text: text.replace('"format": 1', '"format": 2'), "has format 2"),
        (lambda text: '{"format": 2, "locked": []}', "has format 2"),
        (lambda text: text.replace('"frames"', '"pictures"'), "changed by hand, or by a merge"),
        (lambda text: text.replace('"id_columns"', '"ids"'), "damaged"),
        (lambda text: text.replace('"media/raw": {', '"media/other": {'), "damaged"),
    ],
)
def test_a_file_that_is_no_lock_is_refused(tmp_path, change, told):
    path = tmp_path / "metaxy.lock"
    text = make_lock(mine(), {"media": theirs()}).to_json()
    assert json.loads(text)["format"] == 1
    path.write_text(change(text))
    with pytest.raises(ExternalFeatureError, match=told):
        use_lock(path, mine())
