"""What a project says about itself: where its features are, and which stores it has."""

from metaxy_core.config.project import MetaxyProject, init
from metaxy_core.config.settings import MetaxyConfig, StoreSettings

__all__ = ["MetaxyConfig", "MetaxyProject", "StoreSettings", "init"]
