"""Digests: the algorithm, the numbered formula, and the same hash in Python.

Engines hash text they get from here: a seed per field, made once in Python, and hex digests
joined by a separator that hex cannot contain.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

SEPARATOR: Final = "\x1f"
"""Stands between digests; no hex digit is equal to it."""
ABSENT: Final = "absent"
"""Stands for an optional parent that a sample does not have; no digest is equal to it."""
OVERRIDE: Final = "override"
"""Opens the text of an overridden data version; no seed is equal to it."""


class HashAlgorithm(StrEnum):
    """Hash functions a store may use; every digest is lower-case hex and never cut."""

    MD5 = "md5"
    SHA256 = "sha256"

    @property
    def hex_length(self) -> int:
        """Characters of a digest."""
        return {"md5": 32, "sha256": 64}[self.value]


@dataclass(frozen=True, slots=True)
class HashScheme:
    """What makes digests comparable: the algorithm and the number of the formula.

    A store records its scheme and refuses rows of another one.

    >>> HashScheme().digest("a")
    '0cc175b9c0f1b6a831c399e269772661'
    """

    algorithm: HashAlgorithm = HashAlgorithm.MD5
    formula: int = 1

    def __str__(self) -> str:
        return f"{self.algorithm.value}/{self.formula}"

    @classmethod
    def parse(cls, text: str) -> HashScheme:
        """Read what `str(scheme)` wrote, `"md5/1"`."""
        algorithm, formula = text.split("/")
        return cls(HashAlgorithm(algorithm), int(formula))

    def digest(self, *texts: str) -> str:
        """Hash the texts joined by the separator; lower-case hex."""
        joined = SEPARATOR.join(texts).encode()
        return hashlib.new(self.algorithm.value, joined, usedforsecurity=False).hexdigest()

    def seed(self, field: str, code_version: str, parents: Sequence[str]) -> str:
        """The static half of a field's provenance.

        H of the canonical JSON of formula number, field key, code version and the sorted parent
        references `feature/field` (docs/semantics.md, section 3).
        """
        return self.digest(canonical_json([self.formula, field, code_version, sorted(parents)]))


def canonical_json(value: object) -> str:
    """JSON with sorted keys, no spaces and no escapes: one text per value."""
    return _CANONICAL.encode(value)


_CANONICAL = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, check_circular=False
)


def sha256(text: str) -> str:
    """The static versions' hash: 64 hex characters of the UTF-8 text."""
    return hashlib.sha256(text.encode()).hexdigest()
