"""A view as a self-contained SVG picture: no scripts, no outside fonts, its own background."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

from metaxy_core.diff.view import EdgeView, GraphView, NodeView, Status
from metaxy_core.render.boxes import INK, MUTED, PADDING, Row, Text, rows, size
from metaxy_core.render.layout import Box, Layout, arrange
from metaxy_core.render.palette import LOOKS

_SANS = "-apple-system, 'Segoe UI', Helvetica, Arial, 'DejaVu Sans', sans-serif"
_MONO = "ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace"
_MARGIN = 24.0
_LINE = 26.0
_LEGEND_AT_LEAST = 420.0


def render(view: GraphView, *, widest: float | None = None) -> str:
    """Draw a view as SVG text; the same view gives the same text.

    Boxes list the fields with their versions; an edge that carries no change to its child is
    dotted in a diff, an optional one dashed. What does not fit a box is cut with an ellipsis.

    Args:
        widest: a wider picture is shown smaller, as a whole.

    >>> from metaxy_core.graph import Graph
    >>> from metaxy_core.spec import FeatureSpec
    >>> render(GraphView.of(Graph([FeatureSpec("video")])))[:4]
    '<svg'
    """
    written = {node.key: rows(node, _coming(view, node.key)) for node in view.nodes}
    edges = [(edge.source, edge.target) for edge in view.edges]
    layout = arrange({key: size(lines) for key, lines in written.items()}, edges)
    heading = _heading(view)
    inner = max(layout.width, heading.width if heading else 0.0)
    legend = _legend(view, max(inner, _LEGEND_AT_LEAST))
    inner = max([inner, *(x + piece.width for line in legend for x, piece in line)])
    top = _MARGIN + (_LINE if heading else 0.0)
    below = top + layout.height + (8.0 if legend else 0.0)
    width, height = inner + 2 * _MARGIN, below + _LINE * len(legend) + _MARGIN - 4
    return "\n".join(
        [
            *_opening(view, width, height, min(1.0, (widest or width) / width)),
            *([_text(heading, _MARGIN, _MARGIN + 8)] if heading else []),
            f'<g transform="translate({_n(_MARGIN + (inner - layout.width) / 2)} {_n(top)})">',
            *_edges(view, layout),
            *(
                line
                for index, node in enumerate(view.nodes)
                for line in _box(index, node, layout.boxes[node.key], written[node.key])
            ),
            "</g>",
            *_legend_lines(view, legend, below + 22),
            "</svg>",
        ]
    )


def data_uri(view: GraphView, *, widest: float | None = None) -> str:
    """The picture as the address of an image, for Markdown and HTML; see `render`.

    >>> from metaxy_core.graph import Graph
    >>> data_uri(GraphView.of(Graph()))[:26]
    'data:image/svg+xml;base64,'
    """
    return f"data:image/svg+xml;base64,{b64encode(render(view, widest=widest).encode()).decode()}"


def _coming(view: GraphView, key: str) -> list[EdgeView]:
    return [edge for edge in view.edges if edge.target == key]


def _heading(view: GraphView) -> Text | None:
    if view.is_diff:
        said = "" if view.nodes else f", {view.summary}"
        return Text(f"Graph {view.before} → {view.after}{said}", 13.0, INK, bold=True)
    return None if view.nodes else Text("This graph has no features.", 12.0)


def _opening(view: GraphView, width: float, height: float, scale: float) -> list[str]:
    told = view.summary if view.is_diff else view.size
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" '
        f'width="{_n(width * scale)}" height="{_n(height * scale)}" '
        f'viewBox="0 0 {_n(width)} {_n(height)}" role="img" font-family="{_SANS}">',
        f"<title>{'Graph diff' if view.is_diff else 'Feature graph'}: {told}</title>",
        f'<rect x="0.5" y="0.5" width="{_n(width - 1)}" height="{_n(height - 1)}" rx="10" '
        'fill="#ffffff" stroke="#d0d7de"/>',
    ]


def _edges(view: GraphView, layout: Layout) -> list[str]:
    drawn = list(zip(view.edges, layout.routes, strict=True))
    # What changed lies on top of what did not.
    drawn.sort(key=lambda pair: pair[0].status is not Status.UNCHANGED)
    return [line for edge, route in drawn for line in _edge(edge, route)]


def _edge(edge: EdgeView, route: Sequence[tuple[float, float]]) -> list[str]:
    look = LOOKS[edge.status]
    (x, y), (end_x, end_y) = route[0], route[-1]
    way = 1 if route[-1][0] >= route[-2][0] else -1
    points = [*route[:-1], (end_x - 7 * way, end_y)]
    path = f"M{_n(x)} {_n(y)}"
    for index, (to_x, to_y) in enumerate(points[1:]):
        if index % 2:
            path += f" L{_n(to_x)} {_n(to_y)}"
        else:
            half = (x + to_x) / 2
            path += f" C{_n(half)} {_n(y)} {_n(half)} {_n(to_y)} {_n(to_x)} {_n(to_y)}"
        x, y = to_x, to_y
    dash = look.dash or ("5 3" if "optional" in edge.label else "")
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    heavy = 1.3 if edge.status in (Status.UNCHANGED, Status.PRUNED) else 2
    head = f"M{_n(end_x)} {_n(end_y)} l{_n(-8.0 * way)} -4 v8 z"
    lines = [
        f'<path d="{path}" fill="none" stroke="{look.stroke}" stroke-width="{heavy}"{dashed}/>',
        f'<path d="{head}" fill="{look.stroke}"/>',
    ]
    if edge.kind != "1:1":
        tag = Text(edge.kind, 9.5, look.ink, bold=True)
        at = end_x - way * (13 + (tag.width if way > 0 else 0))
        lines += [
            f'<rect x="{_n(at - 3)}" y="{_n(end_y - 7)}" width="{_n(tag.width + 6)}" height="14" '
            f'rx="7" fill="#ffffff" stroke="{look.stroke}"/>',
            _text(tag, at, end_y + 3.5),
        ]
    return lines


def _box(index: int, node: NodeView, box: Box, written: Sequence[Row]) -> list[str]:
    look = LOOKS[node.status]
    x, y = _n(box.x), _n(box.y)
    shape = f'x="{x}" y="{y}" width="{_n(box.width)}" height="{_n(box.height)}" rx="7"'
    dash = f' stroke-dasharray="{look.dash}"' if look.dash else ""
    lines = [
        f'<clipPath id="box{index}"><rect {shape}/></clipPath>',
        f'<rect {shape} fill="{look.fill}" stroke="{look.stroke}" stroke-width="1.5"{dash}/>',
        f'<g clip-path="url(#box{index})">',
    ]
    base = box.y + 7
    for row in written:
        if row.ruled:
            lines.append(
                f'<path d="M{x} {_n(base + 4)} h{_n(box.width)}" stroke="{look.stroke}" '
                'stroke-opacity="0.45"/>'
            )
            base += 7
        at = base + row.height * 0.72
        for start, piece in zip(row.starts(), row.left, strict=True):
            lines.append(_text(piece, box.x + start, at))
        if row.right:
            lines.append(_text(row.right, box.x + box.width - PADDING, at, end=True))
        base += row.height
    return [*lines, "</g>"]


def _legend(view: GraphView, limit: float) -> list[list[tuple[float, Text]]]:
    if not view.is_diff:
        return []
    said = [Text(f"{count} {status.value}", 11.0, MUTED) for status, count in view.counts.items()]
    if view.hidden:
        said.append(Text(f"{view.hidden} not shown", 11.0, MUTED))
    lines: list[list[tuple[float, Text]]] = [[]]
    x = 0.0
    for piece in said:
        if lines[-1] and x + 20 + piece.width > limit:
            lines.append([])
            x = 0.0
        lines[-1].append((x + 20, piece))
        x += 20 + piece.width + 18
    return lines


def _legend_lines(
    view: GraphView, legend: Sequence[Sequence[tuple[float, Text]]], top: float
) -> list[str]:
    looks = [LOOKS[status] for status in view.counts]
    lines: list[str] = []
    entries = [(x, row, piece) for row, line in enumerate(legend) for x, piece in line]
    for index, (x, row, piece) in enumerate(entries):
        y = top + row * _LINE
        if index < len(looks):
            look = looks[index]
            dash = f' stroke-dasharray="{look.dash}"' if look.dash else ""
            lines.append(
                f'<rect x="{_n(_MARGIN + x - 19)}" y="{_n(y - 10)}" width="13" height="12" rx="3" '
                f'fill="{look.fill}" stroke="{look.stroke}" stroke-width="1.5"{dash}/>'
            )
        lines.append(_text(piece, _MARGIN + x, y))
    return lines


def _text(piece: Text, x: float, y: float, *, end: bool = False) -> str:
    said: Mapping[str, str] = {
        "font-family": _MONO if piece.mono else "",
        "font-weight": "600" if piece.bold else "",
        "text-anchor": "end" if end else "",
    }
    extra = "".join(f' {name}="{value}"' for name, value in said.items() if value)
    return (
        f'<text x="{_n(x)}" y="{_n(y)}" font-size="{_n(piece.size)}" fill="{piece.ink}"{extra}>'
        f"{escape(piece.text)}</text>"
    )


def _n(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")
