"""What a good engineer would write by hand in SQL on DuckDB, for the same tables and hashes."""

from __future__ import annotations

from metaxy_core import Graph, HashScheme

RESOLVE = """
CREATE OR REPLACE TEMP TABLE by_hand AS
WITH parent AS (
    SELECT id, path, metaxy_data_version__audio AS audio, metaxy_data_version__frames AS frames
    FROM video
    WHERE metaxy_deleted_at IS NULL
    QUALIFY row_number() OVER (PARTITION BY id ORDER BY metaxy_commit DESC) = 1
), stored AS (
    SELECT id, metaxy_provenance__audio AS audio, metaxy_provenance__frames AS frames
    FROM crop
    WHERE metaxy_deleted_at IS NULL
    QUALIFY row_number() OVER (PARTITION BY id ORDER BY metaxy_commit DESC) = 1
), compared AS (
    SELECT
        coalesce(parent.id, stored.id) AS id,
        path,
        md5('{audio}' || chr(31) || parent.audio) AS expected_audio,
        md5('{frames}' || chr(31) || parent.frames) AS expected_frames,
        CASE
            WHEN parent.id IS NULL THEN 'orphaned'
            WHEN stored.id IS NULL THEN 'new'
            WHEN expected_audio <> stored.audio OR expected_frames <> stored.frames THEN 'stale'
        END AS status
    FROM parent FULL JOIN stored ON parent.id = stored.id
)
SELECT * FROM compared WHERE status IS NOT NULL
"""


def resolve(graph: Graph) -> str:
    """The hand-written resolve of `crop`, with the seeds of its fields put in."""
    scheme = HashScheme()
    seeds = {
        str(field.key): scheme.seed(
            str(field.key),
            field.spec.code_version,
            [f"{ref.feature}/{ref.field}" for ref in field.parents],
        )
        for field in graph.plan("crop").fields
    }
    return RESOLVE.format(**seeds)
