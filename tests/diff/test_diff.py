from metaxy_core import FeatureDep, FieldDep, FieldsMapping, FieldSpec, GraphSnapshot
from metaxy_core.diff import Change, FieldState, Severity, diff
from metaxy_core.keys import FeatureKey, FieldKey, FieldRef
from tests.builders import aggregation, expansion, feature, graph


def compared(before, after, key):
    return diff(before, after).features[FeatureKey(key)]


def verdict(before, after, key):
    found = compared(before, after, key)
    return found.change, found.severity


def test_equal_graphs_differ_in_nothing():
    same = graph(feature("a"), feature("b", "a"))
    found = diff(same, same)
    assert found.is_empty
    assert found.severity is None
    assert [one.severity for one in found.features.values()] == [None, None]


def test_a_snapshot_is_as_good_as_a_graph():
    one, other = graph(feature("a")), graph(feature("b"))
    snapshot = GraphSnapshot.from_json(GraphSnapshot.of(one).to_json())
    assert diff(snapshot, other) == diff(one, other)


def test_features_come_parents_first_and_removed_ones_last():
    found = diff(graph(feature("a"), feature("gone")), graph(feature("a"), feature("b", "a")))
    assert [str(key) for key in found.features] == ["a", "b", "gone"]


def test_an_added_feature_is_to_be_computed():
    assert verdict(graph(), graph(feature("a")), "a") == (Change.ADDED, Severity.RECOMPUTE)


def test_a_removed_feature_that_nothing_used_is_cosmetic():
    assert verdict(graph(feature("a")), graph(), "a") == (Change.REMOVED, Severity.COSMETIC)


def test_a_removed_feature_that_is_still_needed_is_breaking():
    before, after = graph(feature("a"), feature("b", "a")), graph(feature("b"))
    found = compared(before, after, "a")
    assert (found.severity, found.reasons) == (
        Severity.BREAKING,
        ("removed, but was used by b",),
    )


def test_a_whole_branch_may_go():
    before = graph(feature("a"), feature("b", "a"))
    assert diff(before, graph()).severity is Severity.COSMETIC


def test_a_code_version_is_recomputed_and_told_old_and_new():
    before = graph(feature("a", fields=[("f", 1), "g"]))
    after = graph(feature("a", fields=[("f", 2), "g"]))
    found = compared(before, after, "a")
    assert (found.change, found.severity) == (Change.CHANGED, Severity.RECOMPUTE)
    (field,) = found.changed_fields
    key = FeatureKey("a")
    assert field.key == FieldKey("f")
    assert field.before == FieldState(before.versions[key].fields[field.key], "1", ())
    assert field.after == FieldState(after.versions[key].fields[field.key], "2", ())


def test_a_follower_is_unchanged_and_recomputed():
    before = graph(feature("a"), feature("b", "a"))
    after = graph(feature("a", fields=[("f", 2)]), feature("b", "a"))
    assert verdict(before, after, "b") == (Change.UNCHANGED, Severity.RECOMPUTE)
    assert compared(before, after, "b").changed_fields == ()


def test_other_parents_of_a_field_are_a_change_of_it():
    def made(fields):
        dep = [FieldDep(feature="a", fields=fields)]
        return graph(
            feature("a", fields=["x", "y"]), feature("b", "a", fields=[FieldSpec("f", deps=dep)])
        )

    (field,) = compared(made(["x"]), made(["x", "y"]), "b").changed_fields
    a = FeatureKey("a")
    assert field.after.parents == (FieldRef(a, FieldKey("x")), FieldRef(a, FieldKey("y")))


def test_words_columns_filters_and_selections_are_cosmetic():
    before = graph(feature("a"), feature("b", "a"))
    dep = FeatureDep("a", select=["id"], rename={"x": "y"}, filters=["y > 1"], optional=True)
    more = {"description": "d", "metadata": {"m": 1}, "columns": {"c": "str"}, "project": "p"}
    after = graph(feature("a"), feature("b", dep, **more))
    assert verdict(before, after, "b") == (Change.CHANGED, Severity.COSMETIC)


def test_the_same_parents_spelled_otherwise_are_cosmetic():
    explicit = FieldSpec("f", deps=[FieldDep(feature="a", fields=["f"])])
    before = graph(feature("a"), feature("b", "a"))
    after = graph(feature("a"), feature("b", "a", fields=[explicit]))
    assert verdict(before, after, "b") == (Change.CHANGED, Severity.COSMETIC)


def test_the_order_of_id_columns_is_cosmetic():
    before, after = graph(feature("a", ids=["x", "y"])), graph(feature("a", ids=["y", "x"]))
    assert verdict(before, after, "a") == (Change.CHANGED, Severity.COSMETIC)


def test_other_id_columns_are_breaking():
    found = compared(graph(feature("a", ids=["x"])), graph(feature("a", ids=["x", "y"])), "a")
    assert (found.severity, found.reasons) == (Severity.BREAKING, ("id columns: x → x, y",))


def test_another_lineage_is_breaking():
    before = graph(feature("a"), feature("b", "a"))
    after = graph(feature("a"), feature("b", FeatureDep("a", lineage=aggregation(["id"]))))
    found = compared(before, after, "b")
    assert found.reasons == ("lineage from a: identity → aggregation",)


def test_another_group_is_breaking():
    def grouped(on):
        root = feature("a", ids=["id", "x", "y"])
        both = feature("o", ids=["x", "y"])
        return graph(
            root, both, feature("b", "o", FeatureDep("a", lineage=aggregation(on)), ids=["x", "y"])
        )

    found = compared(grouped(["x"]), grouped(["y"]), "b")
    assert found.reasons == ("joined to a on x → y",)


def test_another_unit_is_breaking_though_every_edge_is_as_it_was():
    def made(*more):
        parts = FeatureDep("a", lineage=expansion())
        return graph(
            feature("a"),
            feature("o", ids=["id", "k"]),
            feature("b", parts, *more, ids=["id", "k", "l"]),
        )

    found = compared(made(), made("o"), "b")
    assert found.reasons == ("unit: id → id, k",)


def test_a_removed_field_that_others_use_is_breaking():
    before = graph(feature("a", fields=["x", "y"]), feature("b", "a", fields=["x"]))
    after = graph(feature("a", fields=["y"]), feature("b", "a", fields=["x"]))
    found = compared(before, after, "a")
    assert found.reasons == ("field x removed, but was used by b",)


def test_a_removed_field_that_nothing_uses_is_not_breaking():
    none = FeatureDep("a", fields_mapping=FieldsMapping.none())
    before = graph(feature("a", fields=["x", "y"]), feature("b", none))
    after = graph(feature("a", fields=["y"]), feature("b", none))
    assert verdict(before, after, "a") == (Change.CHANGED, Severity.RECOMPUTE)


def test_a_root_that_makes_its_provenance_otherwise_is_recomputed():
    before = graph(feature("a", provenance_from={"f": "x"}))
    after = graph(feature("a", provenance_from={"f": "y"}))
    assert verdict(before, after, "a") == (Change.CHANGED, Severity.RECOMPUTE)
    assert not compared(before, after, "a").version_changed


def test_the_gravest_change_is_the_severity_of_the_whole():
    before = graph(feature("a"), feature("b"))
    after = graph(feature("a", description="d"), feature("b", ids=["x"]))
    found = diff(before, after)
    assert found.severity is Severity.BREAKING
    assert [str(one.key) for one in found.of(Change.CHANGED)] == ["a", "b"]
