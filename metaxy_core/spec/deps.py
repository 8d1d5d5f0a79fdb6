"""An edge: a parent feature, which of its rows and columns, and how samples correspond."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, field_serializer, model_validator

from metaxy_core.aliases import FEATURE_DEP, renamed
from metaxy_core.columns import is_system
from metaxy_core.keys import FeatureKey
from metaxy_core.spec.fields import FieldsMapping
from metaxy_core.spec.lineage import LineageRelationship
from metaxy_core.spec.value import Value


def _texts(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


Texts = Annotated[tuple[str, ...], BeforeValidator(_texts)]


class FeatureDep(Value):
    """A dependency on a parent feature.

    The parent's rows are renamed, then filtered, then selected, in that order: `filters`, `select`
    and the lineage's `on` use names after renaming. `select=None` takes every user column;
    `filters` are texts of the filter language (docs/filters.md), all of which must hold;
    `optional` keeps samples that this parent does not have. A bare feature, or its key, stands
    for a dependency without any of these.

    >>> FeatureDep("example/video", rename={"path": "video_path"}).rename
    {'path': 'video_path'}
    """

    feature: FeatureKey
    select: Texts | None = None
    rename: dict[str, str] = Field(default_factory=dict)
    filters: Texts = ()
    lineage: LineageRelationship = LineageRelationship()
    optional: bool = False
    fields_mapping: FieldsMapping = FieldsMapping()

    def __init__(self, feature: Any = None, /, **values: Any) -> None:
        super().__init__(**(values if feature is None else {"feature": feature, **values}))

    @model_validator(mode="before")
    @classmethod
    def _from_short_form(cls, value: Any) -> Any:
        if isinstance(value, dict):
            return renamed(value, FEATURE_DEP)
        return value if isinstance(value, FeatureDep) else {"feature": value}

    @model_validator(mode="after")
    def _names_are_the_users(self) -> FeatureDep:
        names = [*self.rename, *self.rename.values(), *(self.select or ())]
        if owned := sorted({name for name in names if is_system(name)}):
            raise ValueError(f"select and rename are for user columns; given: {', '.join(owned)}")
        if len(set(self.rename.values())) < len(self.rename):
            raise ValueError(f"rename gives two columns one name: {self.rename}")
        return self

    @field_serializer("rename")
    def _in_order(self, rename: dict[str, str]) -> dict[str, str]:
        return dict(sorted(rename.items()))
