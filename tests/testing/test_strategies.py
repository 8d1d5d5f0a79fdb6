"""What the strategies make is valid, and reaches what it is meant to reach."""

from __future__ import annotations

import random

import pytest
from hypothesis import find, given, settings
from hypothesis import strategies as st

from metaxy_core.keys import FeatureKey, FieldKey
from metaxy_core.spec import LineageKind
from metaxy_core.testing.strategies import (
    Declared,
    feature_keys,
    field_keys,
    graphs,
    kind_of,
    random_change,
    random_graph,
    rows_for,
    texts,
)

QUICK = settings(max_examples=60, deadline=None, derandomize=True, database=None)


@QUICK
@given(graphs())
def test_graphs_are_valid_and_say_the_meaning_of_their_filters(declared: Declared) -> None:
    assert 1 <= len(declared.graph) <= 8
    used = {text for spec in declared.specs for dep in spec.deps for text in dep.filters}
    assert used <= declared.predicates.keys()


@QUICK
@given(st.integers(0, 10_000))
def test_a_change_keeps_the_units(seed: int) -> None:
    rng = random.Random(seed)
    before = random_graph(rng, rng.randint(1, 8))
    after = random_change(rng, before)
    if after is not None:
        units = [[g.plan(key).unit for key in g] for g in (before.graph, after.graph)]
        assert sorted(units[0]) == sorted(units[1])


@QUICK
@given(graphs(max_features=1).flatmap(lambda one: st.tuples(st.just(one), rows_for(one.specs[0]))))
def test_rows_have_typed_and_distinct_ids(drawn: tuple[Declared, list[object]]) -> None:
    (spec,), rows = drawn[0].specs, drawn[1]
    ids = [tuple(row.values[column] for column in spec.id_columns) for row in rows]
    assert len(set(ids)) == len(ids)
    assert all(
        isinstance(cell, kind_of(column))
        for one in ids
        for column, cell in zip(spec.id_columns, one, strict=True)
    )


@QUICK
@given(feature_keys(), field_keys(), texts())
def test_keys_parse_back_and_texts_hold_no_nul(
    feature: FeatureKey, field: FieldKey, text: str
) -> None:
    assert FeatureKey(str(feature)) == feature
    assert FieldKey(str(field)) == field
    assert "\0" not in text


def test_graphs_reach_every_kind_of_edge() -> None:
    wanted = {
        "N:1": lambda dep: dep.lineage.kind is LineageKind.AGGREGATION,
        "1:N": lambda dep: dep.lineage.kind is LineageKind.EXPANSION,
        "optional": lambda dep: dep.optional,
        "filtered": lambda dep: dep.filters,
        "renamed": lambda dep: dep.rename,
        "mapped": lambda dep: dep.fields_mapping.kind == "specific",
    }
    made = [random_graph(random.Random(seed), 1 + seed % 8) for seed in range(200)]
    deps = [dep for declared in made for spec in declared.specs for dep in spec.deps]
    for holds in wanted.values():
        assert any(map(holds, deps))
    finer = [
        spec
        for declared in made
        for spec in declared.specs
        if len({edge.on for edge in declared.graph.plan(spec.key).edges}) > 1
    ]
    assert finer


@pytest.mark.slow
def test_graphs_shrink_to_one_plain_feature() -> None:
    smallest = find(graphs(), lambda declared: True, settings=settings(QUICK, max_examples=15))
    assert len(smallest.specs) == 1
