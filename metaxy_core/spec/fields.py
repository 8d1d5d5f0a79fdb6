"""Fields: logical parts of a feature's data, their code versions and what they are made from."""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from metaxy_core.aliases import FIELD_DEP, FIELD_SPEC, renamed
from metaxy_core.keys import FeatureKey, FieldKey
from metaxy_core.spec.value import Value


class SpecialFieldDep(Enum):
    """`SpecialFieldDep.ALL`: every field of every upstream feature."""

    ALL = "__ALL__"


ALL = SpecialFieldDep.ALL


def _code_version(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


CodeVersion = Annotated[str, BeforeValidator(_code_version), Field(min_length=1)]
"""The user's own label of a field's logic; an int is accepted and printed in decimal."""


class FieldDep(Value):
    """Fields of one upstream feature that a field is made from.

    >>> FieldDep(feature="example/video", fields=["audio"]).fields
    (FieldKey('audio'),)
    """

    feature: FeatureKey
    fields: SpecialFieldDep | tuple[FieldKey, ...] = ALL

    @model_validator(mode="before")
    @classmethod
    def _spelled(cls, value: Any) -> Any:
        return renamed(value, FIELD_DEP) if isinstance(value, dict) else value


class FieldSpec(Value):
    """A field: its key, its code version and, where the automatic mapping is not meant, its deps.

    `deps=None` maps automatically, dependency by dependency (see `FieldsMapping`); a list of
    `FieldDep` replaces everything automatic, the empty list included; `SpecialFieldDep.ALL` is
    every field of every upstream. A bare string stands for a field with code version 1.

    >>> FieldSpec("audio", code_version=2).code_version
    '2'
    """

    key: FieldKey
    code_version: CodeVersion = "1"
    deps: SpecialFieldDep | tuple[FieldDep, ...] | None = None

    def __init__(self, key: Any = None, /, **values: Any) -> None:
        super().__init__(**(values if key is None else {"key": key, **values}))

    @model_validator(mode="before")
    @classmethod
    def _from_short_form(cls, value: Any) -> Any:
        if isinstance(value, str | FieldKey):
            return {"key": value}
        return renamed(value, FIELD_SPEC) if isinstance(value, dict) else value


class FieldsMapping(Value):
    """How the fields of a feature map to those of one parent when nothing explicit is said.

    `default`: the upstream field of the same name, and all its fields where no name matches; with
    `match_suffix` an upstream `audio/french` matches the field `french`; `exclude_fields` are
    upstream fields that are never mapped. `specific` maps field to upstream fields; `all` and
    `none` say it all.
    """

    kind: Literal["default", "specific", "all", "none"] = "default"
    match_suffix: bool = False
    exclude_fields: tuple[FieldKey, ...] = ()
    fields: tuple[tuple[FieldKey, tuple[FieldKey, ...]], ...] = ()

    @classmethod
    def default(cls, *, match_suffix: bool = False, exclude_fields: Any = ()) -> FieldsMapping:
        """Same name, else everything."""
        return cls(match_suffix=match_suffix, exclude_fields=tuple(exclude_fields))

    @classmethod
    def specific(cls, mapping: dict[Any, Any]) -> FieldsMapping:
        """Field to upstream fields, `{"faces": ["frames"]}`; a field left out maps to none."""
        pairs = ((k, (v,) if isinstance(v, str) else tuple(v)) for k, v in mapping.items())
        return cls(kind="specific", fields=tuple(pairs))

    @classmethod
    def all(cls) -> FieldsMapping:
        """Every field to every upstream field."""
        return cls(kind="all")

    @classmethod
    def none(cls) -> FieldsMapping:
        """No field to any upstream field: the edge gives samples, not versions."""
        return cls(kind="none")

    def mapped(self, field: FieldKey, upstream: tuple[FieldKey, ...]) -> tuple[FieldKey, ...]:
        """The upstream fields that a field is made from."""
        match self.kind:
            case "none":
                return ()
            case "all":
                return upstream
            case "specific":
                return dict(self.fields).get(field, ())
        if field in upstream and field not in self.exclude_fields:
            return (field,)
        allowed = tuple(key for key in upstream if key not in self.exclude_fields)
        suffixed = tuple(key for key in allowed if self.match_suffix and key.ends_with(field))
        return suffixed or allowed
