"""Dynamic partitions that are the values of a column in the store."""

from __future__ import annotations

from typing import Any

import dagster as dg
import narwhals as nw

from metaxy_core import (
    DefinitionError,
    FeatureGraph,
    Graph,
    MetadataStore,
    StoreUnavailableError,
    active_graph,
)
from metaxy_dagster.automation.pending import impatient, is_locked
from metaxy_dagster.resource import STORE_KEY, MetaxyStore, frozen

_IN_A_MESSAGE = 5


def dynamic_partitions_from(
    feature: Any,
    column: str,
    name: str,
    *,
    store: MetaxyStore | str = STORE_KEY,
    every: int = 60,
    delete: bool = False,
    max_keys: int = 10_000,
    graph: Graph | FeatureGraph | None = None,
    default_status: dg.DefaultSensorStatus = dg.DefaultSensorStatus.STOPPED,
) -> dg.SensorDefinition:
    """A sensor that keeps dynamic partitions in step with the values of a feature's column.

    Values that no partition has are added as keys; `NULL` is none. Keys are never deleted unless
    `delete=True`, because Dagster forgets with them which partitions were made.

    Args:
        feature: the feature that has the column: a class, spec or key.
        column: of texts, integers, booleans or dates: what `partition_by=` names.
        name: of the `DynamicPartitionsDefinition`.
        store: the store, or the key of the resource that is one.
        every: seconds between ticks, at least.
        delete: delete the keys whose value is not stored any more.
        max_keys: with more values than this nothing is added or deleted, and the tick says so.
        graph: where the feature is declared; by default the active graph.
        default_status: it is off until somebody switches it on.

    Raises:
        DefinitionError: in a tick: the column is of another type, or the rows have none.

    >>> from metaxy_core import FeatureSpec
    >>> chain = FeatureGraph([FeatureSpec("video")])
    >>> dynamic_partitions_from("video", "site", "sites", graph=chain).name
    'sites_of_video'
    """
    chosen = frozen(active_graph() if graph is None else graph)
    key = chosen[feature].key
    partitions = dg.DynamicPartitionsDefinition(name=name)

    def tick(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        found = getattr(context.resources, store) if isinstance(store, str) else store
        try:
            with impatient(found).open("r", graph=chosen) as opened:
                if not opened.has_feature(key, allow_fallback=True):
                    return dg.SkipReason(f"Nothing of {key} is stored yet.")
                values = _values(opened, key, column, max_keys)
        except StoreUnavailableError as error:
            if error.reason == "missing":
                return dg.SkipReason("The store does not exist yet.")
            if not is_locked(error):
                raise
            return dg.SkipReason("The store is locked by another process; asking again next tick.")
        if len(values) > max_keys:
            return dg.SkipReason(
                f"{key} has more than {max_keys} values of {column!r}, which would all be "
                f"partitions of {name!r}; none was added. Partition by a coarser column, use "
                "hash_buckets(), or give max_keys=."
            )
        known = set(context.instance.get_dynamic_partitions(name))
        added, gone = sorted(values - known), sorted(known - values) if delete else []
        requests: list[Any] = []
        if added:
            requests.append(partitions.build_add_request(added))
        if gone:
            requests.append(partitions.build_delete_request(gone))
        said = "; ".join(
            f"{len(keys)} {verb} ({', '.join(keys[:_IN_A_MESSAGE])}"
            f"{', …' if len(keys) > _IN_A_MESSAGE else ''})"
            for verb, keys in (("added", added), ("deleted", gone))
            if keys
        )
        context.log.info("%s: %s", name, said or "in step")
        return dg.SensorResult(
            dynamic_partitions_requests=requests,
            skip_reason=f"Partitions {name!r}: {said or 'nothing to add'}.",
        )

    return dg.sensor(
        name=f"{name}_of_{key.to_table()}",
        minimum_interval_seconds=every,
        required_resource_keys={store} if isinstance(store, str) else None,
        description=f"Keeps the partitions {name!r} in step with {column!r} of {key}.",
        default_status=default_status,
    )(tick)


def _values(opened: MetadataStore, feature: Any, column: str, limit: int) -> set[str]:
    """The distinct values as partition keys; of too many, one more than the limit.

    Raises:
        DefinitionError: they cannot be keys.
    """
    rows = opened.read(feature)
    schema = rows.collect_schema()
    dtype = schema.get(column)
    if dtype is None:
        raise DefinitionError(
            f"Feature '{feature}' has no column {column!r} to make partitions of. Its columns: "
            f"{', '.join(name for name in schema if not name.startswith('metaxy_'))}."
        )
    if not (dtype.is_integer() or dtype in (nw.String, nw.Boolean, nw.Date)):
        raise DefinitionError(
            f"The column {column!r} of '{feature}' is {dtype}: keys are made of texts, integers, "
            "booleans or dates."
        )
    distinct = rows.select(column).filter(~nw.col(column).is_null()).unique([column], keep="any")
    found = distinct.head(limit + 1).collect("polars")[column].to_list()
    return {str(value).lower() if isinstance(value, bool) else str(value) for value in found}
