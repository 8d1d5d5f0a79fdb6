"""How samples of a feature come from samples of a parent: 1:1, N:1 or 1:N."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from pydantic import model_validator

from metaxy_core.spec.value import Value


class LineageKind(StrEnum):
    """The three shapes of an edge."""

    IDENTITY = "identity"
    AGGREGATION = "aggregation"
    EXPANSION = "expansion"


class LineageRelationship(Value):
    """The shape of an edge and the columns, after renaming, that identify its group or parent.

    >>> LineageRelationship.aggregation(on=["speaker"]).on
    ('speaker',)
    """

    kind: LineageKind = LineageKind.IDENTITY
    on: tuple[str, ...] | None = None

    @classmethod
    def identity(cls) -> LineageRelationship:
        """One sample from one parent sample, on the parent's id columns (1:1)."""
        return cls()

    @classmethod
    def aggregation(cls, on: Sequence[str]) -> LineageRelationship:
        """One sample from all parent samples that agree on `on` (N:1)."""
        return cls(kind=LineageKind.AGGREGATION, on=_columns(on))

    @classmethod
    def expansion(cls, on: Sequence[str] | None = None) -> LineageRelationship:
        """Any number of samples from one parent sample (1:N); `on`: the parent's id columns."""
        return cls(kind=LineageKind.EXPANSION, on=None if on is None else _columns(on))

    @model_validator(mode="after")
    def _on_fits(self) -> LineageRelationship:
        if self.kind is LineageKind.AGGREGATION and not self.on:
            raise ValueError("aggregation(on=...) needs at least one column")
        if self.kind is LineageKind.IDENTITY and self.on is not None:
            raise ValueError("identity() takes no columns: it joins on the parent's id columns")
        return self


def _columns(on: Sequence[str]) -> tuple[str, ...]:
    return (on,) if isinstance(on, str) else tuple(on)
