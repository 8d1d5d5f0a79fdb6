"""Partitions by a hash of the samples' ids: parallel runs without a column to partition by."""

from __future__ import annotations

from collections.abc import Iterable

import dagster as dg

from metaxy_core import Buckets

BUCKET = "metaxy_bucket"
"""What `partition_by` says in place of a column where partitions are buckets."""


class HashBuckets(dg.StaticPartitionsDefinition):
    """The partitions that `hash_buckets` makes: the keys are the numbers of buckets."""

    def __init__(self, count: int) -> None:
        Buckets(count, ())
        width = max(2, len(str(count - 1)))
        super().__init__([f"{number:0{width}d}" for number in range(count)])
        self.count = count

    def chosen(self, keys: Iterable[str]) -> Buckets:
        """The buckets that partition keys name."""
        return Buckets(self.count, tuple(map(int, keys)))

    def key_of(self, slot: str) -> str:
        """The partition key of a slot, see `metaxy_core.SLOT`."""
        keys = self.get_partition_keys()
        return keys[Buckets.number_of(slot, self.count)]


def hash_buckets(count: int) -> HashBuckets:
    """Static partitions `00`, `01`, ...; a sample is in one of them by a hash of its unit's ids.

    Give it as `partitions_def=` of a feature's asset, without `partition_by=`, to have a feature
    made by several runs at once. The hash depends on the ids alone: a sample stays where it is
    whatever store it is in, as long as `count` is the same, and features with the same ids are in
    the same buckets, so that Dagster's identity mapping is right. Of a 1:N feature the bucket is
    that of the parent.

    A root's function gives samples of its own buckets, `buckets.chosen(context.partition_keys)
    .keep(frame, ids)`; other rows are refused. `samples=` may list all.

    Args:
        count: up to 4096.

    Raises:
        DefinitionError: there cannot be so many.

    >>> hash_buckets(3).get_partition_keys()
    ['00', '01', '02']
    """
    return HashBuckets(count)
