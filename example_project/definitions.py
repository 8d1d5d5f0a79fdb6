"""What Dagster loads: four assets, their checks, and the sensor that runs what has work."""

import dagster as dg

from example_project import paths
from example_project.assets import crop, face_detection, stt, video
from example_project.resources import io_manager, results, store
from metaxy_dagster import feature_checks, metaxy_automation_sensor

paths.prepare()

defs = dg.Definitions(
    assets=[video, crop, face_detection, stt],
    asset_checks=[feature_checks(pending_cron="@hourly")],
    sensors=[metaxy_automation_sensor()],
    resources={"results": results, "metaxy": store, "metaxy_io": io_manager},
)
