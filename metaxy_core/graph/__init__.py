"""What the declarations mean together: plans, versions, the immutable graph; no frames, no I/O."""

from metaxy_core.graph.graph import Graph
from metaxy_core.graph.plan import EdgePlan, FeaturePlan, FieldPlan
from metaxy_core.graph.registry import FeatureGraph
from metaxy_core.graph.snapshot import GraphSnapshot
from metaxy_core.graph.versions import FeatureVersions

__all__ = [
    "EdgePlan",
    "FeatureGraph",
    "FeaturePlan",
    "FeatureVersions",
    "FieldPlan",
    "Graph",
    "GraphSnapshot",
]
