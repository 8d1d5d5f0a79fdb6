"""The work of several features that one function does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import narwhals as nw
import polars as pl

from metaxy_core import FeatureKey
from metaxy_dagster.frames import length
from metaxy_dagster.steps.increment import Increment


class Increments(Mapping[Any, Increment]):
    """Increment per feature; each is found when it is first asked for.

    So the increment of a feature that depends on another one of the same function sees what the
    function has already yielded of that one.

    Args:
        features: those selected for this run, parents first.
        find: resolves one.
    """

    def __init__(
        self, features: Sequence[FeatureKey], find: Callable[[FeatureKey], Increment]
    ) -> None:
        self._features, self._find = tuple(features), find

    def __getitem__(self, feature: Any) -> Increment:
        key = FeatureKey.of(feature)
        if key not in self._features:
            raise KeyError(f"Feature '{key}' is not selected in this run.")
        return self._find(key)

    def __contains__(self, feature: object) -> bool:
        return FeatureKey.of(feature) in self._features

    def __iter__(self) -> Iterator[FeatureKey]:
        return iter(self._features)

    def __len__(self) -> int:
        return len(self._features)

    @property
    def is_empty(self) -> bool:
        """Whether no feature has anything to do."""
        return all(self[feature].is_empty for feature in self)

    def iter_batches(self, size: int) -> Iterator[nw.DataFrame[Any]]:
        """The units that any of the features has to do, once each, `size` at a time.

        Columns: the id columns of the unit and the parents' columns; no provenance, which differs
        per feature and is joined to what you give back. Rows of a feature whose unit is up to date
        are left out when stored.

        Raises:
            ValueError: the features have different units; iterate each increment by itself.
        """
        increments = [self[feature] for feature in self]
        units = {increment.plan.unit for increment in increments}
        if len(units) != 1:
            shown = ", ".join(f"{i.plan.key} ({', '.join(i.plan.unit)})" for i in increments)
            raise ValueError(f"The features have different units: {shown}. Iterate each by itself.")
        unit = list(units.pop())
        frames = [
            increment.todo().to_native().select(pl.exclude("^metaxy_.*$"))
            for increment in increments
        ]
        union = pl.concat(frames, how="diagonal").unique(unit, keep="any")
        kept = increments[0].spool.keep(nw.from_native(union))
        for increment in increments:
            increment.progress.batched = True
        for start in range(0, length(kept), size):
            yield nw.from_native(kept.to_native().slice(start, size).collect())
        for increment in increments:
            increment.progress.finished = increment.size
