"""A feature asset's compute step: resolve, compute, store chunk by chunk, hand to the report."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, Literal

import dagster as dg

from metaxy_core import Cost, FeatureGraph, FeatureKey, FeaturePlan, Graph, RetryPolicy
from metaxy_dagster.frames import in_polars, is_frame
from metaxy_dagster.partitions import Part, PartitionBy, part_of_run
from metaxy_dagster.receipt import Outcome, WriteReceipt
from metaxy_dagster.reports.metadata import event_tags, increment_table
from metaxy_dagster.reports.preview import cost_metadata
from metaxy_dagster.resource import MetaxyStore, frozen
from metaxy_dagster.steps.announce import announce
from metaxy_dagster.steps.attempt import Attempt
from metaxy_dagster.steps.chunks import given_by, items
from metaxy_dagster.steps.increment import Increment, Work, resolve
from metaxy_dagster.steps.options import RunOptions, options_of
from metaxy_dagster.steps.orphans import OrphanPolicy
from metaxy_dagster.steps.parameters import Parameters
from metaxy_dagster.steps.samples import SampleFeed, check_part

Guard = Callable[[dg.AssetExecutionContext, FeaturePlan], None]
"""Called before anything is computed; raises, best `dg.Failure(allow_retries=False)`, to refuse."""

OnEmpty = Literal["materialize", "skip"]
Steps = Generator[Any, None, WriteReceipt | None]


@dataclass(frozen=True)
class Recipe:
    """Everything about a feature's asset that is decided at definition time.

    Attributes:
        graph: where the feature is declared, as it stands when the asset runs.
        key: the asset.
        upstream_keys: the assets of the feature's parents.
        samples: of a root: the function that lists the samples.
        complete: whether listed samples are the whole world.
        record: record the graph in the store when the asset has run.
        sample_retries: when units that failed are tried again.
        partition_by: the column that holds the asset's partition keys.
        max_failed: more failed units than this fail the step, after they were recorded.
    """

    feature: FeatureKey
    graph: Graph | FeatureGraph
    key: dg.AssetKey
    upstream_keys: Mapping[FeatureKey, dg.AssetKey]
    function: Parameters
    samples: Parameters | None = None
    complete: bool = True
    part: Part = field(default_factory=dict)
    orphans: OrphanPolicy = "report"
    on_empty: OnEmpty = "materialize"
    guard: Guard | None = None
    record: bool = True
    sample_retries: RetryPolicy = field(default_factory=RetryPolicy)
    max_failed: int | None = None
    partition_by: PartitionBy | None = None

    def check_failures(self, failed: int) -> None:
        """Fail the step where more units failed than are put up with.

        Raises:
            dagster.Failure: names both numbers.
        """
        if self.max_failed is not None and failed > self.max_failed:
            raise dg.Failure(
                f"{self.feature}: {failed} units failed, more than the {self.max_failed} that "
                "max_failed allows. Those that succeeded are stored, the failures are recorded: "
                "see `metaxy failures list`.",
                metadata={"metaxy/failed": failed},
            )

    @property
    def plan(self) -> FeaturePlan:
        """What the feature's declaration means in the graph as it stands."""
        return frozen(self.graph).plan(self.feature)

    @property
    def lists_samples(self) -> bool:
        """Whether the function's frames are the samples themselves."""
        return self.plan.spec.is_root and self.function.increment is None


@dataclass(frozen=True)
class Step:
    """One execution of the compute step: what Dagster provides."""

    context: dg.AssetExecutionContext
    store: MetaxyStore
    config: Any
    given: Mapping[str, Any]

    @property
    def options(self) -> RunOptions:
        """The run options of the Launchpad."""
        return options_of(self.config)

    @property
    def run_id(self) -> str:
        """The id that is stamped on every row."""
        return self.context.run.run_id

    def call(self, function: Parameters, increment: Any = None) -> Any:
        """Call a user's function with what it asks for."""
        return function.call(self.context, increment, self.config, self.store, self.given)


def run_feature(recipe: Recipe, step: Step) -> Iterator[Any]:
    """Do a feature's work; yields what its asset yields to Dagster."""
    if recipe.guard is not None and not step.options.dry_run:
        recipe.guard(step.context, recipe.plan)
    run = _list_samples if recipe.lists_samples else _compute
    receipt = yield from run(recipe, step)
    if receipt is None:
        return
    if recipe.record:
        record_snapshot(recipe, step)
    yield materialization(recipe, receipt)


def materialization(recipe: Recipe, receipt: WriteReceipt) -> dg.MaterializeResult[Any]:
    """The result for Dagster; its value goes to the IO manager, which reports it."""
    tags = event_tags(frozen(recipe.graph), recipe.feature)
    return dg.MaterializeResult(asset_key=recipe.key, value=receipt, tags=tags)


def record_snapshot(recipe: Recipe, step: Step) -> None:
    """Record the graph as the newest, where it is not yet."""
    with step.store.open("w", step.run_id, graph=recipe.graph) as opened:
        if opened.push():
            version = opened.graph.snapshot_version[:8]
            step.context.log.info("The graph has changed: recorded as snapshot %s", version)


def work_of(recipe: Recipe, step: Step, samples: Any = None) -> Work:
    """Which of the feature's work this run is asked to do."""
    return Work(
        recipe.feature,
        recipe.graph,
        samples,
        recipe.complete,
        {**recipe.part, **part_of_run(step.context, recipe.partition_by)},
        step.options,
        step.run_id,
        recipe.upstream_keys,
    )


def observe_only(
    recipe: Recipe, step: Step, outcomes: Mapping[str, Outcome], cost: Cost | None = None
) -> None:
    """Tell what a dry run found, and what it would take, as an observation of the asset."""
    counts = {f"metaxy/{name}": outcome.found for name, outcome in outcomes.items()}
    metadata: dict[str, Any] = {
        "metaxy/increment": increment_table(outcomes),
        "metaxy/dry_run": True,
        **counts,
        **cost_metadata(cost or Cost()),
    }
    step.context.log_event(dg.AssetObservation(recipe.key, metadata=metadata))


def _compute(recipe: Recipe, step: Step) -> Steps:
    work, resolved = _resolve(recipe, step)
    with closing(resolved) as increment:
        announce(step.context, recipe.feature, recipe.key, increment)
        if step.options.dry_run:
            observe_only(recipe, step, found(increment), increment.cost)
            return None
        attempt = Attempt(
            step.store.describe(graph=recipe.graph, run_id=step.run_id),
            work,
            increment,
            step.context.log,
            strict=recipe.function.increment is not None,
            retry=recipe.sample_retries,
        )
        try:
            if not increment.is_empty:
                result = step.call(recipe.function, increment)
                for item in items(recipe.feature, result, recipe.function.name):
                    if is_frame(item):
                        with given_by(recipe.function.name):
                            attempt.write(item)
                    else:
                        yield item
        except Exception:
            _record_failures_all_the_same(attempt, step)
            raise
        attempt.record_failures()
        recipe.check_failures(len(attempt.failures))
        receipt = attempt.finish(recipe.orphans)
        skip = increment.is_empty and recipe.on_empty == "skip" and not step.context.retry_number
        return None if skip else receipt


def _resolve(recipe: Recipe, step: Step) -> tuple[Work, Increment]:
    """What there is to do: of a root, compared with the samples that a function lists."""
    if recipe.samples is None:
        work = work_of(recipe, step)
        return work, resolve(step.store, work, estimate=True)
    samples = in_polars(step.call(recipe.samples))
    work = work_of(recipe, step, samples)
    with given_by(recipe.samples.name):
        check_part(work, samples, listed=True)
        return work, resolve(step.store, work, estimate=True)


def _record_failures_all_the_same(attempt: Attempt, step: Step) -> None:
    """Record what was reported before an error; a second error must not hide the first."""
    try:
        attempt.record_failures()
    except Exception as error:  # noqa: BLE001  # it is told, and the first one is raised
        step.context.log.error("The failures reported so far could not be recorded: %s", error)


def _list_samples(recipe: Recipe, step: Step) -> Steps:
    with closing(SampleFeed(step.store, work_of(recipe, step), step.context.log)) as feed:
        for item in items(recipe.feature, step.call(recipe.function), recipe.function.name):
            if is_frame(item):
                with given_by(recipe.function.name):
                    feed.write(item)
            else:
                yield item
        receipt = feed.finish(recipe.orphans)
    if step.options.dry_run:
        observe_only(recipe, step, receipt.outcomes)
        return None
    idle = not any(outcome.found for outcome in receipt.outcomes.values())
    skip = idle and recipe.on_empty == "skip" and not step.context.retry_number
    return None if skip else receipt


def found(increment: Increment) -> dict[str, Outcome]:
    """What was found, with nothing of it done."""
    return {
        name: Outcome(count, skipped=count)
        for name, count in increment.counts.items()
        if name != "waiting"
    }
