"""The whole of a feature whose parts are made by several assets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg

from metaxy_core import FeatureGraph, Graph, active_graph
from metaxy_dagster.assets.arguments import merged_arguments, step_function
from metaxy_dagster.automation.targets import UNION
from metaxy_dagster.receipt import WriteReceipt
from metaxy_dagster.resource import IO_MANAGER_KEY, STORE_KEY, frozen
from metaxy_dagster.steps.parameters import read_parameters, signature
from metaxy_dagster.steps.run import Recipe, Step, materialization
from metaxy_dagster.translator import FeatureTranslator, Translation


def union_asset(
    feature: Any,
    parts: Sequence[dg.AssetsDefinition],
    *,
    graph: Graph | FeatureGraph | None = None,
    translator: FeatureTranslator | None = None,
    store: str = STORE_KEY,
    io_manager_key: str = IO_MANAGER_KEY,
    **asset_arguments: Any,
) -> dg.AssetsDefinition:
    """The whole of a feature that several assets make part by part; computes nothing itself.

    Assets of the features below depend on it, so they run after all parts of the run, and see a
    new data version when any part changed. It reports the whole feature. Conditions and sensors of
    this package look at the parts alone; to have it follow them, give it
    `automation_condition=dg.AutomationCondition.eager()`.

    >>> from metaxy_core import FeatureSpec
    >>> from metaxy_dagster import feature_asset
    >>> graph = FeatureGraph([FeatureSpec("f")])
    >>> us = feature_asset("f", graph=graph, part={"source": "us"})(lambda: None)
    >>> union_asset("f", [us], graph=graph).dependency_keys
    {AssetKey(['f', 'us'])}
    """
    chosen = active_graph() if graph is None else graph
    assets = Translation(frozen(chosen), translator or FeatureTranslator())
    key = assets.graph[feature].key
    spec = assets.spec(key).replace_attributes(deps=[key for part in parts for key in part.keys])
    spec = spec.merge_attributes(metadata={UNION: True})

    def whole() -> None:
        """Nothing to compute: the parts have written everything."""

    parameters = read_parameters(whole, key)
    arguments, asset_key = merged_arguments(spec, {}, asset_arguments)
    recipe = Recipe(key, chosen, asset_key, assets.parents(key), parameters)

    def report(step: Step) -> Iterator[Any]:
        written = WriteReceipt(key, chosen, run_id=step.run_id, upstream_keys=recipe.upstream_keys)
        yield materialization(recipe, written)

    shown = signature([], store, key, options=False)
    compute = step_function(whole, shown, store, [key], report)
    made: dg.AssetsDefinition = dg.asset(**{"io_manager_key": io_manager_key, **arguments})(compute)
    return made
