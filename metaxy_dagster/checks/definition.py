"""Asset checks of a whole graph in one definition: what changed, what is pending, what is broken.

Dagster reads the annotations of ops itself, so this module has no postponed ones.
"""

from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

import dagster as dg

from metaxy_core import FeatureGraph, FeatureKey, Graph, active_graph
from metaxy_dagster.checks.inspection import Inspection
from metaxy_dagster.resource import STORE_KEY, MetaxyStore, frozen
from metaxy_dagster.translator import FeatureTranslator, Translation

CheckName = Literal[
    "graph_diff",
    "pending_increment",
    "one_version",
    "unique_samples",
    "provenance_complete",
    "schema_matches",
]
CHECKS: tuple[CheckName, ...] = (
    "graph_diff",
    "pending_increment",
    "one_version",
    "unique_samples",
    "provenance_complete",
    "schema_matches",
)
"""All checks there are, in the order in which they are made."""

_DESCRIPTIONS: dict[str, str] = {
    "graph_diff": "The feature in code is the one that was recorded last.",
    "pending_increment": "There is nothing new or stale to process.",
    "one_version": "All stored rows carry the current feature version.",
    "unique_samples": "No sample has two live rows.",
    "provenance_complete": "Every row has the provenance of every field.",
    "schema_matches": "The stored columns are those declared.",
}
_GRAVE = ("graph_diff", "unique_samples", "provenance_complete")
"""Those that can fail as an error; the others only warn."""


def feature_checks(
    features: Graph | FeatureGraph | Iterable[Any] | None = None,
    *,
    graph: Graph | FeatureGraph | None = None,
    checks: Collection[CheckName] = CHECKS,
    baseline: str | Path | None = None,
    blocking: bool | Collection[CheckName] = False,
    pending_cron: str | None = None,
    name: str = "feature_checks",
    translator: FeatureTranslator | None = None,
    translation: Translation | None = None,
    store: str = STORE_KEY,
    pool: str | None = None,
) -> dg.AssetChecksDefinition:
    """The checks of every feature, in one step that can be subset.

    `graph_diff` compares each feature with the newest graph recorded before the run, else with
    the version its asset was last made under. A cosmetic change passes, one that makes samples
    stale is a warning until no stored row is of another version, a breaking one an error; a
    picture, tables and the rows that would be computed again are its metadata.
    `pending_increment` counts what a run would find and says for how long the oldest of it has been
    pending, as far as rows tell; `one_version`, `unique_samples`,
    `provenance_complete` and `schema_matches` look at the stored rows, in the database.

    Assets record the graph when they have succeeded, so after one run of the changed features
    there is nothing to report any more.

    Args:
        features: a graph, or some features of `graph`; by default the whole of `graph`.
        graph: where they are declared; by default the active graph.
        checks: which of them.
        baseline: the snapshot to compare with instead: the beginning of a recorded version, or
            the path of a JSON file that `metaxy graph snapshot` wrote. A difference from it is
            told whether or not the samples are up to date by now.
        blocking: an error stops the features below in the same run: True for those that can be
            errors, or their names. Each feature's checks are then a step of their own.
        pending_cron: when to run `pending_increment` by itself, such as `"@hourly"`; needs an
            automation sensor that is switched on.
        name: of the step; must differ where there are several.
        translator: decides the assets' keys, and the check specs.
        store: the resource key of the `MetaxyStore`.
        pool: of the step.

    Raises:
        DefinitionError: the graph does not have a feature.
        ValueError: a check's name is unknown, or it cannot block.

    >>> from metaxy_core import FeatureSpec
    >>> made = feature_checks(Graph([FeatureSpec("video")]), checks=["graph_diff"])
    >>> [key.name for key in made.check_keys]
    ['graph_diff']
    """
    chosen, named = _chosen(features, graph)
    assets = translation or Translation(chosen, translator or FeatureTranslator())
    wanted = [assets.graph[feature].key for feature in named]
    _check_names(checks, blocking)
    stops = _GRAVE if blocking is True else (blocking or ())
    specs: list[dg.AssetCheckSpec] = []
    by_key: dict[dg.AssetCheckKey, FeatureKey] = {}
    for feature in wanted:
        for check in checks:
            own = assets.translator.get_asset_check_spec(
                dg.AssetCheckSpec(
                    check,
                    asset=assets.spec(feature).key,
                    description=_DESCRIPTIONS[check],
                    blocking=check in stops,
                    automation_condition=_monitor(pending_cron, check),
                ),
                assets.data(feature),
            )
            if own is not None:
                specs.append(own)
                by_key[own.key] = feature

    def run(context: dg.AssetCheckExecutionContext) -> Iterator[Any]:
        resource: MetaxyStore = getattr(context.resources, store)
        asked: dict[FeatureKey, list[dg.AssetCheckKey]] = {}
        for key, feature in by_key.items():
            if key in context.selected_asset_check_keys:
                asked.setdefault(feature, []).append(key)
        inspection = Inspection(resource, assets.graph, context, baseline)
        for feature, keys in asked.items():
            yield from inspection.of(feature, keys)

    return dg.multi_asset_check(
        specs=specs,
        name=name,
        can_subset=True,
        required_resource_keys={store},
        pool=pool,
        description="Compares the graph with the recorded one and looks at the stored rows.",
    )(run)


def _monitor(cron: str | None, check: str) -> dg.AutomationCondition[Any] | None:
    """Runs a check by the clock, whether or not its asset has run since."""
    if cron is None or check != "pending_increment":
        return None
    waits = dg.AutomationCondition.all_deps_updated_since_cron(cron)
    return dg.AutomationCondition.on_cron(cron).without(waits).with_label(f"on_cron({cron})")


def _check_names(checks: Collection[str], blocking: bool | Collection[str]) -> None:
    named = [*checks, *(() if isinstance(blocking, bool) else blocking)]
    if unknown := sorted(set(named) - set(CHECKS)):
        raise ValueError(
            f"There are no checks {', '.join(unknown)}. There are: {', '.join(CHECKS)}."
        )
    if not isinstance(blocking, bool) and (mild := sorted(set(blocking) - set(_GRAVE))):
        raise ValueError(
            f"{', '.join(mild)} only warns and cannot block. These can: {', '.join(_GRAVE)}."
        )


def _chosen(features: Any, graph: Graph | FeatureGraph | None) -> tuple[Graph, Iterable[Any]]:
    """The graph, and the features of it that are meant."""
    if isinstance(features, Graph | FeatureGraph):
        whole = frozen(features)
        return whole, whole
    whole = frozen(active_graph() if graph is None else graph)
    return whole, whole if features is None else features
