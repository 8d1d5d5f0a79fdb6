"""Feature classes: a class statement becomes a spec and registers it in the active graph."""

from __future__ import annotations

import inspect
from typing import Any, ClassVar

from pydantic import BaseModel

from metaxy_core.ambient import active_graph
from metaxy_core.keys import FeatureKey
from metaxy_core.spec import FeatureSpec


class Feature(BaseModel):
    """Base of feature classes; its annotations are the declared user columns.

    Give the declaration as the class keyword `spec`; a class without one is an abstract base. The
    docstring becomes the spec's description and the annotations its `columns`, where the spec
    says neither. The class registers itself in the active graph.

    Raises:
        DefinitionError: the feature does not fit the graph, see `FeatureGraph.add`.

    >>> from metaxy_core.ambient import use_graph
    >>> from metaxy_core.graph import FeatureGraph
    >>> with use_graph(FeatureGraph()):
    ...     class Video(Feature, spec=FeatureSpec("video", id_columns=["video_id"])):
    ...         '''A video file.'''
    ...         video_id: str
    >>> Video.spec.description, Video.spec.columns
    ('A video file.', {'video_id': 'str'})
    """

    spec: ClassVar[FeatureSpec]

    def __init_subclass__(cls, spec: FeatureSpec | None = None, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)

    @classmethod
    def __pydantic_init_subclass__(cls, spec: FeatureSpec | None = None, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        if spec is None:
            return
        said: dict[str, Any] = {}
        if spec.description is None and cls.__doc__:
            said["description"] = inspect.cleandoc(cls.__doc__)
        if not spec.columns:
            said["columns"] = {
                name: inspect.formatannotation(field.annotation)
                for name, field in cls.model_fields.items()
            }
        cls.spec = active_graph().add(spec.model_copy(update=said))

    @classmethod
    def key(cls) -> FeatureKey:
        """The feature's key."""
        return cls.spec.key
