"""A feature: its key, how its samples are identified, its fields and its parents."""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, JsonValue, model_validator

from metaxy_core.aliases import CallableSpec
from metaxy_core.columns import is_system
from metaxy_core.errors import KeyCollisionError
from metaxy_core.keys import FeatureKey, FieldKey
from metaxy_core.spec.deps import FeatureDep, Texts
from metaxy_core.spec.fields import FieldSpec
from metaxy_core.spec.value import Value


def _sequence(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else (value,)


class FeatureSpec(Value, CallableSpec):
    """The declaration of a feature.

    `fields` are sorted nowhere: their order is the user's, versions sort by key. Without fields a
    feature has one, `default`. `provenance_from` (roots only) says which text, integer or boolean
    columns a field's provenance is made from. `columns` is the declared type of user columns,
    filled from a feature class's annotations. `description` and `metadata` are free.

    Raises:
        pydantic.ValidationError: an argument is unknown or of the wrong type.
        KeyCollisionError: two fields would share a column.

    >>> spec = FeatureSpec(key="example/video", id_columns=["video_id"], fields=["audio", "frames"])
    >>> spec.is_root, [str(field.key) for field in spec.fields]
    (True, ['audio', 'frames'])
    """

    key: FeatureKey
    id_columns: Annotated[Texts, Field(min_length=1)] = ("sample_uid",)
    deps: Annotated[tuple[FeatureDep, ...], BeforeValidator(_sequence)] = ()
    fields: Annotated[tuple[FieldSpec, ...], Field(min_length=1)] = (FieldSpec("default"),)
    metadata: dict[str, JsonValue] = Field(default_factory=dict)
    description: str | None = None
    project: str | None = None
    columns: dict[str, str] = Field(default_factory=dict)
    provenance_from: dict[FieldKey, Texts] = Field(default_factory=dict)

    def __init__(self, key: Any = None, /, **values: Any) -> None:
        if values.get("deps", ()) is None:
            values["deps"] = ()
        super().__init__(**(values if key is None else {"key": key, **values}))

    def __repr__(self) -> str:
        return f"FeatureSpec('{self.key}')"

    @property
    def is_root(self) -> bool:
        """Whether the feature has no parents: its samples come from the user."""
        return not self.deps

    @cached_property
    def field_keys(self) -> tuple[FieldKey, ...]:
        """The fields' keys, sorted."""
        return tuple(sorted(field.key for field in self.fields))

    @model_validator(mode="after")
    def _fits(self) -> FeatureSpec:
        if is_system(str(self.key)):
            raise ValueError(f"feature keys may not begin with 'metaxy_'; given: {self.key}")
        if owned := [name for name in self.id_columns if is_system(name)]:
            raise ValueError(f"id columns may not begin with 'metaxy_': {', '.join(owned)}")
        if len({name.lower() for name in self.id_columns}) < len(self.id_columns):
            raise ValueError(f"id columns are named twice: {', '.join(self.id_columns)}")
        seen: dict[str, FieldKey] = {}
        for key in (field.key for field in self.fields):
            clash = seen.setdefault(key.to_column().lower(), key)
            if clash is not key:
                raise KeyCollisionError(
                    f"Feature '{self.key}': the fields '{clash}' and '{key}' would share a column."
                )
        parents = [dep.feature for dep in self.deps]
        if twice := sorted({str(key) for key in parents if parents.count(key) > 1}):
            raise ValueError(f"feature '{self.key}' depends twice on: {', '.join(twice)}")
        if self.provenance_from:
            self._provenance_fits()
        return self

    def _provenance_fits(self) -> None:
        if self.deps:
            raise ValueError(
                f"provenance_from is for roots; '{self.key}' has parents, which make its provenance"
            )
        missing = set(self.field_keys) ^ set(self.provenance_from)
        if missing:
            raise ValueError(
                f"provenance_from must name each field of '{self.key}' once and no other; "
                f"it differs in: {', '.join(sorted(map(str, missing)))}"
            )
