from rich.cells import cell_len

from metaxy_core import Graph
from metaxy_core.diff import GraphView
from metaxy_core.render import cards
from tests.builders import feature
from tests.render.graphs import everything_diff, layered


def test_cards_are_no_wider_than_the_terminal():
    view = GraphView.of(layered(40, 1, long_names=True))
    for width in (40, 80, 200):
        assert max(map(cell_len, cards.render(view, width=width).splitlines())) <= width


def test_every_feature_has_a_card():
    graph = layered(40, 2)
    drawn = cards.render(GraphView.of(graph), width=200)
    assert all(f"╭─ {key} ─" in drawn for key in graph)


def test_wide_characters_keep_the_edges_straight():
    view = GraphView.of(
        Graph([feature("video", ids=["視覚"]), feature("crop", "video", ids=["視覚"])])
    )
    widths = {cell_len(line) for line in cards.render(view).splitlines()[2:] if line}
    assert len(widths) == 1


def test_with_colour_there_are_escapes():
    assert "\x1b[" in cards.render(everything_diff(), colour=True)
