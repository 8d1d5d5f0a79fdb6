"""A metadata layer for multimodal data: exactly the affected samples run again.

Declarations are imported at once; stores, which bring engines with them, at their first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from metaxy_core.ambient import active_graph, use_graph
from metaxy_core.columns import (
    DATA_VERSION_BY_FIELD,
    FEATURE_VERSION,
    MATERIALIZATION_ID,
    PROVENANCE_BY_FIELD,
    STALE_FIELDS,
)
from metaxy_core.errors import (
    DefinitionError,
    FeatureNotFoundError,
    MetadataSchemaError,
    MetaxyError,
    StoreUnavailableError,
)
from metaxy_core.feature import Feature
from metaxy_core.graph import EdgePlan, FeatureGraph, FeaturePlan, Graph, GraphSnapshot
from metaxy_core.hashing import HashAlgorithm, HashScheme
from metaxy_core.keys import FeatureKey, FieldKey
from metaxy_core.spec import (
    FeatureDep,
    FeatureSpec,
    FieldDep,
    FieldsMapping,
    FieldSpec,
    LineageKind,
    LineageRelationship,
    SpecialFieldDep,
)

if TYPE_CHECKING:
    from metaxy_core.store import Increment, LazyIncrement, MetadataStore
    from metaxy_core.store.fingerprint import Fingerprint
    from metaxy_core.store.stores import DuckDBMetadataStore, InMemoryMetadataStore

__all__ = [
    "DATA_VERSION_BY_FIELD",
    "FEATURE_VERSION",
    "MATERIALIZATION_ID",
    "PROVENANCE_BY_FIELD",
    "STALE_FIELDS",
    "DefinitionError",
    "DuckDBMetadataStore",
    "EdgePlan",
    "Feature",
    "FeatureDep",
    "FeatureGraph",
    "FeatureKey",
    "FeatureNotFoundError",
    "FeaturePlan",
    "FeatureSpec",
    "FieldDep",
    "FieldKey",
    "FieldSpec",
    "FieldsMapping",
    "Fingerprint",
    "Graph",
    "GraphSnapshot",
    "HashAlgorithm",
    "HashScheme",
    "InMemoryMetadataStore",
    "Increment",
    "LazyIncrement",
    "LineageKind",
    "LineageRelationship",
    "MetadataSchemaError",
    "MetadataStore",
    "MetaxyError",
    "SpecialFieldDep",
    "StoreUnavailableError",
    "active_graph",
    "use_graph",
]

_AT_FIRST_USE = {
    "DuckDBMetadataStore": "metaxy_core.store.stores",
    "Fingerprint": "metaxy_core.store.fingerprint",
    "InMemoryMetadataStore": "metaxy_core.store.stores",
    "Increment": "metaxy_core.store",
    "LazyIncrement": "metaxy_core.store",
    "MetadataStore": "metaxy_core.store",
}


def __getattr__(name: str) -> Any:
    if name in _AT_FIRST_USE:
        return getattr(import_module(_AT_FIRST_USE[name]), name)
    raise AttributeError(f"module 'metaxy_core' has no attribute {name!r}")
