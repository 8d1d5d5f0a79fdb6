"""Names of features and fields: parse, order, render as a table or column name.

Rendering is injective: a part holds no double underscore and neither begins nor ends with an
underscore, so joining parts with `__` can be undone. Databases that fold case are the graph's
concern: it refuses two keys that differ only in case.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple, Self

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from metaxy_core.errors import InvalidKeyError

_PART = re.compile(r"[A-Za-z0-9-]+(?:_[A-Za-z0-9-]+)*")
_MAX_LENGTH = 200


@dataclass(frozen=True, order=True, slots=True, init=False)
class _Key:
    parts: tuple[str, ...]
    # Keys are looked up and printed far more often than they are made.
    _text: str = field(compare=False)
    _hash: int = field(compare=False)

    def __init__(self, key: Any) -> None:
        parts = type(self)._parse(key)
        for name, value in (("parts", parts), ("_text", "/".join(parts)), ("_hash", hash(parts))):
            object.__setattr__(self, name, value)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return self.parts == other.parts if type(other) is type(self) else NotImplemented

    def __reduce__(self) -> Any:
        # Another process hashes text otherwise.
        return type(self), (self.parts,)

    @classmethod
    def _parse(cls, key: Any) -> tuple[str, ...]:
        if isinstance(key, _Key):
            return key.parts
        parts = key.split("/") if isinstance(key, str) else key
        if not isinstance(parts, Sequence) or not parts:
            raise InvalidKeyError(
                f"{cls.__name__} is made of text parts, like 'video/crop'; given: {key!r}"
            )
        for part in parts:
            if not isinstance(part, str) or not _PART.fullmatch(part):
                raise InvalidKeyError(
                    f"{cls.__name__} {key!r}: the part {part!r} is not allowed. A part is made of "
                    "letters, digits, '-' and single '_' in between, like 'face_detection'."
                )
        if sum(map(len, parts)) > _MAX_LENGTH:
            raise InvalidKeyError(f"{cls.__name__} is longer than {_MAX_LENGTH} characters.")
        return tuple(parts)

    @classmethod
    def of(cls, value: Any) -> Self:
        """Read a key from any of its short forms: a key, `"a/b"` or `["a", "b"]`."""
        if isinstance(value, cls):
            return value
        return cls._shared(value) if isinstance(value, str) else cls(value)

    @classmethod
    @lru_cache(maxsize=8192)
    def _shared(cls, text: str) -> Self:
        """One object per text: equal keys are mostly the same, which is seen at once."""
        return cls(text)

    @property
    def _sql_name(self) -> str:
        return "__".join(self.parts)

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"

    def __iter__(self) -> Iterator[str]:
        return iter(self.parts)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls.of, serialization=core_schema.to_string_ser_schema()
        )


class FeatureKey(_Key):
    """The name of a feature: `"example/video"`, `["example", "video"]` or a feature itself.

    Raises:
        InvalidKeyError: a part holds other characters than letters, digits, `-` and single `_`.

    >>> FeatureKey("example/video").to_table()
    'example__video'
    """

    __slots__ = ()

    def __init__(self, key: Any) -> None:
        declared = getattr(key, "spec", key)
        super().__init__(getattr(declared, "key", declared))

    def to_table(self) -> str:
        """The feature's table name: the parts joined by `__`."""
        return self._sql_name


class FieldKey(_Key):
    """The name of a field of a feature: `"audio"` or `"audio/french"`.

    >>> FieldKey("audio/french").to_column()
    'audio__french'
    """

    __slots__ = ()

    def to_column(self) -> str:
        """The suffix of the field's columns: the parts joined by `__`."""
        return self._sql_name

    def ends_with(self, other: FieldKey) -> bool:
        """Whether the last parts of this key are the other key."""
        return self.parts[-len(other.parts) :] == other.parts


class FieldRef(NamedTuple):
    """A field of a named feature; printed as `feature.field`, the `fq` of the formulas."""

    feature: FeatureKey
    field: FieldKey

    def __str__(self) -> str:
        return f"{self.feature}.{self.field}"
