"""A view as cards for terminals: a card per feature, in rows from parents to children."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from metaxy_core.diff.view import DeclarationView, EdgeView, FieldView, GraphView, NodeView, Status
from metaxy_core.render.layering import layer
from metaxy_core.render.palette import LOOKS
from metaxy_core.render.terminal import heading, printed
from metaxy_core.render.text import elide, one_line, versions

_GAP = 2
_NARROWEST, _WIDEST = 30, 52


def render(view: GraphView, *, width: int = 96, colour: bool = False) -> str:
    """Draw a view as cards that list the fields, their versions and what changed.

    Each row of cards holds features that are made from those above; a card names its parents.
    Without colour every status is a mark and a word as well.

    >>> from metaxy_core.graph import Graph
    >>> from metaxy_core.spec import FeatureSpec
    >>> print(render(GraphView.of(Graph([FeatureSpec("video")]))))
    Graph ..., 1 feature
    <BLANKLINE>
    ╭─ video ────────────────────╮
    │ d3d7ae94                   │
    ├────────────────────────────┤
    │ default           0ac37bdb │
    ╰────────────────────────────╯
    """
    cards = {node.key: _Card(view, node) for node in view.nodes}
    edges = [(edge.source, edge.target) for edge in view.edges]
    lines = [heading(view)]
    for column in layer(list(cards), edges).columns:
        lines += _rows([cards[cell] for cell in column if isinstance(cell, str)], width)
    return printed(lines, width=width, colour=colour)


class _Card:
    """What is on the card of a feature: a title on its edge, and lines of a left and a right."""

    def __init__(self, view: GraphView, node: NodeView) -> None:
        look = LOOKS[node.status]
        mark = f"{look.mark} " if view.is_diff and node.status is not Status.UNCHANGED else ""
        self.node = node
        self.title = f"{mark}{node.key}"
        plain = node.status is Status.UNCHANGED
        self.badge = "" if plain else node.verdict
        self.border = look.style if not plain else "bright_black"
        self.badge_style = (
            LOOKS[Status.REMOVED].style if node.severity == "breaking" else look.style
        )
        self.lines: list[tuple[Text, Text] | None] = [
            (Text(versions(node.before, node.after), "bright_black"), Text("")),
            *(_coming(edge) for edge in view.edges if edge.target == node.key),
            *((Text(f"! {one_line(why)}", "red"), Text("")) for why in node.reasons),
            *((Text(said, "yellow"), Text("")) for said in map(_declared, node.declaration)),
            None,
            *(_field(view, field) for field in node.fields),
        ]

    @property
    def width(self) -> int:
        """The columns it wants, edges included."""
        head = cell_len(self.title) + cell_len(self.badge) + (9 if self.badge else 6)
        body = [
            left.cell_len + right.cell_len + (2 if right else 0) + 4
            for left, right in filter(None, self.lines)
        ]
        return min(max(_NARROWEST, head, *body), _WIDEST)

    def drawn(self, width: int, height: int) -> list[Text]:
        """The card in so many columns and lines."""
        border = self.border
        room = width - 6 - (cell_len(self.badge) + 2 if self.badge else 0)
        title = _cut(self.title, room)
        top = Text.assemble(("╭─ ", border), (title, "bold"), (" ", border))
        fill = width - top.cell_len - 2 - (cell_len(self.badge) + 2 if self.badge else 0)
        top.append("─" * fill, border)
        if self.badge:
            top.append(" ").append(self.badge, self.badge_style).append(" ")
        top.append("─╮", border)
        lines = [top]
        for line in [*self.lines, *[(Text(""), Text(""))] * (height - len(self.lines) - 2)]:
            if line is None:
                lines.append(Text(f"├{'─' * (width - 2)}┤", border))
                continue
            left, right = line
            space = width - 4 - (right.cell_len + 1 if right else 0)
            shown = Text.assemble((_cut(left.plain, space, pad=True), left.style))
            body = Text.assemble(("│ ", border), shown, " " if right else "", right, (" │", border))
            lines.append(body)
        lines.append(Text(f"╰{'─' * (width - 2)}╯", border))
        return lines


def _rows(cards: Sequence[_Card], width: int) -> list[Text]:
    """Cards beside each other, as many as there is room for, then the next ones below."""
    lines: list[Text] = []
    row: list[_Card] = []
    for card in [*cards, None]:
        wide = [one.width + _GAP for one in row]
        if row and (card is None or sum(wide) + card.width > width):
            height = max(len(one.lines) for one in row) + 2
            drawn = [one.drawn(min(one.width, width), height) for one in row]
            lines.append(Text(""))
            lines += [
                Text(" " * _GAP).join([part for part in parts if part is not None])
                for parts in zip_longest(*drawn)
            ]
            row = []
        if card is not None:
            row.append(card)
    return lines


def _coming(edge: EdgeView) -> tuple[Text, Text]:
    look = LOOKS[edge.status]
    gone = "no longer from" if edge.status is Status.REMOVED else "from"
    label = f" ({one_line(edge.label)})" if edge.label else ""
    quiet = edge.status in (Status.UNCHANGED, Status.PRUNED)
    return Text(f"{gone} {edge.source}{label}", "bright_black" if quiet else look.style), Text("")


def _declared(change: DeclarationView) -> str:
    before, after = (elide(one_line(text or "none"), 40) for text in (change.before, change.after))
    return f"~ {elide(one_line(change.path), 24)}: {before} → {after}"


def _field(view: GraphView, field: FieldView) -> tuple[Text, Text]:
    look = LOOKS[field.status]
    mark = f"{look.mark} " if view.is_diff else ""
    codes = [one_line(code) for code in (field.code_before, field.code_after) if code]
    moved = f"  code {elide(codes[0], 8)} → {elide(codes[1], 8)}" if len(set(codes)) > 1 else ""
    shown = versions(field.before, field.after)
    return Text(f"{mark}{field.key}{moved}", look.style), Text(shown, "bright_black")


def _cut(text: str, room: int, *, pad: bool = False) -> str:
    """The text in at most so many columns; padded to exactly that many."""
    if cell_len(text) > room:
        text = f"{set_cell_size(text, max(room - 1, 0))}…"
    return set_cell_size(text, room) if pad else text
