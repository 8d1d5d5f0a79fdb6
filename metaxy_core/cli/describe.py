"""One feature, or one store, with everything that is known of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from pydantic import JsonValue

from metaxy_core.cli.output import Format, gives, show, show_json
from metaxy_core.cli.project import Project
from metaxy_core.errors import ConfigError, MetaxyError, StoreUnavailableError
from metaxy_core.render.text import one_line

if TYPE_CHECKING:
    from metaxy_core.config import MetaxyConfig
    from metaxy_core.graph import EdgePlan, Graph

_HERE = Project()


@dataclass(frozen=True)
class FieldDescription:
    """A field: what its author calls its code, its version, and what it is made from."""

    field: str
    code_version: str
    version: str
    parents: tuple[str, ...]


@dataclass(frozen=True)
class EdgeDescription:
    """A dependency: the shape of the edge, and which rows and columns of the parent come.

    Attributes:
        lineage: identity, aggregation or expansion.
        on: the columns that the edge is joined on.
        select: the columns taken; None for all of the user's.
    """

    feature: str
    lineage: str
    on: tuple[str, ...]
    optional: bool
    select: tuple[str, ...] | None
    rename: Mapping[str, str]
    filters: tuple[str, ...]


@dataclass(frozen=True)
class FeatureDescription:
    """A feature as it is declared, and what follows from that.

    Attributes:
        unit: the id columns of what is replaced as a whole.
        definition_version: a hash of the whole declaration.
    """

    kind: Literal["feature"]
    feature: str
    description: str | None
    project: str | None
    version: str
    definition_version: str
    id_columns: tuple[str, ...]
    unit: tuple[str, ...]
    columns: Mapping[str, str]
    fields: tuple[FieldDescription, ...]
    parents: tuple[EdgeDescription, ...]
    children: tuple[str, ...]
    metadata: Mapping[str, JsonValue]


@dataclass(frozen=True)
class StoreDescription:
    """A store as it is configured, and whether it can be read.

    Attributes:
        state: `ok`, or why it cannot be opened: `missing`, `locked`, `read-only`, `corrupt`,
            `unreachable`, `refused`.
        problem: the same in a sentence.
        tables: how many feature tables it has; None where it cannot be opened.
        gaps: what it does not do, and why.
    """

    kind: Literal["store"]
    store: str
    type: str
    uri: str
    project: str
    hash_algorithm: str
    versioning_engine: str
    fallback_stores: tuple[str, ...]
    state: str
    problem: str | None
    tables: int | None
    gaps: Mapping[str, str]


@gives(lambda: FeatureDescription | StoreDescription)
def describe(name: str, /, *, project: Project = _HERE, format: Format = "plain") -> int:
    """Show one feature, or one store: everything that is declared, and what follows from it.

    A store is opened for reading, to say whether that can be done.

    Example: metaxy describe example/crop --module example_project.features

    Exit codes: 0 shown, also where a store cannot be opened; 1 a mistake.

    Args:
        name: A feature's key or a store's name; a feature comes first.
    """
    config = project.settings()
    found = _feature_of(project, name, is_store=name in config.stores)
    shown = found or _store(config, name)
    if format == "json":
        show_json(asdict(shown))
    else:
        show("\n".join(_lines(asdict(shown))))
    return 0


def _feature_of(project: Project, name: str, *, is_store: bool) -> FeatureDescription | None:
    try:
        graph = project.graph()
        return _feature(graph, name) if name in graph or not is_store else None
    except ConfigError:  # a store can be described where there are no features
        if is_store:
            return None
        raise


def _feature(graph: Graph, name: str) -> FeatureDescription:
    plan = graph.plan(name)
    versions = graph.versions[plan.key]
    spec = plan.spec
    return FeatureDescription(
        kind="feature",
        feature=str(plan.key),
        description=spec.description,
        project=spec.project,
        version=versions.feature,
        definition_version=versions.definition,
        id_columns=spec.id_columns,
        unit=plan.unit,
        columns=dict(spec.columns),
        fields=tuple(
            FieldDescription(
                str(field.key),
                field.spec.code_version,
                versions.fields[field.key],
                tuple(map(str, field.parents)),
            )
            for field in plan.fields
        ),
        parents=tuple(map(_edge, plan.edges)),
        children=tuple(map(str, graph.children(plan.key))),
        metadata=dict(spec.metadata),
    )


def _edge(edge: EdgePlan) -> EdgeDescription:
    dep = edge.dep
    return EdgeDescription(
        str(edge.parent.key),
        edge.kind.value,
        edge.on,
        dep.optional,
        dep.select,
        dict(dep.rename),
        dep.filters,
    )


def _store(config: MetaxyConfig, name: str) -> StoreDescription:
    store = config.make_store(name)
    where = store.backend.describe()
    state, problem, tables = "ok", None, None
    try:
        with store.open("r"):
            from metaxy_core.system.tables import is_system_table

            tables = sum(not is_system_table(table) for table in store.backend.tables())
    except StoreUnavailableError as error:
        state, problem = error.reason, str(error)
    except MetaxyError as error:
        state, problem = "refused", str(error)
    return StoreDescription(
        kind="store",
        store=name,
        type=where["type"],
        uri=where["uri"],
        project=store.project,
        hash_algorithm=store.scheme.algorithm.value,
        versioning_engine=store.versioning_engine,
        fallback_stores=tuple(other.display() for other in store.fallback_stores),
        state=state,
        problem=problem,
        tables=tables,
        gaps={name: f"{gap.kind}: {gap.reason}" for name, gap in store.backend.gaps.items()},
    )


def _lines(values: Mapping[str, Any], indent: str = "") -> Iterator[str]:
    """Names and values under each other; what is made of several stands indented below."""
    wide = max((len(name) for name in values), default=0) + 2
    for name, value in values.items():
        label = f"{indent}{name.replace('_', ' '):{wide}}"
        if value is None or value == "" or value == () or value == {}:
            continue
        if isinstance(value, Mapping):
            yield label.rstrip()
            yield from _lines(value, f"{indent}  ")
        elif isinstance(value, Sequence) and value and isinstance(value[0], Mapping):
            yield label.rstrip()
            for one in value:
                yield f"{indent}  {_told(one)}"
        elif isinstance(value, Sequence) and not isinstance(value, str):
            yield label + ", ".join(one_line(str(one)) for one in value)
        else:
            yield label + one_line(str(value))


def _told(record: Mapping[str, Any]) -> str:
    """A record on one line: its own name, then what it says."""
    (_, name), *rest = record.items()
    said = []
    for key, value in rest:
        if value in (None, (), {}, False, ""):
            continue
        text = ", ".join(map(str, value)) if isinstance(value, tuple | list) else str(value)
        text = text[:8] if key == "version" else text
        said.append(key if value is True else f"{key.replace('_', ' ')} {text}")
    return one_line(f"{name}: {'; '.join(said)}")
