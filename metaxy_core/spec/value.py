"""The base of declared values: frozen, and strict about unknown arguments."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, ValidationError


class Value(BaseModel):
    """An immutable declaration; an unknown argument is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def told(error: ValidationError) -> str:
    """What pydantic found wrong, on one line."""
    found = [
        f"{'.'.join(map(str, one['loc'])) or 'value'}: {one['msg']}"
        for one in error.errors(include_url=False)
    ]
    return f"{error.title}: {'; '.join(found)}"
