import pytest

from metaxy_core import FeatureDep, FeatureSpec, FieldDep, FieldSpec, LineageRelationship
from metaxy_core.diff import DeclarationChange
from metaxy_core.diff.declaration import declaration_changes
from metaxy_core.graph.versions import definition_version


def crop(dep=None, **more):
    return FeatureSpec("crop", deps=[dep or FeatureDep("video")], **more)


CHANGES = [
    (crop(id_columns=["a"]), crop(id_columns=["b"]), ("id_columns", ["a"], ["b"])),
    (crop(description="x"), crop(), ("description", "x", None)),
    (crop(project="x"), crop(project="y"), ("project", "x", "y")),
    (crop(metadata={"a": 1}), crop(metadata={"a": 2}), ("metadata.a", 1, 2)),
    (crop(metadata={"a": 1}), crop(metadata={"a": True}), ("metadata.a", 1, True)),
    (crop(metadata={"a": None}), crop(), ("metadata.a", None, None)),
    (crop(columns={"path": "str"}), crop(), ("columns.path", "str", None)),
    (crop(), crop(FeatureDep("video", select=["a"])), ("deps.video.select", None, ["a"])),
    (crop(), crop(FeatureDep("video", rename={"a": "b"})), ("deps.video.rename", None, {"a": "b"})),
    (crop(), crop(FeatureDep("video", filters=["a > 1"])), ("deps.video.filters", None, ["a > 1"])),
    (crop(), crop(FeatureDep("video", optional=True)), ("deps.video.optional", None, True)),
    (
        crop(),
        crop(FeatureDep("video", lineage=LineageRelationship.aggregation(["a"]))),
        ("deps.video.lineage", None, {"kind": "aggregation", "on": ["a"]}),
    ),
    (crop(), crop(FeatureDep("clip", optional=True)), ("deps", ["video"], ["clip"])),
    (crop(fields=["a", "b"]), crop(fields=["b", "a"]), ("fields", ["a", "b"], ["b", "a"])),
    (
        crop(fields=["a"]),
        crop(fields=[FieldSpec("a", deps=[FieldDep(feature="video", fields=["x"])])]),
        ("fields.a.deps", None, [{"feature": "video", "fields": ["x"]}]),
    ),
    (
        FeatureSpec("video", provenance_from={"default": "a"}),
        FeatureSpec("video", provenance_from={"default": "b"}),
        ("provenance_from.default", ["a"], ["b"]),
    ),
]


@pytest.mark.parametrize(("before", "after", "change"), CHANGES, ids=[c[2][0] for c in CHANGES])
def test_what_was_declared_otherwise_is_told_by_its_path(before, after, change):
    assert declaration_changes(before, after) == (DeclarationChange(*change),)
    assert definition_version(before) != definition_version(after)


def test_fields_and_code_versions_are_left_to_the_fields():
    before = crop(fields=["a", "b"])
    after = crop(fields=[FieldSpec("a", code_version=2), FieldSpec("c", deps=[])])
    assert declaration_changes(before, after) == ()


def test_equal_declarations_have_no_changes():
    assert declaration_changes(crop(), crop()) == ()
