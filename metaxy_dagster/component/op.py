"""The attribute `op`: what all steps have in common.

Dagster reads the annotations here itself, so this module has no postponed ones.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

import dagster as dg


@dataclass(frozen=True)
class Retry(dg.Resolvable):
    """A `dagster.RetryPolicy`.

    Attributes:
        delay: seconds before each retry.
    """

    max_retries: int = 1
    delay: float | None = None


@dataclass(frozen=True)
class Op(dg.Resolvable):
    """The step of every feature that a function makes; `computes` can say otherwise for one.

    Attributes:
        tags: of the op.
        max_failed: more failed units than this fail the step.
    """

    pool: str | None = None
    tags: dict[str, Any] = field(default_factory=dict)
    retry: Retry | None = None
    max_failed: int | None = None

    def arguments(self) -> Mapping[str, Any]:
        """The arguments of `feature_asset` that are meant."""
        retry = self.retry and dg.RetryPolicy(
            max_retries=self.retry.max_retries, delay=self.retry.delay
        )
        given = {
            "pool": self.pool,
            "op_tags": self.tags or None,
            "retry_policy": retry,
            "max_failed": self.max_failed,
        }
        return {name: value for name, value in given.items() if value is not None}


OpAttribute = Annotated[
    Op | None, dg.Resolver.default(description="What the steps of all functions have in common.")
]
