"""Where declarations, algebra and effects meet: policy, one verb per file."""

from metaxy_core.store.increment import Increment, LazyIncrement
from metaxy_core.store.store import MetadataStore

__all__ = ["Increment", "LazyIncrement", "MetadataStore"]
