"""Several features made by one function, each an asset of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any

import dagster as dg

from metaxy_core import (
    DefinitionError,
    FeatureGraph,
    FeatureKey,
    Graph,
    active_graph,
    implements,
)
from metaxy_dagster.assets.arguments import feature_of, step_function, value_inputs
from metaxy_dagster.assets.references import with_references
from metaxy_dagster.checks.guard import GuardLevel, guard_of
from metaxy_dagster.frames import in_polars
from metaxy_dagster.resource import IO_MANAGER_KEY, STORE_KEY, frozen
from metaxy_dagster.steps.announce import announce
from metaxy_dagster.steps.attempt import Attempt
from metaxy_dagster.steps.chunks import given_by, is_event
from metaxy_dagster.steps.increment import Increment, resolve
from metaxy_dagster.steps.increments import Increments
from metaxy_dagster.steps.orphans import OrphanPolicy, check_policy
from metaxy_dagster.steps.parameters import read_parameters, signature
from metaxy_dagster.steps.run import (
    Guard,
    Recipe,
    Step,
    found,
    materialization,
    observe_only,
    record_snapshot,
    work_of,
)
from metaxy_dagster.steps.samples import SampleFeed
from metaxy_dagster.translator import FeatureTranslator, Translation


def multi_feature_asset(
    features: Sequence[Any],
    *,
    graph: Graph | FeatureGraph | None = None,
    can_subset: bool = True,
    orphans: OrphanPolicy = "report",
    guard: GuardLevel | Guard | None = None,
    translator: FeatureTranslator | None = None,
    translation: Translation | None = None,
    store: str = STORE_KEY,
    io_manager_key: str = IO_MANAGER_KEY,
    **asset_arguments: Any,
) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    """Make a function the assets of several features.

    The function's parameter annotated `Increments` (or named `increments`) gets the work of the
    features selected in the run; it yields `(feature, frame)` pairs, each stored at once, or
    returns a mapping of them. Everything else is as in `feature_asset`; of a root, the frames are
    its samples.

    Args:
        can_subset: whether a run may select some of the features.
        asset_arguments: any argument of `dg.multi_asset` but `specs`; it wins.

    Raises:
        DefinitionError: the graph does not have a feature, or the function does not fit.

    >>> from metaxy_core import FeatureSpec
    >>> specs = [FeatureSpec("frame"), FeatureSpec("box", deps=["frame"])]
    >>> graph = FeatureGraph([*specs, FeatureSpec("mark", deps=["frame"])])
    >>> @multi_feature_asset(["box", "mark"], graph=graph)
    ... def detector(increments):
    ...     for batch in increments.iter_batches(64):
    ...         yield "box", batch
    ...         yield "mark", batch
    >>> sorted(key.to_user_string() for key in detector.keys)
    ['box', 'mark']
    """

    def decorate(function: Callable[..., Any]) -> dg.AssetsDefinition:
        chosen = active_graph() if graph is None else graph
        assets = translation or Translation(frozen(chosen), translator or FeatureTranslator())
        declared = {feature_of(assets.graph, feature, function): feature for feature in features}
        keys = [key for key in assets.graph if key in declared]
        if len(keys) != len(features):
            raise DefinitionError(f"A feature is named twice: {', '.join(map(str, features))}.")
        for key in keys:
            implements(key, graph=assets.graph, by=multi_feature_asset)(function)
        parameters = read_parameters(function, keys[0], Increments, "increments")
        specs = {
            key: with_references(assets.spec(key), function, declared[key])
            .with_io_manager_key(io_manager_key)
            .replace_attributes(skippable=True)
            for key in keys
        }
        recipes = [
            Recipe(
                key,
                chosen,
                specs[key].key,
                assets.parents(key),
                parameters,
                orphans=check_policy(key, orphans),
                guard=guard_of(guard, chosen, store),
            )
            for key in keys
        ]
        parents = {
            parent: key for recipe in recipes for parent, key in recipe.upstream_keys.items()
        }
        inputs = value_inputs(parameters, parents, io_manager_key)
        options = "config_schema" not in asset_arguments
        compute = step_function(
            function,
            signature([parameters], store, keys[0], options=options),
            store,
            keys,
            lambda step: run_features(recipes, step),
        )
        named = getattr(function, "__name__", "")
        name = named if named.isidentifier() else "__".join(key.to_table() for key in keys)
        defaults = {"name": name, "can_subset": can_subset, "ins": inputs}
        made: dg.AssetsDefinition = dg.multi_asset(
            specs=list(specs.values()), **{**defaults, **asset_arguments}
        )(compute)
        return made

    return decorate


def run_features(recipes: Sequence[Recipe], step: Step) -> Iterator[Any]:
    """Do the work of the selected features; yields one result per feature, parents first."""
    selected = {
        recipe.feature: recipe
        for recipe in recipes
        if recipe.key in step.context.selected_asset_keys
    }
    for recipe in selected.values():
        if recipe.guard is not None and not step.options.dry_run:
            recipe.guard(step.context, recipe.plan)
    with closing(_Writers(selected, step)) as writers:
        yield from _do(recipes, selected, writers, step)


def _do(
    recipes: Sequence[Recipe],
    selected: Mapping[FeatureKey, Recipe],
    writers: _Writers,
    step: Step,
) -> Iterator[Any]:
    if step.options.dry_run:
        for recipe in selected.values():
            if not recipe.plan.spec.is_root:
                increment = writers.increment(recipe.feature)
                observe_only(recipe, step, found(increment), increment.cost)
        return
    if writers.anything_to_do():
        increments = Increments(writers.derived, writers.increment)
        function = next(iter(selected.values())).function
        for item in _pairs(step.call(function, increments), function.name, recipes):
            if is_event(item):
                yield item
                continue
            feature, frame = item
            key = FeatureKey.of(feature)
            if key in selected:
                with given_by(function.name):
                    writers[key].write(frame)
            elif key not in {recipe.feature for recipe in recipes}:
                raise TypeError(
                    f"{function.name} gave a frame for '{key}', which is not among its features: "
                    f"{_shown(recipes)}."
                )
    receipts = {key: writers[key].finish(recipe.orphans) for key, recipe in selected.items()}
    for key, receipt in receipts.items():
        record_snapshot(selected[key], step)
        yield materialization(selected[key], receipt)


class _Writers:
    """Who stores the frames of each selected feature, made when first needed."""

    def __init__(self, recipes: Mapping[FeatureKey, Recipe], step: Step) -> None:
        self._recipes, self._step = recipes, step
        self._made: dict[FeatureKey, Attempt | SampleFeed] = {}
        self.derived = [key for key, recipe in recipes.items() if not recipe.plan.spec.is_root]

    def __getitem__(self, feature: FeatureKey) -> Attempt | SampleFeed:
        if feature not in self._made:
            recipe, log = self._recipes[feature], self._step.context.log
            work = work_of(recipe, self._step)
            if recipe.plan.spec.is_root:
                self._made[feature] = SampleFeed(self._step.store, work, log)
            else:
                increment = resolve(self._step.store, work, estimate=True)
                announce(self._step.context, feature, recipe.key, increment)
                store = self._step.store.describe(graph=work.graph, run_id=work.run_id)
                self._made[feature] = Attempt(store, work, increment, log, strict=False)
        return self._made[feature]

    def close(self) -> None:
        """Remove the local files."""
        for writer in self._made.values():
            (writer.increment if isinstance(writer, Attempt) else writer).close()

    def increment(self, feature: FeatureKey) -> Increment:
        """What a feature has to do."""
        writer = self[feature]
        assert isinstance(writer, Attempt)  # roots are not among the increments
        return writer.increment

    def anything_to_do(self) -> bool:
        """Whether any feature has work; those above others first, as they may make more."""
        if len(self.derived) < len(self._recipes):
            return True
        return any(not self.increment(feature).is_empty for feature in self.derived)


def _shown(recipes: Sequence[Recipe]) -> str:
    return ", ".join(f"'{recipe.feature}'" for recipe in recipes)


def _pairs(result: Any, function: str, recipes: Sequence[Recipe]) -> Iterator[Any]:
    """The `(feature, frame)` pairs, and events, that a function gives."""
    if result is None:
        return
    if not isinstance(result, Mapping | Iterator | list | tuple):
        result = [result]
    for item in result.items() if isinstance(result, Mapping) else result:
        if is_event(item) or (isinstance(item, tuple) and len(item) == 2):
            if not is_event(item) and item[1] is not None:
                yield item[0], in_polars(item[1])
            elif is_event(item):
                yield item
        else:
            raise TypeError(
                f"{function}, the function of {_shown(recipes)}, gave a {type(item).__name__}; "
                "it yields pairs of a feature and its frame."
            )
