"""Which engine computes: everything is brought to one before the algebra begins."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from metaxy_core.frames.dialect import Dialect, LazyFrame

EngineName = Literal["auto", "native", "polars"]


@dataclass(frozen=True)
class Engine:
    """Where a comparison is computed.

    Attributes:
        dialect: its frame functions.
        bring: moves a frame of another engine here; gives back one that is here already.
        hold: computes a frame once and keeps the result.
    """

    dialect: Dialect
    bring: Callable[[LazyFrame], LazyFrame]
    hold: Callable[[LazyFrame], LazyFrame]
