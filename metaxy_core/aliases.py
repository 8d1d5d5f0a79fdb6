"""Earlier spellings of the API, all of them and only here; today's names are the way to go.

Nothing here is documented for users; it keeps code running that was written against other
versions of such an API. Each spelling is used in `tests/test_aliases.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import TYPE_CHECKING, Any, Final, ParamSpec, Self, TypeVar

if TYPE_CHECKING:
    from metaxy_core.frames.dialect import DataFrame, LazyFrame
    from metaxy_core.graph import FeatureGraph, GraphSnapshot

P = ParamSpec("P")
T = TypeVar("T")

NAMES: Final = {
    "BaseFeature": "Feature",
    "BatchedMetadataWriter": "BufferedMetadataWriter",
    "init_metaxy": "init",
}
"""Earlier names of the package's own names."""

CONFIG = "Config"
"""`DuckDBMetadataStoreConfig` and friends: a store's name and this is its `config_model()`."""

FEATURE_DEP: Final = {"key": "feature", "columns": "select"}
FIELD_DEP: Final = {"feature_key": "feature"}
FIELD_SPEC: Final = {"name": "key"}


def renamed(values: Mapping[str, Any], spellings: Mapping[str, str]) -> dict[str, Any]:
    """Arguments under their names of today.

    Raises:
        TypeError: an argument is given under both names.

    >>> renamed({"columns": ["path"]}, FEATURE_DEP)
    {'select': ['path']}
    """
    made: dict[str, Any] = {}
    for name, value in values.items():
        now = spellings.get(name, name)
        if now in made:
            raise TypeError(f"{now!r} is given twice, the second time as {name!r}.")
        made[now] = value
    return made


def spelled_read(read: Callable[P, T]) -> Callable[P, T]:
    """Let `read` take `current_only` (rows of the current feature version alone) and `latest_only`
    (false: every row of a sample)."""

    @wraps(read)
    def spelled(*args: P.args, **kwargs: P.kwargs) -> T:
        current, latest = kwargs.pop("current_only", None), kwargs.pop("latest_only", None)
        if current:
            kwargs["feature_version"] = "current"
        if latest is not None:
            kwargs["with_sample_history"] = not latest
        return read(*args, **kwargs)

    return spelled


class CallableSpec:
    """`Feature.spec()` is `Feature.spec`."""

    def __call__(self) -> Self:
        """The spec itself."""
        return self


class GraphSpellings:
    """`graph.project_version` is `graph.snapshot_version`."""

    @property
    def project_version(self) -> str:
        """The snapshot version."""
        return self.snapshot_version  # type: ignore[attr-defined,no-any-return]  # a mixin


class FeatureGraphSpellings:
    """`FeatureGraph.from_snapshot(...)`."""

    @classmethod
    def from_snapshot(cls, snapshot: GraphSnapshot | str) -> FeatureGraph:
        """The features of a snapshot, or of its JSON text."""
        from metaxy_core.graph import FeatureGraph, GraphSnapshot

        found = GraphSnapshot.from_json(snapshot) if isinstance(snapshot, str) else snapshot
        return FeatureGraph(found.graph.values())


class IncrementSpellings:
    """`added`, `changed` and `removed` for `new`, `stale` and `orphaned`."""

    if TYPE_CHECKING:

        @property
        def new(self) -> LazyFrame | DataFrame: ...  # noqa: D102
        @property
        def stale(self) -> LazyFrame | DataFrame: ...  # noqa: D102
        @property
        def orphaned(self) -> LazyFrame | DataFrame: ...  # noqa: D102

    @property
    def added(self) -> Any:
        """New units."""
        return self.new

    @property
    def changed(self) -> Any:
        """Stale units."""
        return self.stale

    @property
    def removed(self) -> Any:
        """Orphaned rows."""
        return self.orphaned


class StoreSpellings:
    """Earlier names of the store's verbs."""

    if TYPE_CHECKING:
        read: Any
        write: Any
        write_multi: Any
        drop: Any

    def read_metadata(self, feature: Any, **options: Any) -> LazyFrame:
        """`read`."""
        rows: LazyFrame = self.read(feature, **options)
        return rows

    def read_metadata_in_store(self, feature: Any, **options: Any) -> LazyFrame:
        """`read` in this very store."""
        rows: LazyFrame = self.read(feature, allow_fallback=False, **options)
        return rows

    def write_metadata(self, feature: Any, rows: Any, **options: Any) -> int:
        """`write`."""
        stored: int = self.write(feature, rows, **options)
        return stored

    write_metadata_to_store = write_metadata

    def write_metadata_multi(self, rows: Mapping[Any, Any], **options: Any) -> dict[str, int]:
        """`write_multi`."""
        stored: dict[str, int] = self.write_multi(rows, **options)
        return stored

    def drop_feature_metadata(self, feature: Any) -> None:
        """`drop`."""
        self.drop(feature)
