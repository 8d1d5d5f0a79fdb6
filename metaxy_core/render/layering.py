"""Layers for a layered drawing: which column each box is in, and in what order.

The usual three steps of Sugiyama, Tagawa and Toda (1981): longest paths, waypoints where an edge
passes a column, and orders by barycentre with the fewest crossings seen.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

Cell = str | tuple[int, int]
"""What stands in a column: a node's key, or the waypoint (edge, column) of a longer edge."""

_SWEEPS = 12


@dataclass(frozen=True)
class Layers:
    """Columns of cells from left to right.

    Attributes:
        columns: the cells of each column, top to bottom.
        chains: per edge the cells it passes, from the left end to the right one; edges that
            closed a ring run against their own direction.
    """

    columns: tuple[tuple[Cell, ...], ...]
    chains: tuple[tuple[Cell, ...], ...]


def layer(nodes: Sequence[str], edges: Sequence[tuple[str, str]]) -> Layers:
    """Put nodes into columns so that edges run from left to right.

    Args:
        nodes: parents before children as far as can be; the order breaks every tie.
        edges: source and target, both among `nodes`.

    >>> layer(["a", "b", "c"], [("a", "b"), ("b", "c"), ("a", "c")]).columns
    (('a',), ('b', (2, 1)), ('c',))
    """
    directed = _without_rings(nodes, edges)
    column = _columns(nodes, directed)
    columns: list[list[Cell]] = [[] for _ in range(max(column.values(), default=-1) + 1)]
    for node in nodes:
        columns[column[node]].append(node)
    chains: list[tuple[Cell, ...]] = []
    for index, (source, target) in enumerate(directed):
        passed = [(index, at) for at in range(column[source] + 1, column[target])]
        for waypoint in passed:
            columns[waypoint[1]].append(waypoint)
        chains.append((source, *passed, target))
    return Layers(_ordered(columns, chains), tuple(chains))


def _without_rings(nodes: Sequence[str], edges: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Turn the edges round that would close a ring, as a removed one may."""
    place = {node: index for index, node in enumerate(nodes)}
    after: dict[str, set[str]] = {node: set() for node in nodes}
    for source, target in edges:
        if place[source] < place[target]:
            after[source].add(target)
    directed = []
    for source, target in edges:
        if place[source] > place[target] and _reaches(after, target, source):
            source, target = target, source  # the turned edge
        after[source].add(target)
        directed.append((source, target))
    return directed


def _reaches(after: Mapping[str, set[str]], start: str, goal: str) -> bool:
    seen, edge = {start}, [start]
    while edge:
        found = after[edge.pop()] - seen
        seen |= found
        edge.extend(found)
    return goal in seen


def _columns(nodes: Sequence[str], edges: Sequence[tuple[str, str]]) -> dict[str, int]:
    parents: dict[str, list[str]] = {node: [] for node in nodes}
    children: dict[str, list[str]] = {node: [] for node in nodes}
    for source, target in edges:
        parents[target].append(source)
        children[source].append(target)
    column: dict[str, int] = {}
    waiting = {node: len(parents[node]) for node in nodes}
    ready = [node for node in nodes if not waiting[node]]
    for node in ready:  # grows while it is walked
        column[node] = max((column[parent] + 1 for parent in parents[node]), default=0)
        for child in children[node]:
            waiting[child] -= 1
            if not waiting[child]:
                ready.append(child)
    for node in nodes:
        if children[node] and not parents[node]:  # a root stands next to its first child
            column[node] = min(column[child] for child in children[node]) - 1
    return column


def _ordered(
    columns: list[list[Cell]], chains: Sequence[tuple[Cell, ...]]
) -> tuple[tuple[Cell, ...], ...]:
    left: dict[Cell, list[Cell]] = {cell: [] for column in columns for cell in column}
    right: dict[Cell, list[Cell]] = {cell: [] for column in columns for cell in column}
    for chain in chains:
        for one, next_one in pairwise(chain):
            right[one].append(next_one)
            left[next_one].append(one)
    best = tuple(map(tuple, columns))
    fewest = _crossings(columns, right)
    for sweep in range(_SWEEPS):
        forward = sweep % 2 == 0
        order = range(1, len(columns)) if forward else range(len(columns) - 2, -1, -1)
        for at in order:
            beside = columns[at - 1 if forward else at + 1]
            _sort(columns[at], beside, left if forward else right)
        crossings = _crossings(columns, right)
        if crossings < fewest:
            best, fewest = tuple(map(tuple, columns)), crossings
    return best


def _sort(column: list[Cell], beside: Sequence[Cell], links: Mapping[Cell, list[Cell]]) -> None:
    place = {cell: index for index, cell in enumerate(beside)}
    # A cell without a link keeps its relative place.
    scale = len(beside) / max(len(column), 1)
    wanted = {
        cell: fmean(place[other] for other in links[cell]) if links[cell] else index * scale
        for index, cell in enumerate(column)
    }
    column.sort(key=wanted.__getitem__)


def _crossings(columns: Sequence[Sequence[Cell]], right: Mapping[Cell, list[Cell]]) -> int:
    crossings = 0
    for column, beside in pairwise(columns):
        place = {cell: index for index, cell in enumerate(beside)}
        seen: list[int] = []
        for cell in column:
            ends = sorted(place[other] for other in right[cell])
            crossings += sum(len(seen) - bisect_right(seen, end) for end in ends)
            for end in ends:
                insort(seen, end)
    return crossings
