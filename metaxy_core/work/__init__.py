"""What there is to do, and why, as values: the plan of a graph and its causes."""

from metaxy_core.work.causes import Cause, CodeChange, code_changes, data_parents
from metaxy_core.work.plan import Counts, Estimate, PlannedFeature, WorkPlan

__all__ = [
    "Cause",
    "CodeChange",
    "Counts",
    "Estimate",
    "PlannedFeature",
    "WorkPlan",
    "code_changes",
    "data_parents",
]
