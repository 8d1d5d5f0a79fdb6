"""Runs of feature assets in this process, and the increments that they found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import dagster as dg
import narwhals as nw

from metaxy_core import MATERIALIZATION_ID, DefinitionError, FeatureKey, active_graph
from metaxy_dagster.io_manager import MetaxyIOManager
from metaxy_dagster.receipt import Outcome
from metaxy_dagster.reports.metadata import FEATURE, declared
from metaxy_dagster.resource import IO_MANAGER_KEY, STORE_KEY, MetaxyStore, frozen

_STATUSES = ("new", "stale", "orphaned")


@dataclass(frozen=True)
class FeatureRun:
    """One run, and what it found and did.

    Attributes:
        result: Dagster's own; its success, its events.
        increments: per feature that was materialised, per status (new, stale, orphaned): what
            was found and what became of it.
        written: per feature of the run's assets, the ids of the samples it stored, sorted: values
            of the id column, or tuples where there are several.
    """

    result: dg.ExecuteInProcessResult
    increments: Mapping[FeatureKey, Mapping[str, Outcome]]
    written: Mapping[FeatureKey, Sequence[Any]]


def materialize_features(
    assets: Sequence[Any],
    store: MetaxyStore,
    *,
    samples: Mapping[Any, Any] | None = None,
    changes: Mapping[Any, Any] | Sequence[Mapping[Any, Any]] = (),
    resources: Mapping[str, Any] | None = None,
    instance: dg.DagsterInstance | None = None,
    run_config: Any = None,
    raise_on_error: bool = True,
) -> list[FeatureRun]:
    """Materialise assets in this process, then again after each change of the samples.

    Args:
        assets: as for `dagster.materialize`: feature assets, and others.
        store: the resources `metaxy` and `metaxy_io` are made from it.
        samples: per root feature the frame that it lists, in all runs, in place of its asset; so
            a root may have no asset here.
        changes: the same for one more run and those after it; several such, one run each.
        resources: the assets' other resources; they win.
        instance: where the runs are recorded; by default a new one for all of them.
        run_config: of every run.
        raise_on_error: raise what an asset raises; otherwise see `FeatureRun.result`.

    Returns:
        the first run, and one for each change.

    Raises:
        DefinitionError: samples are given of a feature that is not in the graph, or no root, or
            whose asset makes other features, too.

    >>> import polars as pl
    >>> from metaxy_core import FeatureGraph, FeatureSpec
    >>> from metaxy_dagster import feature_asset
    >>> from metaxy_dagster.testing import ephemeral_store
    >>> video = FeatureSpec("video", id_columns=["id"], provenance_from={"default": ["etag"]})
    >>> graph = FeatureGraph([video, FeatureSpec("crop", id_columns=["id"], deps=["video"])])
    >>> crop = feature_asset("crop", graph=graph)(lambda increment: increment.todo())
    >>> first, second = materialize_features(
    ...     [crop],
    ...     ephemeral_store(graph=graph),
    ...     samples={"video": pl.DataFrame({"id": ["a", "b"], "etag": ["1", "1"]})},
    ...     changes={"video": pl.DataFrame({"id": ["a", "b"], "etag": ["1", "2"]})},
    ... )
    >>> assert_increment(first, "crop", new=2)
    >>> assert_increment(second, "crop", stale=1, written=["b"])
    """
    steps = [changes] if isinstance(changes, Mapping) else list(changes)
    given = {STORE_KEY: store, IO_MANAGER_KEY: MetaxyIOManager(store=store), **(resources or {})}
    listed = _of_roots(store, samples or {})
    runs = []
    with ExitStack() as stack:
        kept = instance or stack.enter_context(dg.DagsterInstance.ephemeral())
        for change in ({}, *steps):
            listed |= _of_roots(store, change)
            chosen = _listing(assets, listed)
            result = dg.materialize(
                chosen,
                resources=given,
                instance=kept,
                run_config=run_config,
                raise_on_error=raise_on_error,
            )
            features = _features(chosen)
            runs.append(
                FeatureRun(result, _increments(result, features), _written(store, result, features))
            )
    return runs


def assert_increment(
    run: FeatureRun,
    feature: Any,
    *,
    new: int = 0,
    stale: int = 0,
    orphaned: int = 0,
    written: Iterable[Any] | None = None,
) -> None:
    """Assert what a run found of a feature, and no more than that.

    Args:
        feature: a feature class, spec or key.
        written: the ids of the samples that the run stored, in any order.

    Raises:
        AssertionError: says what was expected and what was found.
    """
    key = FeatureKey.of(feature)
    if key not in run.increments:
        made = ", ".join(map(str, run.increments)) or "nothing"
        raise AssertionError(f"'{key}' was not materialised in this run; it materialised {made}.")
    expected = dict(zip(_STATUSES, (new, stale, orphaned), strict=True))
    found = {status: run.increments[key][status].found for status in _STATUSES}
    if found != expected:
        raise AssertionError(f"'{key}': expected {_said(expected)}; found {_said(found)}.")
    if written is not None and (wanted := sorted(written)) != (stored := run.written[key]):
        raise AssertionError(f"'{key}': expected {wanted} to be stored; the run stored {stored}.")


def _said(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {status}" for status, count in counts.items())


def _of_roots(store: MetaxyStore, frames: Mapping[Any, Any]) -> dict[FeatureKey, Any]:
    graph = frozen(store.bound_graph or active_graph())
    for feature in frames:
        if not graph[feature].is_root:
            key = graph[feature].key
            raise DefinitionError(f"Feature '{key}' has parents, which imply its samples.")
    return {FeatureKey.of(feature): frame for feature, frame in frames.items()}


def _listing(assets: Sequence[Any], listed: Mapping[FeatureKey, Any]) -> list[Any]:
    """The assets, where a feature has a frame to list with one that lists it."""
    known = {feature: spec for asset in assets for feature, spec in _specs(asset)}
    made = [_root(feature, known.get(feature), frame) for feature, frame in listed.items()]
    keys = {asset.key for asset in made}
    for asset in assets:
        mine = set(_keys(asset))
        if (others := mine - keys) and others != mine:
            raise DefinitionError(
                "The asset whose samples are given makes other features, too: "
                f"{', '.join(sorted(key.to_user_string() for key in others))}."
            )
    kept = [asset for asset in assets if not keys.intersection(_keys(asset))]
    return [*made, *kept]


def _root(feature: FeatureKey, spec: dg.AssetSpec | None, frame: Any) -> dg.AssetsDefinition:
    # No `feature_asset`: this is not the code of the feature.
    key = spec.key if spec else dg.AssetKey(list(feature.parts))
    metadata = {FEATURE: str(feature)}

    @dg.asset(key=key, metadata=metadata, io_manager_key=IO_MANAGER_KEY)
    def listing() -> Any:
        return frame

    return listing


def _specs(asset: Any) -> Iterator[tuple[FeatureKey, dg.AssetSpec]]:
    """The features that an asset makes, or is said to be."""
    if isinstance(asset, dg.AssetsDefinition | dg.AssetSpec):
        for spec in asset.specs if isinstance(asset, dg.AssetsDefinition) else [asset]:
            if (named := declared(spec.metadata, FEATURE)) is not None:
                yield FeatureKey.of(named), spec


def _keys(asset: Any) -> Iterable[dg.AssetKey]:
    if isinstance(asset, dg.AssetsDefinition):
        return asset.keys
    return [asset.key] if isinstance(asset, dg.AssetSpec) else []


def _features(assets: Sequence[Any]) -> dict[dg.AssetKey, FeatureKey]:
    return {
        spec.key: feature
        for asset in assets
        if isinstance(asset, dg.AssetsDefinition)
        for feature, spec in _specs(asset)
    }


def _increments(
    result: dg.ExecuteInProcessResult, features: Mapping[dg.AssetKey, FeatureKey]
) -> dict[FeatureKey, dict[str, Outcome]]:
    """What the materialisations say that was found; partitions of a run, and parts, together."""
    counts: dict[FeatureKey, dict[str, Counter[str]]] = {}
    for event in result.get_asset_materialization_events():
        told = event.materialization.metadata.get("metaxy/increment")
        feature = features.get(event.materialization.asset_key)
        if feature is None or not isinstance(told, dg.TableMetadataValue):
            continue
        of_feature = counts.setdefault(feature, {})
        for record in told.records:
            row = dict(record.data)
            status = of_feature.setdefault(str(row.pop("status")), Counter())
            status.update({name: int(n) for name, n in row.items() if isinstance(n, int)})
    return {
        feature: {status: Outcome(**by_status.get(status, Counter())) for status in _STATUSES}
        for feature, by_status in counts.items()
    }


def _written(
    store: MetaxyStore,
    result: dg.ExecuteInProcessResult,
    features: Mapping[dg.AssetKey, FeatureKey],
) -> dict[FeatureKey, list[Any]]:
    """The ids whose stored row is this run's."""
    written: dict[FeatureKey, list[Any]] = {}
    # To write: a run that failed may have left no file to read.
    with store.open("w") as opened:
        for feature in features.values():
            ids = list(opened.graph[feature].id_columns)
            if not opened.has_feature(feature):
                written[feature] = []
                continue
            rows = opened.read(feature, columns=[*ids, MATERIALIZATION_ID])
            mine = rows.filter(nw.col(MATERIALIZATION_ID) == result.run_id).select(*ids)
            found = sorted(mine.collect("polars").rows())
            written[feature] = [row[0] for row in found] if len(ids) == 1 else found
    return written
