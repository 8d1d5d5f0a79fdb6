"""Every exception of the library, in one tree.

MetaxyError
├── DefinitionError                     what was declared does not fit together
│   ├── InvalidKeyError
│   ├── DuplicateFeatureError
│   ├── KeyCollisionError               two keys would share a table or a column
│   ├── UnknownFeatureError             a feature that the graph does not have
│   ├── UnknownParentError
│   ├── UnknownFieldError
│   ├── CycleError
│   └── EdgeError                       an edge whose id columns do not fit
├── ExternalFeatureError                another project's feature is not there, or not as locked
├── FilterError                         a filter text that is not in the language
├── PlanError                           a file that is no plan, or a plan for another graph
├── StoreError
│   ├── StoreNotOpenError
│   ├── StoreUnavailableError           the database cannot be opened: see `reason`
│   ├── FeatureNotFoundError            no table in any store tried
│   ├── MetadataSchemaError             rows that do not fit the feature
│   ├── NotStoredError                  the database failed; the rows are kept in a file
│   ├── SpoolFileError                  a file that keeps no such rows
│   ├── CrossProjectWriteError          the feature belongs to another project
│   ├── MissingExtraError               a package that the store needs is not installed
│   ├── FallbackDeleteError             the rows live in a fallback store only
│   ├── SetClosedError                  a second plain write of one parent's children
│   ├── HashSchemeMismatchError
│   ├── HashAlgorithmNotSupportedError
│   ├── VersioningEngineMismatchError
│   ├── EngineUnavailableError          the database cannot compute with what it is given
│   ├── TagError                        a tag that is no name, or that another graph has
│   └── SystemDataNotFoundError         no such snapshot
└── ConfigError

PolarsMaterializationWarning            increments are computed in memory: the database cannot

Messages say what was asked, what was found and what to do; attributes carry the facts.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any


class MetaxyError(Exception):
    """Base of every error the library raises on purpose; they come whole out of other processes."""

    def __reduce__(self) -> tuple[Any, ...]:
        # Exception would call the class with the message alone.
        return _remade, (type(self), self.args), self.__dict__


def _remade(kind: type[MetaxyError], args: tuple[Any, ...]) -> MetaxyError:
    made = kind.__new__(kind)
    made.args = args
    return made


class DefinitionError(MetaxyError):
    """A declaration is wrong; raised before anything runs."""


class InvalidKeyError(DefinitionError):
    """A feature or field key that is not made of plain parts."""


class DuplicateFeatureError(DefinitionError):
    """A feature key declared twice in one graph."""


class KeyCollisionError(DefinitionError):
    """Two different keys that some database would store under one name."""


class UnknownFeatureError(DefinitionError, KeyError):
    """A feature that the graph does not have was asked for."""

    __str__ = Exception.__str__


class UnknownParentError(DefinitionError):
    """A dependency on a feature that the graph does not have."""


class UnknownFieldError(DefinitionError):
    """A field dependency on a field that the parent does not have."""


class CycleError(DefinitionError):
    """Features that depend on each other in a ring; `path` names it."""

    def __init__(self, path: Sequence[str]) -> None:
        self.path = tuple(path)
        super().__init__(
            f"The features depend on each other in a ring: {' -> '.join(self.path)}. "
            "Remove one of these dependencies."
        )


class EdgeError(DefinitionError):
    """An edge whose id columns do not fit the feature or its other edges."""


class ExternalFeatureError(MetaxyError):
    """A feature of another project cannot be locked, or is not what was locked."""


class FilterError(MetaxyError, ValueError):
    """A filter text outside the small filter language, or over unknown columns."""


class PlanError(MetaxyError, ValueError):
    """A plan that cannot be read, or that does not fit what it is applied to."""


class StoreError(MetaxyError):
    """A store could not do what was asked."""


class StoreNotOpenError(StoreError):
    """A store was used outside `with store:`."""


class StoreUnavailableError(StoreError):
    """The database could not be opened.

    Attributes:
        uri: where the store lives, without secrets.
        reason: one of `"missing"`, `"locked"`, `"read-only"`, `"corrupt"`, `"unreachable"`.
    """

    def __init__(self, uri: str, reason: str, advice: str) -> None:
        self.uri, self.reason = uri, reason
        super().__init__(f"Cannot open the store at {uri}: {advice}")


class FeatureNotFoundError(StoreError):
    """No store of the chain has a table of the feature.

    Attributes:
        feature: the key asked for.
        stores: the stores tried, in order.
    """

    def __init__(self, feature: str, stores: Sequence[str]) -> None:
        self.feature, self.stores = feature, tuple(stores)
        super().__init__(
            f"Feature {feature!r} has no rows in any store tried: {', '.join(self.stores)}. "
            "Materialise it first, or add the store that has it as a fallback."
        )


class MetadataSchemaError(StoreError, ValueError):
    """Rows handed to the store do not fit the feature; nothing was stored.

    Attributes:
        feature: the key the rows were meant for.
    """

    def __init__(self, feature: str, message: str) -> None:
        self.feature = feature
        super().__init__(f"Feature {feature!r}: {message}")


class NotStoredError(StoreError):
    """Rows that fit could not be stored, because the database failed; they are kept in a file.

    Attributes:
        features: the keys the rows were meant for.
        path: the file, for `metaxy metadata replay`; None where it could not be written either.
    """

    def __init__(
        self, features: Sequence[str], store: str, cause: str, path: Path | None, lost: str = ""
    ) -> None:
        self.features, self.path = tuple(features), path
        kept = (
            f"They are kept in {path}. When the store works again, run: metaxy metadata replay "
            f"{shlex.quote(str(path))}"
            if path
            else f"They could not be kept in a file either: {lost}"
        )
        super().__init__(
            f"Rows of {', '.join(self.features)} could not be stored in {store} ({cause}). {kept}"
        )


class SpoolFileError(StoreError):
    """A file given for replaying does not keep rows that could not be stored."""


class CrossProjectWriteError(StoreError):
    """A write to a feature of another project; nothing was stored."""


class MissingExtraError(StoreError, ImportError):
    """A package that a store needs is not installed.

    Attributes:
        extra: the name in `pip install 'metaxy-dagster[<extra>]'`.
    """

    def __init__(self, store: str, package: str, extra: str) -> None:
        self.extra = extra
        super().__init__(
            f"{store} needs the package {package!r}, which is not installed: "
            f"pip install 'metaxy-dagster[{extra}]'"
        )


class FallbackDeleteError(StoreError):
    """A delete of rows that live only in a fallback store; nothing was changed."""


class SetClosedError(StoreError):
    """A parent's children were written again by the same writer or run; nothing was stored."""


class HashSchemeMismatchError(StoreError):
    """A store, or a fallback store, keeps digests of another hash scheme."""


class HashAlgorithmNotSupportedError(StoreError, ValueError):
    """The engine has no such hash function."""


class VersioningEngineMismatchError(StoreError):
    """`versioning_engine="native"` was asked for, but a frame lives in another engine, or the
    database cannot compute it."""


class EngineUnavailableError(StoreError):
    """The database cannot take a frame from elsewhere, or keep what it computes.

    Attributes:
        uri: where the store lives, without secrets.
        reason: what it cannot do.
    """

    def __init__(self, uri: str, reason: str) -> None:
        self.uri, self.reason = uri, reason
        super().__init__(
            f"The database of the store at {uri} cannot compute this: {reason} "
            "With versioning_engine='polars' it is computed in memory."
        )


class PolarsMaterializationWarning(UserWarning):
    """`versioning_engine="auto"` reads whole tables into memory and computes there.

    The database cannot take a frame from elsewhere (its types, its values), or may not keep what
    it computes (no temporary tables). The increment is the same. Silence it with
    `versioning_engine="polars"`.
    """


class TagError(StoreError, ValueError):
    """A name that a recorded graph cannot have, or that another one has."""


class SystemDataNotFoundError(StoreError):
    """A snapshot or another system record that the store does not have."""


class ConfigError(MetaxyError):
    """The configuration is wrong; the message names the file and the key."""
