"""The base of declared values: frozen, and strict about unknown arguments."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Value(BaseModel):
    """An immutable declaration; an unknown argument is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")
