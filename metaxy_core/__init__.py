"""A metadata layer for multimodal data: exactly the affected samples run again.

Declarations are imported at once; stores, which bring engines with them, at their first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from metaxy_core.aliases import CONFIG, NAMES
from metaxy_core.ambient import active_graph, use_graph
from metaxy_core.columns import (
    DATA_VERSION_BY_FIELD,
    FEATURE_VERSION,
    MATERIALIZATION_ID,
    PROVENANCE_BY_FIELD,
    STALE_FIELDS,
    STATUS,
)
from metaxy_core.errors import (
    ConfigError,
    DefinitionError,
    FeatureNotFoundError,
    HashSchemeMismatchError,
    MetadataSchemaError,
    MetaxyError,
    PlanError,
    StoreUnavailableError,
    SystemDataNotFoundError,
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
    from metaxy_core.config import MetaxyConfig, MetaxyProject, init
    from metaxy_core.diff import Change, FeatureDiff, GraphDiff, GraphView, Severity, neighbourhood
    from metaxy_core.diff import diff as diff_graphs
    from metaxy_core.diff import impact as impact_of
    from metaxy_core.drift import Drift, code_drift, implements
    from metaxy_core.external import use_lock
    from metaxy_core.render.markdown import render as render_markdown
    from metaxy_core.render.mermaid import render as render_mermaid
    from metaxy_core.render.svg import data_uri as svg_data_uri
    from metaxy_core.store import Increment, LazyIncrement, MetadataStore
    from metaxy_core.store.buffered import BufferedMetadataWriter
    from metaxy_core.store.fingerprint import Fingerprint
    from metaxy_core.store.stores import (
        ClickHouseMetadataStore,
        DeltaMetadataStore,
        DuckDBMetadataStore,
        DuckLakeMetadataStore,
        IbisMetadataStore,
        IcebergMetadataStore,
        InMemoryMetadataStore,
        LanceDBMetadataStore,
        PostgresMetadataStore,
        SQLiteMetadataStore,
    )
    from metaxy_core.system.failures import RetryPolicy
    from metaxy_core.system.marks import Mark
    from metaxy_core.versioning import SLOT, Buckets
    from metaxy_core.work import Cost, Estimate, PlannedFeature, WorkPlan, said_duration

__all__ = [
    "DATA_VERSION_BY_FIELD",
    "FEATURE_VERSION",
    "MATERIALIZATION_ID",
    "PROVENANCE_BY_FIELD",
    "SLOT",
    "STALE_FIELDS",
    "STATUS",
    "Buckets",
    "BufferedMetadataWriter",
    "Change",
    "ClickHouseMetadataStore",
    "ConfigError",
    "Cost",
    "DefinitionError",
    "DeltaMetadataStore",
    "Drift",
    "DuckDBMetadataStore",
    "DuckLakeMetadataStore",
    "EdgePlan",
    "Estimate",
    "Feature",
    "FeatureDep",
    "FeatureDiff",
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
    "GraphDiff",
    "GraphSnapshot",
    "GraphView",
    "HashAlgorithm",
    "HashScheme",
    "HashSchemeMismatchError",
    "IbisMetadataStore",
    "IcebergMetadataStore",
    "InMemoryMetadataStore",
    "Increment",
    "LanceDBMetadataStore",
    "LazyIncrement",
    "LineageKind",
    "LineageRelationship",
    "Mark",
    "MetadataSchemaError",
    "MetadataStore",
    "MetaxyConfig",
    "MetaxyError",
    "MetaxyProject",
    "PlanError",
    "PlannedFeature",
    "PostgresMetadataStore",
    "RetryPolicy",
    "SQLiteMetadataStore",
    "Severity",
    "SpecialFieldDep",
    "StoreUnavailableError",
    "SystemDataNotFoundError",
    "WorkPlan",
    "active_graph",
    "code_drift",
    "diff_graphs",
    "impact_of",
    "implements",
    "init",
    "neighbourhood",
    "render_markdown",
    "render_mermaid",
    "said_duration",
    "svg_data_uri",
    "use_graph",
    "use_lock",
]

_AT_FIRST_USE = {
    "Buckets": "metaxy_core.versioning",
    "SLOT": "metaxy_core.versioning",
    "BufferedMetadataWriter": "metaxy_core.store.buffered",
    "Change": "metaxy_core.diff",
    "ClickHouseMetadataStore": "metaxy_core.store.stores",
    "DeltaMetadataStore": "metaxy_core.store.stores",
    "DuckLakeMetadataStore": "metaxy_core.store.stores",
    "IbisMetadataStore": "metaxy_core.store.stores",
    "IcebergMetadataStore": "metaxy_core.store.stores",
    "LanceDBMetadataStore": "metaxy_core.store.stores",
    "DuckDBMetadataStore": "metaxy_core.store.stores",
    "Cost": "metaxy_core.work",
    "Estimate": "metaxy_core.work",
    "FeatureDiff": "metaxy_core.diff",
    "Fingerprint": "metaxy_core.store.fingerprint",
    "GraphDiff": "metaxy_core.diff",
    "GraphView": "metaxy_core.diff",
    "InMemoryMetadataStore": "metaxy_core.store.stores",
    "Increment": "metaxy_core.store",
    "LazyIncrement": "metaxy_core.store",
    "Mark": "metaxy_core.system.marks",
    "MetadataStore": "metaxy_core.store",
    "MetaxyConfig": "metaxy_core.config",
    "MetaxyProject": "metaxy_core.config",
    "PlannedFeature": "metaxy_core.work",
    "said_duration": "metaxy_core.work",
    "PostgresMetadataStore": "metaxy_core.store.stores",
    "RetryPolicy": "metaxy_core.system.failures",
    "SQLiteMetadataStore": "metaxy_core.store.stores",
    "WorkPlan": "metaxy_core.work",
    "Severity": "metaxy_core.diff",
    "Drift": "metaxy_core.drift",
    "code_drift": "metaxy_core.drift",
    "implements": "metaxy_core.drift",
    "use_lock": "metaxy_core.external",
    "init": "metaxy_core.config",
    "neighbourhood": "metaxy_core.diff",
}

_RENAMED = {
    # `metaxy_core.diff` and `metaxy_core.render` are packages.
    "diff_graphs": ("metaxy_core.diff", "diff"),
    "impact_of": ("metaxy_core.diff", "impact"),
    "render_markdown": ("metaxy_core.render.markdown", "render"),
    "render_mermaid": ("metaxy_core.render.mermaid", "render"),
    "svg_data_uri": ("metaxy_core.render.svg", "data_uri"),
}


def __getattr__(name: str) -> Any:
    name = NAMES.get(name, name)
    if name in globals():
        return globals()[name]
    if name in _AT_FIRST_USE:
        return getattr(import_module(_AT_FIRST_USE[name]), name)
    if name in _RENAMED:
        module, attribute = _RENAMED[name]
        return getattr(import_module(module), attribute)
    if name.endswith(f"MetadataStore{CONFIG}"):
        return __getattr__(name.removesuffix(CONFIG)).config_model()
    raise AttributeError(f"module 'metaxy_core' has no attribute {name!r}")
