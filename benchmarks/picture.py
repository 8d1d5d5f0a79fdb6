"""The comparison with the peer as a picture: bars of seconds, each group to its own scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

from benchmarks.figures import seconds

_SANS = "-apple-system, 'Segoe UI', Helvetica, Arial, 'DejaVu Sans', sans-serif"
_INK, _MUTED, _FRAME = "#1f2328", "#57606a", "#d0d7de"
COLOURS = {"metaxy": "#0969da", "by hand": "#8c959f", "metaxy 0.1.11": "#bf8700"}
_WIDTH, _LEFT, _BARS, _BAR, _GAP, _TOP = 760, 272, 380, 13, 16, 66


def draw(title: str, groups: Sequence[tuple[str, Mapping[str, float]]]) -> str:
    """Draw groups of bars as SVG text.

    Args:
        groups: what was done, and the seconds of each system.
    """
    lines, y = [], float(_TOP)
    for name, times in groups:
        found = {system: times[system] for system in COLOURS if system in times}
        middle = y + len(found) * _BAR / 2 + 4
        lines.append(_text(_LEFT - 14, middle, name, end=True))
        longest = max(found.values())
        for system, time in found.items():
            width = max(2.0, _BARS * time / longest)
            lines.append(
                f'<rect x="{_LEFT}" y="{y:g}" width="{width:.1f}" height="{_BAR - 2}" rx="2" '
                f'fill="{COLOURS[system]}"/>'
            )
            lines.append(_text(_LEFT + width + 7, y + 9.5, seconds(time), size=10.5, fill=_MUTED))
            y += _BAR
        y += _GAP
    height = y + 4
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height:g}" '
            f'viewBox="0 0 {_WIDTH} {height:g}" role="img" font-family="{_SANS}">',
            f"<title>{escape(title)}</title>",
            f'<rect x="0.5" y="0.5" width="{_WIDTH - 1}" height="{height - 1:g}" rx="10" '
            f'fill="#ffffff" stroke="{_FRAME}"/>',
            _text(24, 30, title, size=13, weight=600),
            *_legend(),
            *lines,
            "</svg>\n",
        ]
    )


def _legend() -> list[str]:
    lines, x = [], float(_LEFT)
    for system, colour in COLOURS.items():
        lines.append(f'<rect x="{x:g}" y="43" width="11" height="11" rx="2" fill="{colour}"/>')
        lines.append(_text(x + 17, 52.5, system, size=11, fill=_MUTED))
        x += 34 + 7 * len(system)
    return lines


def _text(
    x: float,
    y: float,
    text: str,
    *,
    size: float = 12,
    fill: str = _INK,
    weight: int = 400,
    end: bool = False,
) -> str:
    anchor = ' text-anchor="end"' if end else ""
    return (
        f'<text x="{x:g}" y="{y:g}" font-size="{size:g}" fill="{fill}" font-weight="{weight}"'
        f"{anchor}>{escape(text)}</text>"
    )
