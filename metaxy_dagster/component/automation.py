"""The attribute `automation`: what asks for runs.

Dagster reads the annotations here itself, so this module has no postponed ones.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any

import dagster as dg

from metaxy_dagster.automation.declarative import metaxy_automation_sensor, on_increment
from metaxy_dagster.automation.schedules import build_increment_schedule
from metaxy_dagster.automation.sensors import increment_sensor
from metaxy_dagster.factory import Built
from metaxy_dagster.resource import MetaxyStore


@dataclass(frozen=True)
class OnIncrement(dg.Resolvable):
    """The condition `on_increment`, and the sensor that evaluates it.

    Attributes:
        every: seconds between ticks, at least.
    """

    min_samples: int = 1
    max_wait_minutes: float | None = None
    every: int = 60


@dataclass(frozen=True)
class Sensor(dg.Resolvable):
    """An `increment_sensor`.

    Attributes:
        every: seconds between ticks, at least.
        preview: tag the runs with what they will find.
    """

    every: int = 60
    preview: bool = True


@dataclass(frozen=True)
class Automation(dg.Resolvable):
    """What asks for runs: `on_increment`, `sensor` or `cron`, one of them.

    Attributes:
        cron: of a `build_increment_schedule`.
        timezone: of `cron`; UTC unless said.
        running: on from the start, not when somebody switches it on.
    """

    on_increment: OnIncrement | None = None
    sensor: Sensor | None = None
    cron: str | None = None
    timezone: str | None = None
    running: bool = False

    def __post_init__(self) -> None:
        said = [name for name in ("on_increment", "sensor", "cron") if getattr(self, name)]
        if len(said) != 1:
            given = " and ".join(said) or "none of them"
            raise ValueError(f"automation: one of on_increment, sensor and cron; given: {given}.")
        if self.timezone is not None and self.cron is None:
            raise ValueError("automation: timezone is of a cron, which is not given.")

    @classmethod
    def named(cls, text: str) -> "Automation":
        """What is meant by `increment`, `sensor` or the text of a cron."""
        if text == "increment":
            return cls(OnIncrement())
        if text == "sensor":
            return cls(sensor=Sensor())
        if " " not in text and not text.startswith("@"):
            raise ValueError(f"automation: {text!r} is neither increment, nor sensor, nor a cron.")
        return cls(cron=text)

    def condition(self, store: MetaxyStore) -> dg.AutomationCondition[Any] | None:
        """The condition of every asset that a function makes."""
        if self.on_increment is None:
            return None
        minutes = self.on_increment.max_wait_minutes
        wait = None if minutes is None else timedelta(minutes=minutes)
        return on_increment(store, min_samples=self.on_increment.min_samples, max_wait=wait)

    def make(self, built: Built) -> list[dg.SensorDefinition | dg.ScheduleDefinition]:
        """The sensor or the schedule of what functions make."""
        if not built.computed:
            return []
        assets = list(built.computed.values())
        how: dict[str, Any] = {"graph": built.graph, "translation": built.translation}
        if self.on_increment is not None:
            target = dg.AssetSelection.assets(*assets)
            every = self.on_increment.every
            return [metaxy_automation_sensor(target, every=every, default_status=self._of_sensor)]
        if self.sensor is not None:
            how |= {"every": self.sensor.every, "preview": self.sensor.preview}
            return [increment_sensor(assets, default_status=self._of_sensor, **how)]
        assert self.cron is not None  # checked at the beginning
        status = dg.DefaultScheduleStatus[self._of_sensor.name]
        how |= {"timezone": self.timezone, "default_status": status}
        return [build_increment_schedule(self.cron, assets, **how)]

    @property
    def _of_sensor(self) -> dg.DefaultSensorStatus:
        return dg.DefaultSensorStatus.RUNNING if self.running else dg.DefaultSensorStatus.STOPPED


def _resolve(context: dg.ResolutionContext, said: Any) -> Automation | None:
    made: Any = context.resolve_value(said) if isinstance(said, str) else said
    if made is None:
        return None
    if isinstance(made, str):
        return Automation.named(made)
    if isinstance(made, dg.AutomationCondition):
        raise ValueError("automation: a condition is the translation's automation_condition.")
    resolved: Automation = Automation.resolve_from_model(context, made)
    return resolved


AutomationAttribute = Annotated[
    Automation | None,
    dg.Resolver(
        _resolve,
        model_field_type=str | Automation.model() | None,
        inject_before_resolve=False,
        description="What asks for runs: increment, sensor, a cron, or one of them with options.",
        examples=["increment", "0 6 * * *", {"on_increment": {"min_samples": 100}}],
    ),
]
