"""Feature graphs as Dagster assets: exactly the samples that need it run again."""

from metaxy_dagster.assets import feature_asset
from metaxy_dagster.automation import metaxy_automation_sensor, on_increment
from metaxy_dagster.checks import feature_checks
from metaxy_dagster.conditions import IncrementPending
from metaxy_dagster.factory import Built, build_feature_definitions
from metaxy_dagster.guard import graph_guard
from metaxy_dagster.increment import Increment
from metaxy_dagster.increments import Increments
from metaxy_dagster.io_manager import MetaxyIOManager
from metaxy_dagster.multi_assets import multi_feature_asset
from metaxy_dagster.observe import observe_features
from metaxy_dagster.options import RunOptions, plan_config, planned_assets
from metaxy_dagster.parts import union_asset
from metaxy_dagster.receipt import Outcome, WriteReceipt
from metaxy_dagster.resource import MetaxyStore
from metaxy_dagster.schedules import build_increment_schedule
from metaxy_dagster.sensors import increment_sensor
from metaxy_dagster.specs import feature_specs
from metaxy_dagster.translator import FeatureTranslator, FeatureTranslatorData

__all__ = [
    "Built",
    "FeatureTranslator",
    "FeatureTranslatorData",
    "Increment",
    "IncrementPending",
    "Increments",
    "MetaxyIOManager",
    "MetaxyStore",
    "Outcome",
    "RunOptions",
    "WriteReceipt",
    "build_feature_definitions",
    "build_increment_schedule",
    "feature_asset",
    "feature_checks",
    "feature_specs",
    "graph_guard",
    "increment_sensor",
    "metaxy_automation_sensor",
    "multi_feature_asset",
    "observe_features",
    "on_increment",
    "plan_config",
    "planned_assets",
    "union_asset",
]
