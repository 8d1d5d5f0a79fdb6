"""Names of the working columns of a comparison; none of them is ever stored, or in its rows."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from metaxy_core.graph import EdgePlan, FeaturePlan
from metaxy_core.keys import FieldKey

EXPECTED: Final = "metaxy_is_expected"
STORED: Final = "metaxy_is_stored"
WAITING: Final = "metaxy_is_waiting"
INSIDE: Final = "metaxy_is_inside"
STORED_INSIDE: Final = "metaxy_stored_is_inside"
STALE: Final = "metaxy_is_stale"


def data_version_in(edge: EdgePlan, field: FieldKey) -> str:
    """The data version of a parent's field, as the edge gives it to a unit."""
    return f"metaxy_edge{edge.index}__{field.to_column()}"


def present_in(edge: EdgePlan) -> str:
    """True where the unit has this parent, NULL where an optional one is absent."""
    return f"metaxy_edge{edge.index}_present"


def commit_in(edge: EdgePlan) -> str:
    """The commit of the parent's rows that a unit is made from; of a group there is none."""
    return f"metaxy_edge{edge.index}_commit"


def commits_in(plan: FeaturePlan, columns: Collection[str]) -> list[str]:
    """Those of `commit_in` that are among columns."""
    return [name for name in map(commit_in, plan.edges) if name in columns]


def waiting_in(edge: EdgePlan) -> str:
    """True where a row of the parent lacks a field that the feature needs."""
    return f"metaxy_edge{edge.index}_waiting"


def inside_in(edge: EdgePlan) -> str:
    """Whether a row of the parent passes the run-time filters; NULL where it has none."""
    return f"metaxy_edge{edge.index}_inside"


def by_ids_in(edge: EdgePlan) -> str:
    """Whether the ids that came from the parent pass the run-time filters."""
    return f"metaxy_edge{edge.index}_ids_inside"


def stored_provenance(field: FieldKey) -> str:
    """The stored provenance beside the expected one."""
    return f"metaxy_stored__{field.to_column()}"
