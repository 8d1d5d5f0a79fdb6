"""What a good engineer would write by hand for the same tables and hashes: SQL, and Polars."""

from __future__ import annotations

import polars as pl
import polars_hash  # noqa: F401  # gives expressions their `nchash`

from metaxy_core import Graph, HashScheme

_LAST = {
    "window": """
    SELECT id, {columns} FROM {table} WHERE metaxy_deleted_at IS NULL
    QUALIFY row_number() OVER (PARTITION BY id ORDER BY metaxy_commit DESC) = 1""",
    "distinct on": """
    SELECT DISTINCT ON (id) id, {columns} FROM {table} WHERE metaxy_deleted_at IS NULL
    ORDER BY id, metaxy_commit DESC""",
    "limit by": """
    SELECT id, {columns} FROM {table} WHERE metaxy_deleted_at IS NULL
    ORDER BY id, metaxy_commit DESC LIMIT 1 BY id""",
    # SQLite alone: other columns come from the row that has the maximum.
    "bare columns": """
    SELECT id, {columns}, max(metaxy_commit) FROM {table} WHERE metaxy_deleted_at IS NULL
    GROUP BY id""",
}
_PARENT = "path, metaxy_data_version__audio AS audio, metaxy_data_version__frames AS frames"
_STORED = "metaxy_provenance__audio AS audio, metaxy_provenance__frames AS frames"
_EXPECTED = "SELECT id, path, {audio} AS audio, {frames} AS frames FROM parent"
_COMPARED = """
    SELECT coalesce(e.id, s.id) AS id, path, e.audio AS audio, e.frames AS frames,
        CASE WHEN e.id IS NULL THEN 'orphaned' WHEN s.id IS NULL THEN 'new'
            WHEN e.audio <> s.audio OR e.frames <> s.frames THEN 'stale' END AS status
    FROM expected e FULL JOIN stored s ON e.id = s.id"""
# SQLite would compare every row with every other.
_GROUPED = """
    SELECT id, max(path) AS path, max(audio) AS audio, max(frames) AS frames,
        CASE WHEN max(audio) IS NULL THEN 'orphaned' WHEN max(old_audio) IS NULL THEN 'new'
            WHEN max(audio) <> max(old_audio) OR max(frames) <> max(old_frames) THEN 'stale'
        END AS status
    FROM (SELECT id, path, audio, frames, NULL AS old_audio, NULL AS old_frames FROM expected
        UNION ALL SELECT id, NULL, NULL, NULL, audio, frames FROM stored)
    GROUP BY id"""


def resolve(
    graph: Graph,
    *,
    last: str = "window",
    digest: str = "md5('{seed}' || chr(31) || {text})",
    grouped: bool = False,
) -> str:
    """The hand-written resolve of `crop`, with the seeds of its fields put in.

    `last` is one of the ways to say "the last row of each id"; `digest` is the engine's.
    """
    digests = {name: digest.format(seed=seed, text=name) for name, seed in _seeds(graph).items()}
    way = _LAST[last]
    return f"""
WITH parent AS ({way.format(table="video", columns=_PARENT)}
), stored AS ({way.format(table="crop", columns=_STORED)}
), expected AS ({_EXPECTED.format(**digests)}
), compared AS ({_GROUPED if grouped else _COMPARED}
)
SELECT * FROM compared WHERE status IS NOT NULL"""


def resolve_in_polars(graph: Graph, video: pl.LazyFrame, crop: pl.LazyFrame) -> pl.DataFrame:
    """The same, over the rows of both tables."""

    def last(rows: pl.LazyFrame, **columns: str) -> pl.LazyFrame:
        live = rows.filter(pl.col("metaxy_deleted_at").is_null())
        slim = live.select("id", "metaxy_commit", **{k: pl.col(v) for k, v in columns.items()})
        return slim.sort("metaxy_commit").unique("id", keep="last")

    seeds = _seeds(graph)
    parent = last(
        video, path="path", audio="metaxy_data_version__audio", frames="metaxy_data_version__frames"
    )
    expected = parent.select(
        "id", "path", *(_digest(pl.format(f"{seeds[n]}\x1f{{}}", n)).alias(n) for n in seeds)
    )
    stored = last(crop, audio="metaxy_provenance__audio", frames="metaxy_provenance__frames")
    both = expected.join(stored, on="id", how="full", coalesce=True)
    differs = (pl.col("audio") != pl.col("audio_right")) | (
        pl.col("frames") != pl.col("frames_right")
    )
    status = (
        pl.when(pl.col("audio").is_null())
        .then(pl.lit("orphaned"))
        .when(pl.col("audio_right").is_null())
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


def _seeds(graph: Graph) -> dict[str, str]:
    scheme = HashScheme()
    return {
        str(field.key): scheme.seed(
            str(field.key),
            field.spec.code_version,
            [f"{ref.feature}/{ref.field}" for ref in field.parents],
        )
        for field in graph.plan("crop").fields
    }
