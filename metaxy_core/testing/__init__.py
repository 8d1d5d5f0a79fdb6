"""What proves the engine, shipped: the oracle and strategies for graphs, edits and texts.

`strategies` needs Hypothesis, so it is imported by its own name only.
"""

from metaxy_core.testing.predicates import (
    Among,
    Cell,
    Compare,
    Junction,
    Missing,
    Negation,
    Predicate,
    Within,
)
from metaxy_core.testing.reference import (
    ABSENT,
    Choice,
    Commit,
    Given,
    Ids,
    Reference,
    Result,
    Row,
    Tree,
    Trees,
    UnwrittenParentError,
)

__all__ = [
    "ABSENT",
    "Among",
    "Cell",
    "Choice",
    "Commit",
    "Compare",
    "Given",
    "Ids",
    "Junction",
    "Missing",
    "Negation",
    "Predicate",
    "Reference",
    "Result",
    "Row",
    "Tree",
    "Trees",
    "UnwrittenParentError",
    "Within",
]
