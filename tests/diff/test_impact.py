from metaxy_core import FeatureDep, FieldDep, FieldsMapping, FieldSpec
from metaxy_core.diff import diff, impact
from tests.builders import feature, graph
from tests.render.graphs import example


def follows(before, after):
    found = impact(diff(before, after))
    affected = {
        str(one.key): ([str(f) for f in one.fields], [str(c) for c in one.causes])
        for one in found.affected
    }
    return affected, [str(key) for key in found.pruned]


def test_the_example_spares_face_detection():
    cause = ["example/video.audio"]
    assert follows(example(1), example(2)) == (
        {"example/crop": (["audio"], cause), "example/stt": (["transcription"], cause)},
        ["example/face_detection"],
    )


def test_nothing_follows_from_nothing():
    assert follows(example(), example()) == ({}, [])


def test_nothing_follows_from_a_description():
    before, after = (
        graph(feature("a"), feature("b", "a")),
        graph(feature("a", description="d"), feature("b", "a")),
    )
    assert follows(before, after) == ({}, [])


def test_what_lies_beyond_a_spared_feature_is_spared():
    def made(code):
        none = FeatureDep("a", fields_mapping=FieldsMapping.none())
        return graph(feature("a", fields=[("f", code)]), feature("b", none), feature("c", "b"))

    assert follows(made(1), made(2)) == ({}, ["b", "c"])


def test_what_is_upstream_or_beside_is_neither():
    def made(code):
        return graph(feature("root"), feature("a", "root", fields=[("f", code)]), feature("beside"))

    assert follows(made(1), made(2)) == ({}, [])


def test_a_spared_feature_that_was_declared_otherwise_still_leads_on():
    def made(code, description):
        none = FeatureDep("a", fields_mapping=FieldsMapping.none())
        return graph(
            feature("a", fields=[("f", code)]),
            feature("b", none, description=description),
            feature("c", "b"),
        )

    assert follows(made(1, "x"), made(2, "y")) == ({}, ["c"])


def test_an_added_parent_field_is_the_cause_for_an_automatic_mapping():
    before = graph(feature("a", fields=["x"]), feature("b", "a"))
    after = graph(feature("a", fields=["x", "y"]), feature("b", "a"))
    assert follows(before, after) == ({"b": (["f"], ["a.y"])}, [])


def test_a_removed_parent_field_is_the_cause_for_an_automatic_mapping():
    before = graph(feature("a", fields=["x", "y"]), feature("b", "a"))
    after = graph(feature("a", fields=["x"]), feature("b", "a"))
    assert follows(before, after) == ({"b": (["f"], ["a.y"])}, [])


def test_causes_of_two_ways_are_both_told():
    def made(code):
        both = [FieldDep(feature="l", fields=["f"]), FieldDep(feature="r", fields=["f"])]
        return graph(
            feature("l", fields=[("f", code)]),
            feature("r", fields=[("f", code)]),
            feature("b", "l", "r", fields=[FieldSpec("f", deps=both), FieldSpec("own", deps=[])]),
        )

    assert follows(made(1), made(2)) == ({"b": (["f"], ["l.f", "r.f"])}, [])
