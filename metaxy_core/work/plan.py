"""The plan of a graph: what each feature has to do, now and once its parents have run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from metaxy_core.errors import PlanError
from metaxy_core.keys import FeatureKey
from metaxy_core.spec.value import told
from metaxy_core.work.causes import Cause

Id = str | int | bool


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Counts(_Value):
    """Units per status; see `Increment`.

    Attributes:
        waiting: a required parent lacks a field and has not run since.
        failed: left out because they failed; see `MetadataStore.record_failures`.
    """

    new: int = 0
    stale: int = 0
    orphaned: int = 0
    waiting: int = 0
    failed: int = 0

    @property
    def todo(self) -> int:
        """New and stale units."""
        return self.new + self.stale


class Estimate(_Value):
    """A sum over units, from what recorded runs took per unit.

    Attributes:
        p50, p90: the median of the runs, and what nine of ten of them stay below.
        runs: how many runs it is made from; 0 where the feature's metadata says it.
    """

    p50: float
    p90: float
    runs: int = 0


class PlannedFeature(_Value):
    """What one feature has to do.

    Attributes:
        version: the feature version.
        rows: stored rows; None where the feature has never run.
        now: counted as the store stands; None where it cannot be: a root whose samples are not
            given, or a required parent without rows.
        then: counted as the store will stand once the features above have run their part of the
            plan; None where it cannot be, see `unknown`.
        inexact: why `then` may turn out otherwise; empty where it is exact.
        unknown: why nothing can be said of `then`; empty where something is.
        causes: of the units in `then`, most samples first.
        planned: units of `then` that the limits let in.
        seconds, money: of the planned units; None where nothing is known.
        units: the id columns, and one list of ids for each planned unit; None where the plan does
            not name them.
    """

    feature: str
    version: str
    rows: int | None = None
    now: Counts | None = None
    then: Counts | None = None
    inexact: str = ""
    unknown: str = ""
    causes: tuple[Cause, ...] = ()
    planned: int = 0
    seconds: Estimate | None = None
    money: Estimate | None = None
    unit: tuple[str, ...] = ()
    units: tuple[tuple[Id, ...], ...] | None = None

    def frame(self) -> dict[str, list[Id]]:
        """The planned units, column by column: what data frames are made from.

        Raises:
            PlanError: the plan does not name them.
        """
        if self.units is None:
            raise PlanError(
                f"The plan does not name the units of '{self.feature}': make it with_units=True, "
                "and give the samples of roots."
            )
        columns = zip(*self.units, strict=True) if self.units else ([] for _ in self.unit)
        return {name: list(ids) for name, ids in zip(self.unit, columns, strict=True)}


class WorkPlan(_Value):
    """What every feature of a graph has to do; saved as JSON and applied exactly.

    Attributes:
        snapshot: the snapshot version of the graph it is for.
        store: the store in words, without secrets.
        features: parents first.

    Raises:
        PlanError: see `load` and `of`.
    """

    format: Literal[1] = 1
    made_at: datetime
    project: str
    snapshot: str
    store: str
    features: tuple[PlannedFeature, ...]

    def __iter__(self) -> Iterator[PlannedFeature]:  # type: ignore[override]  # not field by field
        return iter(self.features)

    @property
    def is_in_sync(self) -> bool:
        """Whether no feature has anything to do, now or later."""
        return not any(
            one.unknown
            or one.inexact
            or (one.then and (one.then.todo or one.then.waiting or one.then.orphaned))
            for one in self.features
        )

    @property
    def planned(self) -> int:
        """Units of all features."""
        return sum(one.planned for one in self.features)

    @property
    def seconds(self) -> Estimate | None:
        """The sum over features, of those that have one."""
        return total([one.seconds for one in self.features if one.seconds])

    @property
    def money(self) -> Estimate | None:
        """The sum over features, of those that have one."""
        return total([one.money for one in self.features if one.money])

    def of(self, feature: object) -> PlannedFeature:
        """The part of one feature.

        Raises:
            PlanError: the plan does not have it.
        """
        key = str(FeatureKey.of(feature))
        for one in self.features:
            if one.feature == key:
                return one
        raise PlanError(
            f"The plan does not have the feature '{key}'. It has: "
            f"{', '.join(one.feature for one in self.features)}."
        )

    def check(self, snapshot: str) -> None:
        """Refuse to apply the plan to another graph than the one it was made for.

        Raises:
            PlanError: the graph's snapshot version is another.
        """
        if snapshot != self.snapshot:
            raise PlanError(
                f"The plan was made for the graph {self.snapshot[:8]}, the code declares "
                f"{snapshot[:8]}. Make it anew: metaxy plan --out FILE."
            )

    def save(self, path: str | Path) -> None:
        """Write the plan as JSON."""
        Path(path).write_text(self.model_dump_json(indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> WorkPlan:
        """Read a plan that was saved.

        Raises:
            PlanError: there is no such file, or it is not a plan.
        """
        try:
            return cls.model_validate_json(Path(path).read_text(encoding="utf-8"))
        except ValidationError as error:
            raise PlanError(f"{path} is not a plan: {told(error)}") from error
        except (OSError, UnicodeDecodeError) as error:
            raise PlanError(f"The plan {path} cannot be read: {error}") from error


def total(estimates: Sequence[Estimate]) -> Estimate | None:
    """The sum over features; None of none."""
    if not estimates:
        return None
    # Features run one after the other; their spreads are not independent, so p90 adds up as well.
    return Estimate(
        p50=sum(one.p50 for one in estimates),
        p90=sum(one.p90 for one in estimates),
        runs=min(one.runs for one in estimates),
    )
