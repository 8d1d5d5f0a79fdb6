"""Provenance of fields and samples: seeds hashed in Python, digests concatenated by the engine.

The formulas are those of docs/semantics.md, section 3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import narwhals as nw

from metaxy_core.columns import provenance_of
from metaxy_core.frames.dialect import Dialect, LazyFrame
from metaxy_core.graph import FeaturePlan, FieldPlan
from metaxy_core.hashing import ABSENT, OVERRIDE, SEPARATOR, HashScheme
from metaxy_core.keys import FieldKey
from metaxy_core.versioning.names import data_version_in, present_in


def seed(field: FieldPlan, scheme: HashScheme) -> str:
    """The static half of a field's provenance."""
    parents = [f"{ref.feature}/{ref.field}" for ref in field.parents]
    return scheme.seed(str(field.key), field.spec.code_version, parents)


def with_provenance(
    units: LazyFrame, plan: FeaturePlan, scheme: HashScheme, dialect: Dialect
) -> LazyFrame:
    """Add the provenance of each field of a derived feature, `metaxy_provenance__<field>`.

    Columns in: for each edge its data versions and whether it is present (`versioning/names.py`).
    """
    edges = {edge.parent.key: edge for edge in plan.edges}
    parts = {}
    for field in plan.fields:
        texts = [nw.lit(seed(field, scheme))]
        for ref in field.parents:
            edge = edges[ref.feature]
            version = nw.col(data_version_in(edge, ref.field))
            if edge.dep.optional:
                present = nw.col(present_in(edge)).is_null()
                version = nw.when(present).then(nw.lit(ABSENT)).otherwise(version)
            texts.append(version)
        parts[provenance_of(field.key)] = _joined(texts)
    return _digested(units, parts, scheme, dialect)


def with_root_provenance(
    rows: LazyFrame, plan: FeaturePlan, scheme: HashScheme, dialect: Dialect
) -> LazyFrame:
    """Digest the user's texts in `metaxy_provenance__<field>` in place: H(seed ␟ H(text))."""
    columns = [provenance_of(field.key) for field in plan.fields]
    rows = dialect.digest(rows, columns, scheme.algorithm)
    parts = {
        provenance_of(field.key): _joined([nw.lit(seed(field, scheme)), nw.col(column)])
        for field, column in zip(plan.fields, columns, strict=True)
    }
    return _digested(rows, parts, scheme, dialect)


def with_overrides(
    rows: LazyFrame,
    overrides: Mapping[FieldKey, str],
    scheme: HashScheme,
    dialect: Dialect,
) -> LazyFrame:
    """Turn the user's override texts into data versions, in place; NULL: as the provenance.

    `overrides` maps a field to the column that holds its text: H(marker ␟ H(text)). There is no
    seed in it, so an override cuts propagation off even across code changes.
    """
    columns = list(overrides.values())
    rows = dialect.digest(rows, columns, scheme.algorithm)
    marked = {column: _joined([nw.lit(OVERRIDE), nw.col(column)]) for column in columns}
    rows = _digested(rows, marked, scheme, dialect)
    return rows.with_columns(
        nw.coalesce(nw.col(column), nw.col(provenance_of(field)))
        for field, column in overrides.items()
    )


def with_total(
    rows: LazyFrame, name: str, columns: Sequence[str], scheme: HashScheme, dialect: Dialect
) -> LazyFrame:
    """Add the digest of a sample over its fields' digests, in the order given."""
    return _digested(rows, {name: _joined([nw.col(c) for c in columns])}, scheme, dialect)


def made_from(plan: FeaturePlan) -> nw.Expr:
    """What a unit is made from as one text, out of its expected provenance by field."""
    return _joined([nw.col(provenance_of(field.key)) for field in plan.fields])


def _joined(texts: Sequence[nw.Expr]) -> nw.Expr:
    return nw.concat_str(*texts, separator=SEPARATOR)


def _digested(
    frame: LazyFrame, parts: Mapping[str, nw.Expr], scheme: HashScheme, dialect: Dialect
) -> LazyFrame:
    frame = frame.with_columns(text.alias(name) for name, text in parts.items())
    return dialect.digest(frame, list(parts), scheme.algorithm)
