"""The features of the graph as a list."""

from __future__ import annotations

from metaxy_core.cli.output import Format, show_rows
from metaxy_core.cli.project import Project

_HERE = Project()


def features(*, project: Project = _HERE, format: Format = "plain") -> int:
    """List the features, parents first, with their versions, fields and parents.

    Example: metaxy list features --module example_project.features

    Exit codes: 0 listed, 1 a mistake.
    """
    graph = project.graph()
    rows = [
        {
            "feature": str(key),
            "version": versions.feature if format == "json" else versions.feature[:8],
            "fields": [str(field) for field in graph[key].field_keys],
            "parents": [str(parent) for parent in graph.parents(key)],
            "id_columns": list(graph[key].id_columns),
            "project": graph[key].project,
        }
        for key, versions in graph.versions.items()
    ]
    columns = ("feature", "version", "id_columns", "fields", "parents")
    show_rows(columns, rows, format, "The module declares no features.")
    return 0
