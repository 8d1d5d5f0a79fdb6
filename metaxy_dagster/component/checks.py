"""The attribute `checks`: which checks of `feature_checks` are made, and how.

Dagster reads the annotations here itself, so this module has no postponed ones.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import dagster as dg

from metaxy_dagster.checks.definition import CHECKS, CheckName, feature_checks
from metaxy_dagster.factory import Built


@dataclass(frozen=True)
class Check(dg.Resolvable):
    """A check that only warns."""


@dataclass(frozen=True)
class GraveCheck(dg.Resolvable):
    """A check that can be an error, and then stop what is downstream in the same run."""

    blocking: bool = False


@dataclass(frozen=True)
class GraphDiffCheck(GraveCheck):
    """See `feature_checks`.

    Attributes:
        baseline: a recorded version, or the path of a snapshot, relative to the project's root.
    """

    baseline: str | None = None


@dataclass(frozen=True)
class PendingCheck(dg.Resolvable):
    """See `feature_checks`.

    Attributes:
        cron: when to run it by itself.
    """

    cron: str | None = None


@dataclass(frozen=True)
class Checks(dg.Resolvable):
    """The checks to make: those that are named, each with its options if it has any."""

    graph_diff: GraphDiffCheck | None = None
    pending_increment: PendingCheck | None = None
    one_version: Check | None = None
    unique_samples: GraveCheck | None = None
    provenance_complete: GraveCheck | None = None
    schema_matches: Check | None = None

    @classmethod
    def all(cls) -> "Checks":
        """Every check there is, with the defaults."""
        grave, mild = GraveCheck(), Check()
        return cls(GraphDiffCheck(), PendingCheck(), mild, grave, grave, mild)

    def make(self, built: Built, root: Path) -> list[dg.AssetChecksDefinition]:
        """The checks of a graph.

        Args:
            root: the project's root.
        """
        made: list[CheckName] = [name for name in CHECKS if getattr(self, name) is not None]
        if not made:
            return []
        baseline = self.graph_diff.baseline if self.graph_diff else None
        if baseline is not None and (root / baseline).is_file():
            baseline = str(root / baseline)
        return [
            feature_checks(
                built.graph,
                checks=made,
                baseline=baseline,
                blocking=[n for n in made if getattr(getattr(self, n), "blocking", False)],
                pending_cron=self.pending_increment.cron if self.pending_increment else None,
                translation=built.translation,
            )
        ]


def _resolve(context: dg.ResolutionContext, said: Any) -> Checks | None:
    made: Any = context.resolve_value(said) if isinstance(said, str) else said
    if made is None or isinstance(made, bool):
        return Checks.all() if made else None
    if isinstance(made, str):
        raise ValueError(
            f"checks: true, or the names of checks with their options; given: {made!r}"
        )
    resolved: Checks = Checks.resolve_from_model(context, made)
    # A name with nothing behind it: the check with its defaults.
    bare = [name for name in made.model_fields_set if getattr(made, name) is None]
    return replace(resolved, **{name: getattr(Checks.all(), name) for name in bare})


ChecksAttribute = Annotated[
    Checks | None,
    dg.Resolver(
        _resolve,
        model_field_type=bool | Checks.model() | None,
        inject_before_resolve=False,
        description="true for all checks, or those to make with their options.",
        examples=[True, {"graph_diff": {"blocking": True}}],
    ),
]
