"""The plan of a graph: each feature compared once its parents have run, without running them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from metaxy_core.errors import (
    EngineUnavailableError,
    PlanError,
    PolarsMaterializationWarning,
    VersioningEngineMismatchError,
)
from metaxy_core.frames.engine import EngineName
from metaxy_core.graph import Graph
from metaxy_core.keys import FeatureKey
from metaxy_core.store.incoming import Rows
from metaxy_core.store.walking import Walk
from metaxy_core.work import PlannedFeature, WorkPlan

if TYPE_CHECKING:
    from metaxy_core.store.base import BaseStore


@dataclass(frozen=True)
class Asked:
    """What a plan is asked for; see `MetadataStore.plan`."""

    features: Sequence[FeatureKey]
    samples: Mapping[FeatureKey, Rows] = field(default_factory=dict)
    max_units: int | None = None
    max_money: float | None = None
    with_units: bool = False
    on_feature: Callable[[FeatureKey], object] | None = None


def plan(store: BaseStore, asked: Asked) -> WorkPlan:
    """See `MetadataStore.plan`."""
    engine = store.versioning_engine
    try:
        features = _walked(store, asked, engine)
    except EngineUnavailableError as error:
        if engine == "native":
            raise VersioningEngineMismatchError(f"The plan: {error}") from error
        warnings.warn(
            f"The plan is made in memory, with whole tables: {error.reason}",
            PolarsMaterializationWarning,
            stacklevel=3,
        )
        features = _walked(store, asked, "polars")
    return WorkPlan(
        made_at=datetime.now(UTC),
        project=store.project,
        snapshot=store.graph.snapshot_version,
        store=store.display(),
        features=features,
    )


def _walked(store: BaseStore, asked: Asked, engine: EngineName) -> tuple[PlannedFeature, ...]:
    walk = Walk(store, asked, engine)
    try:
        return tuple(walk.features())
    finally:
        walk.close()


def check(asked: Asked, graph: Graph) -> None:
    """Refuse samples of features that are no roots, and limits that make no sense.

    Raises:
        PlanError: names the feature or the limit.
    """
    for key in asked.samples:
        if not graph[key].is_root:
            raise PlanError(f"samples= is for roots; '{key}' has parents, which tell its samples.")
    for name, limit in (("max_samples", asked.max_units), ("max_cost", asked.max_money)):
        if limit is not None and limit < 0:
            raise PlanError(f"{name} is not negative; given: {limit}")
