"""The picture: its texts fit, its statuses show, it needs nothing from outside."""

import base64
import re
from xml.etree import ElementTree

import pytest

from metaxy_core.diff import GraphView, focus, neighbourhood
from metaxy_core.render.svg import data_uri, render
from metaxy_core.render.text import width
from tests.render.graphs import everything_diff, example, example_diff, hostile_diff, layered

NS = "{http://www.w3.org/2000/svg}"
VIEWS = {
    "example": lambda: GraphView.of(example()),
    "example_diff": example_diff,
    "everything_diff": everything_diff,
    "hostile_diff": hostile_diff,
    "long_names": lambda: GraphView.of(layered(20, 1, long_names=True)),
}


@pytest.mark.parametrize("name", VIEWS)
def test_no_text_leaves_its_box_or_meets_another(name):
    tree = ElementTree.fromstring(render(VIEWS[name]()))
    boxes = {c.get("id"): c.find(f"{NS}rect") for c in tree.iter(f"{NS}clipPath")}
    groups = [g for g in tree.iter(f"{NS}g") if g.get("clip-path")]
    assert len(groups) == len(boxes) > 0
    for group in groups:
        box = boxes[group.get("clip-path")[5:-1]]
        left, right = float(box.get("x")), float(box.get("x")) + float(box.get("width"))
        lines = {}
        for text in group.iter(f"{NS}text"):
            wide = width(
                text.text,
                float(text.get("font-size")),
                bold="font-weight" in text.attrib,
                mono="font-family" in text.attrib,
            )
            start = float(text.get("x")) - (wide if text.get("text-anchor") else 0)
            lines.setdefault(text.get("y"), []).append((start, start + wide))
        for spans in lines.values():
            ends = [left, *(x for span in sorted(spans) for x in span), right]
            assert ends == sorted(ends)


def test_old_and_new_versions_and_every_status_are_told():
    drawn = render(everything_diff())
    for text in ("added", "removed, breaking", "changed, cosmetic", "affected", "pruned"):
        assert f">{text}</text>" in drawn
    assert "code 1 → v2" in drawn
    assert "1 unchanged" in drawn


def test_a_picture_of_one_graph_has_no_legend():
    assert "unchanged" not in render(GraphView.of(example()))


def test_nothing_comes_from_outside():
    assert not re.search(r"href|url\((?!#box)|<style|<script|<image", render(everything_diff()))


def test_an_empty_diff_says_so():
    from metaxy_core.diff import diff

    assert "nothing changed" in render(focus(GraphView.of(diff(example(), example()))))


def test_a_data_uri_holds_the_picture():
    view = neighbourhood(example_diff(), "example/crop")
    kind, _, text = data_uri(view).partition(",")
    assert kind == "data:image/svg+xml;base64"
    assert base64.b64decode(text).decode() == render(view)


def test_a_picture_wider_than_its_page_is_shown_smaller():
    view = example_diff()
    assert render(view, widest=10_000) == render(view)
    size = r'width="([0-9.]+)" height="([0-9.]+)" viewBox="0 0 ([0-9.]+) ([0-9.]+)"'
    found = re.search(size, render(view, widest=100))
    width, height, inner_width, inner_height = map(float, found.groups())
    assert width == 100
    assert abs(height / width - inner_height / inner_width) < 0.01


def test_the_same_view_gives_the_same_text():
    assert render(GraphView.of(layered(40, 7))) == render(GraphView.of(layered(40, 7)))
