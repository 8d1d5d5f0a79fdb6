"""What the UI shows, built from values alone: no store is asked here."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, time
from typing import Any

import dagster as dg
import narwhals as nw

from metaxy_core import (
    DATA_VERSION_BY_FIELD,
    PROVENANCE_BY_FIELD,
    FeatureKey,
    FeaturePlan,
    FeatureSpec,
    Graph,
    LineageKind,
)
from metaxy_dagster.partitions import Part, shown
from metaxy_dagster.receipt import Outcome
from metaxy_dagster.reports.picture import surroundings

FEATURE = "metaxy/feature"
PART = "metaxy/part"
PARTITION_BY = "metaxy/partition_by"
SHOWN = 8
"""Characters of a version that are for eyes."""
_TAG_LENGTH = 63
_CELL_LENGTH = 200
_LISTED = 5
_FAILURES = 20
# A run of backticks that is not escaped, up to the next one of its length.
_CODE = re.compile(r"(?<![`\\])(`+)(?!`)(.+?)(?<!`)\1(?!`)", re.DOTALL)

_DESCRIPTIONS = {
    PROVENANCE_BY_FIELD: "What the sample was made from, per field; decides staleness.",
    DATA_VERSION_BY_FIELD: "What the sample is, per field; feeds the features below.",
    "metaxy_provenance": "The provenance of all fields together.",
    "metaxy_data_version": "The data version of all fields together.",
    "metaxy_feature_version": "The feature version the row was made under.",
    "metaxy_snapshot_version": "The version of the whole graph then.",
    "metaxy_materialization_id": "The Dagster run that wrote the row.",
    "metaxy_created_at": "When the row was written, UTC.",
    "metaxy_updated_at": "When the row was last touched, UTC.",
    "metaxy_deleted_at": "When the row was deleted, UTC.",
}


def definition_metadata(graph: Graph, feature: FeatureKey, part: Part) -> dict[str, Any]:
    """What is known about a feature's asset before it ever ran."""
    spec = graph[feature]
    metadata: dict[str, Any] = {
        FEATURE: str(feature),
        "metaxy/feature_version": graph.versions[feature].feature,
        # What is not said is the default: fifty lines of those would hide what is.
        "metaxy/spec": dg.MetadataValue.json(spec.model_dump(mode="json", exclude_defaults=True)),
        "metaxy/field_versions": field_versions(graph, feature),
        **surroundings(graph, feature),
        "dagster/column_schema": column_schema(spec, spec.columns),
        "dagster/table_name": feature.to_table(),
    }
    if part:
        metadata[PART] = dg.MetadataValue.json(shown(part))
    return metadata


def declared(metadata: Mapping[str, Any] | None, name: str) -> Any:
    """What an asset's definition says under a key; None where it says nothing.

    Dagster gives back some values as they were given and others in a `MetadataValue`.

    >>> declared({PARTITION_BY: dg.MetadataValue.json("day")}, PARTITION_BY)
    'day'
    >>> declared({FEATURE: "video"}, FEATURE), declared(None, FEATURE)
    ('video', None)
    """
    value = (metadata or {}).get(name)
    return value.value if isinstance(value, dg.MetadataValue) else value


def event_tags(graph: Graph, feature: FeatureKey) -> dict[str, str]:
    """The tags of every materialisation of a feature; versions are cut to what a tag may hold."""
    tags = {
        "metaxy/feature": feature.to_table(),
        "metaxy/feature_version": graph.versions[feature].feature,
        "metaxy/snapshot": graph.snapshot_version,
    }
    if project := graph[feature].project:
        tags["metaxy/project"] = re.sub(r"[^A-Za-z0-9_.-]", "_", project)
    return {name: value[:_TAG_LENGTH] for name, value in tags.items()}


def field_versions(graph: Graph, feature: FeatureKey) -> dg.TableMetadataValue:
    """A row per field: its code version, the upstream fields it is made from, its version."""
    versions = graph.versions[feature].fields
    return table(
        {
            "field": str(field.key),
            "code_version": field.spec.code_version,
            "depends_on": ", ".join(map(str, field.parents)),
            "version": versions[field.key][:SHOWN],
        }
        for field in graph.plan(feature).fields
    )


def column_schema(
    spec: FeatureSpec, types: Mapping[str, Any], origins: Mapping[str, Sequence[str]] | None = None
) -> dg.TableSchema:
    """The "Columns" panel: ids first, then the user's columns, then the library's own.

    Args:
        types: column to type, as declared or as stored.
        origins: column to the features that it comes from.
    """
    made_from: dict[str, list[str]] = {}
    for field, columns in spec.provenance_from.items():
        for column in columns:
            made_from.setdefault(column, []).append(str(field))
    fields = [str(field) for field in spec.field_keys]
    by_field = dict.fromkeys((PROVENANCE_BY_FIELD, DATA_VERSION_BY_FIELD), fields)
    ids = list(spec.id_columns)
    names = [*ids, *(name for name in types if name not in ids)]
    names += [name for name in by_field if name not in names]
    names.sort(key=lambda name: name.startswith("metaxy_"))
    listed = []
    for name in names:
        tags = {"id": ""} if name in ids else {}
        tags |= {"system": ""} if name.startswith("metaxy_") else {}
        shown = made_from.get(name, []) + by_field.get(name, [])
        tags |= {f"field/{field.replace('/', '.')}": "" for field in shown}
        listed.append(
            dg.TableColumn(
                name,
                type_name(types.get(name, "struct" if name in by_field else "any")),
                description=_DESCRIPTIONS.get(name)
                or _described(name, ids, made_from.get(name, ()), (origins or {}).get(name, ())),
                constraints=dg.TableColumnConstraints(
                    nullable=name not in ids, unique=ids == [name]
                ),
                tags=tags,
            )
        )
    constraints = dg.TableConstraints(other=[f"one row per ({', '.join(ids)})"])
    return dg.TableSchema(listed, constraints)


def _described(
    name: str, ids: Sequence[str], fields: Sequence[str], origins: Sequence[str]
) -> str | None:
    """What the declaration says of a user's column; None where it says nothing."""
    others = ", ".join(one for one in ids if one != name)
    said = [
        f"Identifies the sample{f', with {others}' if others else ''}." if name in ids else "",
        f"Comes from {' and '.join(origins)}." if origins else "",
        f"What {' and '.join(fields)} is made from: its change makes samples stale."
        if fields
        else "",
    ]
    return " ".join(filter(None, said)) or None


def type_name(kind: Any) -> str:
    """A column's type as short as it can be read.

    >>> import narwhals as nw
    >>> type_name(nw.Struct({"audio": nw.String(), "frames": nw.String()}))
    'Struct[audio, frames]'
    >>> type_name(nw.Datetime("us", "UTC")), type_name(nw.List(nw.Int64())), type_name("str")
    ('Datetime[UTC]', 'List[Int64]', 'str')
    """
    if isinstance(kind, nw.Struct):
        return f"Struct[{', '.join(field.name for field in kind.fields)}]"
    if isinstance(kind, nw.Datetime):
        return f"Datetime[{kind.time_zone}]" if kind.time_zone else "Datetime"
    if isinstance(kind, nw.List | nw.Array):
        return f"List[{type_name(kind.inner)}]"
    if isinstance(kind, nw.Duration | nw.Enum):
        return type(kind).__name__
    return str(kind)


def column_lineage(
    plan: FeaturePlan,
    columns: Iterable[str],
    parents: Mapping[FeatureKey, Iterable[str]],
    keys: Mapping[FeatureKey, dg.AssetKey],
) -> dg.TableColumnLineage:
    """Which columns of its parents each column of a feature comes from.

    Args:
        columns: the feature's stored columns.
        parents: each parent's stored columns.
        keys: each parent's asset.
    """
    own = set(columns)
    deps: dict[str, list[dg.TableColumnDep]] = {}
    for edge in plan.edges:
        parent = edge.parent.key
        if parent not in keys:
            continue
        carried = set(edge.on) if edge.kind is LineageKind.AGGREGATION else own
        for column in parents.get(parent, ()):
            name = edge.dep.rename.get(column, column)
            selected = edge.dep.select is None or name in edge.dep.select or name in edge.on
            if not name.startswith("metaxy_") and name in own & carried and selected:
                deps.setdefault(name, []).append(dg.TableColumnDep(keys[parent], column))
        versions = dg.TableColumnDep(keys[parent], DATA_VERSION_BY_FIELD)
        deps.setdefault(PROVENANCE_BY_FIELD, []).append(versions)
    return dg.TableColumnLineage(deps)


def increment_table(outcomes: Mapping[str, Outcome]) -> dg.TableMetadataValue:
    """A row per status: found, processed, skipped, failed."""
    return table(
        {
            "status": status,
            "found": outcome.found,
            "processed": outcome.processed,
            "skipped": outcome.skipped,
            "failed": outcome.failed,
        }
        for status, outcome in outcomes.items()
    )


def failure_table(
    failures: Sequence[tuple[Mapping[str, Any], BaseException | str]],
) -> dg.TableMetadataValue:
    """The first units that failed: their ids, the error's class and its message."""
    return table(
        {
            **{name: cell(value) for name, value in unit.items()},
            "error": "Error" if isinstance(error, str) else type(error).__name__,
            "message": cell(str(error)),
        }
        for unit, error in failures[:_FAILURES]
    )


def preview(rows: Sequence[Mapping[str, Any]]) -> dg.TableMetadataValue:
    """Some rows as a table of scalars."""
    return table({name: cell(value) for name, value in row.items()} for row in rows)


def table(rows: Iterable[Mapping[str, Any]]) -> dg.TableMetadataValue:
    """Rows of scalars as a table; every row has the same columns."""
    records = [dg.TableRecord(dict(row)) for row in rows]
    schema = None if records else dg.TableSchema([])
    return dg.MetadataValue.table(records, schema)


def cell(value: Any) -> str | int | float | bool | None:
    """A value as the scalar that a table can hold: never long, never binary.

    >>> cell({"a": b"xyz"}), cell([1, 2, 3, 4, 5, 6, 7])
    ('{"a": "<3 bytes>"}', '[1, 2, 3, 4, 5, … 7]')
    """
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    plain = _plain(value)
    text = plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False, default=str)
    if isinstance(value, list) and len(value) > _LISTED:
        text = f"{text[:-1]}, … {len(value)}]"
    return text if len(text) <= _CELL_LENGTH else f"{text[:_CELL_LENGTH]}…"


def _plain(value: Any) -> Any:
    if isinstance(value, bytes | bytearray | memoryview):
        return f"<{len(value)} bytes>"
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(name): _plain(found) for name, found in value.items()}
    if isinstance(value, list):
        return [_plain(found) for found in value[:_LISTED]]
    return value if isinstance(value, int | float | str | None) else str(value)


def safe_markdown(text: str) -> str:
    """A docstring for Markdown: tags in it are shown, not live; code stays as it is.

    >>> safe_markdown("`a<b` but <script>")
    '`a<b` but &lt;script>'
    """
    made, end = [], 0
    for code in _CODE.finditer(text):
        made += [_escaped(text[end : code.start()]), code[0]]
        end = code.end()
    return "".join([*made, _escaped(text[end:])])


def _escaped(text: str) -> str:
    """Without tags, and without links that run something."""
    return re.sub(r"(?i)(javascript|vbscript|data):", r"\1&#58;", text.replace("<", "&lt;"))
