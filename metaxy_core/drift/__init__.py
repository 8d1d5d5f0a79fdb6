"""The code of features: which functions make them, and whether those changed; no store, no frames.

`registry` knows the functions, `module` finds them in their file, `normal` writes what of them
matters, `compare` says which of two times it differs.
"""

from metaxy_core.drift.compare import Drift, code_drift, compare, sources
from metaxy_core.drift.normal import Unreadable, normal_form
from metaxy_core.drift.registry import functions, implements

__all__ = [
    "Drift",
    "Unreadable",
    "code_drift",
    "compare",
    "functions",
    "implements",
    "normal_form",
    "sources",
]
