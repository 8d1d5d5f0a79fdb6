SELECT
  "t27"."id",
  "t27"."metaxy_status",
  "t27"."metaxy_stale_fields",
  "t27"."metaxy_provenance__f",
  "t27"."metaxy_edge0_commit"
FROM (
  SELECT
    COALESCE("t26"."id", "t26"."id_right") AS "id",
    "t26"."metaxy_provenance__f",
    "t26"."metaxy_is_waiting",
    "t26"."metaxy_is_expected",
    "t26"."metaxy_edge0_commit",
    "t26"."metaxy_stored__f",
    "t26"."metaxy_is_stale",
    "t26"."metaxy_stored_is_inside",
    "t26"."metaxy_is_stored",
    COALESCE("t26"."metaxy_stored_is_inside", TRUE) AS "metaxy_is_inside",
    CASE
      WHEN NOT (
        NOT (
          "t26"."metaxy_is_expected" IS NULL
        )
      )
      THEN 'orphaned'
      ELSE CASE
        WHEN COALESCE("t26"."metaxy_is_waiting", FALSE)
        THEN 'waiting'
        ELSE CASE
          WHEN NOT (
            NOT (
              "t26"."metaxy_is_stored" IS NULL
            )
          )
          THEN 'new'
          ELSE CASE
            WHEN (
              "t26"."metaxy_stored__f" IS NULL
            )
            OR (
              "t26"."metaxy_provenance__f" <> "t26"."metaxy_stored__f"
            )
            OR COALESCE("t26"."metaxy_is_stale", FALSE)
            THEN 'stale'
            ELSE NULL
          END
        END
      END
    END AS "metaxy_status",
    CONCAT_WS(
      ',',
      CASE
        WHEN (
          "t26"."metaxy_stored__f" IS NULL
        )
        OR (
          "t26"."metaxy_provenance__f" <> "t26"."metaxy_stored__f"
        )
        THEN 'f'
        ELSE NULL
      END
    ) AS "metaxy_stale_fields"
  FROM (
    SELECT
      "t25"."id",
      "t25"."metaxy_provenance__f",
      "t25"."metaxy_is_waiting",
      "t25"."metaxy_is_expected",
      "t25"."metaxy_edge0_commit",
      "t22"."id" AS "id_right",
      "t22"."metaxy_stored__f",
      "t22"."metaxy_is_stale",
      "t22"."metaxy_stored_is_inside",
      "t22"."metaxy_is_stored"
    FROM (
      SELECT
        "t23"."id",
        "t23"."metaxy_provenance__f",
        COALESCE("t23"."metaxy_edge0_waiting", FALSE) AS "metaxy_is_waiting",
        TRUE AS "metaxy_is_expected",
        "t23"."metaxy_edge0_commit"
      FROM (
        SELECT
          "t19"."id",
          "t19"."metaxy_edge0__audio",
          "t19"."metaxy_edge0__frames",
          "t19"."metaxy_edge0_waiting",
          "t19"."metaxy_edge0_present",
          "t19"."metaxy_edge0_commit",
          LOWER(TO_HEX(MD5(TO_UTF8("t19"."metaxy_provenance__f")))) AS "metaxy_provenance__f"
        FROM (
          SELECT
            "t16"."id",
            "t16"."metaxy_data_version__audio" AS "metaxy_edge0__audio",
            "t16"."metaxy_data_version__frames" AS "metaxy_edge0__frames",
            COALESCE("t16"."metaxy_data_version__audio" IS NULL, FALSE)
            OR COALESCE("t16"."metaxy_data_version__frames" IS NULL, FALSE) AS "metaxy_edge0_waiting",
            TRUE AS "metaxy_edge0_present",
            "t16"."metaxy_commit" AS "metaxy_edge0_commit",
            CONCAT(
              CONCAT('2a8b4be83329b036b174f84aa2f1932b', '', "t16"."metaxy_data_version__audio"),
              '',
              "t16"."metaxy_data_version__frames"
            ) AS "metaxy_provenance__f"
          FROM (
            SELECT
              "t14"."id",
              "t14"."speaker",
              "t14"."metaxy_provenance__audio",
              "t14"."metaxy_data_version__audio",
              "t14"."metaxy_provenance__frames",
              "t14"."metaxy_data_version__frames",
              "t14"."metaxy_provenance",
              "t14"."metaxy_data_version",
              "t14"."metaxy_feature_version",
              "t14"."metaxy_snapshot_version",
              "t14"."metaxy_created_at",
              "t14"."metaxy_updated_at",
              "t14"."metaxy_deleted_at",
              "t14"."metaxy_materialization_id",
              "t14"."metaxy_commit",
              "t14"."metaxy_write_id",
              "t14"."metaxy_open",
              "t14"."metaxy_chosen"
            FROM (
              SELECT
                "t4"."id",
                "t4"."speaker",
                "t4"."metaxy_provenance__audio",
                "t4"."metaxy_data_version__audio",
                "t4"."metaxy_provenance__frames",
                "t4"."metaxy_data_version__frames",
                "t4"."metaxy_provenance",
                "t4"."metaxy_data_version",
                "t4"."metaxy_feature_version",
                "t4"."metaxy_snapshot_version",
                "t4"."metaxy_created_at",
                "t4"."metaxy_updated_at",
                "t4"."metaxy_deleted_at",
                "t4"."metaxy_materialization_id",
                "t4"."metaxy_commit",
                "t4"."metaxy_write_id",
                "t4"."metaxy_open",
                "t12"."id" AS "id_right",
                "t12"."metaxy_chosen"
              FROM (
                SELECT
                  *
                FROM "video" AS "t0"
                WHERE
                  NOT (
                    "t0"."metaxy_open"
                  ) AND "t0"."metaxy_deleted_at" IS NULL
              ) AS "t4"
              LEFT OUTER JOIN (
                SELECT
                  "t8"."id",
                  COALESCE(
                    CASE
                      WHEN "t8"."metaxy_preferred" >= COALESCE("t8"."metaxy_barrier", -1)
                      THEN "t8"."metaxy_preferred"
                      ELSE NULL
                    END,
                    CASE
                      WHEN "t8"."metaxy_last" >= COALESCE("t8"."metaxy_barrier", -1)
                      THEN "t8"."metaxy_last"
                      ELSE NULL
                    END,
                    -1
                  ) AS "metaxy_chosen"
                FROM (
                  SELECT
                    "t6"."id",
                    COUNT(*) AS "metaxy_rows",
                    MAX("t6"."metaxy_barrier") AS "metaxy_barrier",
                    MAX("t6"."metaxy_last") AS "metaxy_last",
                    MAX("t6"."metaxy_preferred") AS "metaxy_preferred"
                  FROM (
                    SELECT
                      "t0"."id",
                      "t0"."speaker",
                      "t0"."metaxy_provenance__audio",
                      "t0"."metaxy_data_version__audio",
                      "t0"."metaxy_provenance__frames",
                      "t0"."metaxy_data_version__frames",
                      "t0"."metaxy_provenance",
                      "t0"."metaxy_data_version",
                      "t0"."metaxy_feature_version",
                      "t0"."metaxy_snapshot_version",
                      "t0"."metaxy_created_at",
                      "t0"."metaxy_updated_at",
                      "t0"."metaxy_deleted_at",
                      "t0"."metaxy_materialization_id",
                      "t0"."metaxy_commit",
                      "t0"."metaxy_write_id",
                      "t0"."metaxy_open",
                      CASE
                        WHEN NOT (
                          "t0"."metaxy_deleted_at" IS NULL
                        )
                        THEN "t0"."metaxy_commit"
                        ELSE NULL
                      END AS "metaxy_barrier",
                      CASE WHEN "t0"."metaxy_deleted_at" IS NULL THEN "t0"."metaxy_commit" ELSE NULL END AS "metaxy_last",
                      CASE
                        WHEN (
                          "t0"."metaxy_deleted_at" IS NULL
                        )
                        AND (
                          "t0"."metaxy_feature_version" = 'fe9fa94c4de44d946b5d6ae0cd56413de41e23b52cf27a6006055e05807a6245'
                        )
                        THEN "t0"."metaxy_commit"
                        ELSE NULL
                      END AS "metaxy_preferred"
                    FROM "video" AS "t0"
                    WHERE
                      NOT (
                        "t0"."metaxy_open"
                      )
                  ) AS "t6"
                  GROUP BY
                    1
                ) AS "t8"
                WHERE
                  "t8"."metaxy_rows" > 1
              ) AS "t12"
                ON "t4"."id" = "t12"."id"
            ) AS "t14"
          ) AS "t16"
          WHERE
            (
              "t16"."metaxy_chosen" IS NULL
            )
            OR (
              "t16"."metaxy_chosen" = "t16"."metaxy_commit"
            )
        ) AS "t19"
      ) AS "t23"
    ) AS "t25"
    FULL OUTER JOIN (
      SELECT
        *
      FROM (
        SELECT
          "t18"."id",
          MAX("t18"."metaxy_stored__f") AS "metaxy_stored__f",
          BOOL_OR("t18"."metaxy_is_stale") AS "metaxy_is_stale",
          BOOL_OR("t18"."metaxy_stored_is_inside") AS "metaxy_stored_is_inside",
          BOOL_OR("t18"."metaxy_is_stored") AS "metaxy_is_stored"
        FROM (
          SELECT
            "t17"."id",
            "t17"."metaxy_provenance__f" AS "metaxy_stored__f",
            FALSE AS "metaxy_is_stale",
            TRUE AS "metaxy_stored_is_inside",
            TRUE AS "metaxy_is_stored"
          FROM (
            SELECT
              "t15"."id",
              "t15"."number",
              "t15"."metaxy_provenance__f",
              "t15"."metaxy_data_version__f",
              "t15"."metaxy_provenance",
              "t15"."metaxy_data_version",
              "t15"."metaxy_feature_version",
              "t15"."metaxy_snapshot_version",
              "t15"."metaxy_created_at",
              "t15"."metaxy_updated_at",
              "t15"."metaxy_deleted_at",
              "t15"."metaxy_materialization_id",
              "t15"."metaxy_commit",
              "t15"."metaxy_write_id",
              "t15"."metaxy_open",
              "t15"."metaxy_chosen"
            FROM (
              SELECT
                "t5"."id",
                "t5"."number",
                "t5"."metaxy_provenance__f",
                "t5"."metaxy_data_version__f",
                "t5"."metaxy_provenance",
                "t5"."metaxy_data_version",
                "t5"."metaxy_feature_version",
                "t5"."metaxy_snapshot_version",
                "t5"."metaxy_created_at",
                "t5"."metaxy_updated_at",
                "t5"."metaxy_deleted_at",
                "t5"."metaxy_materialization_id",
                "t5"."metaxy_commit",
                "t5"."metaxy_write_id",
                "t5"."metaxy_open",
                "t13"."id" AS "id_right",
                "t13"."metaxy_chosen"
              FROM (
                SELECT
                  *
                FROM "chunk" AS "t1"
                WHERE
                  NOT (
                    "t1"."metaxy_open"
                  ) AND "t1"."metaxy_deleted_at" IS NULL
              ) AS "t5"
              LEFT OUTER JOIN (
                SELECT
                  "t9"."id",
                  COALESCE(
                    CASE
                      WHEN "t9"."metaxy_preferred" >= COALESCE("t9"."metaxy_barrier", -1)
                      THEN "t9"."metaxy_preferred"
                      ELSE NULL
                    END,
                    CASE
                      WHEN "t9"."metaxy_last" >= COALESCE("t9"."metaxy_barrier", -1)
                      THEN "t9"."metaxy_last"
                      ELSE NULL
                    END,
                    -1
                  ) AS "metaxy_chosen"
                FROM (
                  SELECT
                    "t7"."id",
                    COUNT(*) AS "metaxy_rows",
                    MAX("t7"."metaxy_barrier") AS "metaxy_barrier",
                    MAX("t7"."metaxy_last") AS "metaxy_last",
                    MAX("t7"."metaxy_preferred") AS "metaxy_preferred"
                  FROM (
                    SELECT
                      "t1"."id",
                      "t1"."number",
                      "t1"."metaxy_provenance__f",
                      "t1"."metaxy_data_version__f",
                      "t1"."metaxy_provenance",
                      "t1"."metaxy_data_version",
                      "t1"."metaxy_feature_version",
                      "t1"."metaxy_snapshot_version",
                      "t1"."metaxy_created_at",
                      "t1"."metaxy_updated_at",
                      "t1"."metaxy_deleted_at",
                      "t1"."metaxy_materialization_id",
                      "t1"."metaxy_commit",
                      "t1"."metaxy_write_id",
                      "t1"."metaxy_open",
                      CASE
                        WHEN NOT (
                          "t1"."metaxy_deleted_at" IS NULL
                        )
                        THEN "t1"."metaxy_commit"
                        ELSE NULL
                      END AS "metaxy_barrier",
                      CASE WHEN "t1"."metaxy_deleted_at" IS NULL THEN "t1"."metaxy_commit" ELSE NULL END AS "metaxy_last",
                      CASE
                        WHEN (
                          "t1"."metaxy_deleted_at" IS NULL
                        )
                        AND (
                          "t1"."metaxy_feature_version" = '19d0aeaf26aced9628686bd926b87f93edd4c1ee76e0615ecf5eb0b2ff533c0f'
                        )
                        THEN "t1"."metaxy_commit"
                        ELSE NULL
                      END AS "metaxy_preferred"
                    FROM "chunk" AS "t1"
                    WHERE
                      NOT (
                        "t1"."metaxy_open"
                      )
                  ) AS "t7"
                  GROUP BY
                    1
                ) AS "t9"
                WHERE
                  "t9"."metaxy_rows" > 1
              ) AS "t13"
                ON "t5"."id" = "t13"."id"
            ) AS "t15"
          ) AS "t17"
          WHERE
            (
              "t17"."metaxy_chosen" IS NULL
            )
            OR (
              "t17"."metaxy_chosen" = "t17"."metaxy_commit"
            )
        ) AS "t18"
        GROUP BY
          1
      ) AS "t20"
    ) AS "t22"
      ON "t25"."id" = "t22"."id"
  ) AS "t26"
) AS "t27"
WHERE
  NOT (
    "t27"."metaxy_status" IS NULL
  ) AND "t27"."metaxy_is_inside"
