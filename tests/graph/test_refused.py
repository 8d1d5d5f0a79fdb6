"""Graphs that do not fit together are refused when they are declared, and the message says why."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from metaxy_core import FeatureGraph, FeatureSpec, FieldDep, FieldSpec, Graph, GraphSnapshot
from metaxy_core.errors import (
    CycleError,
    DefinitionError,
    DuplicateFeatureError,
    EdgeError,
    InvalidKeyError,
    UnknownFieldError,
    UnknownParentError,
)
from tests.builders import aggregation, edge, expansion, feature, graph


def test_a_ring_is_refused_and_named():
    with pytest.raises(CycleError, match=r"a -> \w -> \w -> \w|-> a") as error:
        graph(feature("a", "c"), feature("b", "a"), feature("c", "b"))
    assert set(error.value.path) == {"a", "b", "c"}
    growing = FeatureGraph([feature("a", "b")])
    with pytest.raises(CycleError):
        growing.add(feature("b", "a"))
    assert list(map(str, growing)) == ["a"]


def test_a_missing_parent_is_refused_and_named():
    with pytest.raises(UnknownParentError, match="'b' depends on 'a', which the graph does not"):
        graph(feature("b", "a"))


def test_an_unknown_parent_field_is_refused_at_declaration():
    growing = FeatureGraph([feature("a", fields=["f"])])
    wrong = FieldSpec("g", deps=[FieldDep(feature="a", fields=["nope"])])
    with pytest.raises(UnknownFieldError, match=r"'b\.g' depends on 'a\.nope'.*are: f"):
        growing.add(feature("b", "a", fields=[wrong]))
    assert len(growing) == 1


def test_a_field_of_a_feature_that_is_no_parent_is_refused():
    wrong = FieldSpec("g", deps=[FieldDep(feature="c")])
    with pytest.raises(UnknownParentError, match="not among the deps of 'b'"):
        graph(feature("a"), feature("c"), feature("b", "a", fields=[wrong]))


def test_a_key_declared_twice_is_refused():
    with pytest.raises(DuplicateFeatureError, match="'a' is declared twice"):
        graph(feature("a"), feature("a"))


@pytest.mark.parametrize(
    "key", ["", "a//b", "a b", "_a", "a__b", "a/../b", "ä", "a\n", ["a", 1], 3]
)
def test_a_key_of_other_characters_is_refused(key):
    with pytest.raises(InvalidKeyError):
        feature(key)


def test_keys_of_the_library_itself_are_refused():
    with pytest.raises(ValidationError, match="may not begin with 'metaxy_'"):
        feature("metaxy_system/store")


def test_unknown_arguments_are_errors():
    with pytest.raises(ValidationError, match="fieldz"):
        FeatureSpec("a", fieldz=["f"])


@pytest.mark.parametrize(
    ("specs", "message"),
    [
        ([feature("a"), feature("b", "a", ids=["id", "k"])], "no edge gives its id column k"),
        (
            [feature("a", ids=["id", "k"]), feature("b", "a")],
            "is 1:1, but the parent is identified by id, k",
        ),
        (
            [feature("a"), feature("b", edge("a", lineage=aggregation(["group"])))],
            "aggregates on group, but the id columns of 'b' are: id",
        ),
        (
            [feature("a"), feature("b", edge("a", lineage=expansion()))],
            "needs the parent's id columns",
        ),
        (
            [feature("a"), feature("c", ids="k"), feature("b", "a", "c", ids=["id", "k"])],
            "no common id column",
        ),
        (
            [
                feature("a"),
                feature("c", ids=["id", "k"]),
                feature("b", "a", edge("c", optional=True), ids=["id", "k"]),
            ],
            "finer than the required edges",
        ),
        (
            [
                feature("a"),
                feature("c", ids=["id", "k"]),
                feature("b", edge("a", optional=True), edge("c", optional=True), ids=["id", "k"]),
            ],
            "optional edges only, on different columns",
        ),
        (
            [
                feature("a"),
                feature("c", ids=["id", "k"]),
                feature("b", edge("a", lineage=expansion()), "c", ids=["id", "k"]),
            ],
            "already give all its id columns",
        ),
        (
            [
                feature("a"),
                feature("c"),
                feature("b", edge("a", select=["x"]), edge("c", select=["x"])),
            ],
            "selects 'x', which is selected from 'a' already",
        ),
    ],
)
def test_edges_that_do_not_fit_together_are_refused(specs, message):
    with pytest.raises(EdgeError, match=message):
        graph(*specs)


def test_a_parent_may_be_declared_after_its_child():
    growing = FeatureGraph()
    growing.add(feature("b", "a"))
    with pytest.raises(UnknownParentError):
        growing.freeze()
    growing.add(feature("a"))
    assert list(map(str, growing.freeze())) == ["a", "b"]


@pytest.mark.parametrize(
    "text", ["", "3", "{}", '{"version": 1, "features": 3}', '{"version": "x", "features": [{}]}']
)
def test_a_text_that_is_no_snapshot_is_refused(text):
    with pytest.raises(DefinitionError, match="snapshot"):
        GraphSnapshot.from_json(text)


def test_a_snapshot_loads_without_user_code_and_keeps_its_versions():
    before = graph(feature("a"), feature("b", edge("a", filters="x > 3", select=["x"])))
    after = GraphSnapshot.from_json(GraphSnapshot.of(before).to_json())
    assert isinstance(after.graph, Graph)
    assert after.graph.versions == before.versions
