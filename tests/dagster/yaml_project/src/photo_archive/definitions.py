"""What Dagster loads: all that is said under `defs/`."""

from pathlib import Path

import dagster as dg


@dg.definitions
def defs() -> dg.Definitions:
    """Definitions of this project."""
    return dg.load_from_defs_folder(path_within_project=Path(__file__).parent)
