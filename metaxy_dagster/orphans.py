"""What becomes of stored samples that are not expected any more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from metaxy_core import FeatureKey, MetadataStore
from metaxy_dagster.increment import LazyFrame, length

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


def handle(
    store: MetadataStore, feature: FeatureKey, orphaned: LazyFrame, policy: OrphanPolicy
) -> int:
    """Do with orphaned rows what the policy says. Returns how many samples were dealt with.

    Args:
        store: not open; a callable policy runs while it is closed.
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
        ids = orphaned.select(*opened.graph.plan(feature).spec.id_columns)
        return opened.delete(feature, samples=ids, soft=policy == "soft_delete")
