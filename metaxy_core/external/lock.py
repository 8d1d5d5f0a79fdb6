"""The lock: declarations of other projects' features, as a value and as a file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from metaxy_core.errors import DefinitionError, ExternalFeatureError
from metaxy_core.graph import Graph
from metaxy_core.keys import FeatureKey
from metaxy_core.spec import FeatureSpec
from metaxy_core.spec.value import told

LOCK_FILE: Final = "metaxy.lock"
FORMAT: Final = 1
_FREE = {"key", "project", "description", "metadata"}
"""What is said elsewhere in the file, or means nothing to those who depend on the feature."""


@dataclass(frozen=True)
class Locked:
    """A feature of another project.

    Attributes:
        version: the feature version that it had there.
    """

    spec: FeatureSpec
    project: str
    version: str


@dataclass(frozen=True)
class Lock:
    """The locked features, by key."""

    features: Mapping[FeatureKey, Locked] = field(default_factory=dict)

    def to_json(self) -> str:
        """The text of the file: the same features give the same bytes."""
        features = {
            str(key): {
                "project": locked.project,
                "version": locked.version,
                "declaration": locked.spec.model_dump(
                    mode="json", exclude=_FREE, exclude_defaults=True
                ),
            }
            for key, locked in sorted(self.features.items())
        }
        shown = {"format": FORMAT, "features": features}
        return f"{json.dumps(shown, indent=2, ensure_ascii=False)}\n"

    @classmethod
    def from_json(cls, text: str, said: str = LOCK_FILE) -> Lock:
        """Read what `to_json` wrote.

        Args:
            said: what messages call the text.

        Raises:
            ExternalFeatureError: it is not a lock, or was changed by hand.
        """
        try:
            value: Any = json.loads(text)
            format = value["format"]
        except (ValueError, TypeError, KeyError) as error:
            raise ExternalFeatureError(f"{said} is not a lock file: {error!r}") from error
        if format != FORMAT:
            raise ExternalFeatureError(
                f"{said} has format {format!r}; this version reads {FORMAT}."
            )
        try:
            features = {
                FeatureKey.of(key): Locked(
                    FeatureSpec.model_validate(
                        {**one["declaration"], "key": key, "project": one["project"]}
                    ),
                    one["project"],
                    one["version"],
                )
                for key, one in value["features"].items()
            }
            graph = Graph(locked.spec for locked in features.values())
        except ValidationError as error:
            raise ExternalFeatureError(f"{said} is damaged: {told(error)}") from error
        except DefinitionError as error:
            raise ExternalFeatureError(f"{said} is damaged: {error}") from error
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ExternalFeatureError(f"{said} is not a lock file: {error!r}") from error
        for key, locked in features.items():
            if graph.versions[key].feature != locked.version:
                raise ExternalFeatureError(
                    f"{said} says version {locked.version!s:.8} of '{key}', but its declaration "
                    f"hashes to {graph.versions[key].feature[:8]}: it was changed by hand, or by a "
                    "merge. Run `metaxy lock`."
                )
        return cls(features)

    @classmethod
    def read(cls, path: str | Path) -> Lock:
        """Read a lock file; one that is not there locks nothing.

        Raises:
            ExternalFeatureError: it cannot be read, or is no lock.
        """
        try:
            return cls.from_json(Path(path).read_text(encoding="utf-8"), str(path))
        except FileNotFoundError:
            return cls()
        except (OSError, UnicodeDecodeError) as error:
            raise ExternalFeatureError(f"{path} cannot be read: {error}") from error
