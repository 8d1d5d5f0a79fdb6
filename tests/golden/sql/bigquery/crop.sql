SELECT
  `t40`.`id`,
  `t40`.`metaxy_status`,
  `t40`.`metaxy_stale_fields`,
  `t40`.`metaxy_provenance__audio`,
  `t40`.`metaxy_provenance__frames`,
  `t40`.`metaxy_edge0_commit`,
  `t40`.`metaxy_edge1_commit`
FROM (
  SELECT
    COALESCE(`t39`.`id`, `t39`.`id_right`) AS `id`,
    `t39`.`metaxy_provenance__audio`,
    `t39`.`metaxy_provenance__frames`,
    `t39`.`metaxy_is_waiting`,
    `t39`.`metaxy_is_expected`,
    `t39`.`metaxy_edge0_commit`,
    `t39`.`metaxy_edge1_commit`,
    `t39`.`metaxy_stored__audio`,
    `t39`.`metaxy_stored__frames`,
    `t39`.`metaxy_is_stale`,
    `t39`.`metaxy_stored_is_inside`,
    `t39`.`metaxy_is_stored`,
    COALESCE(`t39`.`metaxy_stored_is_inside`, TRUE) AS `metaxy_is_inside`,
    CASE
      WHEN NOT (
        NOT (
          `t39`.`metaxy_is_expected` IS NULL
        )
      )
      THEN 'orphaned'
      ELSE CASE
        WHEN COALESCE(`t39`.`metaxy_is_waiting`, FALSE)
        THEN 'waiting'
        ELSE CASE
          WHEN NOT (
            NOT (
              `t39`.`metaxy_is_stored` IS NULL
            )
          )
          THEN 'new'
          ELSE CASE
            WHEN (
              `t39`.`metaxy_stored__audio` IS NULL
            )
            OR (
              `t39`.`metaxy_provenance__audio` <> `t39`.`metaxy_stored__audio`
            )
            OR (
              (
                `t39`.`metaxy_stored__frames` IS NULL
              )
              OR (
                `t39`.`metaxy_provenance__frames` <> `t39`.`metaxy_stored__frames`
              )
            )
            OR COALESCE(`t39`.`metaxy_is_stale`, FALSE)
            THEN 'stale'
            ELSE NULL
          END
        END
      END
    END AS `metaxy_status`,
    ARRAY_TO_STRING(
      [
        CASE
          WHEN (
            `t39`.`metaxy_stored__audio` IS NULL
          )
          OR (
            `t39`.`metaxy_provenance__audio` <> `t39`.`metaxy_stored__audio`
          )
          THEN 'audio'
          ELSE NULL
        END,
        CASE
          WHEN (
            `t39`.`metaxy_stored__frames` IS NULL
          )
          OR (
            `t39`.`metaxy_provenance__frames` <> `t39`.`metaxy_stored__frames`
          )
          THEN 'frames'
          ELSE NULL
        END
      ],
      ','
    ) AS `metaxy_stale_fields`
  FROM (
    SELECT
      `t38`.`id`,
      `t38`.`metaxy_provenance__audio`,
      `t38`.`metaxy_provenance__frames`,
      `t38`.`metaxy_is_waiting`,
      `t38`.`metaxy_is_expected`,
      `t38`.`metaxy_edge0_commit`,
      `t38`.`metaxy_edge1_commit`,
      `t29`.`id` AS `id_right`,
      `t29`.`metaxy_stored__audio`,
      `t29`.`metaxy_stored__frames`,
      `t29`.`metaxy_is_stale`,
      `t29`.`metaxy_stored_is_inside`,
      `t29`.`metaxy_is_stored`
    FROM (
      SELECT
        `t36`.`id`,
        `t36`.`metaxy_provenance__audio`,
        `t36`.`metaxy_provenance__frames`,
        COALESCE(`t36`.`metaxy_edge0_waiting`, FALSE)
        OR COALESCE(`t36`.`metaxy_edge1_waiting`, FALSE) AS `metaxy_is_waiting`,
        TRUE AS `metaxy_is_expected`,
        `t36`.`metaxy_edge0_commit`,
        `t36`.`metaxy_edge1_commit`
      FROM (
        SELECT
          `t35`.`id`,
          `t35`.`metaxy_edge0__audio`,
          `t35`.`metaxy_edge0__frames`,
          `t35`.`metaxy_edge0_waiting`,
          `t35`.`metaxy_edge0_present`,
          `t35`.`metaxy_edge0_commit`,
          `t35`.`metaxy_edge1__text`,
          `t35`.`metaxy_edge1_waiting`,
          `t35`.`metaxy_edge1_present`,
          `t35`.`metaxy_edge1_commit`,
          TO_HEX(MD5(`t35`.`metaxy_provenance__audio`)) AS `metaxy_provenance__audio`,
          TO_HEX(MD5(`t35`.`metaxy_provenance__frames`)) AS `metaxy_provenance__frames`
        FROM (
          SELECT
            `t34`.`id`,
            `t34`.`metaxy_edge0__audio`,
            `t34`.`metaxy_edge0__frames`,
            `t34`.`metaxy_edge0_waiting`,
            `t34`.`metaxy_edge0_present`,
            `t34`.`metaxy_edge0_commit`,
            `t34`.`metaxy_edge1__text`,
            `t34`.`metaxy_edge1_waiting`,
            `t34`.`metaxy_edge1_present`,
            `t34`.`metaxy_edge1_commit`,
            CONCAT(
              CONCAT(
                '7fe3dbe401b4e367b9cd61bf5044f616',
                '',
                CASE
                  WHEN `t34`.`metaxy_edge1_present` IS NULL
                  THEN 'absent'
                  ELSE `t34`.`metaxy_edge1__text`
                END
              ),
              '',
              `t34`.`metaxy_edge0__audio`
            ) AS `metaxy_provenance__audio`,
            CONCAT(
              CONCAT(
                '51aef41934b4f99962242112262ab4ee',
                '',
                CASE
                  WHEN `t34`.`metaxy_edge1_present` IS NULL
                  THEN 'absent'
                  ELSE `t34`.`metaxy_edge1__text`
                END
              ),
              '',
              `t34`.`metaxy_edge0__frames`
            ) AS `metaxy_provenance__frames`
          FROM (
            SELECT
              `t33`.*
              EXCEPT (`id_right`)
            FROM (
              SELECT
                `t32`.`id`,
                `t32`.`metaxy_edge0__audio`,
                `t32`.`metaxy_edge0__frames`,
                `t32`.`metaxy_edge0_waiting`,
                `t32`.`metaxy_edge0_present`,
                `t32`.`metaxy_edge0_commit`,
                `t31`.`id` AS `id_right`,
                `t31`.`metaxy_edge1__text`,
                `t31`.`metaxy_edge1_waiting`,
                `t31`.`metaxy_edge1_present`,
                `t31`.`metaxy_edge1_commit`
              FROM (
                SELECT
                  `t25`.`id`,
                  `t25`.`metaxy_data_version__audio` AS `metaxy_edge0__audio`,
                  `t25`.`metaxy_data_version__frames` AS `metaxy_edge0__frames`,
                  COALESCE(`t25`.`metaxy_data_version__audio` IS NULL, FALSE)
                  OR COALESCE(`t25`.`metaxy_data_version__frames` IS NULL, FALSE) AS `metaxy_edge0_waiting`,
                  TRUE AS `metaxy_edge0_present`,
                  `t25`.`metaxy_commit` AS `metaxy_edge0_commit`
                FROM (
                  SELECT
                    `t22`.*
                    EXCEPT (`id_right`)
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
                      `t19`.`id` AS `id_right`,
                      `t19`.`metaxy_chosen`
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
                        `t13`.`id`,
                        COALESCE(
                          CASE
                            WHEN `t13`.`metaxy_preferred` >= COALESCE(`t13`.`metaxy_barrier`, -1)
                            THEN `t13`.`metaxy_preferred`
                            ELSE NULL
                          END,
                          CASE
                            WHEN `t13`.`metaxy_last` >= COALESCE(`t13`.`metaxy_barrier`, -1)
                            THEN `t13`.`metaxy_last`
                            ELSE NULL
                          END,
                          -1
                        ) AS `metaxy_chosen`
                      FROM (
                        SELECT
                          `t10`.`id`,
                          COUNT(*) AS `metaxy_rows`,
                          MAX(`t10`.`metaxy_barrier`) AS `metaxy_barrier`,
                          MAX(`t10`.`metaxy_last`) AS `metaxy_last`,
                          MAX(`t10`.`metaxy_preferred`) AS `metaxy_preferred`
                        FROM (
                          SELECT
                            `t1`.`id`,
                            `t1`.`speaker`,
                            `t1`.`metaxy_provenance__audio`,
                            `t1`.`metaxy_data_version__audio`,
                            `t1`.`metaxy_provenance__frames`,
                            `t1`.`metaxy_data_version__frames`,
                            `t1`.`metaxy_provenance`,
                            `t1`.`metaxy_data_version`,
                            `t1`.`metaxy_feature_version`,
                            `t1`.`metaxy_snapshot_version`,
                            `t1`.`metaxy_created_at`,
                            `t1`.`metaxy_updated_at`,
                            `t1`.`metaxy_deleted_at`,
                            `t1`.`metaxy_materialization_id`,
                            `t1`.`metaxy_commit`,
                            `t1`.`metaxy_write_id`,
                            `t1`.`metaxy_open`,
                            CASE
                              WHEN NOT (
                                `t1`.`metaxy_deleted_at` IS NULL
                              )
                              THEN `t1`.`metaxy_commit`
                              ELSE NULL
                            END AS `metaxy_barrier`,
                            CASE WHEN `t1`.`metaxy_deleted_at` IS NULL THEN `t1`.`metaxy_commit` ELSE NULL END AS `metaxy_last`,
                            CASE
                              WHEN (
                                `t1`.`metaxy_deleted_at` IS NULL
                              )
                              AND (
                                `t1`.`metaxy_feature_version` = 'fe9fa94c4de44d946b5d6ae0cd56413de41e23b52cf27a6006055e05807a6245'
                              )
                              THEN `t1`.`metaxy_commit`
                              ELSE NULL
                            END AS `metaxy_preferred`
                          FROM `video` AS `t1`
                          WHERE
                            NOT (
                              `t1`.`metaxy_open`
                            )
                        ) AS `t10`
                        GROUP BY
                          1
                      ) AS `t13`
                      WHERE
                        `t13`.`metaxy_rows` > 1
                    ) AS `t19`
                      ON `t7`.`id` = `t19`.`id`
                  ) AS `t22`
                ) AS `t25`
                WHERE
                  (
                    `t25`.`metaxy_chosen` IS NULL
                  )
                  OR (
                    `t25`.`metaxy_chosen` = `t25`.`metaxy_commit`
                  )
              ) AS `t32`
              LEFT OUTER JOIN (
                SELECT
                  `t26`.`id`,
                  `t26`.`metaxy_data_version__text` AS `metaxy_edge1__text`,
                  COALESCE(`t26`.`metaxy_data_version__text` IS NULL, FALSE) AS `metaxy_edge1_waiting`,
                  TRUE AS `metaxy_edge1_present`,
                  `t26`.`metaxy_commit` AS `metaxy_edge1_commit`
                FROM (
                  SELECT
                    `t23`.*
                    EXCEPT (`id_right`)
                  FROM (
                    SELECT
                      `t8`.`id`,
                      `t8`.`metaxy_provenance__text`,
                      `t8`.`metaxy_data_version__text`,
                      `t8`.`metaxy_provenance`,
                      `t8`.`metaxy_data_version`,
                      `t8`.`metaxy_feature_version`,
                      `t8`.`metaxy_snapshot_version`,
                      `t8`.`metaxy_created_at`,
                      `t8`.`metaxy_updated_at`,
                      `t8`.`metaxy_deleted_at`,
                      `t8`.`metaxy_materialization_id`,
                      `t8`.`metaxy_commit`,
                      `t8`.`metaxy_write_id`,
                      `t8`.`metaxy_open`,
                      `t20`.`id` AS `id_right`,
                      `t20`.`metaxy_chosen`
                    FROM (
                      SELECT
                        *
                      FROM `note` AS `t2`
                      WHERE
                        NOT (
                          `t2`.`metaxy_open`
                        ) AND `t2`.`metaxy_deleted_at` IS NULL
                    ) AS `t8`
                    LEFT OUTER JOIN (
                      SELECT
                        `t14`.`id`,
                        COALESCE(
                          CASE
                            WHEN `t14`.`metaxy_preferred` >= COALESCE(`t14`.`metaxy_barrier`, -1)
                            THEN `t14`.`metaxy_preferred`
                            ELSE NULL
                          END,
                          CASE
                            WHEN `t14`.`metaxy_last` >= COALESCE(`t14`.`metaxy_barrier`, -1)
                            THEN `t14`.`metaxy_last`
                            ELSE NULL
                          END,
                          -1
                        ) AS `metaxy_chosen`
                      FROM (
                        SELECT
                          `t11`.`id`,
                          COUNT(*) AS `metaxy_rows`,
                          MAX(`t11`.`metaxy_barrier`) AS `metaxy_barrier`,
                          MAX(`t11`.`metaxy_last`) AS `metaxy_last`,
                          MAX(`t11`.`metaxy_preferred`) AS `metaxy_preferred`
                        FROM (
                          SELECT
                            `t2`.`id`,
                            `t2`.`metaxy_provenance__text`,
                            `t2`.`metaxy_data_version__text`,
                            `t2`.`metaxy_provenance`,
                            `t2`.`metaxy_data_version`,
                            `t2`.`metaxy_feature_version`,
                            `t2`.`metaxy_snapshot_version`,
                            `t2`.`metaxy_created_at`,
                            `t2`.`metaxy_updated_at`,
                            `t2`.`metaxy_deleted_at`,
                            `t2`.`metaxy_materialization_id`,
                            `t2`.`metaxy_commit`,
                            `t2`.`metaxy_write_id`,
                            `t2`.`metaxy_open`,
                            CASE
                              WHEN NOT (
                                `t2`.`metaxy_deleted_at` IS NULL
                              )
                              THEN `t2`.`metaxy_commit`
                              ELSE NULL
                            END AS `metaxy_barrier`,
                            CASE WHEN `t2`.`metaxy_deleted_at` IS NULL THEN `t2`.`metaxy_commit` ELSE NULL END AS `metaxy_last`,
                            CASE
                              WHEN (
                                `t2`.`metaxy_deleted_at` IS NULL
                              )
                              AND (
                                `t2`.`metaxy_feature_version` = '8d438f90d98dcb038487febb4b24e5a17240e296623db57154f17d73dec4e82c'
                              )
                              THEN `t2`.`metaxy_commit`
                              ELSE NULL
                            END AS `metaxy_preferred`
                          FROM `note` AS `t2`
                          WHERE
                            NOT (
                              `t2`.`metaxy_open`
                            )
                        ) AS `t11`
                        GROUP BY
                          1
                      ) AS `t14`
                      WHERE
                        `t14`.`metaxy_rows` > 1
                    ) AS `t20`
                      ON `t8`.`id` = `t20`.`id`
                  ) AS `t23`
                ) AS `t26`
                WHERE
                  (
                    `t26`.`metaxy_chosen` IS NULL
                  )
                  OR (
                    `t26`.`metaxy_chosen` = `t26`.`metaxy_commit`
                  )
              ) AS `t31`
                ON `t32`.`id` = `t31`.`id`
            ) AS `t33`
          ) AS `t34`
        ) AS `t35`
      ) AS `t36`
    ) AS `t38`
    FULL OUTER JOIN (
      SELECT
        `t24`.`id`,
        `t24`.`metaxy_provenance__audio` AS `metaxy_stored__audio`,
        `t24`.`metaxy_provenance__frames` AS `metaxy_stored__frames`,
        FALSE AS `metaxy_is_stale`,
        TRUE AS `metaxy_stored_is_inside`,
        TRUE AS `metaxy_is_stored`
      FROM (
        SELECT
          `t21`.*
          EXCEPT (`id_right`)
        FROM (
          SELECT
            `t6`.`id`,
            `t6`.`metaxy_provenance__audio`,
            `t6`.`metaxy_data_version__audio`,
            `t6`.`metaxy_provenance__frames`,
            `t6`.`metaxy_data_version__frames`,
            `t6`.`metaxy_provenance`,
            `t6`.`metaxy_data_version`,
            `t6`.`metaxy_feature_version`,
            `t6`.`metaxy_snapshot_version`,
            `t6`.`metaxy_created_at`,
            `t6`.`metaxy_updated_at`,
            `t6`.`metaxy_deleted_at`,
            `t6`.`metaxy_materialization_id`,
            `t6`.`metaxy_commit`,
            `t6`.`metaxy_write_id`,
            `t6`.`metaxy_open`,
            `t18`.`id` AS `id_right`,
            `t18`.`metaxy_chosen`
          FROM (
            SELECT
              *
            FROM `crop` AS `t0`
            WHERE
              NOT (
                `t0`.`metaxy_open`
              ) AND `t0`.`metaxy_deleted_at` IS NULL
          ) AS `t6`
          LEFT OUTER JOIN (
            SELECT
              `t12`.`id`,
              COALESCE(
                CASE
                  WHEN `t12`.`metaxy_preferred` >= COALESCE(`t12`.`metaxy_barrier`, -1)
                  THEN `t12`.`metaxy_preferred`
                  ELSE NULL
                END,
                CASE
                  WHEN `t12`.`metaxy_last` >= COALESCE(`t12`.`metaxy_barrier`, -1)
                  THEN `t12`.`metaxy_last`
                  ELSE NULL
                END,
                -1
              ) AS `metaxy_chosen`
            FROM (
              SELECT
                `t9`.`id`,
                COUNT(*) AS `metaxy_rows`,
                MAX(`t9`.`metaxy_barrier`) AS `metaxy_barrier`,
                MAX(`t9`.`metaxy_last`) AS `metaxy_last`,
                MAX(`t9`.`metaxy_preferred`) AS `metaxy_preferred`
              FROM (
                SELECT
                  `t0`.`id`,
                  `t0`.`metaxy_provenance__audio`,
                  `t0`.`metaxy_data_version__audio`,
                  `t0`.`metaxy_provenance__frames`,
                  `t0`.`metaxy_data_version__frames`,
                  `t0`.`metaxy_provenance`,
                  `t0`.`metaxy_data_version`,
                  `t0`.`metaxy_feature_version`,
                  `t0`.`metaxy_snapshot_version`,
                  `t0`.`metaxy_created_at`,
                  `t0`.`metaxy_updated_at`,
                  `t0`.`metaxy_deleted_at`,
                  `t0`.`metaxy_materialization_id`,
                  `t0`.`metaxy_commit`,
                  `t0`.`metaxy_write_id`,
                  `t0`.`metaxy_open`,
                  CASE
                    WHEN NOT (
                      `t0`.`metaxy_deleted_at` IS NULL
                    )
                    THEN `t0`.`metaxy_commit`
                    ELSE NULL
                  END AS `metaxy_barrier`,
                  CASE WHEN `t0`.`metaxy_deleted_at` IS NULL THEN `t0`.`metaxy_commit` ELSE NULL END AS `metaxy_last`,
                  CASE
                    WHEN (
                      `t0`.`metaxy_deleted_at` IS NULL
                    )
                    AND (
                      `t0`.`metaxy_feature_version` = '530c09527bce65eb4d0c1809548d4b29c2a03c236a743c0cfb61d65f9d7e255d'
                    )
                    THEN `t0`.`metaxy_commit`
                    ELSE NULL
                  END AS `metaxy_preferred`
                FROM `crop` AS `t0`
                WHERE
                  NOT (
                    `t0`.`metaxy_open`
                  )
              ) AS `t9`
              GROUP BY
                1
            ) AS `t12`
            WHERE
              `t12`.`metaxy_rows` > 1
          ) AS `t18`
            ON `t6`.`id` = `t18`.`id`
        ) AS `t21`
      ) AS `t24`
      WHERE
        (
          `t24`.`metaxy_chosen` IS NULL
        )
        OR (
          `t24`.`metaxy_chosen` = `t24`.`metaxy_commit`
        )
    ) AS `t29`
      ON `t38`.`id` = `t29`.`id`
  ) AS `t39`
) AS `t40`
WHERE
  NOT (
    `t40`.`metaxy_status` IS NULL
  ) AND `t40`.`metaxy_is_inside`
