"""The content of a feature as one digest: equal if and only if the stored content is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import narwhals as nw

from metaxy_core.columns import DATA_VERSION, data_version_of
from metaxy_core.frames.dialect import LazyFrame
from metaxy_core.graph import FeaturePlan
from metaxy_core.hashing import SEPARATOR
from metaxy_core.versioning.upstream import id_text

if TYPE_CHECKING:
    from metaxy_core.store.base import BaseStore

_BUCKET = "metaxy_bucket"
_ALL = "metaxy_all"
_BUCKET_DIGITS = 2


@dataclass(frozen=True)
class Fingerprint:
    """What a feature's stored rows contain, whatever their order, history and times.

    Attributes:
        rows: how many samples.
        data_version: changes if and only if the set of (id, data version) changes.
        fields: the same per field key.
    """

    rows: int
    data_version: str
    fields: Mapping[str, str]


def fingerprint(store: BaseStore, plan: FeaturePlan, rows: LazyFrame) -> Fingerprint:
    """Digest rows that count now: per row, then per bucket of rows, then over the buckets.

    Columns in: the id columns, `metaxy_data_version`, `metaxy_data_version__<field>`. Sorting is
    within the groups of `Dialect.gather`, so every engine gives the same digest.
    """
    dialect, scheme = store.backend.dialect, store.scheme
    ids = [f"metaxy_id{position}" for position in range(len(plan.spec.id_columns))]
    versions = {"": DATA_VERSION} | {str(f.key): data_version_of(f.key) for f in plan.fields}
    schema = rows.collect_schema()
    rows = rows.with_columns(
        id_text(column, schema[column]).alias(name)
        for column, name in zip(plan.spec.id_columns, ids, strict=True)
    )
    rows = dialect.digest(rows, ids, scheme.algorithm)
    names = [f"metaxy_row{position}" for position in range(len(versions))]
    rows = rows.with_columns(
        nw.concat_str(*map(nw.col, ids), nw.col(version).fill_null(""), separator=SEPARATOR).alias(
            name
        )
        for name, version in zip(names, versions.values(), strict=True)
    )
    rows = dialect.digest(rows, names, scheme.algorithm).with_columns(
        nw.col(names[0]).str.head(_BUCKET_DIGITS).alias(_BUCKET)
    )
    counted = int(rows.select(nw.len().alias("n")).collect("polars")["n"][0])
    buckets = dialect.gather(rows.select(_BUCKET, *names), [_BUCKET], names, [])
    buckets = dialect.digest(buckets, names, scheme.algorithm)
    total = dialect.gather(buckets.with_columns(nw.lit(True).alias(_ALL)), [_ALL], names, [])
    total = dialect.digest(total, names, scheme.algorithm)
    found = total.collect("polars").rows(named=True)
    empty = scheme.digest("")
    digests = {
        field: found[0][name] if found else empty
        for field, name in zip(versions, names, strict=True)
    }
    return Fingerprint(counted, digests.pop(""), digests)
