"""A view as YAML; the same names as in JSON."""

from __future__ import annotations

import re

import yaml

from metaxy_core.diff.view import GraphView
from metaxy_core.render.json import shown

_NUMERIC = re.compile(r"[0-9.eE+_-]+")


def render(view: GraphView) -> str:
    """Write a view as YAML, with the names of `metaxy_core.render.json.render`.

    Only ASCII is written; other characters are escapes that every reader of YAML undoes.

    >>> from metaxy_core.graph import Graph
    >>> print(render(GraphView.of(Graph())))
    format: 1
    kind: graph
    ...
    """
    text: str = yaml.dump(shown(view), Dumper=_Dumper, sort_keys=False, width=100)
    return text.rstrip("\n")


class _Dumper(yaml.SafeDumper):
    """Quotes a version like `12345e67`, which is a number to some readers and a text to others."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "'" if _NUMERIC.fullmatch(text) else None
    node: yaml.ScalarNode = dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)
    return node


_Dumper.add_representer(str, _text)
