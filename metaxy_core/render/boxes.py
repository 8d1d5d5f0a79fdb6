"""What is written in the box of a feature, row by row, and how large that makes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from metaxy_core.diff.view import EdgeView, FieldView, NodeView, Status
from metaxy_core.render.palette import LOOKS
from metaxy_core.render.text import elide, one_line, versions, width

INK = "#1f2328"
MUTED = "#57606a"
PADDING = 12.0
_GAP = 8.0
_FIELDS = 10
_REASONS = 3
_LIMITS = {"key": 40, "field": 26, "code": 12, "note": 46}


@dataclass(frozen=True)
class Text:
    """A piece of text and its font."""

    text: str
    size: float = 11.0
    ink: str = MUTED
    bold: bool = False
    mono: bool = False

    @property
    def width(self) -> float:
        """The pixels it takes at most."""
        return width(self.text, self.size, bold=self.bold, mono=self.mono)


@dataclass(frozen=True)
class Row:
    """A line of a box: pieces from the left, one at the right end.

    Attributes:
        ruled: whether a rule is drawn above it.
    """

    left: tuple[Text, ...]
    right: Text | None = None
    height: float = 18.0
    ruled: bool = False

    @property
    def width(self) -> float:
        """The pixels it takes at most, padding included."""
        pieces = [*self.left, *([self.right] if self.right else [])]
        return 2 * PADDING + sum(piece.width for piece in pieces) + _GAP * (len(pieces) - 1)

    def starts(self) -> list[float]:
        """Where each piece from the left begins."""
        starts, x = [], PADDING
        for piece in self.left:
            starts.append(x)
            x += piece.width + _GAP
        return starts


def rows(node: NodeView, coming: Sequence[EdgeView]) -> list[Row]:
    """What is written about a feature; `coming` are the edges that end at it."""
    look = LOOKS[node.status]
    key = Text(elide(node.key, _LIMITS["key"]), 13.0, INK, bold=True)
    shown = Text(versions(node.before, node.after), mono=True)
    written = [Row((key,), _badge(node), 24.0), Row((shown,), height=17.0)]
    for edge in coming:
        if edge.label:
            note = elide(f"{one_line(edge.label)} ← {edge.source}", _LIMITS["note"])
            written.append(Row((Text(note, 10.0),), height=15.0))
    for reason in node.reasons[:_REASONS]:
        note = elide(one_line(reason), _LIMITS["note"])
        written.append(Row((Text(note, 10.0, LOOKS[Status.REMOVED].ink),), height=15.0))
    if node.declaration:
        paths = ", ".join(change.path for change in node.declaration)
        note = f"declared otherwise: {elide(one_line(paths), _LIMITS['note'] - 20)}"
        written.append(Row((Text(note, 10.0, look.ink),), height=15.0))
    chosen, left_out = _chosen(node.fields)
    for index, field in enumerate(chosen):
        written.append(_field(field, node.status, ruled=index == 0))
    if left_out:
        written.append(Row((Text(f"and {left_out} more", 10.5, look.ink),)))
    return written


def size(written: Sequence[Row]) -> tuple[float, float]:
    """Width and height of a box with these rows."""
    ruled = sum(7.0 for row in written if row.ruled)
    return (
        float(round(max(row.width for row in written) + 0.5)),
        sum(row.height for row in written) + ruled + 14.0,
    )


def _badge(node: NodeView) -> Text | None:
    if node.status is Status.UNCHANGED:
        return None
    look = LOOKS[Status.REMOVED if node.severity == "breaking" else node.status]
    return Text(node.verdict, 10.5, look.ink, bold=True)


def _chosen(fields: Sequence[FieldView]) -> tuple[list[FieldView], int]:
    """The fields that fit into a box, those that differ before the others; by key."""
    if len(fields) <= _FIELDS:
        return list(fields), 0
    ranked = sorted(fields, key=lambda field: field.status is Status.UNCHANGED)
    chosen = {field.key for field in ranked[: _FIELDS - 1]}
    return [field for field in fields if field.key in chosen], len(fields) - len(chosen)


def _field(field: FieldView, node: Status, *, ruled: bool) -> Row:
    # In a box that is new or gone as a whole, its fields need no colour of their own.
    plain = field.status is Status.UNCHANGED or field.status is node in (
        Status.ADDED,
        Status.REMOVED,
    )
    look = LOOKS[field.status]
    name = Text(elide(field.key, _LIMITS["field"]), 12.0, INK if plain else look.ink)
    left = [name]
    if field.code_before and field.code_after and field.code_before != field.code_after:
        codes = [elide(one_line(c), _LIMITS["code"]) for c in (field.code_before, field.code_after)]
        left.append(Text(f"code {codes[0]} → {codes[1]}", 10.0, look.ink))
    elif not plain and field.status in (Status.ADDED, Status.REMOVED):
        left.append(Text(field.status.value, 10.0, look.ink))
    shown = Text(versions(field.before, field.after), ink=MUTED if plain else look.ink, mono=True)
    return Row(tuple(left), shown, ruled=ruled)
