"""Why one sample is to be done: the tree of causes, down to the root's data or a code version."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

Kind = Literal[
    "code", "unrecorded", "data", "samples", "override", "new", "gone", "member", "predicate"
]
Status = Literal["new", "stale", "orphaned", "waiting", "failed", "up to date", "stored", "unknown"]


class Reason(BaseModel):
    """One cause, and what caused it.

    Attributes:
        kind: `code` (another code version), `unrecorded` (another feature version, of a graph that
            this store has not recorded), `data` (a parent's field has another data version),
            `samples` (a root's samples say otherwise), `override` (a data version was given by
            hand), `new` and `gone` (a parent's sample appeared, or is not there any more),
            `member` (a group has other members), `predicate`.
        subject: the field, `feature.field`, or the feature.
        before, after: code versions, or the beginnings of feature or data versions.
        at: when the row that made the difference was written, UTC; None for code.
        run: the run that wrote it.
        sample: the ids of the sample meant, where it is not the one above.
    """

    model_config = ConfigDict(frozen=True)

    kind: Kind
    subject: str
    before: str | None = None
    after: str | None = None
    at: datetime | None = None
    run: str | None = None
    sample: dict[str, str | int | bool] = {}
    because: tuple[Reason, ...] = ()

    def __str__(self) -> str:
        told = f"{_WORDS[self.kind].format(self.subject)}"
        if self.sample:
            told += f" ({', '.join(f'{name}={value}' for name, value in self.sample.items())})"
        if self.before is not None or self.after is not None:
            told += f" {self.before or 'none'} → {self.after or 'none'}"
        if self.at is not None:
            told += f", {_time(self.at)}"
        return told + (f" by run {self.run}" if self.run else "")


class Failure(BaseModel):
    """How a sample failed the last time; see `MetadataStore.record_failures`.

    Attributes:
        error: the class of the exception.
        attempt: how often it failed, made from the same.
        run: the run in which it failed.
        failed_at, retry_at: when, and when it is offered again, UTC.
        quarantined: it is not offered again before `retry_failures`, other inputs or other code.
    """

    model_config = ConfigDict(frozen=True)

    error: str
    message: str
    attempt: int
    run: str | None
    failed_at: datetime
    retry_at: datetime
    quarantined: bool

    def __str__(self) -> str:
        by = f" of run {self.run}" if self.run else ""
        again = "quarantined" if self.quarantined else f"offered again {_time(self.retry_at)}"
        told = f"attempt {self.attempt}{by}, {_time(self.failed_at)}; {again}"
        return f"failed with {self.error}: {self.message} ({told})"


class Explanation(BaseModel):
    """Why a sample of a feature is to be done, or not.

    Attributes:
        sample: the unit's ids.
        status: as in an increment; `stored` for a root whose samples are not given, `unknown` for
            a unit that is neither expected nor stored.
        stored_at, run, version: of the stored row; None where there is none.
        failure: how it failed the last time, unless it was stored since.
        fields: the reasons per field that differs; per feature, `""`, where it is not one field.
    """

    model_config = ConfigDict(frozen=True)

    feature: str
    sample: dict[str, str | int | bool]
    status: Status
    stored_at: datetime | None = None
    run: str | None = None
    version: str | None = None
    failure: Failure | None = None
    fields: dict[str, tuple[Reason, ...]] = {}

    def lines(self) -> Iterator[tuple[int, str]]:
        """The explanation as text, line by line, with how deep each is indented."""
        ids = ", ".join(f"{name}={value}" for name, value in self.sample.items())
        stored = f"; stored {_time(self.stored_at)}" if self.stored_at else ""
        by = f" by run {self.run}" if self.run else ""
        status = "neither stored nor expected" if self.status == "unknown" else self.status
        yield 0, f"{self.feature} ({ids}) is {status}{stored}{by}"
        if self.failure is not None:
            yield 1, str(self.failure)
        for field, reasons in self.fields.items():
            if field:
                yield 1, f"{self.feature}.{field} differs"
            for reason in reasons:
                yield from _lines(reason, 2 if field else 1)

    def __str__(self) -> str:
        return "\n".join(f"{'  ' * depth}{line}" for depth, line in self.lines())


_WORDS: dict[Kind, str] = {
    "code": "{} code",
    "unrecorded": "another feature version of {}, not recorded here:",
    "data": "new data of {}",
    "samples": "the samples of {} say otherwise",
    "override": "data version of {} given by hand",
    "new": "{} has it",
    "gone": "{} has it no more",
    "member": "other members of {}",
    "predicate": "a staleness predicate of {} holds",
}


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def _lines(reason: Reason, depth: int) -> Iterator[tuple[int, str]]:
    yield depth, str(reason)
    for cause in reason.because:
        yield from _lines(cause, depth + 1)
