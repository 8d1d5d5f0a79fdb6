"""How each status looks in each format: data, so that the renderers have no branches."""

from __future__ import annotations

from dataclasses import dataclass

from metaxy_core.diff.view import Status


@dataclass(frozen=True)
class Look:
    """A status in colours, in a terminal style and in one character.

    Attributes:
        fill, stroke, ink: of boxes, lines and text on white; ink on fill has a contrast of 4.5.
        dash: an SVG dash pattern; empty for a solid line.
        style: for rich.
        mark: for plain text, where colours are lost.
        meaning: for legends.
    """

    fill: str
    stroke: str
    ink: str
    dash: str
    style: str
    mark: str
    meaning: str


LOOKS = {
    Status.ADDED: Look("#dafbe1", "#1a7f37", "#116329", "", "green", "+", "new in the graph"),
    Status.REMOVED: Look("#ffebe9", "#cf222e", "#a40e26", "5 3", "red", "-", "gone"),
    Status.CHANGED: Look("#fff8c5", "#bf8700", "#7d4e00", "", "yellow", "~", "declared otherwise"),
    Status.AFFECTED: Look("#ddf4ff", "#0969da", "#0550ae", "", "cyan", ">", "follows a parent"),
    Status.PRUNED: Look("#f6f8fa", "#8c959f", "#57606a", "2 3", "bright_black", "o", "spared"),
    Status.UNCHANGED: Look("#ffffff", "#afb8c1", "#57606a", "", "default", " ", "as before"),
}
