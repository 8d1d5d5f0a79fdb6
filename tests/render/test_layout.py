"""Where things are: nothing overlaps, and the same graph is always drawn alike."""

from itertools import combinations, pairwise

import pytest

from metaxy_core.render.layering import layer
from metaxy_core.render.layout import arrange

RANDOM = [(count, seed) for count in (12, 40, 120) for seed in range(4)]


def _case(count, seed):
    from tests.render.graphs import layered

    graph = layered(count, seed)
    sizes = {
        str(key): (100.0 + 7 * (index % 5), 40.0 + 18 * (index % 4))
        for index, key in enumerate(graph)
    }
    edges = [(str(parent), str(key)) for key in graph for parent in graph.parents(key)]
    return sizes, edges


@pytest.mark.parametrize(("count", "seed"), RANDOM)
def test_boxes_do_not_overlap(count, seed):
    boxes = arrange(*_case(count, seed)).boxes.values()
    for one, other in combinations(boxes, 2):
        apart_x = one.x + one.width < other.x or other.x + other.width < one.x
        apart_y = one.y + one.height < other.y or other.y + other.height < one.y
        assert apart_x or apart_y


@pytest.mark.parametrize(("count", "seed"), RANDOM)
def test_edges_pass_between_the_boxes(count, seed):
    layout = arrange(*_case(count, seed))
    for route in layout.routes:
        for index, ((x, y), (to_x, _)) in enumerate(pairwise(route)):
            if index % 2:  # the straight parts; the curved ones are between the columns
                assert not any(
                    box.x < to_x and x < box.x + box.width and box.y < y < box.y + box.height
                    for box in layout.boxes.values()
                )
            else:
                assert not any(
                    box.x < to_x and x < box.x + box.width for box in layout.boxes.values()
                )


@pytest.mark.parametrize(("count", "seed"), RANDOM)
def test_everything_is_inside_the_drawing(count, seed):
    layout = arrange(*_case(count, seed))
    points = [point for route in layout.routes for point in route]
    points += [(box.x, box.y) for box in layout.boxes.values()]
    points += [(box.x + box.width, box.y + box.height) for box in layout.boxes.values()]
    assert all(-0.01 <= x <= layout.width + 0.01 for x, _ in points)
    assert all(-0.01 <= y <= layout.height + 0.01 for _, y in points)


def test_routes_begin_at_the_source_and_end_at_the_target():
    layout = arrange(
        {"a": (10, 40), "b": (10, 40), "c": (10, 40)}, [("a", "c"), ("a", "b"), ("b", "c")]
    )
    for (source, target), route in zip(
        [("a", "c"), ("a", "b"), ("b", "c")], layout.routes, strict=True
    ):
        assert route[0][0] == layout.boxes[source].x + 10
        assert route[-1][0] == layout.boxes[target].x


def test_a_ring_of_edges_that_are_gone_is_drawn():
    # before: a -> r -> b; after: b -> a.
    layers = layer(["b", "a", "r"], [("b", "a"), ("a", "r"), ("r", "b")])
    assert [column[0] for column in layers.columns] == ["b", "a", "r"]


def test_a_turned_edge_still_runs_from_its_source():
    layout = arrange(dict.fromkeys("bar", (10, 40)), [("b", "a"), ("a", "r"), ("r", "b")])
    source, target = layout.boxes["r"], layout.boxes["b"]
    assert layout.routes[2][0][0] > layout.routes[2][-1][0]
    assert layout.routes[2][0][0] == source.x
    assert layout.routes[2][-1][0] == target.x + 10


def test_crossings_that_can_be_avoided_are_avoided():
    edges = [("a", "z"), ("b", "y"), ("c", "x")]
    columns = layer(list("abcxyz"), edges).columns
    assert [columns[0].index(s) for s, _ in edges] == [columns[1].index(t) for _, t in edges]


def test_a_root_stands_next_to_its_first_child():
    columns = layer(list("abcr"), [("a", "b"), ("b", "c"), ("r", "c")]).columns
    assert [set(column) for column in columns] == [{"a"}, {"b", "r"}, {"c"}]


def test_nothing_is_drawn_of_nothing():
    layout = arrange({}, [])
    assert (layout.width, layout.height, layout.routes) == (0.0, 0.0, ())
