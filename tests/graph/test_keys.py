"""Keys are values: equal, ordered, hashed and pickled by their parts alone."""

from __future__ import annotations

import pickle

from metaxy_core.keys import FeatureKey, FieldKey, FieldRef


def test_a_pickled_key_carries_no_hash_of_this_process() -> None:
    key = FeatureKey("video/crop")
    assert key.__reduce__() == (FeatureKey, (("video", "crop"),))
    assert pickle.loads(pickle.dumps(key)) == key


def test_keys_are_equal_by_kind_and_parts() -> None:
    assert FeatureKey.of("a/b") is FeatureKey.of("a/b")
    assert FeatureKey("a/b") == FeatureKey(["a", "b"])
    assert FeatureKey("a") != FieldKey("a")
    assert len({FeatureKey("a/b"), FeatureKey.of("a/b"), FieldKey("a/b")}) == 2


def test_keys_are_ordered_by_parts() -> None:
    assert sorted(map(FeatureKey, ["a-b", "a/b", "a"])) == [
        FeatureKey("a"),
        FeatureKey("a/b"),
        FeatureKey("a-b"),
    ]


def test_a_field_of_a_feature_is_printed_with_a_dot() -> None:
    assert str(FieldRef(FeatureKey("a/b"), FieldKey("c/d"))) == "a/b.c/d"
