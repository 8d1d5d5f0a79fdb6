SELECT
  `t32`.`id`,
  `t32`.`metaxy_status`,
  `t32`.`metaxy_stale_fields`,
  `t32`.`metaxy_provenance__f`
FROM (
  SELECT
    COALESCE(`t31`.`id`, `t31`.`id_right`) AS `id`,
    `t31`.`metaxy_provenance__f`,
    `t31`.`metaxy_is_waiting`,
    `t31`.`metaxy_is_expected`,
    `t31`.`metaxy_stored__f`,
    `t31`.`metaxy_is_stale`,
    `t31`.`metaxy_stored_is_inside`,
    `t31`.`metaxy_is_stored`,
    COALESCE(`t31`.`metaxy_stored_is_inside`, TRUE) AS `metaxy_is_inside`,
    CASE
      WHEN NOT (
        NOT (
          `t31`.`metaxy_is_expected` IS NULL
        )
      )
      THEN 'orphaned'
      ELSE CASE
        WHEN COALESCE(`t31`.`metaxy_is_waiting`, FALSE)
        THEN 'waiting'
        ELSE CASE
          WHEN NOT (
            NOT (
              `t31`.`metaxy_is_stored` IS NULL
            )
          )
          THEN 'new'
          ELSE CASE
            WHEN (
              `t31`.`metaxy_stored__f` IS NULL
            )
            OR (
              `t31`.`metaxy_provenance__f` <> `t31`.`metaxy_stored__f`
            )
            OR COALESCE(`t31`.`metaxy_is_stale`, FALSE)
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
          `t31`.`metaxy_stored__f` IS NULL
        )
        OR (
          `t31`.`metaxy_provenance__f` <> `t31`.`metaxy_stored__f`
        )
        THEN 'f'
        ELSE NULL
      END
    ) AS `metaxy_stale_fields`
  FROM (
    SELECT
      `t30`.`id`,
      `t30`.`metaxy_provenance__f`,
      `t30`.`metaxy_is_waiting`,
      `t30`.`metaxy_is_expected`,
      `t28`.`id` AS `id_right`,
      `t28`.`metaxy_stored__f`,
      `t28`.`metaxy_is_stale`,
      `t28`.`metaxy_stored_is_inside`,
      `t28`.`metaxy_is_stored`
    FROM (
      SELECT
        `t27`.`id`,
        `t27`.`metaxy_provenance__f`,
        COALESCE(`t27`.`metaxy_edge0_waiting`, FALSE) AS `metaxy_is_waiting`,
        TRUE AS `metaxy_is_expected`
      FROM (
        SELECT
          `t24`.`id`,
          `t24`.`metaxy_data_version__audio` AS `metaxy_edge0__audio`,
          `t24`.`metaxy_data_version__frames` AS `metaxy_edge0__frames`,
          COALESCE(`t24`.`metaxy_data_version__audio` IS NULL, FALSE)
          OR COALESCE(`t24`.`metaxy_data_version__frames` IS NULL, FALSE) AS `metaxy_edge0_waiting`,
          TRUE AS `metaxy_edge0_present`,
          MD5(
            CONCAT(
              CONCAT('2a8b4be83329b036b174f84aa2f1932b', '', `t24`.`metaxy_data_version__audio`),
              '',
              `t24`.`metaxy_data_version__frames`
            )
          ) AS `metaxy_provenance__f`
        FROM (
          SELECT
            `t22`.`id`,
            `t22`.`speaker`,
            `t22`.`metaxy_provenance__audio`,
            `t22`.`metaxy_data_version__audio`,
            `t22`.`metaxy_provenance__frames`,
            `t22`.`metaxy_data_version__frames`,
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
                `t18`.`id`,
                `t18`.`speaker`,
                `t18`.`metaxy_provenance__audio`,
                `t18`.`metaxy_data_version__audio`,
                `t18`.`metaxy_provenance__frames`,
                `t18`.`metaxy_data_version__frames`,
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
                    PARTITION BY `t18`.`id`
                    ORDER BY `t18`.`metaxy_is_preferred` DESC, `t18`.`metaxy_commit` DESC
                  ) - 1
                ) + 1 AS `drawn_0`
              FROM (
                SELECT
                  `t16`.`id`,
                  `t16`.`speaker`,
                  `t16`.`metaxy_provenance__audio`,
                  `t16`.`metaxy_data_version__audio`,
                  `t16`.`metaxy_provenance__frames`,
                  `t16`.`metaxy_data_version__frames`,
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
                  CAST(`t16`.`metaxy_feature_version` = 'fe9fa94c4de44d946b5d6ae0cd56413de41e23b52cf27a6006055e05807a6245' AS BIGINT) AS `metaxy_is_preferred`
                FROM (
                  SELECT
                    `t14`.`id`,
                    `t14`.`speaker`,
                    `t14`.`metaxy_provenance__audio`,
                    `t14`.`metaxy_data_version__audio`,
                    `t14`.`metaxy_provenance__frames`,
                    `t14`.`metaxy_data_version__frames`,
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
                      `t5`.`id`,
                      `t5`.`speaker`,
                      `t5`.`metaxy_provenance__audio`,
                      `t5`.`metaxy_data_version__audio`,
                      `t5`.`metaxy_provenance__frames`,
                      `t5`.`metaxy_data_version__frames`,
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
                      `t12`.`id` AS `id_right`,
                      `t12`.`metaxy_barrier`
                    FROM (
                      SELECT
                        *
                      FROM `video` AS `t0`
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
                          `t4`.`id`,
                          MAX(`t4`.`metaxy_commit`) AS `metaxy_barrier`
                        FROM (
                          SELECT
                            *
                          FROM `video` AS `t0`
                          WHERE
                            NOT (
                              `t0`.`metaxy_deleted_at` IS NULL
                            )
                        ) AS `t4`
                        GROUP BY
                          1
                      ) AS `t8`
                    ) AS `t12`
                      ON `t5`.`id` = `t12`.`id`
                  ) AS `t14`
                ) AS `t16`
                WHERE
                  `t16`.`metaxy_commit` >= COALESCE(`t16`.`metaxy_barrier`, -1)
              ) AS `t18`
            ) AS `t20`
            WHERE
              `t20`.`drawn_0` = 1
          ) AS `t22`
        ) AS `t24`
      ) AS `t27`
    ) AS `t30`
    FULL OUTER JOIN (
      SELECT
        *
      FROM (
        SELECT
          `t23`.`id`,
          MAX(`t23`.`metaxy_stored__f`) AS `metaxy_stored__f`,
          BOOL_OR(`t23`.`metaxy_is_stale`) AS `metaxy_is_stale`,
          BOOL_OR(`t23`.`metaxy_stored_is_inside`) AS `metaxy_stored_is_inside`,
          BOOL_OR(`t23`.`metaxy_is_stored`) AS `metaxy_is_stored`
        FROM (
          SELECT
            `t21`.`id`,
            `t21`.`metaxy_provenance__f` AS `metaxy_stored__f`,
            FALSE AS `metaxy_is_stale`,
            TRUE AS `metaxy_stored_is_inside`,
            TRUE AS `metaxy_is_stored`
          FROM (
            SELECT
              `t19`.`id`,
              `t19`.`number`,
              `t19`.`metaxy_provenance__f`,
              `t19`.`metaxy_data_version__f`,
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
              `t19`.`metaxy_rank`,
              MAX(`t19`.`metaxy_rank`) OVER (PARTITION BY `t19`.`id` ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS `metaxy_highest`
            FROM (
              SELECT
                `t17`.`id`,
                `t17`.`number`,
                `t17`.`metaxy_provenance__f`,
                `t17`.`metaxy_data_version__f`,
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
                `t17`.`metaxy_commit` + (
                  CAST(`t17`.`metaxy_feature_version` = '19d0aeaf26aced9628686bd926b87f93edd4c1ee76e0615ecf5eb0b2ff533c0f' AS BIGINT) * 4611686018427387904
                ) AS `metaxy_rank`
              FROM (
                SELECT
                  `t15`.`id`,
                  `t15`.`number`,
                  `t15`.`metaxy_provenance__f`,
                  `t15`.`metaxy_data_version__f`,
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
                    `t7`.`number`,
                    `t7`.`metaxy_provenance__f`,
                    `t7`.`metaxy_data_version__f`,
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
                    FROM `chunk` AS `t1`
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
                        FROM `chunk` AS `t1`
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
            `t21`.`metaxy_rank` = `t21`.`metaxy_highest`
        ) AS `t23`
        GROUP BY
          1
      ) AS `t25`
    ) AS `t28`
      ON `t30`.`id` = `t28`.`id`
  ) AS `t31`
) AS `t32`
WHERE
  NOT (
    `t32`.`metaxy_status` IS NULL
  ) AND `t32`.`metaxy_is_inside`
