"""Coordinates for a layered drawing: boxes in columns, edges as routes around them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from metaxy_core.render.layering import Cell, Layers, layer

_BETWEEN_COLUMNS = 84.0
_BETWEEN_BOXES = 22.0
_WAYPOINT = 8.0
_PORTS = 16.0
_SWEEPS = 10


@dataclass(frozen=True)
class Box:
    """A rectangle; x and y are its left upper corner."""

    x: float
    y: float
    width: float
    height: float

    @property
    def middle(self) -> float:
        """The y of its centre."""
        return self.y + self.height / 2


@dataclass(frozen=True)
class Layout:
    """Where everything is; the drawing begins at (0, 0).

    Attributes:
        boxes: per node.
        routes: per edge, in the order given, the points it runs through from source to target;
            between the 1st and 2nd it crosses the space between columns, between the 2nd and 3rd
            it passes a column in a straight line, and so on.
    """

    width: float
    height: float
    boxes: Mapping[str, Box]
    routes: tuple[tuple[tuple[float, float], ...], ...]


def arrange(sizes: Mapping[str, tuple[float, float]], edges: Sequence[tuple[str, str]]) -> Layout:
    """Place boxes of given sizes (width, height), parents to the left of their children.

    >>> layout = arrange({"a": (100, 40), "b": (100, 40)}, [("a", "b")])
    >>> layout.boxes["b"], layout.routes
    (Box(x=184.0, y=0.0, width=100, height=40), (((100.0, 20.0), (184.0, 20.0)),))
    """
    layers = layer(list(sizes), edges)
    heights = {cell: _height(cell, sizes) for column in layers.columns for cell in column}
    middles = _middles(layers, heights)
    boxes: dict[Cell, Box] = {}
    x = 0.0
    for column in layers.columns:
        broadest = max(sizes[cell][0] if isinstance(cell, str) else 0 for cell in column)
        for cell in column:
            height = heights[cell]
            # All as wide as the column: an edge then leaves where no other box can be met.
            boxes[cell] = Box(x, middles[cell] - height / 2, broadest, height)
        x += broadest + _BETWEEN_COLUMNS
    placed = {cell: box for cell, box in boxes.items() if isinstance(cell, str)}
    bottom = max((box.y + box.height for box in boxes.values()), default=0.0)
    routes = _routes(layers, boxes, edges)
    return Layout(max(x - _BETWEEN_COLUMNS, 0.0), bottom, placed, routes)


def _height(cell: Cell, sizes: Mapping[str, tuple[float, float]]) -> float:
    return sizes[cell][1] if isinstance(cell, str) else _WAYPOINT


def _middles(layers: Layers, heights: Mapping[Cell, float]) -> dict[Cell, float]:
    left: dict[Cell, list[tuple[Cell, float]]] = {cell: [] for cell in heights}
    right: dict[Cell, list[tuple[Cell, float]]] = {cell: [] for cell in heights}
    for chain in layers.chains:
        for one, other in pairwise(chain):
            # Long edges want to be straight more than boxes want to be level.
            weight = 1.0 + 3.0 * (not isinstance(one, str)) + 3.0 * (not isinstance(other, str))
            right[one].append((other, weight))
            left[other].append((one, weight))
    middles: dict[Cell, float] = {}
    for column in layers.columns:
        middles |= _spread(column, heights, dict.fromkeys(column, (0.0, 1.0)))
    for sweep in range(_SWEEPS):
        rightwards = sweep % 2 == 0
        for column in layers.columns if rightwards else layers.columns[::-1]:
            near, far = (left, right) if rightwards else (right, left)
            wanted = {cell: _pull(cell, middles, near[cell] or far[cell]) for cell in column}
            middles |= _spread(column, heights, wanted)
    for column in layers.columns:
        both = {cell: _pull(cell, middles, left[cell] + right[cell]) for cell in column}
        middles |= _spread(column, heights, both)
    top = min((middles[cell] - heights[cell] / 2 for cell in heights), default=0.0)
    return {cell: middle - top for cell, middle in middles.items()}


def _pull(
    cell: Cell, middles: Mapping[Cell, float], links: Sequence[tuple[Cell, float]]
) -> tuple[float, float]:
    weight = sum(weight for _, weight in links)
    if not weight:
        return middles[cell], 0.1
    return sum(middles[other] * one for other, one in links) / weight, weight


def _spread(
    column: Sequence[Cell],
    heights: Mapping[Cell, float],
    wanted: Mapping[Cell, tuple[float, float]],
) -> dict[Cell, float]:
    """Nearest places to the wanted ones, in order and apart: isotonic regression by pooling."""
    offsets, offset, last = {}, 0.0, None
    for cell in column:
        if last is not None:
            gap = _BETWEEN_BOXES if isinstance(cell, str) or isinstance(last, str) else _WAYPOINT
            offset += (heights[last] + heights[cell]) / 2 + gap
        offsets[cell], last = offset, cell
    pools: list[tuple[float, float, list[Cell]]] = []
    for cell in column:
        place, weight = wanted[cell]
        pool = (place - offsets[cell], weight, [cell])
        while pools and pools[-1][0] >= pool[0]:
            before = pools.pop()
            total = before[1] + pool[1]
            mean = (before[0] * before[1] + pool[0] * pool[1]) / total
            pool = (mean, total, before[2] + pool[2])
        pools.append(pool)
    return {cell: place + offsets[cell] for place, _, pooled in pools for cell in pooled}


def _routes(
    layers: Layers, boxes: Mapping[Cell, Box], edges: Sequence[tuple[str, str]]
) -> tuple[tuple[tuple[float, float], ...], ...]:
    leaving: dict[Cell, list[int]] = {cell: [] for cell in boxes}
    coming: dict[Cell, list[int]] = {cell: [] for cell in boxes}
    for index, chain in enumerate(layers.chains):
        leaving[chain[0]].append(index)
        coming[chain[-1]].append(index)
    starts: dict[int, float] = {}
    ends: dict[int, float] = {}
    for cell, box in boxes.items():
        _ports(box, leaving[cell], {i: boxes[layers.chains[i][1]] for i in leaving[cell]}, starts)
        _ports(box, coming[cell], {i: boxes[layers.chains[i][-2]] for i in coming[cell]}, ends)
    routes = []
    for index, chain in enumerate(layers.chains):
        first, last = boxes[chain[0]], boxes[chain[-1]]
        points = [(first.x + first.width, starts[index])]
        for cell in chain[1:-1]:
            passed = boxes[cell]
            points += [(passed.x, passed.middle), (passed.x + passed.width, passed.middle)]
        points.append((last.x, ends[index]))
        turned = chain[0] != edges[index][0]
        routes.append(tuple(reversed(points) if turned else points))
    return tuple(routes)


def _ports(
    box: Box, edges: Sequence[int], towards: Mapping[int, Box], found: dict[int, float]
) -> None:
    ordered = sorted(edges, key=lambda index: (towards[index].middle, index))
    step = min(_PORTS, (box.height - 12) / max(len(ordered), 1))
    for place, index in enumerate(ordered):
        found[index] = box.middle + (place - (len(ordered) - 1) / 2) * step
