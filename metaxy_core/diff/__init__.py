"""Two graphs compared, what follows from the difference, and what there is to draw; pure."""

from metaxy_core.diff.declaration import DeclarationChange
from metaxy_core.diff.diff import (
    Change,
    FeatureDiff,
    FieldDiff,
    FieldState,
    GraphDiff,
    Severity,
    diff,
)
from metaxy_core.diff.impact import Affected, Impact, impact
from metaxy_core.diff.surroundings import focus, neighbourhood, slice_of
from metaxy_core.diff.view import (
    DeclarationView,
    EdgeView,
    FieldView,
    GraphView,
    NodeView,
    Status,
)

__all__ = [
    "Affected",
    "Change",
    "DeclarationChange",
    "DeclarationView",
    "EdgeView",
    "FeatureDiff",
    "FieldDiff",
    "FieldState",
    "FieldView",
    "GraphDiff",
    "GraphView",
    "Impact",
    "NodeView",
    "Severity",
    "Status",
    "diff",
    "focus",
    "impact",
    "neighbourhood",
    "slice_of",
]
