SELECT
  "t50"."id",
  "t50"."metaxy_status",
  "t50"."metaxy_stale_fields",
  "t50"."metaxy_provenance__audio",
  "t50"."metaxy_provenance__frames"
FROM (
  SELECT
    COALESCE("t49"."id", "t49"."id_right") AS "id",
    "t49"."metaxy_provenance__audio",
    "t49"."metaxy_provenance__frames",
    "t49"."metaxy_is_waiting",
    "t49"."metaxy_is_expected",
    "t49"."metaxy_stored__audio",
    "t49"."metaxy_stored__frames",
    "t49"."metaxy_is_stale",
    "t49"."metaxy_stored_is_inside",
    "t49"."metaxy_is_stored",
    COALESCE("t49"."metaxy_stored_is_inside", TRUE) AS "metaxy_is_inside",
    CASE
      WHEN NOT (
        NOT (
          "t49"."metaxy_is_expected" IS NULL
        )
      )
      THEN 'orphaned'
      ELSE CASE
        WHEN COALESCE("t49"."metaxy_is_waiting", FALSE)
        THEN 'waiting'
        ELSE CASE
          WHEN NOT (
            NOT (
              "t49"."metaxy_is_stored" IS NULL
            )
          )
          THEN 'new'
          ELSE CASE
            WHEN (
              "t49"."metaxy_stored__audio" IS NULL
            )
            OR (
              "t49"."metaxy_provenance__audio" <> "t49"."metaxy_stored__audio"
            )
            OR (
              (
                "t49"."metaxy_stored__frames" IS NULL
              )
              OR (
                "t49"."metaxy_provenance__frames" <> "t49"."metaxy_stored__frames"
              )
            )
            OR COALESCE("t49"."metaxy_is_stale", FALSE)
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
          "t49"."metaxy_stored__audio" IS NULL
        )
        OR (
          "t49"."metaxy_provenance__audio" <> "t49"."metaxy_stored__audio"
        )
        THEN 'audio'
        ELSE NULL
      END,
      CASE
        WHEN (
          "t49"."metaxy_stored__frames" IS NULL
        )
        OR (
          "t49"."metaxy_provenance__frames" <> "t49"."metaxy_stored__frames"
        )
        THEN 'frames'
        ELSE NULL
      END
    ) AS "metaxy_stale_fields"
  FROM (
    SELECT
      "t48"."id",
      "t48"."metaxy_provenance__audio",
      "t48"."metaxy_provenance__frames",
      "t48"."metaxy_is_waiting",
      "t48"."metaxy_is_expected",
      "t40"."id" AS "id_right",
      "t40"."metaxy_stored__audio",
      "t40"."metaxy_stored__frames",
      "t40"."metaxy_is_stale",
      "t40"."metaxy_stored_is_inside",
      "t40"."metaxy_is_stored"
    FROM (
      SELECT
        "t46"."id",
        MD5(
          '7fe3dbe401b4e367b9cd61bf5044f616' || '' || CASE
            WHEN "t46"."metaxy_edge1_present" IS NULL
            THEN 'absent'
            ELSE "t46"."metaxy_edge1__text"
          END || '' || "t46"."metaxy_edge0__audio"
        ) AS "metaxy_provenance__audio",
        MD5(
          '51aef41934b4f99962242112262ab4ee' || '' || CASE
            WHEN "t46"."metaxy_edge1_present" IS NULL
            THEN 'absent'
            ELSE "t46"."metaxy_edge1__text"
          END || '' || "t46"."metaxy_edge0__frames"
        ) AS "metaxy_provenance__frames",
        COALESCE("t46"."metaxy_edge0_waiting", FALSE)
        OR COALESCE("t46"."metaxy_edge1_waiting", FALSE) AS "metaxy_is_waiting",
        TRUE AS "metaxy_is_expected"
      FROM (
        SELECT
          "t45".*
          EXCLUDE ("id_right")
        FROM (
          SELECT
            "t44"."id",
            "t44"."metaxy_edge0__audio",
            "t44"."metaxy_edge0__frames",
            "t44"."metaxy_edge0_waiting",
            "t44"."metaxy_edge0_present",
            "t43"."id" AS "id_right",
            "t43"."metaxy_edge1__text",
            "t43"."metaxy_edge1_waiting",
            "t43"."metaxy_edge1_present"
          FROM (
            SELECT
              "t37"."id",
              "t37"."metaxy_data_version__audio" AS "metaxy_edge0__audio",
              "t37"."metaxy_data_version__frames" AS "metaxy_edge0__frames",
              COALESCE("t37"."metaxy_data_version__audio" IS NULL, FALSE)
              OR COALESCE("t37"."metaxy_data_version__frames" IS NULL, FALSE) AS "metaxy_edge0_waiting",
              TRUE AS "metaxy_edge0_present"
            FROM (
              SELECT
                "t34".*
                EXCLUDE ("drawn_0")
              FROM (
                SELECT
                  *
                FROM (
                  SELECT
                    "t28"."id",
                    "t28"."speaker",
                    "t28"."metaxy_provenance__audio",
                    "t28"."metaxy_data_version__audio",
                    "t28"."metaxy_provenance__frames",
                    "t28"."metaxy_data_version__frames",
                    "t28"."metaxy_provenance",
                    "t28"."metaxy_data_version",
                    "t28"."metaxy_feature_version",
                    "t28"."metaxy_snapshot_version",
                    "t28"."metaxy_created_at",
                    "t28"."metaxy_updated_at",
                    "t28"."metaxy_deleted_at",
                    "t28"."metaxy_materialization_id",
                    "t28"."metaxy_commit",
                    "t28"."metaxy_write_id",
                    "t28"."metaxy_open",
                    "t28"."metaxy_is_preferred",
                    (
                      ROW_NUMBER() OVER (
                        PARTITION BY "t28"."id"
                        ORDER BY "t28"."metaxy_is_preferred" DESC, "t28"."metaxy_commit" DESC
                        ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
                      ) - 1
                    ) + 1 AS "drawn_0"
                  FROM (
                    SELECT
                      "t25"."id",
                      "t25"."speaker",
                      "t25"."metaxy_provenance__audio",
                      "t25"."metaxy_data_version__audio",
                      "t25"."metaxy_provenance__frames",
                      "t25"."metaxy_data_version__frames",
                      "t25"."metaxy_provenance",
                      "t25"."metaxy_data_version",
                      "t25"."metaxy_feature_version",
                      "t25"."metaxy_snapshot_version",
                      "t25"."metaxy_created_at",
                      "t25"."metaxy_updated_at",
                      "t25"."metaxy_deleted_at",
                      "t25"."metaxy_materialization_id",
                      "t25"."metaxy_commit",
                      "t25"."metaxy_write_id",
                      "t25"."metaxy_open",
                      CAST("t25"."metaxy_feature_version" = 'fe9fa94c4de44d946b5d6ae0cd56413de41e23b52cf27a6006055e05807a6245' AS BIGINT) AS "metaxy_is_preferred"
                    FROM (
                      SELECT
                        "t22".*
                        EXCLUDE ("id_right")
                      FROM (
                        SELECT
                          "t9"."id",
                          "t9"."speaker",
                          "t9"."metaxy_provenance__audio",
                          "t9"."metaxy_data_version__audio",
                          "t9"."metaxy_provenance__frames",
                          "t9"."metaxy_data_version__frames",
                          "t9"."metaxy_provenance",
                          "t9"."metaxy_data_version",
                          "t9"."metaxy_feature_version",
                          "t9"."metaxy_snapshot_version",
                          "t9"."metaxy_created_at",
                          "t9"."metaxy_updated_at",
                          "t9"."metaxy_deleted_at",
                          "t9"."metaxy_materialization_id",
                          "t9"."metaxy_commit",
                          "t9"."metaxy_write_id",
                          "t9"."metaxy_open",
                          "t19"."id" AS "id_right",
                          "t19"."metaxy_barrier"
                        FROM (
                          SELECT
                            *
                          FROM "video" AS "t1"
                          WHERE
                            NOT (
                              "t1"."metaxy_open"
                            ) AND "t1"."metaxy_deleted_at" IS NULL
                        ) AS "t9"
                        LEFT OUTER JOIN (
                          SELECT
                            *
                          FROM (
                            SELECT
                              "t8"."id",
                              MAX("t8"."metaxy_commit") AS "metaxy_barrier"
                            FROM (
                              SELECT
                                *
                              FROM "video" AS "t1"
                              WHERE
                                NOT (
                                  "t1"."metaxy_deleted_at" IS NULL
                                )
                            ) AS "t8"
                            GROUP BY
                              1
                          ) AS "t13"
                        ) AS "t19"
                          ON "t9"."id" = "t19"."id"
                      ) AS "t22"
                    ) AS "t25"
                    WHERE
                      "t25"."metaxy_commit" >= COALESCE("t25"."metaxy_barrier", -1)
                  ) AS "t28"
                ) AS "t31"
                WHERE
                  "t31"."drawn_0" = 1
              ) AS "t34"
            ) AS "t37"
          ) AS "t44"
          LEFT OUTER JOIN (
            SELECT
              "t38"."id",
              "t38"."metaxy_data_version__text" AS "metaxy_edge1__text",
              COALESCE("t38"."metaxy_data_version__text" IS NULL, FALSE) AS "metaxy_edge1_waiting",
              TRUE AS "metaxy_edge1_present"
            FROM (
              SELECT
                "t35".*
                EXCLUDE ("drawn_1")
              FROM (
                SELECT
                  *
                FROM (
                  SELECT
                    "t29"."id",
                    "t29"."metaxy_provenance__text",
                    "t29"."metaxy_data_version__text",
                    "t29"."metaxy_provenance",
                    "t29"."metaxy_data_version",
                    "t29"."metaxy_feature_version",
                    "t29"."metaxy_snapshot_version",
                    "t29"."metaxy_created_at",
                    "t29"."metaxy_updated_at",
                    "t29"."metaxy_deleted_at",
                    "t29"."metaxy_materialization_id",
                    "t29"."metaxy_commit",
                    "t29"."metaxy_write_id",
                    "t29"."metaxy_open",
                    "t29"."metaxy_is_preferred",
                    (
                      ROW_NUMBER() OVER (
                        PARTITION BY "t29"."id"
                        ORDER BY "t29"."metaxy_is_preferred" DESC, "t29"."metaxy_commit" DESC
                        ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
                      ) - 1
                    ) + 1 AS "drawn_1"
                  FROM (
                    SELECT
                      "t26"."id",
                      "t26"."metaxy_provenance__text",
                      "t26"."metaxy_data_version__text",
                      "t26"."metaxy_provenance",
                      "t26"."metaxy_data_version",
                      "t26"."metaxy_feature_version",
                      "t26"."metaxy_snapshot_version",
                      "t26"."metaxy_created_at",
                      "t26"."metaxy_updated_at",
                      "t26"."metaxy_deleted_at",
                      "t26"."metaxy_materialization_id",
                      "t26"."metaxy_commit",
                      "t26"."metaxy_write_id",
                      "t26"."metaxy_open",
                      CAST("t26"."metaxy_feature_version" = '8d438f90d98dcb038487febb4b24e5a17240e296623db57154f17d73dec4e82c' AS BIGINT) AS "metaxy_is_preferred"
                    FROM (
                      SELECT
                        "t23".*
                        EXCLUDE ("id_right")
                      FROM (
                        SELECT
                          "t11"."id",
                          "t11"."metaxy_provenance__text",
                          "t11"."metaxy_data_version__text",
                          "t11"."metaxy_provenance",
                          "t11"."metaxy_data_version",
                          "t11"."metaxy_feature_version",
                          "t11"."metaxy_snapshot_version",
                          "t11"."metaxy_created_at",
                          "t11"."metaxy_updated_at",
                          "t11"."metaxy_deleted_at",
                          "t11"."metaxy_materialization_id",
                          "t11"."metaxy_commit",
                          "t11"."metaxy_write_id",
                          "t11"."metaxy_open",
                          "t20"."id" AS "id_right",
                          "t20"."metaxy_barrier"
                        FROM (
                          SELECT
                            *
                          FROM "note" AS "t2"
                          WHERE
                            NOT (
                              "t2"."metaxy_open"
                            ) AND "t2"."metaxy_deleted_at" IS NULL
                        ) AS "t11"
                        LEFT OUTER JOIN (
                          SELECT
                            *
                          FROM (
                            SELECT
                              "t10"."id",
                              MAX("t10"."metaxy_commit") AS "metaxy_barrier"
                            FROM (
                              SELECT
                                *
                              FROM "note" AS "t2"
                              WHERE
                                NOT (
                                  "t2"."metaxy_deleted_at" IS NULL
                                )
                            ) AS "t10"
                            GROUP BY
                              1
                          ) AS "t14"
                        ) AS "t20"
                          ON "t11"."id" = "t20"."id"
                      ) AS "t23"
                    ) AS "t26"
                    WHERE
                      "t26"."metaxy_commit" >= COALESCE("t26"."metaxy_barrier", -1)
                  ) AS "t29"
                ) AS "t32"
                WHERE
                  "t32"."drawn_1" = 1
              ) AS "t35"
            ) AS "t38"
          ) AS "t43"
            ON "t44"."id" = "t43"."id"
        ) AS "t45"
      ) AS "t46"
    ) AS "t48"
    FULL OUTER JOIN (
      SELECT
        "t36"."id",
        "t36"."metaxy_provenance__audio" AS "metaxy_stored__audio",
        "t36"."metaxy_provenance__frames" AS "metaxy_stored__frames",
        FALSE AS "metaxy_is_stale",
        TRUE AS "metaxy_stored_is_inside",
        TRUE AS "metaxy_is_stored"
      FROM (
        SELECT
          "t33".*
          EXCLUDE ("drawn_2")
        FROM (
          SELECT
            *
          FROM (
            SELECT
              "t27"."id",
              "t27"."metaxy_provenance__audio",
              "t27"."metaxy_data_version__audio",
              "t27"."metaxy_provenance__frames",
              "t27"."metaxy_data_version__frames",
              "t27"."metaxy_provenance",
              "t27"."metaxy_data_version",
              "t27"."metaxy_feature_version",
              "t27"."metaxy_snapshot_version",
              "t27"."metaxy_created_at",
              "t27"."metaxy_updated_at",
              "t27"."metaxy_deleted_at",
              "t27"."metaxy_materialization_id",
              "t27"."metaxy_commit",
              "t27"."metaxy_write_id",
              "t27"."metaxy_open",
              "t27"."metaxy_is_preferred",
              (
                ROW_NUMBER() OVER (
                  PARTITION BY "t27"."id"
                  ORDER BY "t27"."metaxy_is_preferred" DESC, "t27"."metaxy_commit" DESC
                  ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
                ) - 1
              ) + 1 AS "drawn_2"
            FROM (
              SELECT
                "t24"."id",
                "t24"."metaxy_provenance__audio",
                "t24"."metaxy_data_version__audio",
                "t24"."metaxy_provenance__frames",
                "t24"."metaxy_data_version__frames",
                "t24"."metaxy_provenance",
                "t24"."metaxy_data_version",
                "t24"."metaxy_feature_version",
                "t24"."metaxy_snapshot_version",
                "t24"."metaxy_created_at",
                "t24"."metaxy_updated_at",
                "t24"."metaxy_deleted_at",
                "t24"."metaxy_materialization_id",
                "t24"."metaxy_commit",
                "t24"."metaxy_write_id",
                "t24"."metaxy_open",
                CAST("t24"."metaxy_feature_version" = '530c09527bce65eb4d0c1809548d4b29c2a03c236a743c0cfb61d65f9d7e255d' AS BIGINT) AS "metaxy_is_preferred"
              FROM (
                SELECT
                  "t21".*
                  EXCLUDE ("id_right")
                FROM (
                  SELECT
                    "t7"."id",
                    "t7"."metaxy_provenance__audio",
                    "t7"."metaxy_data_version__audio",
                    "t7"."metaxy_provenance__frames",
                    "t7"."metaxy_data_version__frames",
                    "t7"."metaxy_provenance",
                    "t7"."metaxy_data_version",
                    "t7"."metaxy_feature_version",
                    "t7"."metaxy_snapshot_version",
                    "t7"."metaxy_created_at",
                    "t7"."metaxy_updated_at",
                    "t7"."metaxy_deleted_at",
                    "t7"."metaxy_materialization_id",
                    "t7"."metaxy_commit",
                    "t7"."metaxy_write_id",
                    "t7"."metaxy_open",
                    "t18"."id" AS "id_right",
                    "t18"."metaxy_barrier"
                  FROM (
                    SELECT
                      *
                    FROM "crop" AS "t0"
                    WHERE
                      NOT (
                        "t0"."metaxy_open"
                      ) AND "t0"."metaxy_deleted_at" IS NULL
                  ) AS "t7"
                  LEFT OUTER JOIN (
                    SELECT
                      *
                    FROM (
                      SELECT
                        "t6"."id",
                        MAX("t6"."metaxy_commit") AS "metaxy_barrier"
                      FROM (
                        SELECT
                          *
                        FROM "crop" AS "t0"
                        WHERE
                          NOT (
                            "t0"."metaxy_deleted_at" IS NULL
                          )
                      ) AS "t6"
                      GROUP BY
                        1
                    ) AS "t12"
                  ) AS "t18"
                    ON "t7"."id" = "t18"."id"
                ) AS "t21"
              ) AS "t24"
              WHERE
                "t24"."metaxy_commit" >= COALESCE("t24"."metaxy_barrier", -1)
            ) AS "t27"
          ) AS "t30"
          WHERE
            "t30"."drawn_2" = 1
        ) AS "t33"
      ) AS "t36"
    ) AS "t40"
      ON "t48"."id" = "t40"."id"
  ) AS "t49"
) AS "t50"
WHERE
  NOT (
    "t50"."metaxy_status" IS NULL
  ) AND "t50"."metaxy_is_inside"
