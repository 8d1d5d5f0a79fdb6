"""What there is to do in the whole graph, now and once parents have run, and why."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from cyclopts.validators import Number

from metaxy_core.cli.output import Format, gives, progress, show, show_rows, tell
from metaxy_core.cli.project import Project
from metaxy_core.errors import ConfigError
from metaxy_core.render.text import one_line, visible
from metaxy_core.work import said_money, said_time

if TYPE_CHECKING:
    from metaxy_core.graph import FeaturePlan
    from metaxy_core.work import PlannedFeature, WorkPlan

_HERE = Project()


def _plan_type() -> object:
    from metaxy_core.work import WorkPlan

    return WorkPlan


def _explanation_type() -> object:
    from metaxy_core.work.causes import Cause
    from metaxy_core.work.explanation import Explanation

    return Explanation | list[Cause]


@gives(_plan_type)
def plan(
    *features: str,
    out: Path | None = None,
    max_samples: Annotated[int | None, Parameter(validator=Number(gte=0))] = None,
    max_cost: Annotated[float | None, Parameter(validator=Number(gte=0))] = None,
    project: Project = _HERE,
    format: Format = "plain",
) -> int:
    """Show what each feature has to do: now, and once the features above it have run.

    Nothing is run or written. `new` and `stale` are counted as they will be when the parents have
    run; in brackets, where it differs, as they are now. Causes are grouped, with counts. Roots are
    taken to list again what is stored. Time and money come from recorded runs, or from
    `seconds_per_sample` and `cost_per_sample` in a feature's metadata.

    Example: metaxy plan --max-samples 1000 --out plan.json

    Exit codes: 0 in sync, 2 something is to be done, 1 a mistake.

    Args:
        features: Keys of the features to plan; all without any.
        out: Save the plan, with the units of each feature, to this JSON file; apply it with
            `WorkPlan.load` and `resolve_update(units=...)`, or in a Dagster run's config.
        max_samples: Let in no more samples than this, in the order of the features.
        max_cost: Let in no more than costs this.
    """
    graph = project.graph()
    chosen = [graph[key].key for key in features] or None
    above = {up for key in chosen or () for up in (key, *graph.upstream(key))}
    walked = [key for key in graph if chosen is None or key in above]
    with (
        project.metadata_store(graph).open("r") as store,
        closing(progress(walked, "planning")) as bar,
    ):
        found = store.plan(
            chosen,
            max_samples=max_samples,
            max_cost=max_cost,
            with_units=out is not None,
            on_feature=lambda _: next(bar, None),
        )
    if out is not None:
        try:
            found.save(out)
        except OSError as error:
            raise ConfigError(f"Cannot write {out}: {error.strerror}.") from error
        tell(f"Wrote {out}")
    if format == "json":
        unnamed = tuple(one.model_copy(update={"units": None}) for one in found.features)
        show(found.model_copy(update={"features": unnamed}).model_dump_json(indent=2))
    else:
        _show(found)
    return 0 if found.is_in_sync else 2


@gives(_explanation_type)
def explain(
    feature: str,
    *ids: str,
    project: Project = _HERE,
    format: Format = "plain",
) -> int:
    """Say why samples of a feature are to be done.

    With ids, the chain of causes of that one sample: which field of which parent, data or code,
    old and new, when, by which run. Without, the causes of all there is to do once the features
    above it have run, with their counts, as in `metaxy plan`.

    Example: metaxy explain example/crop video_id=cat

    Exit codes: 0 explained, 1 a mistake.

    Args:
        feature: Key of the feature.
        ids: The sample's id columns, as `column=value`; the value alone where there is one.
    """
    graph = project.graph()
    graph_plan = graph.plan(feature)
    with project.metadata_store(graph).open("r") as store:
        if ids:
            found = store.explain(feature, _sample(graph_plan, ids))
            show(found.model_dump_json(indent=2) if format == "json" else visible(str(found)))
            return 0
        planned = store.plan([feature]).of(feature)
    if format == "json":
        rows = [cause.model_dump(mode="json") for cause in planned.causes]
        show(json.dumps(rows, indent=2))
        return 0
    said = planned.unknown or planned.inexact
    lines = [*_causes(planned), *([said] if said else [])] or [f"{feature} has nothing to do."]
    show("\n".join([*lines, *_failed(planned)]))
    return 0


def _show(plan: WorkPlan) -> None:
    columns = ["feature", "rows", "new", "stale", "orphaned", "waiting", "failed", "planned"]
    columns += ["time"] if plan.seconds else []
    columns += ["cost"] if plan.money else []
    rows = [
        {
            "feature": one.feature,
            "rows": one.rows,
            **{name: _both(one, name) for name in columns[2:7]},
            "planned": one.planned,
            "time": said_time(one.seconds),
            "cost": said_money(one.money),
        }
        for one in plan
    ]
    used = [c for c in columns if c not in ("waiting", "failed") or any(r[c] for r in rows)]
    show_rows(used, rows, "plain", "The module declares no features.")
    lines = []
    for one in plan:
        told = [*_causes(one), *filter(None, [one.unknown, one.inexact])]
        if told:
            lines += ["", one.feature, *(f"  {line}" for line in told)]
    samples = "sample" if plan.planned == 1 else "samples"
    total = [f"{plan.planned:,} {samples} planned" if plan.planned else ""]
    if plan.planned:
        total += [said_time(plan.seconds), said_money(plan.money)]
    left = sum(one.then.todo - one.planned for one in plan if one.then is not None)
    total += [f"{left:,} left out by the limits"] if left else []
    failed = _failed(*plan)
    if plan.is_in_sync:
        lines += ["", "There is nothing to run." if failed else "Everything is up to date."]
    else:
        lines += ["", ", ".join(filter(None, total)) or "Nothing can be planned yet."]
    show("\n".join([*lines, *failed]))


def _failed(*planned: PlannedFeature) -> list[str]:
    """A line on samples that failed and are left out, if there are any."""
    counts = [one.then or one.now for one in planned]
    failed = sum(count.failed for count in counts if count is not None)
    left = f"Failed, and left out: {failed:,}; `metaxy failures list` tells why."
    return [left] if failed else []


def _causes(one: PlannedFeature) -> list[str]:
    return [one_line(str(cause)) for cause in one.causes]


def _both(one: PlannedFeature, name: str) -> Any:
    """The count as it will be, and as it is where that differs."""
    now, then = (getattr(counts, name) if counts else None for counts in (one.now, one.then))
    if then is None:
        return now
    return then if now in (then, None) else f"{then} ({now})"


def _sample(graph_plan: FeaturePlan, ids: tuple[str, ...]) -> dict[str, Any]:
    """The ids given on the command line, as texts.

    Raises:
        ConfigError: another column than those of the unit.
    """
    unit = graph_plan.unit
    found: dict[str, Any] = {}
    for text in ids:
        name, sign, value = text.partition("=")
        if not sign and len(unit) == 1:
            name, value = unit[0], text
        if name not in unit:
            raise ConfigError(
                f"A sample of '{graph_plan.key}' is named by {', '.join(unit)}, as in "
                f"{unit[0]}=...; given: {text!r}"
            )
        found[name] = value
    return found
