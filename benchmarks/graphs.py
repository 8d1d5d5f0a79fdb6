"""The graphs that are measured, as plain values: each system makes its own graph of them.

Nothing but the standard library is imported here, because the peer's environment reads it too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Lineage = Literal["identity", "aggregation", "expansion"]


@dataclass(frozen=True)
class Feature:
    """A feature as every system can declare it.

    Attributes:
        fields: each with the parents' fields that it is made from, `feature/field`, sorted.
        parents: each with its lineage; none for a root.
        column: what a root tells of its samples besides ids and fields.
    """

    key: str
    fields: Mapping[str, tuple[str, ...]]
    parents: Mapping[str, Lineage] = field(default_factory=dict)
    ids: tuple[str, ...] = ("id",)
    column: str = "path"

    @property
    def unit(self) -> tuple[str, ...]:
        """The ids that one row of an increment has."""
        return ("id",) if "expansion" in self.parents.values() else self.ids


@dataclass(frozen=True)
class Shape:
    """A graph, parents before children."""

    name: str
    features: tuple[Feature, ...]

    def __getitem__(self, key: str) -> Feature:
        return next(one for one in self.features if one.key == key)

    @property
    def roots(self) -> tuple[Feature, ...]:
        """The features whose samples are made up."""
        return tuple(one for one in self.features if not one.parents)

    @property
    def derived(self) -> tuple[Feature, ...]:
        """The features that are compared with their parents."""
        return tuple(one for one in self.features if one.parents)


def root(key: str, *fields: str, column: str = "path") -> Feature:
    """A feature without parents."""
    return Feature(key, dict.fromkeys(fields, ()), column=column)


SIMPLE = Shape(
    "simple",
    (
        root("video", "audio", "frames"),
        Feature("crop", {"default": ("video/audio", "video/frames")}, {"video": "identity"}),
    ),
)
PAIRED = Shape(
    "paired",
    (
        root("video", "audio", "frames"),
        Feature(
            "crop",
            {"audio": ("video/audio",), "frames": ("video/frames",)},
            {"video": "identity"},
        ),
    ),
)
WIDE = Shape(
    "wide",
    (
        root("pictures", "a", "b", "c", "d"),
        root("sound", "a", "b", "c", "d", column="caption"),
        Feature(
            "clip",
            {
                "first": ("pictures/a", "pictures/b", "sound/a", "sound/b"),
                "second": ("pictures/c", "pictures/d", "sound/c", "sound/d"),
            },
            {"pictures": "identity", "sound": "identity"},
        ),
    ),
)
DEEP = Shape(
    "deep",
    (
        root("step0", "default"),
        *(
            Feature(
                f"step{n}", {"default": (f"step{n - 1}/default",)}, {f"step{n - 1}": "identity"}
            )
            for n in range(1, 10)
        ),
    ),
)
MANY_TO_ONE = Shape(
    "N:1",
    (
        root("recording", "default", column="channel"),
        Feature(
            "channel",
            {"default": ("recording/default",)},
            {"recording": "aggregation"},
            ids=("channel",),
        ),
    ),
)
ONE_TO_MANY = Shape(
    "1:N",
    (
        root("video", "default"),
        Feature("chunk", {"default": ("video/default",)}, {"video": "expansion"}, ("id", "number")),
    ),
)
SHAPES = {shape.name: shape for shape in (SIMPLE, PAIRED, WIDE, DEEP, MANY_TO_ONE, ONE_TO_MANY)}
