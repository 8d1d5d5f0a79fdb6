"""Feature graphs as Dagster assets: exactly the samples that need it run again."""

from metaxy_dagster.assets import feature_asset
from metaxy_dagster.increment import Increment
from metaxy_dagster.io_manager import MetaxyIOManager
from metaxy_dagster.options import RunOptions
from metaxy_dagster.parts import union_asset
from metaxy_dagster.receipt import Outcome, WriteReceipt
from metaxy_dagster.resource import MetaxyStore
from metaxy_dagster.translator import FeatureTranslator, FeatureTranslatorData

__all__ = [
    "FeatureTranslator",
    "FeatureTranslatorData",
    "Increment",
    "MetaxyIOManager",
    "MetaxyStore",
    "Outcome",
    "RunOptions",
    "WriteReceipt",
    "feature_asset",
    "union_asset",
]
