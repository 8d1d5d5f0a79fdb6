from metaxy_core.diff import GraphView, diff, focus
from metaxy_core.render import terminal
from tests.builders import feature, graph
from tests.render.graphs import example, example_diff, layered


def test_without_colour_there_is_no_escape_and_every_status_has_a_word():
    drawn = terminal.render(example_diff())
    assert "\x1b" not in drawn
    assert "~ example/video" in drawn
    assert "pruned" in drawn


def test_with_colour_there_are_escapes():
    assert "\x1b[" in terminal.render(example_diff(), colour=True)


def test_lines_are_no_longer_than_asked():
    drawn = terminal.render(GraphView.of(layered(40, 1, long_names=True)), width=80)
    assert max(map(len, drawn.splitlines())) <= 80


def test_every_feature_stands_once():
    graph = layered(40, 2)
    drawn = terminal.render(GraphView.of(graph), width=200)
    lines = [line.lstrip("│├└─ ").split("  ")[0] for line in drawn.splitlines()]
    assert sorted(line for line in lines if line in set(map(str, graph))) == sorted(map(str, graph))


def test_children_of_a_removed_feature_stand_where_they_are_now():
    before = graph(feature("a"), feature("gone"), feature("b", "gone", "a"))
    after = graph(feature("a"), feature("b", "a"))
    drawn = terminal.render(GraphView.of(diff(before, after))).splitlines()
    assert drawn[1].startswith("├──   a ")
    assert drawn[2].startswith("│   └── ~ b ")
    assert "(no longer from gone)" in drawn[2]


def test_an_empty_diff_says_so():
    view = focus(GraphView.of(diff(example(), example())))
    assert terminal.render(view) == "Graph 8468950d → 8468950d: nothing changed (4 not shown)"
