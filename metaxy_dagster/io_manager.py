"""The IO manager: stores and reports outputs, loads stored features in the type asked for.

Dagster reads the annotation of `store` itself, so this module has no postponed annotations.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from typing import Any

import dagster as dg
import narwhals as nw
import polars as pl
from pydantic import Field, PrivateAttr

from metaxy_core import FeatureGraph, FeatureKey, Graph, active_graph
from metaxy_dagster.frames import LazyFrame, in_polars, is_frame
from metaxy_dagster.partitions import (
    part_buckets,
    part_filters,
    part_of_input,
    parts_of_output,
    types_of,
)
from metaxy_dagster.receipt import Outcome, WriteReceipt
from metaxy_dagster.reports.event import report
from metaxy_dagster.reports.metadata import FEATURE, PART, PARTITION_BY, declared
from metaxy_dagster.resource import MetaxyStore, frozen
from metaxy_dagster.steps.chunks import items
from metaxy_dagster.steps.increment import Work, resolve
from metaxy_dagster.steps.orphans import POLICIES, check_policy, handle, policy_name
from metaxy_dagster.steps.samples import SampleFeed
from metaxy_dagster.steps.spool import Spool

INCREMENT_OF = "metaxy/increment_of"

_LOADED: Mapping[Any, Callable[[LazyFrame], Any]] = {
    nw.LazyFrame: lambda rows: rows,
    nw.DataFrame: lambda rows: rows.collect("polars"),
    pl.LazyFrame: lambda rows: rows.to_native(),
    pl.DataFrame: lambda rows: rows.to_native().collect(),
}
"""How to give stored rows, per annotation of the parameter; `ibis.Table` besides."""

_VERSIONS: Mapping[str, dict[str, Any]] = {
    "stored": {},
    "current": {"feature_version": "current"},
    "all": {"with_feature_history": True},
}


class MetaxyIOManager(dg.ConfigurableIOManager):
    """Stores what assets return as rows of features, and loads features for assets.

    An asset is matched to its feature by its metadata `metaxy/feature`, else by its key. Outputs
    may be a frame, an iterator of frames (each durable before the next is computed; a generator
    is handed over as `dg.MaterializeResult(value=generator)`), a `WriteReceipt` (already written)
    or None; all are reported with data version and metadata.

    Inputs are `nw.LazyFrame` unless annotated as `nw.DataFrame`, `pl.DataFrame`, `pl.LazyFrame`,
    `ibis.Table` or, with `AssetIn(metadata={"metaxy/increment_of": "example/crop"})`,
    `Increment`. Further metadata of the `AssetIn`: `columns`, a list of names, and `versions`,
    `"current"` (rows of the current feature version only) or `"all"` (the last of every one).
    What is loaded is kept in local files until the step ends; no connection stays open.
    """

    store: dg.ResourceDependency[MetaxyStore]
    preview_rows: int = Field(default=5, ge=0, description="Rows shown per materialisation.")
    row_count: bool = Field(default=True, description="Show the number of rows.")
    orphans: str = Field(
        default="report",
        description=f"For assets without @feature_asset: {', '.join(POLICIES)}.",
    )

    _spools: list[Spool] = PrivateAttr(default_factory=list)

    def __init__(self, **fields: Any) -> None:
        fields.setdefault("store", MetaxyStore())
        super().__init__(**fields)

    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:
        """Store the output, set the asset's data version and say what is stored."""
        receipt = obj if isinstance(obj, WriteReceipt) else self._written(context, obj)
        said = context.definition_metadata
        described = report(
            self.store,
            receipt,
            preview_rows=self.preview_rows,
            row_count=self.row_count,
            parts=parts_of_output(context, declared(said, PARTITION_BY)),
        )
        context.add_output_metadata(described.metadata)
        # No public way leads from an IO manager to one partition, or to the data version.
        for key, counted in described.partitions.items():
            context.step_context.add_asset_metadata(counted, context.asset_key, key)
        version = dg.DataVersion(described.data_version)
        context.step_context.set_data_version(context.asset_key, version)

    def load_input(self, context: dg.InputContext) -> Any:
        """Load a feature, or an increment, as the parameter's annotation says.

        Raises:
            FeatureNotFoundError: the feature has never been materialised.
            TypeError: the annotation is none of those above.
        """
        asked = context.definition_metadata or {}
        wanted = context.dagster_type.typing_type
        if INCREMENT_OF in asked:
            feature = FeatureKey.of(asked[INCREMENT_OF])
            increment = resolve(self.store, Work(feature, self._graph()))
            self._spools.append(increment.spool)
            return increment
        load = _loader(wanted)
        if load is None:
            known = ", ".join(f"{kind.__module__}.{kind.__name__}" for kind in _LOADED)
            raise TypeError(
                f"Input {context.name!r} is annotated as {wanted}, which MetaxyIOManager does not "
                f"load. It loads: {known}, ibis.Table."
            )
        return load(self._read(context, asked))

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        """Remove the local files of what was loaded."""
        for spool in self._spools:
            spool.close()

    def _read(self, context: dg.InputContext, asked: Mapping[str, Any]) -> LazyFrame:
        upstream = context.upstream_output
        said = upstream.definition_metadata if upstream else None
        feature = self._feature(said, context.asset_key)
        columns: Sequence[str] | None = asked.get("columns")
        versions = asked.get("versions", "stored")
        if versions not in _VERSIONS:
            raise ValueError(
                f"Input {context.name!r}: versions={versions!r} is none of {', '.join(_VERSIONS)}."
            )
        spool = Spool()
        self._spools.append(spool)
        part = _part(said) | part_of_input(context, declared(said, PARTITION_BY))
        with self.store.open("r", graph=self._graph()) as opened:
            filters = part_filters(part, types_of(opened, opened.graph.plan(feature)))
            rows = opened.read(
                feature, filters=filters, buckets=part_buckets(part), **_VERSIONS[versions]
            )
            return spool.keep(rows if columns is None else rows.select(*columns))

    def _written(self, context: dg.OutputContext, obj: Any) -> WriteReceipt:
        """Store what an asset that is not made by `feature_asset` returned."""
        said = context.definition_metadata
        feature = self._feature(said, context.asset_key)
        work = Work(feature, self._graph(), part=_part(said), run_id=context.run_id)
        frames = (item for item in items(feature, obj) if is_frame(item))
        policy = check_policy(feature, self.orphans)
        if work.plan.spec.is_root:
            with closing(SampleFeed(self.store, work, context.log)) as feed:
                for frame in frames:
                    feed.write(frame)
                return feed.finish(policy)
        rows, orphaned, handled = 0, 0, 0
        for frame in frames:
            store = self.store.describe(graph=work.graph, run_id=context.run_id)
            rows += store.deliver(feature, in_polars(frame))
        if obj is not None:
            with closing(resolve(self.store, work)) as rest:
                orphaned = rest.counts["orphaned"]
                described = self.store.describe(graph=work.graph, run_id=context.run_id)
                handled = handle(described, work, rest.orphaned, policy)
        outcomes = {"orphaned": Outcome(orphaned, handled, orphaned - handled)}
        return WriteReceipt(
            feature,
            work.graph,
            outcomes,
            rows,
            orphans=policy_name(policy),
            part=work.part,
            run_id=context.run_id,
        )

    def _graph(self) -> Graph | FeatureGraph:
        return self.store.bound_graph or active_graph()

    def _feature(self, said: Mapping[str, Any] | None, key: dg.AssetKey) -> FeatureKey:
        """The feature of an asset.

        Raises:
            UnknownFeatureError: the graph has no such feature.
        """
        return frozen(self._graph())[declared(said, FEATURE) or list(key.path)].key


def _loader(wanted: Any) -> Callable[[LazyFrame], Any] | None:
    """How to give stored rows as an annotation says; None where there is no way."""
    # Ibis takes long to import, and whoever has annotated with it has done so.
    ibis = sys.modules.get("ibis")
    if ibis is not None and wanted is ibis.Table:
        return lambda rows: ibis.memtable(rows.to_native().collect().to_arrow())
    return _LOADED.get(nw.LazyFrame if wanted is Any else getattr(wanted, "__origin__", wanted))


def _part(said: Mapping[str, Any] | None) -> dict[str, Any]:
    return dict(declared(said, PART) or {})
