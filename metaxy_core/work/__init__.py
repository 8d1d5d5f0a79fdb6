"""What there is to do, and why, as values: the plan of a graph and its causes."""

from metaxy_core.work.causes import Cause, CodeChange, code_changes, data_parents
from metaxy_core.work.cost import Cost, said_duration, said_money, said_time
from metaxy_core.work.plan import Counts, Estimate, PlannedFeature, WorkPlan

__all__ = [
    "Cause",
    "CodeChange",
    "Cost",
    "Counts",
    "Estimate",
    "PlannedFeature",
    "WorkPlan",
    "code_changes",
    "data_parents",
    "said_duration",
    "said_money",
    "said_time",
]
