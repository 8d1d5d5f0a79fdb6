"""One feature, one asset: the decorator that turns a function into a feature's asset."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import dagster as dg

from metaxy_core import (
    DefinitionError,
    FeatureGraph,
    FeaturePlan,
    Graph,
    RetryPolicy,
    active_graph,
    implements,
)
from metaxy_dagster.assets.arguments import (
    feature_of,
    merged_arguments,
    step_function,
    value_inputs,
)
from metaxy_dagster.assets.computes import claims_of, computes
from metaxy_dagster.assets.references import with_references
from metaxy_dagster.checks.guard import GuardLevel, guard_of
from metaxy_dagster.partitions import Part, PartitionBy, check_partition_by
from metaxy_dagster.reports.metadata import PARTITION_BY
from metaxy_dagster.resource import IO_MANAGER_KEY, STORE_KEY, frozen
from metaxy_dagster.steps.orphans import OrphanPolicy, check_policy
from metaxy_dagster.steps.parameters import Parameters, name_of, read_parameters, signature
from metaxy_dagster.steps.run import Guard, OnEmpty, Recipe, run_feature
from metaxy_dagster.translator import FeatureTranslator, Translation


def feature_asset(
    feature: Any,
    *,
    graph: Graph | FeatureGraph | None = None,
    samples: Callable[..., Any] | None = None,
    complete: bool = True,
    part: Part | None = None,
    orphans: OrphanPolicy = "report",
    on_empty: OnEmpty = "materialize",
    guard: GuardLevel | Guard | None = None,
    record_snapshot: bool = True,
    sample_retries: RetryPolicy | None = None,
    max_failed: int | None = None,
    partition_by: PartitionBy | None = None,
    translator: FeatureTranslator | None = None,
    translation: Translation | None = None,
    store: str = STORE_KEY,
    io_manager_key: str = IO_MANAGER_KEY,
    **asset_arguments: Any,
) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    """Make a function the asset of a feature: it is given what is new or stale, and nothing else.

    The function's parameters, by annotation: `Increment` (or the bare name `increment`) gets the
    work to do; `MetaxyStore` the store; resources and a `dg.Config` as in any asset; a name that
    is a parent's (`video` for `example/video`) the parent's rows, through the IO manager. It
    returns a frame, yields frames (each is stored before the next is computed, so a crash loses
    one chunk and a retry continues) or returns None. Frames need the feature's id columns and
    carry the increment's `metaxy_provenance_by_field`; where they lost it, it is joined back by
    the unit's ids. 1:N: a frame holds all children of its parents; parents that got none when
    the function ends are settled as childless (with `iter_batches`: those of finished batches).

    A root's function without an `Increment` lists the samples: id columns, and provenance or the
    columns of `provenance_from`; what is new or changed of them is stored. A derived feature's
    function without one sees its parents whole; rows of units that are up to date are left out.

    Args:
        feature: a feature class, spec or key.
        graph: where it is declared; by default the active graph.
        samples: of a root whose function takes an `Increment`: lists the samples. Its parameters
            may be resources and the config.
        complete: whether the listed samples are all there are, so that others are orphaned.
        part: columns and values: the asset makes this part of the feature; see `union_asset`.
        orphans: what becomes of samples not expected any more; never done in a dry run.
        on_empty: `"skip"` makes no materialisation where there is nothing to do.
        guard: `"breaking"` or `"any"` refuses to compute a feature whose declaration changed so,
            see `graph_guard`; or a function of context and plan that raises to refuse.
        record_snapshot: record the graph in the store after a successful run.
        sample_retries: when units reported by `increment.fail` are offered again.
        max_failed: fail the step, after storing what succeeded, where more units failed.
        partition_by: the column that holds the keys of `partitions_def`: a text, integer, boolean,
            date or time of the parents' rows, or of the root's samples; per dimension, of
            multi-partitions. A run does the samples of its partitions, a range in one run. Not
            needed for `hash_buckets`.
        translator: decides the asset's key, group, kinds and so on.
        store: the resource key of the `MetaxyStore`.
        io_manager_key: the resource key of the `MetaxyIOManager`.
        asset_arguments: any argument of `dg.asset`; it wins. `deps`, `ins`, `metadata` and `tags`
            are added to the feature's own.

    Raises:
        DefinitionError: the graph does not have the feature, or the function does not fit it.

    >>> from metaxy_core import FeatureSpec
    >>> graph = FeatureGraph([FeatureSpec("video"), FeatureSpec("crop", deps=["video"])])
    >>> @feature_asset("crop", graph=graph, retry_policy=dg.RetryPolicy(max_retries=3))
    ... def crop(increment):
    ...     for batch in increment.iter_batches(256):
    ...         yield batch
    >>> crop.key, [key.to_user_string() for key in crop.dependency_keys]
    (AssetKey(['crop']), ['video'])
    """

    if inspect.isroutine(feature):
        raise DefinitionError(
            f"The function {name_of(feature)} is given for no feature: @feature_asset takes the "
            "feature, @feature_asset(TheFeature)."
        )

    def decorate(function: Callable[..., Any]) -> dg.AssetsDefinition:
        chosen = active_graph() if graph is None else graph
        assets = translation or Translation(frozen(chosen), translator or FeatureTranslator())
        key = feature_of(assets.graph, feature, function)
        marker = computes if claims_of(function) else feature_asset
        known = implements(key, graph=assets.graph, by=marker)
        for source in filter(None, (function, samples)):
            known(source)
        spec = with_references(assets.spec(key, part), function, feature)
        parameters = read_parameters(function, key)
        listed = None if samples is None else read_parameters(samples, key)
        plan = assets.graph.plan(key)
        _check_fit(plan, parameters, listed)
        parents = assets.parents(key)
        arguments, asset_key = merged_arguments(
            spec, value_inputs(parameters, parents, io_manager_key), asset_arguments
        )
        partitions = arguments["partitions_def"]
        by = check_partition_by(key, partition_by, partitions)
        if by is not None:
            arguments["metadata"][PARTITION_BY] = dg.MetadataValue.json(by)
        if isinstance(partitions, dg.TimeWindowPartitionsDefinition):
            arguments.setdefault("backfill_policy", dg.BackfillPolicy.single_run())
        recipe = Recipe(
            key,
            chosen,
            asset_key,
            parents,
            parameters,
            listed,
            complete,
            part or {},
            check_policy(key, orphans),
            on_empty,
            guard_of(guard, chosen, store),
            record_snapshot,
            sample_retries or RetryPolicy(),
            max_failed,
            by,
        )
        options = "config_schema" not in asset_arguments
        compute = step_function(
            function,
            signature([p for p in (parameters, listed) if p], store, key, options=options),
            store,
            [key],
            lambda step: run_feature(recipe, step),
        )
        # Optional, because a dry run and `on_empty="skip"` materialise nothing.
        defaults = {"io_manager_key": io_manager_key, "output_required": False}
        made: dg.AssetsDefinition = dg.asset(**{**defaults, **arguments})(compute)
        return made

    return decorate


def _check_fit(plan: FeaturePlan, function: Parameters, samples: Parameters | None) -> None:
    """Refuse a function that cannot do the feature's work.

    Raises:
        DefinitionError: names the feature and the function.
    """
    name = function.name
    if not plan.spec.is_root:
        if samples is not None:
            raise DefinitionError(
                f"Feature '{plan.key}' has parents, which imply its samples: {name} takes no "
                "samples=."
            )
    elif function.increment is not None and samples is None:
        raise DefinitionError(
            f"Feature '{plan.key}' is a root and {name} takes an increment: say where its samples "
            "come from, @feature_asset(..., samples=list_them), or let the function return them."
        )
    elif function.increment is None and samples is not None:
        raise DefinitionError(
            f"Feature '{plan.key}': samples= is given, but {name} takes no increment to see which "
            "of them are new or stale."
        )
