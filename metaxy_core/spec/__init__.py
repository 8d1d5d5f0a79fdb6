"""What users declare: frozen, validated, serialisable values; nothing here knows a graph."""

from metaxy_core.spec.deps import FeatureDep
from metaxy_core.spec.feature import FeatureSpec
from metaxy_core.spec.fields import ALL, FieldDep, FieldsMapping, FieldSpec, SpecialFieldDep
from metaxy_core.spec.lineage import LineageKind, LineageRelationship

__all__ = [
    "ALL",
    "FeatureDep",
    "FeatureSpec",
    "FieldDep",
    "FieldSpec",
    "FieldsMapping",
    "LineageKind",
    "LineageRelationship",
    "SpecialFieldDep",
]
