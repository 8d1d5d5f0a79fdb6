"""What users wrote is never markup, in any format."""

import json as stdlib_json
import re
from xml.etree import ElementTree

from metaxy_core.diff import GraphView
from metaxy_core.render import (
    cards,
    dot,
    json,
    markdown,
    mermaid,
    pull_request,
    svg,
    terminal,
    yaml,
)
from tests.render.graphs import HOSTILE, hostile_diff


def test_svg_is_well_formed_and_has_no_foreign_element():
    tree = ElementTree.fromstring(svg.render(hostile_diff()))
    tags = {element.tag.rpartition("}")[2] for element in tree.iter()}
    assert tags == {"svg", "title", "rect", "path", "g", "clipPath", "text"}


def test_svg_has_no_control_characters():
    assert not re.search(r"[\x00-\x09\x0b-\x1f\u202a-\u202e]", svg.render(hostile_diff()))


def test_mermaid_labels_hold_plain_characters_only():
    for line in mermaid.render(hostile_diff()).splitlines():
        for label in re.findall(r'"([^"]*)"', line):
            assert re.fullmatch(r"(?:[\w ,./→←-]|<br/>|#\d+;)*", label, re.ASCII), label
        assert line.count('"') % 2 == 0


def test_markdown_tables_keep_their_columns():
    tables = [line for line in markdown.render(hostile_diff()).splitlines() if line[:1] == "|"]
    # A pipe that is not escaped would begin another cell.
    cells = {len(re.findall(r"(?<!\\)\|", line)) - 1 for line in tables}
    assert cells == {5, 4}


def test_markdown_has_no_markup_outside_code_spans():
    text = re.sub(r"(?<!`)(`+)(?!`)(.*?)(?<!`)\1(?!`)", "", markdown.render(hostile_diff()))
    assert not re.search(r"[<>\[\]`]", text)


def test_json_may_stand_inside_html_and_gives_the_text_back():
    text = json.render(hostile_diff())
    assert not set("<>&") & set(text)
    assert stdlib_json.loads(text)["nodes"][0]["description"] == HOSTILE


def test_the_labels_of_dot_are_well_formed_tables():
    text = dot.render(hostile_diff())
    lines = [line for line in text.splitlines() if "label=<" in line]
    for line in lines:
        label = re.search(r"label=<(.*)>\];$", line).group(1)
        tags = {element.tag for element in ElementTree.fromstring(f"<x>{label}</x>").iter()}
        assert tags <= {"x", "TABLE", "TR", "TD", "HR", "B", "FONT"}
    assert len(lines) == 3


def test_yaml_gives_the_text_back_and_holds_no_control_character():
    from yaml import safe_load

    text = yaml.render(hostile_diff())
    assert text.isascii()
    assert "\x1b" not in text
    assert safe_load(text) == stdlib_json.loads(json.render(hostile_diff()))


def test_a_comment_has_no_markup_but_its_own():
    text, picture = pull_request.render(hostile_diff()).split("```mermaid")
    assert "```" in picture
    plain = re.sub(r"(?<!`)(`+)(?!`)(.*?)(?<!`)\1(?!`)", "", text)
    own = re.sub(r"</?(?:details|summary)>", "", plain)
    assert not re.search(r"[<>\[\]`]", own)


def test_a_card_keeps_its_edges():
    lines = cards.render(hostile_diff()).splitlines()
    assert {line[-1:] for line in lines[2:]} <= {"", "╮", "│", "┤", "╯"}
    assert "\x1b" not in "".join(lines)


def test_a_terminal_gets_no_escape_of_the_users():
    assert "\x1b" not in terminal.render(hostile_diff())
    assert "\x1b[31malert" not in terminal.render(hostile_diff(), colour=True)


def test_a_description_is_left_to_json():
    for renderer in (svg, mermaid, terminal):
        assert "one per face" not in renderer.render(_described())


def _described() -> GraphView:
    from metaxy_core import FeatureSpec, Graph

    return GraphView.of(Graph([FeatureSpec("video", description="one per face")]))
