"""The pictures as they are, to the character; set METAXY_UPDATE_GOLDEN=1 to write them anew."""

import os
from importlib import import_module
from pathlib import Path

import pytest

from metaxy_core.diff import GraphView
from tests.render.graphs import everything_diff, example, example_diff, hostile_diff

GOLDEN = Path(__file__).parents[1] / "golden" / "render"
FORMATS = {
    "terminal": "txt",
    "mermaid": "mmd",
    "svg": "svg",
    "markdown": "md",
    "json": "json",
    "cards": "cards.txt",
    "dot": "dot",
    "yaml": "yaml",
    "pull_request": "pr.md",
}
VIEWS = {
    "example": lambda: GraphView.of(example()),
    "example_diff": example_diff,
    "everything_diff": everything_diff,
    "hostile_diff": hostile_diff,
}


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("name", VIEWS)
def test_a_view_is_drawn_as_before(name, format):
    drawn = import_module(f"metaxy_core.render.{format}").render(VIEWS[name]())
    path = GOLDEN / f"{name}.{FORMATS[format]}"
    if os.environ.get("METAXY_UPDATE_GOLDEN"):
        path.write_text(f"{drawn}\n", encoding="utf-8")
    assert f"{drawn}\n" == path.read_text(encoding="utf-8")
