import pytest

from metaxy_core.diff import GraphView, Status, diff, focus, neighbourhood
from metaxy_core.errors import UnknownFeatureError
from tests.builders import edge, expansion, feature, graph
from tests.render.graphs import everything_diff, example, example_diff


def statuses(view):
    return {node.key.rpartition("/")[2]: node.status.value for node in view.nodes}


def lines(view):
    return {(one.source, one.target): one.status.value for one in view.edges}


def test_the_example_diff_has_the_known_versions():
    view = example_diff()
    assert (view.before, view.after) == ("8468950d", "980943fb")
    assert [(node.key, node.status.value, node.before, node.after) for node in view.nodes] == [
        ("example/video", "changed", "bc9ca835", "6db302e5"),
        ("example/crop", "affected", "3ac04df8", "54dc7f8a"),
        ("example/face_detection", "pruned", "1ac83b07", "1ac83b07"),
        ("example/stt", "affected", "c83a754a", "066d34fc"),
    ]


def test_fields_have_their_own_status_versions_and_code():
    audio, frames = example_diff().nodes[0].fields
    assert (audio.status, audio.before, audio.after) == (Status.CHANGED, "22742381", "09c8398b")
    assert (audio.code_before, audio.code_after) == ("1", "2")
    assert (frames.status, frames.before, frames.after) == (
        Status.UNCHANGED,
        "794116a9",
        "794116a9",
    )


def test_edges_tell_whether_they_carry_the_change():
    assert lines(example_diff()) == {
        ("example/video", "example/crop"): "affected",
        ("example/crop", "example/face_detection"): "pruned",
        ("example/video", "example/stt"): "affected",
    }


def test_edges_come_and_go():
    before = graph(feature("a"), feature("b"), feature("c", "a", edge("b", optional=True)))
    after = graph(feature("a"), feature("d"), feature("c", edge("a", select=["id"]), "d"))
    assert lines(GraphView.of(diff(before, after))) == {
        ("a", "c"): "changed",
        ("d", "c"): "added",
        ("b", "c"): "removed",
    }


def test_every_status_is_given():
    assert statuses(everything_diff()) == {
        "alone": "unchanged",
        "video": "changed",
        "faces": "changed",
        "poses": "pruned",
        "scenes": "changed",
        "speech": "changed",
        "words": "affected",
        "summary": "added",
        "labels": "removed",
    }


def test_a_view_of_one_graph_has_no_before():
    view = GraphView.of(example())
    assert not view.is_diff
    assert {(node.before, node.status) for node in view.nodes} == {(None, Status.UNCHANGED)}
    assert {field.before for node in view.nodes for field in node.fields} == {None}


def test_an_edge_says_what_is_not_plain():
    made = graph(
        feature("a"), feature("b", edge("a", lineage=expansion(), optional=True), ids=["id", "k"])
    )
    (one,) = GraphView.of(made).edges
    assert (one.kind, one.label) == ("1:N", "1:N on id, optional")


def test_a_neighbourhood_reaches_up_and_down():
    view = neighbourhood(example_diff(), "example/crop")
    assert list(statuses(view)) == ["video", "crop", "face_detection"]
    assert len(view.edges) == 2
    assert view.hidden == 1


def test_a_neighbourhood_of_two_hops_reaches_siblings():
    assert len(neighbourhood(example_diff(), ["example", "crop"], hops=2).nodes) == 4


def test_a_neighbourhood_of_nothing_is_refused():
    with pytest.raises(UnknownFeatureError, match="no feature 'nope'"):
        neighbourhood(example_diff(), "nope")


def test_focus_leaves_out_what_is_unchanged_and_far():
    view = focus(everything_diff())
    assert "alone" not in statuses(view)
    assert view.hidden == 1


def test_counts_and_summary_are_in_the_order_of_status():
    assert example_diff().summary == "1 changed, 2 affected, 1 pruned"
    assert GraphView.of(diff(example(), example())).summary == "nothing changed"
