"""The features of the graph, and the stores of the configuration, as lists."""

from __future__ import annotations

from dataclasses import dataclass, replace

from metaxy_core.cli.output import Format, gives, show_records
from metaxy_core.cli.project import Project

_HERE = Project()


@dataclass(frozen=True)
class FeatureLine:
    """One feature.

    Attributes:
        version: the feature version; in the table the beginning of it.
        project: whose it is; None where it belongs to none.
    """

    feature: str
    version: str
    fields: tuple[str, ...]
    parents: tuple[str, ...]
    id_columns: tuple[str, ...]
    project: str | None


@dataclass(frozen=True)
class StoreLine:
    """One store of the configuration.

    Attributes:
        uri: where it is, without secrets; None where it cannot be made.
        default: whether commands mean it without `--store`.
        problem: why it cannot be made.
    """

    store: str
    type: str
    uri: str | None
    default: bool
    fallback_stores: tuple[str, ...]
    problem: str | None


@gives(lambda: list[FeatureLine])
def features(*, project: Project = _HERE, format: Format = "plain") -> int:
    """List the features, parents first, with their versions, fields and parents.

    Example: metaxy list features --module example_project.features

    Exit codes: 0 listed, 1 a mistake.
    """
    graph = project.graph()
    lines = [
        FeatureLine(
            str(key),
            versions.feature,
            tuple(map(str, graph[key].field_keys)),
            tuple(map(str, graph.parents(key))),
            graph[key].id_columns,
            graph[key].project,
        )
        for key, versions in graph.versions.items()
    ]
    if format == "plain":
        lines = [replace(line, version=line.version[:8]) for line in lines]
    columns = ("feature", "version", "id_columns", "fields", "parents")
    show_records(columns, lines, format, "The module declares no features.")
    return 0


@gives(lambda: list[StoreLine])
def stores(*, project: Project = _HERE, format: Format = "plain") -> int:
    """List the stores of the configuration: types, addresses without secrets, fallback stores.

    No store is opened; `metaxy describe STORE` does that.

    Example: metaxy list stores

    Exit codes: 0 listed, 1 a mistake.
    """
    from metaxy_core.config.loading import store_settings
    from metaxy_core.config.stores import default_name
    from metaxy_core.errors import MetaxyError

    config = project.settings()
    lines = []
    for name, settings in config.stores.items():
        uri, problem = None, None
        try:
            settings = store_settings(config, name)
            uri = config.make_store(name).backend.describe()["uri"]
        except MetaxyError as error:
            problem = str(error)
        is_default = name == default_name(config)
        lines.append(
            StoreLine(name, settings.type, uri, is_default, settings.fallback_stores, problem)
        )
    columns = ("store", "type", "uri", "default", "fallback_stores", "problem")
    chosen = columns if any(line.problem for line in lines) else columns[:-1]
    show_records(chosen, lines, format, "The configuration names no stores.")
    return 0
