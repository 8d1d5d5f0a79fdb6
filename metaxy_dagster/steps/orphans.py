"""What becomes of stored samples that are not expected any more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from metaxy_core import MetadataStore
from metaxy_dagster.frames import LazyFrame, length
from metaxy_dagster.steps.increment import Work, asked

OrphanPolicy = Literal["report", "soft_delete", "hard_delete"] | Callable[[LazyFrame], Any]
"""`"report"` counts them, the others delete them (see `MetadataStore.delete`); a callable gets
the frame of orphaned rows and does what it likes with it."""

POLICIES = ("report", "soft_delete", "hard_delete")


def check_policy(feature: object, policy: Any) -> OrphanPolicy:
    """Refuse what is no policy.

    Raises:
        ValueError: names the feature and the policies there are.
    """
    if callable(policy) or policy in POLICIES:
        chosen: OrphanPolicy = policy
        return chosen
    raise ValueError(
        f"Feature '{feature}': orphans={policy!r} is none of {', '.join(map(repr, POLICIES))} "
        "or a function of one frame."
    )


def policy_name(policy: OrphanPolicy) -> str:
    """The policy in one word, for logs and metadata."""
    return policy if isinstance(policy, str) else getattr(policy, "__name__", "callable")


def handle(store: MetadataStore, work: Work, orphaned: LazyFrame, policy: OrphanPolicy) -> int:
    """Do with orphaned rows what the policy says. Returns how many samples were dealt with.

    Rows that are expected again by now are not deleted.

    Args:
        store: not open; a callable policy runs while it is closed.
        work: what was asked for when the orphans were found.
        orphaned: rows as `MetadataStore.read` gives them, over Polars.
    """
    if policy == "report":
        return 0
    found = length(orphaned)
    if not found:
        return 0
    if callable(policy):
        policy(orphaned)
        return found
    with store.open("w") as opened:
        # Another run may have stored them since they were found: nobody held the store meanwhile.
        ids = list(work.plan.spec.id_columns)
        again = opened.resolve_update(work.feature, lazy=True, **asked(opened, work)).orphaned
        still = again.select(*ids).collect("polars").lazy()
        both = orphaned.select(*ids).join(still, on=ids, how="semi")
        return opened.delete(work.feature, samples=both, soft=policy == "soft_delete")
