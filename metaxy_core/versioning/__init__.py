"""The engine: a plan and lazy frames in, lazy frames out; the same bits on every engine."""

from metaxy_core.versioning.buckets import SLOT, Buckets, with_slots
from metaxy_core.versioning.increment import Comparison, compare, hold_back, stored_units
from metaxy_core.versioning.provenance import made_from, with_provenance
from metaxy_core.versioning.upstream import check_edge, edge_rows, expected_units, sampled_units

__all__ = [
    "SLOT",
    "Buckets",
    "Comparison",
    "check_edge",
    "compare",
    "edge_rows",
    "expected_units",
    "hold_back",
    "made_from",
    "sampled_units",
    "stored_units",
    "with_provenance",
    "with_slots",
]
