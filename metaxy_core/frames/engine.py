"""Which engine computes: everything is brought to one before the algebra begins."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from metaxy_core.frames.dialect import DataFrame, Dialect, LazyFrame

EngineName = Literal["auto", "native", "polars"]


class Hold(Protocol):
    """Computes a frame once and keeps the result while the store is open.

    `build` makes the frame. Where `key` is given and known, an engine that keeps compiled queries
    need not call it: the key must say everything the frame depends on but the content of tables
    and of the frames in `uses`, which were held before, and the `numbers` that `build` is called
    with, which it uses as values alone.
    """

    def __call__(
        self,
        build: Callable[..., LazyFrame],
        key: Hashable | None = None,
        uses: Sequence[LazyFrame] = (),
        numbers: Sequence[int] = (),
    ) -> LazyFrame:
        """The held frame."""
        ...


class Take(Protocol):
    """Computes a frame into memory, over Polars; arguments as `Hold`."""

    def __call__(
        self,
        build: Callable[..., LazyFrame],
        key: Hashable | None = None,
        uses: Sequence[LazyFrame] = (),
        numbers: Sequence[int] = (),
    ) -> DataFrame:
        """The rows."""
        ...


@dataclass(frozen=True)
class Engine:
    """Where a comparison is computed.

    Attributes:
        dialect: its frame functions.
        bring: moves a frame of another engine here; gives back one that is here already.
        hold: computes a frame once and keeps the result.
        take: the same into memory, where nothing is kept; over Polars.
        release: lets go of a held frame.
    """

    dialect: Dialect
    bring: Callable[[LazyFrame], LazyFrame]
    hold: Hold
    take: Take
    release: Callable[[LazyFrame], None]


@dataclass(frozen=True)
class Query:
    """What `Hold` and `Take` are asked; who asks knows which of them it needs."""

    engine: Engine
    build: Callable[..., LazyFrame]
    key: Hashable | None = None
    uses: Sequence[LazyFrame] = ()
    numbers: Sequence[int] = ()

    def hold(self) -> LazyFrame:
        """Keep the result in the engine."""
        return self.engine.hold(self.build, self.key, self.uses, self.numbers)

    def take(self) -> DataFrame:
        """Bring the result into memory, over Polars."""
        return self.engine.take(self.build, self.key, self.uses, self.numbers)


def release_nothing(frame: LazyFrame) -> None:
    """`release` for Polars: memory is freed with the frame."""


def hold_in_memory(
    build: Callable[..., LazyFrame],
    key: Hashable | None = None,
    uses: Sequence[LazyFrame] = (),
    numbers: Sequence[int] = (),
) -> LazyFrame:
    """`Hold` for Polars."""
    return build(*numbers).collect().lazy()


def take_in_memory(
    build: Callable[..., LazyFrame],
    key: Hashable | None = None,
    uses: Sequence[LazyFrame] = (),
    numbers: Sequence[int] = (),
) -> DataFrame:
    """`Take` for Polars."""
    return build(*numbers).collect()
