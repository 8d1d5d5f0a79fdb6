"""Whether stored rows are what the library promises; each fact is one query in the database."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
import narwhals as nw

from metaxy_core import (
    FEATURE_VERSION,
    MATERIALIZATION_ID,
    PROVENANCE_BY_FIELD,
    FeatureKey,
    FeaturePlan,
    MetadataStore,
)
from metaxy_dagster.frames import length
from metaxy_dagster.reports.metadata import SHOWN, cell, table, type_name
from metaxy_dagster.reports.preview import counted

_SHOWN_IDS = 10
_WRITTEN = ("metaxy_created_at", "metaxy_updated_at", MATERIALIZATION_ID)
"""What all rows of one write share."""
_FAMILIES = {
    "struct": ("struct", "dict"),
    "text": ("str", "string", "varchar", "text", "categorical", "enum"),
    "integer": ("int", "uint", "bigint", "long"),
    "number": ("float", "double", "decimal"),
    "boolean": ("bool",),
    "bytes": ("bytes", "binary", "blob"),
    "time": ("datetime", "timestamp", "date", "time"),
    "list": ("list", "array", "tuple", "sequence"),
}


@dataclass(frozen=True)
class Finding:
    """What a look at the rows found.

    Attributes:
        passed: whether all is well.
        description: what was found, in one sentence.
    """

    passed: bool
    description: str
    metadata: Mapping[str, Any] = field(default_factory=dict)


def one_version(opened: MetadataStore, feature: FeatureKey) -> Finding:
    """Whether all stored rows carry the current feature version."""
    rows = opened.read(feature, columns=[FEATURE_VERSION], allow_fallback=False)
    grouped = rows.group_by(FEATURE_VERSION).agg(nw.len().alias("n")).collect("polars")
    counts = dict(zip(grouped[FEATURE_VERSION].to_list(), grouped["n"].to_list(), strict=True))
    current = opened.graph.versions[feature].feature
    old = sum(number for version, number in counts.items() if version != current)
    versions = table(
        {
            "version": str(version)[:SHOWN],
            "rows": number,
            "state": "current" if version == current else "older",
        }
        for version, number in sorted(counts.items(), key=lambda pair: -pair[1])
    )
    said = f"Made under another version: {old:,} of {counted(sum(counts.values()), 'row')}."
    return Finding(
        not old,
        said if old else "All rows carry the current feature version.",
        {"rows_per_version": versions, "rows_of_other_versions": old},
    )


def unique_samples(opened: MetadataStore, feature: FeatureKey) -> Finding:
    """Whether no write has stored two live rows for one id, and no id is missing.

    Two runs that stored one sample each are no fault: readers see the last commit.
    """
    ids = list(opened.graph[feature].id_columns)
    columns = [*ids, *_WRITTEN]
    rows = opened.read(feature, with_sample_history=True, columns=columns, allow_fallback=False)
    grouped = rows.group_by(*columns).agg(nw.len().alias("rows"))
    is_missing = nw.any_horizontal(*(nw.col(name).is_null() for name in ids), ignore_nulls=False)
    wrong = grouped.filter((nw.col("rows") > 1) | is_missing).select(*ids, "rows")
    number = length(wrong)
    if not number:
        return Finding(True, "Every sample has one live row.", {"duplicates": 0})
    some = wrong.sort(*ids).head(_SHOWN_IDS).collect("polars").rows(named=True)
    shown = table({name: cell(value) for name, value in row.items()} for row in some)
    said = f"More than one live row of one write, or no id: {counted(number, 'id')}."
    return Finding(False, said, {"duplicates": number, "offending_ids": shown})


def provenance_complete(opened: MetadataStore, feature: FeatureKey) -> Finding:
    """Whether no row of the current feature version lacks the provenance of a field."""
    fields = [str(key) for key in opened.graph[feature].field_keys]
    rows = opened.read(
        feature,
        feature_version="current",
        columns=[PROVENANCE_BY_FIELD],
        allow_fallback=False,
    )
    lacking = [
        nw.col(PROVENANCE_BY_FIELD)
        .struct.field(name)
        .is_null()
        .cast(nw.Int64())
        .sum()
        .alias(f"field{index}")
        for index, name in enumerate(fields)
    ]
    found = rows.select(*lacking).collect("polars").row(0)
    counts = {name: int(number or 0) for name, number in zip(fields, found, strict=True)}
    missing = {name: number for name, number in counts.items() if number}
    lacking_said = [f"of {name} in {counted(rows, 'row')}" for name, rows in missing.items()]
    said = f"The provenance is missing {', '.join(lacking_said)}." if missing else ""
    return Finding(
        not missing,
        said or "Every row has the provenance of every field.",
        {
            "rows_without_provenance": sum(missing.values()),
            "per_field": table({"field": n, "rows_without": c} for n, c in counts.items()),
        },
    )


def schema_matches(opened: MetadataStore, feature: FeatureKey) -> Finding:
    """Whether the stored columns are those declared, and those that parents bring along."""
    plan = opened.graph.plan(feature)
    declared = dict(plan.spec.columns)
    schema = opened.read(feature, allow_fallback=False).collect_schema()
    stored = {name: str(kind) for name, kind in schema.items() if not name.startswith("metaxy_")}
    carried = _carried(opened, plan)
    rows, faults = [], 0
    for name in dict.fromkeys([*plan.spec.id_columns, *declared, *stored]):
        wrong = _fault(name, declared, stored, carried | set(plan.spec.id_columns))
        faults += bool(wrong)
        rows.append(
            {
                "column": name,
                "declared": declared.get(name, ""),
                "stored": type_name(schema[name]) if name in stored else "",
                "found": wrong
                or ("from a parent" if name in carried - set(declared) else "as declared"),
            }
        )
    said = f"Not as declared: {faults} of {counted(len(rows), 'column')}."
    return Finding(
        not faults,
        said if faults else "The stored columns are those declared.",
        {"columns_not_as_declared": faults, "columns": table(rows)},
    )


def _fault(
    name: str, declared: Mapping[str, str], stored: Mapping[str, str], implied: set[str]
) -> str:
    if name not in stored:
        return "not stored"
    if name not in declared:
        # A feature that declares no columns leaves them open.
        return "not declared" if declared and name not in implied else ""
    wanted, found = _family(declared[name]), _family(stored[name])
    return "another type" if wanted and found and wanted != found else ""


def _family(kind: str) -> str | None:
    """The kind of values that a type holds; None where it says nothing that can be compared."""
    lowered = kind.lower().replace("typing.", "").removeprefix("optional[")
    for family, names in _FAMILIES.items():
        if lowered.startswith(names):
            return family
    return None


def _carried(opened: MetadataStore, plan: FeaturePlan) -> set[str]:
    """The columns that parents have, as this feature calls them."""
    found: set[str] = set()
    for edge in plan.edges:
        parent = edge.parent.key
        if opened.has_feature(parent, allow_fallback=True):
            names = opened.read(parent).collect_schema().names()
            found |= {edge.dep.rename.get(name, name) for name in names}
    return found


Facts = Callable[[MetadataStore, FeatureKey], Finding]
FACTS: Mapping[str, tuple[Facts, dg.AssetCheckSeverity]] = {
    "one_version": (one_version, dg.AssetCheckSeverity.WARN),
    "unique_samples": (unique_samples, dg.AssetCheckSeverity.ERROR),
    "provenance_complete": (provenance_complete, dg.AssetCheckSeverity.ERROR),
    "schema_matches": (schema_matches, dg.AssetCheckSeverity.WARN),
}
"""Per check, what it looks at and how grave a fault is."""
