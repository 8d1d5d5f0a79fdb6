"""What planned units take, and how many of them the limits of a plan let in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from metaxy_core.spec import FeatureSpec
from metaxy_core.system import runs
from metaxy_core.work import Cost, Estimate

if TYPE_CHECKING:
    from metaxy_core.store.base import BaseStore


@dataclass
class Budget:
    """What the limits of a plan leave for the features that come."""

    units: int | None
    money: float | None

    def take(self, wanted: int, price: Estimate | None) -> int:
        """How many units of a feature are let in; they are taken off."""
        allowed = wanted if self.units is None else min(wanted, self.units)
        if self.money is not None and price is not None and price.p50 > 0:
            # Sums of prices are not exact: what is a hair over the budget is within it.
            allowed = min(allowed, int(self.money / price.p50 + 1e-9))
            self.money -= allowed * price.p50
        if self.units is not None:
            self.units -= allowed
        return allowed


def per_unit(store: BaseStore, spec: FeatureSpec) -> Cost:
    """Seconds and money for one unit: as recorded, else as the feature's metadata says."""
    recorded = runs.per_unit(store.backend, spec.key)
    declared = spec.metadata
    found: dict[str, Estimate] = {}
    for column, name in (("seconds", "seconds_per_sample"), ("money", "cost_per_sample")):
        values = recorded[column].drop_nulls()
        said = declared.get(name)
        if len(values):
            low, high = values.quantile(0.5, "linear"), values.quantile(0.9, "linear")
            found[column] = Estimate(p50=low or 0.0, p90=high or 0.0, runs=len(values))
        elif isinstance(said, int | float):
            found[column] = Estimate(p50=said, p90=said)
    return Cost(seconds=found.get("seconds"), money=found.get("money"))
