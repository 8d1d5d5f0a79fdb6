"""A graph as text: recorded in a store or in git, loaded without the user's code."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from metaxy_core.errors import DefinitionError
from metaxy_core.graph.graph import Graph
from metaxy_core.hashing import canonical_json
from metaxy_core.spec import FeatureSpec
from metaxy_core.spec.value import told

_FORMAT = 1


@dataclass(frozen=True)
class GraphSnapshot:
    """A graph and the versions it had, as JSON and back.

    >>> snapshot = GraphSnapshot.of(Graph([FeatureSpec("video")]))
    >>> GraphSnapshot.from_json(snapshot.to_json()).version == snapshot.version
    True
    """

    graph: Graph

    @classmethod
    def of(cls, graph: Graph) -> GraphSnapshot:
        """The snapshot of a graph as it stands."""
        return cls(graph)

    @property
    def version(self) -> str:
        """The snapshot version."""
        return self.graph.snapshot_version

    @property
    def definition(self) -> str:
        """The text's identity: differs for a changed docstring, which `version` does not see."""
        return "".join(self.graph.versions[key].definition for key in self.graph)

    def to_json(self) -> str:
        """Canonical JSON: `format`, `version` and the specs in parents-first order."""
        features = [spec.model_dump(mode="json") for spec in self.graph.values()]
        return canonical_json({"format": _FORMAT, "version": self.version, "features": features})

    @classmethod
    def from_json(cls, text: str) -> GraphSnapshot:
        """Load what `to_json` wrote; no user code is imported.

        Raises:
            DefinitionError: the text is not a snapshot, or was changed by hand.
        """
        try:
            value: Any = json.loads(text)
            version: Any = value["version"]
            specs = [FeatureSpec.model_validate(feature) for feature in value["features"]]
        except ValidationError as error:
            raise DefinitionError(f"The graph snapshot is damaged: {told(error)}") from error
        except KeyError as error:
            raise DefinitionError(f"This is not a graph snapshot: it has no {error}.") from error
        except RecursionError as error:
            raise DefinitionError("This is not a graph snapshot: nested too deeply.") from error
        except (ValueError, TypeError) as error:
            raise DefinitionError(f"This is not a graph snapshot: {error}") from error
        if value.get("format") != _FORMAT:
            raise DefinitionError(
                f"The graph snapshot has format {value.get('format')!r}; this version reads "
                f"{_FORMAT}."
            )
        snapshot = cls(Graph(specs))
        if snapshot.version != version:
            raise DefinitionError(
                f"The snapshot says version {version!s:.8}, but its features hash to "
                f"{snapshot.version[:8]}: it was changed, or made by another formula."
            )
        return snapshot
