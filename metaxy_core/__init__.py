"""A metadata layer for multimodal data: exactly the affected samples run again."""

from metaxy_core.ambient import active_graph, use_graph
from metaxy_core.feature import Feature
from metaxy_core.graph import FeatureGraph, Graph, GraphSnapshot
from metaxy_core.hashing import HashAlgorithm, HashScheme
from metaxy_core.keys import FeatureKey, FieldKey
from metaxy_core.spec import (
    FeatureDep,
    FeatureSpec,
    FieldDep,
    FieldsMapping,
    FieldSpec,
    LineageRelationship,
    SpecialFieldDep,
)
from metaxy_core.store import Increment, LazyIncrement, MetadataStore
from metaxy_core.store.fingerprint import Fingerprint
from metaxy_core.store.stores import DuckDBMetadataStore, InMemoryMetadataStore

__all__ = [
    "DuckDBMetadataStore",
    "Feature",
    "FeatureDep",
    "FeatureGraph",
    "FeatureKey",
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
    "LineageRelationship",
    "MetadataStore",
    "SpecialFieldDep",
    "active_graph",
    "use_graph",
]
