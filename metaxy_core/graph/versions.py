"""Static versions of fields and features: SHA-256 over the declarations, no data needed.

The formulas are those of docs/semantics.md, section 2; `a + b` there is plain concatenation.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from metaxy_core.graph.plan import FeaturePlan
from metaxy_core.hashing import canonical_json, sha256
from metaxy_core.keys import FeatureKey, FieldKey, FieldRef
from metaxy_core.spec import FeatureSpec

EMPTY_SNAPSHOT = "empty"


@dataclass(frozen=True)
class FeatureVersions:
    """The versions of one feature; full SHA-256 hex.

    Attributes:
        feature: changes when this feature's own results are invalidated by a definition.
        fields: one per field.
        code: the code versions of the fields alone, whatever their parents.
        definition: the whole declaration, docstring and filters included; for audit and diffs.
    """

    feature: str
    fields: Mapping[FieldKey, str]
    code: str
    definition: str


def versions(plans: Iterable[FeaturePlan]) -> dict[FeatureKey, FeatureVersions]:
    """Compute all versions in one walk; plans must come parents first."""
    known: dict[FieldRef, str] = {}
    result: dict[FeatureKey, FeatureVersions] = {}
    for plan in plans:
        fields = {}
        for field in plan.fields:
            ref = FieldRef(plan.key, field.key)
            parents = "".join(known[parent] for parent in field.parents)
            known[ref] = fields[field.key] = sha256(f"{ref}{field.spec.code_version}{parents}")
        feature = sha256("".join(f"{key}{version}" for key, version in fields.items()))
        code = sha256("".join(f"{field.key}{field.spec.code_version}" for field in plan.fields))
        result[plan.key] = FeatureVersions(feature, fields, code, definition_version(plan.spec))
    return result


def snapshot_version(features: Mapping[FeatureKey, FeatureVersions]) -> str:
    """The version of a whole graph; `"empty"` for no feature."""
    if not features:
        return EMPTY_SNAPSHOT
    return sha256("".join(f"{key}{features[key].feature}" for key in sorted(features)))


def definition_version(spec: FeatureSpec) -> str:
    """The hash of everything declared about a feature."""
    return sha256(canonical_json(spec.model_dump(mode="json")))
