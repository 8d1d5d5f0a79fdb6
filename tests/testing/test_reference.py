"""The oracle on examples that were worked out by hand from the semantics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from metaxy_core.spec import (
    FeatureDep,
    FeatureSpec,
    FieldDep,
    FieldsMapping,
    FieldSpec,
    LineageRelationship,
)
from metaxy_core.testing import (
    ABSENT,
    Cell,
    Compare,
    Given,
    Ids,
    Predicate,
    Reference,
    Tree,
    UnwrittenParentError,
)

VIDEO = FeatureSpec("video", id_columns=["id"], fields=["audio", "frames"])
CROP = FeatureSpec("crop", id_columns=["id"], deps=["video"], fields=["audio", "frames"])
FACES = FeatureSpec(
    "faces",
    id_columns=["id", "face"],
    deps=[FeatureDep("video", lineage=LineageRelationship.expansion())],
    fields=["frames"],
)


def put(reference: Reference, key: str, *rows: Mapping[str, Cell], text: str = "v1") -> None:
    """Write samples of a root; every field has the same text."""
    names = [str(field.key) for field in reference.spec(key).fields]
    made = reference.made_from(key, dict.fromkeys(names, text))
    reference.write(key, [Given(row, made) for row in rows])


def run(reference: Reference, key: str, **overrides: str) -> None:
    """Write what there is to do, one row per unit."""
    result = reference.resolve(key)
    columns = reference.unit_columns(key)
    reference.write(
        key,
        [
            Given(dict(zip(columns, unit, strict=True)), trees, overrides)
            for unit, trees in {**result.new, **result.stale}.items()
        ],
    )


def faces(reference: Reference, unit: int, *numbers: int, partial: bool = False) -> None:
    """Write the faces of a video."""
    trees = reference.resolve("faces", skip_comparison=True).new[(unit,)]
    rows = [Given({"id": unit, "face": number}, trees) for number in numbers]
    empty: dict[Ids, Mapping[str, Tree]] = {} if numbers else {(unit,): trees}
    reference.write("faces", rows, partial=partial, empty_parents=empty)


def two(second: FeatureSpec, *rest: FeatureSpec, where: Sequence[Predicate] = ()) -> Reference:
    """A reference with two videos."""
    reference = Reference([VIDEO, second, *rest], {one.text: one for one in where})
    put(reference, "video", {"id": 1, "n": 5}, {"id": 2, "n": None})
    return reference


def bumped(spec: FeatureSpec, field: str) -> FeatureSpec:
    """The feature with another code version of one field."""
    fields = [
        FieldSpec(one.key, code_version="2" if str(one.key) == field else one.code_version)
        for one in spec.fields
    ]
    return FeatureSpec(spec.key, id_columns=spec.id_columns, deps=spec.deps, fields=fields)


def test_written_once_the_increment_is_empty() -> None:
    reference = two(CROP)
    assert set(reference.resolve("crop").new) == {(1,), (2,)}
    run(reference, "crop")
    result = reference.resolve("crop")
    assert (result.new, result.stale, result.orphaned) == ({}, {}, frozenset())


def test_a_changed_text_is_stale_in_the_fields_made_from_it() -> None:
    reference = two(CROP)
    run(reference, "crop")
    made = reference.made_from("video", {"audio": "v2", "frames": "v1"})
    reference.write("video", [Given({"id": 1, "n": 5}, made)])
    assert reference.resolve("crop").stale_fields == {(1,): ("audio",)}


def test_the_same_text_again_changes_nothing() -> None:
    reference = two(CROP)
    run(reference, "crop")
    put(reference, "video", {"id": 1, "n": 6})
    assert reference.resolve("crop").stale == {}


def test_a_roots_bump_makes_exactly_the_fields_below_it_stale_once_it_ran() -> None:
    reference = two(CROP)
    run(reference, "crop")
    reference = reference.using([bumped(VIDEO, "audio"), CROP])
    assert reference.resolve("crop").stale == {}
    put(reference, "video", {"id": 1, "n": 5})
    assert reference.resolve("crop").stale_fields == {(1,): ("audio",)}


def test_an_override_cuts_propagation_off() -> None:
    below = FeatureSpec("stt", id_columns=["id"], deps=["crop"], fields=["text"])
    reference = two(CROP, below)
    run(reference, "crop", audio="same", frames="same")
    run(reference, "stt")
    put(reference, "video", {"id": 1, "n": 5}, text="v2")
    run(reference, "crop", audio="same", frames="same")
    assert reference.resolve("stt").stale == {}


def test_a_version_come_back_to_is_current_at_once() -> None:
    reference = two(CROP)
    run(reference, "crop")
    changed = reference.using([VIDEO, bumped(CROP, "audio")])
    assert changed.resolve("crop").stale_fields == {(1,): ("audio",), (2,): ("audio",)}
    run(changed, "crop")
    assert changed.resolve("crop").stale == {}
    assert reference.resolve("crop").stale == {}


def test_a_field_added_above_makes_units_wait() -> None:
    more = FeatureSpec("video", id_columns=["id"], fields=["audio", "frames", "text"])
    everything = FeatureSpec("stt", id_columns=["id"], deps=["video"], fields=["words"])
    reference = two(everything)
    run(reference, "stt")
    reference = reference.using([more, everything])
    result = reference.resolve("stt")
    assert (set(result.waiting), result.stale, result.orphaned) == ({(1,), (2,)}, {}, frozenset())
    put(reference, "video", {"id": 1, "n": 5})
    assert reference.resolve("stt").stale_fields == {(1,): ("words",)}


def test_an_absent_optional_parent_is_not_an_empty_one() -> None:
    other = FeatureSpec("other", id_columns=["id"])
    both = FeatureSpec(
        "both", id_columns=["id"], deps=["video", FeatureDep("other", optional=True)]
    )
    reference = two(other, both)
    absent = ("other/default", ABSENT)
    assert absent in reference.resolve("both").new[(1,)]["default"].parts
    run(reference, "both")
    put(reference, "other", {"id": 1}, text="")
    assert reference.resolve("both").stale_fields == {(1,): ("default",)}


def test_a_required_parent_never_written_is_an_error() -> None:
    with pytest.raises(UnwrittenParentError, match="video"):
        Reference([VIDEO, CROP]).resolve("crop")


def test_optional_parents_alone_are_joined_in_full() -> None:
    other = FeatureSpec("other", id_columns=["id"])
    deps = [FeatureDep("video", optional=True), FeatureDep("other", optional=True)]
    reference = two(other, FeatureSpec("both", id_columns=["id"], deps=deps))
    put(reference, "other", {"id": 2}, {"id": 3})
    assert set(reference.resolve("both").new) == {(1,), (2,), (3,)}


def test_the_order_of_a_parents_id_columns_does_not_matter() -> None:
    one, other = (
        FeatureSpec("one", id_columns=["a", "b"]),
        FeatureSpec("other", id_columns=["b", "a"]),
    )
    deps = [FeatureDep("one", optional=True), FeatureDep("other", optional=True)]
    reference = Reference([one, other, FeatureSpec("both", id_columns=["a", "b"], deps=deps)])
    put(reference, "one", {"a": 1, "b": 2})
    put(reference, "other", {"a": 2, "b": 1})
    assert set(reference.resolve("both").new) == {(1, 2), (2, 1)}


def test_parents_of_different_granularity_are_joined_on_what_they_share() -> None:
    fine = FeatureSpec("fine", id_columns=["id", "k"])
    both = FeatureSpec("both", id_columns=["id", "k"], deps=["video", "fine"])
    reference = two(fine, both)
    put(reference, "fine", {"id": 1, "k": 1}, {"id": 1, "k": 2}, {"id": 3, "k": 1})
    assert set(reference.resolve("both").new) == {(1, 1), (1, 2)}


def test_filters_and_groups_use_names_after_renaming() -> None:
    where = Compare("count", ">", 3)
    dep = FeatureDep("video", rename={"n": "count"}, filters=[where.text])
    reference = two(FeatureSpec("crop", id_columns=["id"], deps=[dep]), where=[where])
    assert set(reference.resolve("crop").new) == {(1,)}


def speakers() -> Reference:
    """Groups of videos by speaker; the third video has none."""
    lineage = LineageRelationship.aggregation(on=["speaker"])
    grouped = FeatureSpec(
        "speaker", id_columns=["speaker"], deps=[FeatureDep("video", lineage=lineage)]
    )
    reference = Reference([VIDEO, grouped])
    samples = [{"id": 1, "speaker": "a"}, {"id": 2, "speaker": "a"}, {"id": 3, "speaker": None}]
    put(reference, "video", *samples)
    run(reference, "speaker")
    return reference


def test_members_without_a_group_belong_to_none() -> None:
    assert set(speakers().read("speaker")) == {("a",)}


def test_a_member_replaced_or_removed_or_added_is_seen() -> None:
    reference = speakers()
    put(reference, "video", {"id": 1, "speaker": "a"})
    assert reference.resolve("speaker").stale == {}
    for change in (
        lambda one: put(one, "video", {"id": 1, "speaker": "a"}, text="v2"),
        lambda one: one.delete("video", lambda values: values["id"] == 1),
        lambda one: put(one, "video", {"id": 4, "speaker": "a"}),
        lambda one: put(one, "video", {"id": 2, "speaker": None}),
    ):
        changed = reference.copy()
        change(changed)
        assert set(changed.resolve("speaker").stale) == {("a",)}


def test_the_last_member_gone_orphans_the_group() -> None:
    reference = speakers()
    reference.delete("video", lambda values: values["speaker"] == "a")
    assert reference.resolve("speaker").orphaned == {("a",)}


def test_a_set_shrinks_and_is_settled() -> None:
    reference = two(FACES)
    for numbers in ((1, 2, 3), (1, 2), (), (1, 2, 3)):
        faces(reference, 1, *numbers)
        assert set(reference.read("faces")) == {(1, number) for number in numbers}
        assert set(reference.resolve("faces").new) == {(2,)}


def test_open_children_count_only_when_the_set_is_closed() -> None:
    reference = two(FACES)
    faces(reference, 1, 1, 2, partial=True)
    assert reference.read("faces") == {}
    faces(reference, 1, 2, 3)
    assert set(reference.read("faces")) == {(1, 1), (1, 2), (1, 3)}
    faces(reference, 1, 4)
    assert set(reference.read("faces")) == {(1, 4)}


def test_open_children_of_another_provenance_are_dropped() -> None:
    reference = two(FACES)
    faces(reference, 1, 1, partial=True)
    put(reference, "video", {"id": 1, "n": 5}, text="v2")
    faces(reference, 1, 2)
    assert set(reference.read("faces")) == {(1, 2)}


def test_deleting_some_children_leaves_the_rest_and_the_last_makes_the_parent_new() -> None:
    reference = two(FACES)
    faces(reference, 1, 1, 2)
    reference.delete("faces", lambda values: values["face"] == 1)
    assert set(reference.read("faces")) == {(1, 2)}
    assert set(reference.resolve("faces").new) == {(2,)}
    reference.delete("faces", lambda values: values["face"] == 2)
    assert set(reference.resolve("faces").new) == {(1,), (2,)}
    reference.undelete("faces")
    assert set(reference.read("faces")) == {(1, 2)}


def test_what_was_before_a_tombstone_counts_in_no_version() -> None:
    reference = two(CROP)
    run(reference, "crop")
    changed = reference.using([VIDEO, bumped(CROP, "audio")])
    run(changed, "crop")
    changed.delete("crop", lambda values: values["id"] == 1)
    assert set(reference.resolve("crop").new) == {(1,)}
    reference.undelete("crop")
    assert reference.resolve("crop").new == {}
    reference.delete("crop", lambda values: values["id"] == 1, soft=False)
    reference.undelete("crop")
    assert set(reference.resolve("crop").new) == {(1,)}


def test_a_filter_restricts_both_sides_and_leaves_provenance_alone() -> None:
    reference = speakers()
    whole = reference.resolve("speaker", skip_comparison=True).new
    inside = reference.resolve(
        "speaker", filters={"video": [Compare("id", "=", 1)]}, skip_comparison=True
    )
    assert inside.new == whole
    outside = reference.resolve("speaker", filters={"video": [Compare("id", "=", 9)]})
    assert (outside.new, outside.orphaned) == ({}, frozenset())


@pytest.mark.parametrize(
    ("mapping", "field", "expected"),
    [
        (FieldsMapping.default(), "audio", {"video/audio"}),
        (FieldsMapping.default(), "text", {"video/audio", "video/audio/fr", "video/frames"}),
        (
            FieldsMapping.default(exclude_fields=["audio"]),
            "audio",
            {"video/audio/fr", "video/frames"},
        ),
        (FieldsMapping.default(match_suffix=True), "fr", {"video/audio/fr"}),
        (FieldsMapping.specific({"text": "audio"}), "text", {"video/audio"}),
        (FieldsMapping.specific({"text": "audio"}), "audio", set()),
        (FieldsMapping.all(), "audio", {"video/audio", "video/audio/fr", "video/frames"}),
        (FieldsMapping.none(), "audio", set()),
    ],
)
def test_fields_are_mapped(mapping: FieldsMapping, field: str, expected: set[str]) -> None:
    video = FeatureSpec("video", id_columns=["id"], fields=["audio", "audio/fr", "frames"])
    dep = FeatureDep("video", fields_mapping=mapping)
    reference = Reference([video, FeatureSpec("c", id_columns=["id"], deps=[dep], fields=[field])])
    put(reference, "video", {"id": 1})
    parents = reference.resolve("c").new[(1,)][field].parts[3:]
    assert {name for name, _ in parents} == expected


def test_explicit_field_deps_replace_the_automatic_ones() -> None:
    explicit = FieldSpec("audio", deps=(FieldDep(feature="video", fields=["frames"]),))
    crop = FeatureSpec("crop", id_columns=["id"], deps=["video"], fields=[explicit])
    reference = two(crop)
    parents = reference.resolve("crop").new[(1,)]["audio"].parts[3:]
    assert [name for name, _ in parents] == ["video/frames"]
