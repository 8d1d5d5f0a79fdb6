"""A diff as a comment on a pull request: GitHub-flavoured Markdown with a folded picture."""

from __future__ import annotations

from collections.abc import Sequence

from metaxy_core.diff.view import FieldView, GraphView, NodeView, Status
from metaxy_core.render import markdown, mermaid
from metaxy_core.render.markdown import escaped, span, table
from metaxy_core.render.text import elide, one_line

_ROWS = 100
_PICTURE, _EDGES = 40_000, 400
"""Code hosts draw no larger Mermaid pictures; a comment has at most 65,536 characters."""
_LONG = 120


def render(view: GraphView) -> str:
    """Write a diff as a heading, a sentence, a table of what changes and follows, and a picture.

    Whatever users wrote stands in code spans or character references, so it is never markup.

    >>> from metaxy_core.diff import diff
    >>> from metaxy_core.graph import Graph
    >>> print(render(GraphView.of(diff(Graph(), Graph()))))
    ## Features: nothing changed
    <BLANKLINE>
    The graph is `empty`, as before.
    """
    if not view.is_diff:
        return markdown.render(view)
    touched = [node for node in view.nodes if node.status is not Status.UNCHANGED]
    if not touched:
        same = view.before == view.after
        return "\n\n".join(
            [
                "## Features: nothing changed",
                f"The graph is `{view.after}`{', as before' if same else ''}.",
            ]
        )
    counts = [
        f"{count} {status.value}"
        for status, count in view.counts.items()
        if status is not Status.UNCHANGED
    ]
    parts = [f"## Features: {', '.join(counts)}", _sentence(view)]
    breaking = [(node.key, reason) for node in view.nodes for reason in node.reasons]
    if breaking:
        parts.append("\n".join(f"- **Breaking** `{key}`: {escaped(why)}" for key, why in breaking))
    shown = [node for node in touched if node.status is not Status.PRUNED]
    rows = [_row(view, node) for node in shown[:_ROWS]]
    if rows:
        parts.append(table(("Feature", "Change", "Fields", "Version"), rows))
    if len(shown) > _ROWS:
        parts.append(f"… and {len(shown) - _ROWS} more.")
    declared = [
        [f"`{node.key}`", _short(one.path), _short(one.before), _short(one.after)]
        for node in shown[:_ROWS]
        for one in node.declaration
    ]
    if declared:
        rows = declared[:_ROWS]
        parts.append(
            _folded(
                "Declared otherwise", table(("Feature", "Declaration", "Before", "After"), rows)
            )
        )
    parts.append(_picture(view))
    return "\n\n".join(parts)


def _sentence(view: GraphView) -> str:
    """What has to be computed, what is spared, and between which graphs."""
    again = sum(1 for node in view.nodes if node.before and node.after and _moved(node))
    new = sum(1 for node in view.nodes if node.status is Status.ADDED)
    spared = [node for node in view.nodes if node.status is Status.PRUNED]
    said = [f"{_counted(again, 'feature has', 'features have')} to be computed again"]
    if not again:
        said = ["No feature has to be computed again"]
    if new:
        said[0] += f", {_counted(new, 'is new', 'are new')}"
    if spared:
        keys = _listed([f"`{node.key}`" for node in spared])
        lies = "lies" if len(spared) == 1 else "lie"
        said.append(f"{keys} {lies} downstream and {'is' if len(spared) == 1 else 'are'} spared")
    return f"{'; '.join(said)}. Graph `{view.before}` → `{view.after}`."


def _moved(node: NodeView) -> bool:
    return node.before != node.after or any(
        change.path.startswith("provenance_from") for change in node.declaration
    )


def _row(view: GraphView, node: NodeView) -> list[str]:
    verdict = f"**{node.verdict}**" if node.severity == "breaking" else node.verdict
    if follows := _follows(view, node):
        verdict = f"{verdict}, follows {follows}"
    return [f"`{node.key}`", verdict, _fields(node), _versions(node.before, node.after)]


def _follows(view: GraphView, node: NodeView) -> str:
    """The fields of its parents whose change an affected feature follows."""
    moved = {
        f"{other.key}.{field.key}"
        for other in view.nodes
        for field in other.fields
        if field.status is not Status.UNCHANGED
    }
    if node.status is not Status.AFFECTED:
        return ""
    parents = (parent for field in node.fields for parent in field.parents if parent in moved)
    return _listed([f"`{parent}`" for parent in dict.fromkeys(parents)])


def _fields(node: NodeView) -> str:
    if node.status in (Status.ADDED, Status.REMOVED):
        return _listed([f"`{field.key}`" for field in node.fields])
    return _listed([_field(field) for field in node.fields if field.status is not Status.UNCHANGED])


def _field(field: FieldView) -> str:
    codes = list(dict.fromkeys(code for code in (field.code_before, field.code_after) if code))
    if field.status is Status.CHANGED and len(codes) > 1:
        return f"`{field.key}` code {' → '.join(map(_short, codes))}"
    if field.status is Status.CHANGED and field.parents:
        return f"`{field.key}` now from {_listed([f'`{one}`' for one in field.parents])}"
    own = field.status not in (Status.CHANGED, Status.AFFECTED)
    return f"`{field.key}` {field.status.value}" if own else f"`{field.key}`"


def _versions(before: str | None, after: str | None) -> str:
    shown = [before, after] if before != after else [after]
    return " → ".join(f"`{version}`" for version in shown if version)


def _picture(view: GraphView) -> str:
    drawn = mermaid.render(view)
    if len(drawn) > _PICTURE or len(view.edges) > _EDGES:
        return "The picture is too large for a comment: `metaxy graph diff --format svg` draws it."
    return _folded("Picture", f"```mermaid\n{drawn}\n```")


def _folded(summary: str, text: str) -> str:
    # Without the empty lines the Markdown inside would be taken for HTML.
    return f"<details><summary>{summary}</summary>\n\n{text}\n\n</details>"


def _short(text: str | None) -> str:
    return "" if text is None else span(elide(one_line(text), _LONG))


def _counted(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"


def _listed(texts: Sequence[str], most: int = 8) -> str:
    shown = ", ".join(texts[:most])
    return f"{shown} and {len(texts) - most} more" if len(texts) > most else shown
