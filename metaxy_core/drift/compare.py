"""Whether the code of features changed while their code versions did not."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import unified_diff
from typing import Any

from metaxy_core.drift.normal import Unreadable, normal_form
from metaxy_core.drift.registry import implementations, name
from metaxy_core.graph import Graph, GraphSnapshot
from metaxy_core.keys import FeatureKey


@dataclass(frozen=True)
class Drift:
    """A feature whose code changed though all its code versions are the same.

    Attributes:
        diff: the normal forms as a unified diff.
    """

    feature: FeatureKey
    functions: tuple[str, ...]
    diff: str


def sources(
    graph: Graph, features: Iterable[Any] | None = None
) -> tuple[dict[FeatureKey, str], dict[FeatureKey, str]]:
    """The normal form of every feature's code, and why some have none.

    Features that no function is known of are in neither.

    Args:
        features: only these; all without it.
    """
    texts, missing = {}, {}
    for spec in graph.values() if features is None else map(graph.__getitem__, features):
        key = spec.key
        known = implementations(spec)
        try:
            forms = [normal_form(one.function, one.by) for one in known]
        except Unreadable as reason:
            missing[key] = str(reason)
        else:
            if forms:
                texts[key] = "\n\n".join(forms)
    return texts, missing


def compare(
    before: Graph, recorded: Mapping[FeatureKey, str], after: Graph, found: Mapping[FeatureKey, str]
) -> list[Drift]:
    """The features whose code differs, but none of their fields' code versions; parents first.

    Args:
        recorded: normal forms at the time of `before`; features without one are not compared.
        found: normal forms now.
    """
    drifted = []
    for key, spec in after.items():
        if key not in before or key not in recorded or key not in found:
            continue
        same_code = before.versions[key].code == after.versions[key].code
        if not same_code or _equal(recorded[key], found[key]):
            continue
        lines = unified_diff(
            recorded[key].splitlines(),
            found[key].splitlines(),
            f"{key} (recorded)",
            f"{key} (now)",
            lineterm="",
        )
        names = tuple(name(one.function) for one in implementations(spec))
        drifted.append(Drift(key, names, "\n".join(lines)))
    return drifted


def code_drift(
    before: Graph | GraphSnapshot,
    recorded: Mapping[FeatureKey, str],
    graph: Graph,
    features: Iterable[Any] | None = None,
) -> list[Drift]:
    """The features whose code is another now than was recorded, but none of their code versions.

    Args:
        before: the graph that was recorded.
        recorded: the code recorded with it, see `MetadataStore.load_sources`.
        graph: the features as they are declared now.
        features: only these; all without it.
    """
    earlier = before.graph if isinstance(before, GraphSnapshot) else before
    return compare(earlier, recorded, graph, sources(graph, features)[0])


def _equal(one: str, other: str) -> bool:
    """Whether two normal forms say the same; another Python may have written one of them."""
    if one == other:
        return True
    try:
        return ast.dump(ast.parse(one)) == ast.dump(ast.parse(other))
    except SyntaxError:  # a newer Python's syntax
        return False
