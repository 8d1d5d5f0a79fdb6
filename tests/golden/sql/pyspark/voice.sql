SELECT
  `t33`.`speaker`,
  `t33`.`metaxy_status`,
  `t33`.`metaxy_stale_fields`,
  `t33`.`metaxy_provenance__f`
FROM (
  SELECT
    COALESCE(`t32`.`speaker`, `t32`.`speaker_right`) AS `speaker`,
    `t32`.`metaxy_provenance__f`,
    `t32`.`metaxy_is_waiting`,
    `t32`.`metaxy_is_expected`,
    `t32`.`metaxy_stored__f`,
    `t32`.`metaxy_is_stale`,
    `t32`.`metaxy_stored_is_inside`,
    `t32`.`metaxy_is_stored`,
    COALESCE(`t32`.`metaxy_stored_is_inside`, TRUE) AS `metaxy_is_inside`,
    CASE
      WHEN NOT (
        NOT (
          `t32`.`metaxy_is_expected` IS NULL
        )
      )
      THEN 'orphaned'
      ELSE CASE
        WHEN COALESCE(`t32`.`metaxy_is_waiting`, FALSE)
        THEN 'waiting'
        ELSE CASE
          WHEN NOT (
            NOT (
              `t32`.`metaxy_is_stored` IS NULL
            )
          )
          THEN 'new'
          ELSE CASE
            WHEN (
              `t32`.`metaxy_stored__f` IS NULL
            )
            OR (
              `t32`.`metaxy_provenance__f` <> `t32`.`metaxy_stored__f`
            )
            OR COALESCE(`t32`.`metaxy_is_stale`, FALSE)
            THEN 'stale'
            ELSE NULL
          END
        END
      END
    END AS `metaxy_status`,
    CONCAT_WS(
      ',',
      CASE
        WHEN (
          `t32`.`metaxy_stored__f` IS NULL
        )
        OR (
          `t32`.`metaxy_provenance__f` <> `t32`.`metaxy_stored__f`
        )
        THEN 'f'
        ELSE NULL
      END
    ) AS `metaxy_stale_fields`
  FROM (
    SELECT
      `t31`.`speaker`,
      `t31`.`metaxy_provenance__f`,
      `t31`.`metaxy_is_waiting`,
      `t31`.`metaxy_is_expected`,
      `t27`.`speaker` AS `speaker_right`,
      `t27`.`metaxy_stored__f`,
      `t27`.`metaxy_is_stale`,
      `t27`.`metaxy_stored_is_inside`,
      `t27`.`metaxy_is_stored`
    FROM (
      SELECT
        `t29`.`speaker`,
        MD5(
          CONCAT(
            CONCAT('2a8b4be83329b036b174f84aa2f1932b', '', MD5(`t29`.`metaxy_edge0__audio`)),
            '',
            MD5(`t29`.`metaxy_edge0__frames`)
          )
        ) AS `metaxy_provenance__f`,
        COALESCE(`t29`.`metaxy_edge0_waiting`, FALSE) AS `metaxy_is_waiting`,
        TRUE AS `metaxy_is_expected`
      FROM (
        SELECT
          `t28`.`speaker`,
          IF(
            SIZE(ARRAY_SORT(COLLECT_LIST(`t28`.`metaxy_edge0__audio`))) > 0,
            CONCAT_WS('', ARRAY_SORT(COLLECT_LIST(`t28`.`metaxy_edge0__audio`))),
            NULL
          ) AS `metaxy_edge0__audio`,
          IF(
            SIZE(ARRAY_SORT(COLLECT_LIST(`t28`.`metaxy_edge0__frames`))) > 0,
            CONCAT_WS('', ARRAY_SORT(COLLECT_LIST(`t28`.`metaxy_edge0__frames`))),
            NULL
          ) AS `metaxy_edge0__frames`,
          BOOL_OR(`t28`.`metaxy_edge0_waiting`) AS `metaxy_edge0_waiting`
        FROM (
          SELECT
            `t25`.`id`,
            `t25`.`speaker`,
            `t25`.`metaxy_provenance__audio`,
            MD5(CONCAT(MD5(`t25`.`id`), '', `t25`.`metaxy_data_version__audio`)) AS `metaxy_edge0__audio`,
            `t25`.`metaxy_provenance__frames`,
            MD5(CONCAT(MD5(`t25`.`id`), '', `t25`.`metaxy_data_version__frames`)) AS `metaxy_edge0__frames`,
            `t25`.`metaxy_provenance`,
            `t25`.`metaxy_data_version`,
            `t25`.`metaxy_feature_version`,
            `t25`.`metaxy_snapshot_version`,
            `t25`.`metaxy_created_at`,
            `t25`.`metaxy_updated_at`,
            `t25`.`metaxy_deleted_at`,
            `t25`.`metaxy_materialization_id`,
            `t25`.`metaxy_commit`,
            `t25`.`metaxy_write_id`,
            `t25`.`metaxy_open`,
            COALESCE(`t25`.`metaxy_data_version__audio` IS NULL, FALSE)
            OR COALESCE(`t25`.`metaxy_data_version__frames` IS NULL, FALSE) AS `metaxy_edge0_waiting`,
            MD5(`t25`.`id`) AS `metaxy_member_id0`
          FROM (
            SELECT
              `t23`.`id`,
              `t23`.`speaker`,
              `t23`.`metaxy_provenance__audio`,
              `t23`.`metaxy_data_version__audio`,
              `t23`.`metaxy_provenance__frames`,
              `t23`.`metaxy_data_version__frames`,
              `t23`.`metaxy_provenance`,
              `t23`.`metaxy_data_version`,
              `t23`.`metaxy_feature_version`,
              `t23`.`metaxy_snapshot_version`,
              `t23`.`metaxy_created_at`,
              `t23`.`metaxy_updated_at`,
              `t23`.`metaxy_deleted_at`,
              `t23`.`metaxy_materialization_id`,
              `t23`.`metaxy_commit`,
              `t23`.`metaxy_write_id`,
              `t23`.`metaxy_open`,
              `t23`.`metaxy_is_preferred`
            FROM (
              SELECT
                *
              FROM (
                SELECT
                  `t19`.`id`,
                  `t19`.`speaker`,
                  `t19`.`metaxy_provenance__audio`,
                  `t19`.`metaxy_data_version__audio`,
                  `t19`.`metaxy_provenance__frames`,
                  `t19`.`metaxy_data_version__frames`,
                  `t19`.`metaxy_provenance`,
                  `t19`.`metaxy_data_version`,
                  `t19`.`metaxy_feature_version`,
                  `t19`.`metaxy_snapshot_version`,
                  `t19`.`metaxy_created_at`,
                  `t19`.`metaxy_updated_at`,
                  `t19`.`metaxy_deleted_at`,
                  `t19`.`metaxy_materialization_id`,
                  `t19`.`metaxy_commit`,
                  `t19`.`metaxy_write_id`,
                  `t19`.`metaxy_open`,
                  `t19`.`metaxy_is_preferred`,
                  (
                    ROW_NUMBER() OVER (
                      PARTITION BY `t19`.`id`
                      ORDER BY `t19`.`metaxy_is_preferred` DESC, `t19`.`metaxy_commit` DESC
                    ) - 1
                  ) + 1 AS `drawn_0`
                FROM (
                  SELECT
                    `t17`.`id`,
                    `t17`.`speaker`,
                    `t17`.`metaxy_provenance__audio`,
                    `t17`.`metaxy_data_version__audio`,
                    `t17`.`metaxy_provenance__frames`,
                    `t17`.`metaxy_data_version__frames`,
                    `t17`.`metaxy_provenance`,
                    `t17`.`metaxy_data_version`,
                    `t17`.`metaxy_feature_version`,
                    `t17`.`metaxy_snapshot_version`,
                    `t17`.`metaxy_created_at`,
                    `t17`.`metaxy_updated_at`,
                    `t17`.`metaxy_deleted_at`,
                    `t17`.`metaxy_materialization_id`,
                    `t17`.`metaxy_commit`,
                    `t17`.`metaxy_write_id`,
                    `t17`.`metaxy_open`,
                    CAST(`t17`.`metaxy_feature_version` = 'fe9fa94c4de44d946b5d6ae0cd56413de41e23b52cf27a6006055e05807a6245' AS BIGINT) AS `metaxy_is_preferred`
                  FROM (
                    SELECT
                      `t15`.`id`,
                      `t15`.`speaker`,
                      `t15`.`metaxy_provenance__audio`,
                      `t15`.`metaxy_data_version__audio`,
                      `t15`.`metaxy_provenance__frames`,
                      `t15`.`metaxy_data_version__frames`,
                      `t15`.`metaxy_provenance`,
                      `t15`.`metaxy_data_version`,
                      `t15`.`metaxy_feature_version`,
                      `t15`.`metaxy_snapshot_version`,
                      `t15`.`metaxy_created_at`,
                      `t15`.`metaxy_updated_at`,
                      `t15`.`metaxy_deleted_at`,
                      `t15`.`metaxy_materialization_id`,
                      `t15`.`metaxy_commit`,
                      `t15`.`metaxy_write_id`,
                      `t15`.`metaxy_open`,
                      `t15`.`metaxy_barrier`
                    FROM (
                      SELECT
                        `t7`.`id`,
                        `t7`.`speaker`,
                        `t7`.`metaxy_provenance__audio`,
                        `t7`.`metaxy_data_version__audio`,
                        `t7`.`metaxy_provenance__frames`,
                        `t7`.`metaxy_data_version__frames`,
                        `t7`.`metaxy_provenance`,
                        `t7`.`metaxy_data_version`,
                        `t7`.`metaxy_feature_version`,
                        `t7`.`metaxy_snapshot_version`,
                        `t7`.`metaxy_created_at`,
                        `t7`.`metaxy_updated_at`,
                        `t7`.`metaxy_deleted_at`,
                        `t7`.`metaxy_materialization_id`,
                        `t7`.`metaxy_commit`,
                        `t7`.`metaxy_write_id`,
                        `t7`.`metaxy_open`,
                        `t13`.`id` AS `id_right`,
                        `t13`.`metaxy_barrier`
                      FROM (
                        SELECT
                          *
                        FROM `video` AS `t1`
                        WHERE
                          NOT (
                            `t1`.`metaxy_open`
                          ) AND `t1`.`metaxy_deleted_at` IS NULL
                      ) AS `t7`
                      LEFT OUTER JOIN (
                        SELECT
                          *
                        FROM (
                          SELECT
                            `t6`.`id`,
                            MAX(`t6`.`metaxy_commit`) AS `metaxy_barrier`
                          FROM (
                            SELECT
                              *
                            FROM `video` AS `t1`
                            WHERE
                              NOT (
                                `t1`.`metaxy_deleted_at` IS NULL
                              )
                          ) AS `t6`
                          GROUP BY
                            1
                        ) AS `t9`
                      ) AS `t13`
                        ON `t7`.`id` = `t13`.`id`
                    ) AS `t15`
                  ) AS `t17`
                  WHERE
                    `t17`.`metaxy_commit` >= COALESCE(`t17`.`metaxy_barrier`, -1)
                ) AS `t19`
              ) AS `t21`
              WHERE
                `t21`.`drawn_0` = 1
            ) AS `t23`
          ) AS `t25`
          WHERE
            NOT (
              COALESCE(`t25`.`speaker` IS NULL, FALSE)
            )
        ) AS `t28`
        GROUP BY
          1
      ) AS `t29`
    ) AS `t31`
    FULL OUTER JOIN (
      SELECT
        `t24`.`speaker`,
        `t24`.`metaxy_provenance__f` AS `metaxy_stored__f`,
        FALSE AS `metaxy_is_stale`,
        TRUE AS `metaxy_stored_is_inside`,
        TRUE AS `metaxy_is_stored`
      FROM (
        SELECT
          `t22`.`speaker`,
          `t22`.`metaxy_provenance__f`,
          `t22`.`metaxy_data_version__f`,
          `t22`.`metaxy_provenance`,
          `t22`.`metaxy_data_version`,
          `t22`.`metaxy_feature_version`,
          `t22`.`metaxy_snapshot_version`,
          `t22`.`metaxy_created_at`,
          `t22`.`metaxy_updated_at`,
          `t22`.`metaxy_deleted_at`,
          `t22`.`metaxy_materialization_id`,
          `t22`.`metaxy_commit`,
          `t22`.`metaxy_write_id`,
          `t22`.`metaxy_open`,
          `t22`.`metaxy_is_preferred`
        FROM (
          SELECT
            *
          FROM (
            SELECT
              `t18`.`speaker`,
              `t18`.`metaxy_provenance__f`,
              `t18`.`metaxy_data_version__f`,
              `t18`.`metaxy_provenance`,
              `t18`.`metaxy_data_version`,
              `t18`.`metaxy_feature_version`,
              `t18`.`metaxy_snapshot_version`,
              `t18`.`metaxy_created_at`,
              `t18`.`metaxy_updated_at`,
              `t18`.`metaxy_deleted_at`,
              `t18`.`metaxy_materialization_id`,
              `t18`.`metaxy_commit`,
              `t18`.`metaxy_write_id`,
              `t18`.`metaxy_open`,
              `t18`.`metaxy_is_preferred`,
              (
                ROW_NUMBER() OVER (
                  PARTITION BY `t18`.`speaker`
                  ORDER BY `t18`.`metaxy_is_preferred` DESC, `t18`.`metaxy_commit` DESC
                ) - 1
              ) + 1 AS `drawn_1`
            FROM (
              SELECT
                `t16`.`speaker`,
                `t16`.`metaxy_provenance__f`,
                `t16`.`metaxy_data_version__f`,
                `t16`.`metaxy_provenance`,
                `t16`.`metaxy_data_version`,
                `t16`.`metaxy_feature_version`,
                `t16`.`metaxy_snapshot_version`,
                `t16`.`metaxy_created_at`,
                `t16`.`metaxy_updated_at`,
                `t16`.`metaxy_deleted_at`,
                `t16`.`metaxy_materialization_id`,
                `t16`.`metaxy_commit`,
                `t16`.`metaxy_write_id`,
                `t16`.`metaxy_open`,
                CAST(`t16`.`metaxy_feature_version` = '4315e7f2d8dbf02aa80d511c7e655e78e6a068bd342115f1619f97045640609a' AS BIGINT) AS `metaxy_is_preferred`
              FROM (
                SELECT
                  `t14`.`speaker`,
                  `t14`.`metaxy_provenance__f`,
                  `t14`.`metaxy_data_version__f`,
                  `t14`.`metaxy_provenance`,
                  `t14`.`metaxy_data_version`,
                  `t14`.`metaxy_feature_version`,
                  `t14`.`metaxy_snapshot_version`,
                  `t14`.`metaxy_created_at`,
                  `t14`.`metaxy_updated_at`,
                  `t14`.`metaxy_deleted_at`,
                  `t14`.`metaxy_materialization_id`,
                  `t14`.`metaxy_commit`,
                  `t14`.`metaxy_write_id`,
                  `t14`.`metaxy_open`,
                  `t14`.`metaxy_barrier`
                FROM (
                  SELECT
                    `t5`.`speaker`,
                    `t5`.`metaxy_provenance__f`,
                    `t5`.`metaxy_data_version__f`,
                    `t5`.`metaxy_provenance`,
                    `t5`.`metaxy_data_version`,
                    `t5`.`metaxy_feature_version`,
                    `t5`.`metaxy_snapshot_version`,
                    `t5`.`metaxy_created_at`,
                    `t5`.`metaxy_updated_at`,
                    `t5`.`metaxy_deleted_at`,
                    `t5`.`metaxy_materialization_id`,
                    `t5`.`metaxy_commit`,
                    `t5`.`metaxy_write_id`,
                    `t5`.`metaxy_open`,
                    `t12`.`speaker` AS `speaker_right`,
                    `t12`.`metaxy_barrier`
                  FROM (
                    SELECT
                      *
                    FROM `voice` AS `t0`
                    WHERE
                      NOT (
                        `t0`.`metaxy_open`
                      ) AND `t0`.`metaxy_deleted_at` IS NULL
                  ) AS `t5`
                  LEFT OUTER JOIN (
                    SELECT
                      *
                    FROM (
                      SELECT
                        `t4`.`speaker`,
                        MAX(`t4`.`metaxy_commit`) AS `metaxy_barrier`
                      FROM (
                        SELECT
                          *
                        FROM `voice` AS `t0`
                        WHERE
                          NOT (
                            `t0`.`metaxy_deleted_at` IS NULL
                          )
                      ) AS `t4`
                      GROUP BY
                        1
                    ) AS `t8`
                  ) AS `t12`
                    ON `t5`.`speaker` = `t12`.`speaker`
                ) AS `t14`
              ) AS `t16`
              WHERE
                `t16`.`metaxy_commit` >= COALESCE(`t16`.`metaxy_barrier`, -1)
            ) AS `t18`
          ) AS `t20`
          WHERE
            `t20`.`drawn_1` = 1
        ) AS `t22`
      ) AS `t24`
    ) AS `t27`
      ON `t31`.`speaker` = `t27`.`speaker`
  ) AS `t32`
) AS `t33`
WHERE
  NOT (
    `t33`.`metaxy_status` IS NULL
  ) AND `t33`.`metaxy_is_inside`
