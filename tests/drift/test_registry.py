"""Which functions make which feature."""

import gc

import pytest

from metaxy_core import FeatureGraph, FeatureSpec, implements, use_graph
from metaxy_core.drift import functions
from metaxy_core.errors import UnknownFeatureError


def one(x):
    return x


def two(x):
    return x


def test_several_functions_make_one_feature():
    graph = FeatureGraph([FeatureSpec("video")])
    implements("video", graph=graph)(two)
    assert implements("video", graph=graph)(one) is one
    assert functions(graph.freeze()["video"]) == (one, two)


def test_a_function_declared_anew_replaces_itself():
    graph = FeatureGraph([FeatureSpec("video")])
    for _ in range(2):
        implements("video", graph=graph)(one)
    assert functions(graph["video"]) == (one,)


def test_another_graph_has_other_functions():
    here, there = FeatureGraph([FeatureSpec("video")]), FeatureGraph([FeatureSpec("video")])
    implements("video", graph=here)(one)
    assert functions(there["video"]) == ()


def test_functions_go_with_their_declaration():
    from metaxy_core.drift import registry

    before = set(registry._FUNCTIONS)
    graph = FeatureGraph([FeatureSpec("video")])
    implements("video", graph=graph)(one)
    assert set(registry._FUNCTIONS) - before
    del graph
    gc.collect()
    assert not set(registry._FUNCTIONS) - before


def test_a_feature_is_declared_before_its_function():
    with use_graph(FeatureGraph()), pytest.raises(UnknownFeatureError, match="'video'"):
        implements("video")
