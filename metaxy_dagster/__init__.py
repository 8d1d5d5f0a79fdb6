"""Feature graphs as Dagster assets: exactly the samples that need it run again."""

from metaxy_dagster.assets.computes import computes
from metaxy_dagster.assets.feature_asset import feature_asset
from metaxy_dagster.assets.multi_feature_asset import multi_feature_asset
from metaxy_dagster.assets.observe import observe_features
from metaxy_dagster.assets.parts import union_asset
from metaxy_dagster.assets.specs import feature_specs
from metaxy_dagster.automation.conditions import IncrementPending
from metaxy_dagster.automation.declarative import metaxy_automation_sensor, on_increment
from metaxy_dagster.automation.dynamic import dynamic_partitions_from
from metaxy_dagster.automation.resync import resync_sensor
from metaxy_dagster.automation.schedules import build_increment_schedule
from metaxy_dagster.automation.sensors import increment_sensor
from metaxy_dagster.buckets import HashBuckets, hash_buckets
from metaxy_dagster.checks.definition import feature_checks
from metaxy_dagster.checks.guard import graph_guard
from metaxy_dagster.component.component import FeatureGraphComponent
from metaxy_dagster.factory import Built, build_feature_definitions
from metaxy_dagster.io_manager import MetaxyIOManager
from metaxy_dagster.receipt import Outcome, WriteReceipt
from metaxy_dagster.resource import MetaxyStore
from metaxy_dagster.steps.increment import Increment
from metaxy_dagster.steps.increments import Increments
from metaxy_dagster.steps.options import RunOptions, plan_config, planned_assets
from metaxy_dagster.translator import FeatureTranslator, FeatureTranslatorData

__all__ = [
    "Built",
    "FeatureGraphComponent",
    "FeatureTranslator",
    "FeatureTranslatorData",
    "HashBuckets",
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
    "computes",
    "dynamic_partitions_from",
    "feature_asset",
    "feature_checks",
    "feature_specs",
    "graph_guard",
    "hash_buckets",
    "increment_sensor",
    "metaxy_automation_sensor",
    "multi_feature_asset",
    "observe_features",
    "on_increment",
    "plan_config",
    "planned_assets",
    "resync_sensor",
    "union_asset",
]
