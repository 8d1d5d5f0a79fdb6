"""What a good engineer would write by hand for the same tables and hashes: SQL, and Polars.

It takes the last row of each sample, compares, and fetches what is to do. It knows nothing of
deletes, of versions come back to, or of sets of children that are still open.
"""

from __future__ import annotations

import polars as pl
import polars_hash  # noqa: F401  # gives expressions their `nchash`

from benchmarks.graphs import Feature, Shape
from metaxy_core import Graph, HashScheme

_LAST = {
    "window": """
    SELECT {columns} FROM {table} WHERE metaxy_deleted_at IS NULL
    QUALIFY row_number() OVER (PARTITION BY {unit} ORDER BY metaxy_commit DESC) = 1""",
    "distinct on": """
    SELECT DISTINCT ON ({unit}) {columns} FROM {table} WHERE metaxy_deleted_at IS NULL
    ORDER BY {unit}, metaxy_commit DESC""",
    "limit by": """
    SELECT {columns} FROM {table} WHERE metaxy_deleted_at IS NULL
    ORDER BY {unit}, metaxy_commit DESC LIMIT 1 BY {unit}""",
    # SQLite alone: other columns come from the row that has the maximum.
    "bare columns": """
    SELECT {columns}, max(metaxy_commit) FROM {table} WHERE metaxy_deleted_at IS NULL
    GROUP BY {unit}""",
}
MD5 = "md5({texts})"
_SEPARATOR = "'\x1f'"


def resolve(
    shape: Shape,
    key: str,
    *,
    last: str = "window",
    digest: str = MD5,
    grouped: bool = False,
) -> str:
    """The hand-written resolve of a derived feature, with the seeds of its fields put in.

    Args:
        last: one of the ways to say "the last row of each unit".
        digest: the engine's; `{texts}` is what is digested.
        grouped: where an engine has no good full join.
    """
    feature = shape[key]
    tables = {name: _parent(shape, feature, shape[name], last) for name in feature.parents}
    tables["stored"] = _last(
        last,
        key,
        feature.unit,
        [*feature.unit, *(f"metaxy_provenance__{f} AS {f}" for f in feature.fields)],
    )
    if "aggregation" in feature.parents.values():
        tables |= _groups(feature, digest)
    tables["expected"] = _expected(shape, feature, digest)
    tables["compared"] = (_grouped if grouped else _joined)(feature, _told(shape, feature))
    named = "\n), ".join(f"{name}_rows AS ({text}" for name, text in tables.items())
    return f"WITH {named}\n)\nSELECT * FROM compared_rows WHERE status IS NOT NULL"


def read(feature: Feature) -> str:
    """The last row of every sample, with the columns that a reader wants."""
    columns = [*feature.ids, feature.column, "metaxy_provenance", "metaxy_data_version"]
    return _last("window", feature.key, feature.ids, columns)


def _last(way: str, table: str, unit: tuple[str, ...], columns: list[str]) -> str:
    return _LAST[way].format(table=table, unit=", ".join(unit), columns=", ".join(columns))


def _parent(shape: Shape, feature: Feature, parent: Feature, last: str) -> str:
    wanted = [ref.split("/") for refs in feature.fields.values() for ref in refs]
    fields = [name for key, name in wanted if key == parent.key]
    versions = [f"metaxy_data_version__{f} AS {parent.key}_{f}" for f in sorted(set(fields))]
    return _last(last, parent.key, parent.ids, [*parent.ids, *_known(shape, parent), *versions])


def _groups(feature: Feature, digest: str) -> dict[str, str]:
    """A group is digested from its members, each one's id and data version, sorted."""
    (parent,) = feature.parents
    refs = sorted({ref.replace("/", "_") for refs in feature.fields.values() for ref in refs})
    member = {
        ref: digest.format(texts=f"{digest.format(texts='id')} || {_SEPARATOR} || {ref}")
        for ref in refs
    }
    ids = ", ".join(feature.ids)
    members = ", ".join(f"{text} AS {ref}" for ref, text in member.items())
    joined = ", ".join(
        f"{digest.format(texts=f'string_agg({ref}, {_SEPARATOR} ORDER BY {ref})')} AS {ref}"
        for ref in refs
    )
    return {
        "member": f"\n    SELECT {ids}, {members} FROM {parent}_rows",
        "group": f"\n    SELECT {ids}, {joined} FROM member_rows GROUP BY {ids}",
    }


def _told(shape: Shape, feature: Feature) -> list[str]:
    """What the parents tell of a unit; of a group they tell nothing."""
    if "aggregation" in feature.parents.values():
        return []
    return [column for name in feature.parents for column in _known(shape, shape[name])]


def _known(shape: Shape, feature: Feature) -> list[str]:
    """The columns that a feature's rows have besides ids: what the roots above told."""
    return _told(shape, feature) if feature.parents else [feature.column]


def _expected(shape: Shape, feature: Feature, digest: str) -> str:
    fields = [
        digest.format(
            texts=f" || {_SEPARATOR} || ".join([f"'{_seed(feature, name)}'", *_texts(refs)])
        )
        + f" AS {name}"
        for name, refs in feature.fields.items()
    ]
    first, *others = feature.parents
    unit = ", ".join(feature.unit)
    source = "group_rows" if "aggregation" in feature.parents.values() else f"{first}_rows"
    for other in others:
        source += f" JOIN {other}_rows USING ({unit})"
    columns = ", ".join([*feature.unit, *_told(shape, feature), *fields])
    return f"\n    SELECT {columns} FROM {source}"


def _texts(refs: tuple[str, ...]) -> list[str]:
    return [ref.replace("/", "_") for ref in refs]


def _joined(feature: Feature, told: list[str]) -> str:
    unit, fields = feature.unit, list(feature.fields)
    columns = [
        *(f"coalesce(e.{name}, s.{name}) AS {name}" for name in unit),
        *told,
        *(f"e.{name} AS {name}" for name in fields),
    ]
    differs = " OR ".join(f"e.{name} <> s.{name}" for name in fields)
    on = " AND ".join(f"e.{name} = s.{name}" for name in unit)
    return f"""
    SELECT {", ".join(columns)},
        CASE WHEN e.{unit[0]} IS NULL THEN 'orphaned' WHEN s.{unit[0]} IS NULL THEN 'new'
            WHEN {differs} THEN 'stale' END AS status
    FROM expected_rows e FULL JOIN stored_rows s ON {on}"""


def _grouped(feature: Feature, told: list[str]) -> str:
    """SQLite would compare every row with every other."""
    unit, fields = ", ".join(feature.unit), list(feature.fields)
    columns = ", ".join(f"max({name}) AS {name}" for name in (*told, *fields))
    differs = " OR ".join(f"max({name}) <> max(old_{name})" for name in fields)
    no_text = ", ".join(f"NULL AS old_{name}" for name in fields)
    nothing = ", ".join("NULL" for _ in (*told, *fields))
    return f"""
    SELECT {unit}, {columns},
        CASE WHEN max({fields[0]}) IS NULL THEN 'orphaned'
            WHEN max(old_{fields[0]}) IS NULL THEN 'new'
            WHEN {differs} THEN 'stale' END AS status
    FROM (SELECT {", ".join((unit, *told, *fields))}, {no_text} FROM expected_rows
        UNION ALL SELECT {unit}, {nothing}, {", ".join(fields)} FROM stored_rows)
    GROUP BY {unit}"""


def resolve_in_polars(
    shape: Shape, key: str, parent: pl.LazyFrame, stored: pl.LazyFrame
) -> pl.DataFrame:
    """The same over the rows of both tables, for a feature with one parent, one to one."""
    feature = shape[key]

    def last(rows: pl.LazyFrame, **columns: str) -> pl.LazyFrame:
        live = rows.filter(pl.col("metaxy_deleted_at").is_null())
        slim = live.select("id", "metaxy_commit", **{k: pl.col(v) for k, v in columns.items()})
        return slim.sort("metaxy_commit").unique("id", keep="last")

    fields = list(feature.fields)
    refs = {ref: ref.split("/")[1] for refs in feature.fields.values() for ref in refs}
    rows = last(
        parent, path="path", **{ref: f"metaxy_data_version__{name}" for ref, name in refs.items()}
    )
    expected = rows.select(
        "id",
        "path",
        *(
            _digest(
                pl.concat_str(pl.lit(_seed(feature, name)), *map(pl.col, used), separator="\x1f")
            ).alias(name)
            for name, used in feature.fields.items()
        ),
    )
    old = last(stored, **{name: f"metaxy_provenance__{name}" for name in fields})
    both = expected.join(old, on="id", how="full", coalesce=True)
    differs = pl.any_horizontal(pl.col(name) != pl.col(f"{name}_right") for name in fields)
    status = (
        pl.when(pl.col(fields[0]).is_null())
        .then(pl.lit("orphaned"))
        .when(pl.col(f"{fields[0]}_right").is_null())
        .then(pl.lit("new"))
        .when(differs)
        .then(pl.lit("stale"))
    )
    return both.with_columns(status=status).filter(pl.col("status").is_not_null()).collect()


def stamped(graph: Graph, frame: pl.DataFrame, like: pl.DataFrame) -> pl.DataFrame:
    """The rows to store for a root's texts: digests, and the other columns as in `like`."""
    scheme = HashScheme()
    fields = {str(f.key): f.spec.code_version for f in graph.plan("video").fields}
    texts = frame.select("id", "path", pl.col("metaxy_provenance_by_field").struct.unnest())
    digested = texts.with_columns(
        _digest(pl.format(f"{scheme.seed(n, code, [])}\x1f{{}}", _digest(pl.col(n)))).alias(n)
        for n, code in fields.items()
    )
    total = _digest(pl.concat_str(*sorted(fields), separator="\x1f"))
    versions = {
        f"metaxy_{what}{suffix}": value
        for what in ("provenance", "data_version")
        for suffix, value in {"": total, **{f"__{n}": pl.col(n) for n in fields}}.items()
    }
    rest = [name for name in like.columns if name not in (*frame.columns, *versions)]
    same = [pl.lit(like[name][0], like.schema[name]).alias(name) for name in rest]
    return digested.select("id", "path", *same, **versions).select(like.columns)


def _digest(text: pl.Expr) -> pl.Expr:
    hashed: pl.Expr = text.nchash.md5()  # type: ignore[attr-defined]  # polars-hash's
    return hashed


def _seed(feature: Feature, name: str) -> str:
    """The static half of a field's digest; every code version is 1."""
    return HashScheme().seed(name, "1", feature.fields[name])
