"""Where the example keeps its working copies, crops and tables: one folder, safe to remove."""

import os
import shutil
from pathlib import Path

MEDIA = Path(__file__).parent / "media"
HOME = Path(os.environ.get("EXAMPLE_HOME", Path(__file__).parent.parent / ".demo")).resolve()
RAW = HOME / "raw"
CROPS = HOME / "crops"
DATABASE = HOME / "example.duckdb"
DAGSTER_HOME = HOME / "dagster"


def prepare() -> None:
    """Make the folder, with a working copy of the shipped videos where there is none yet."""
    for folder in (RAW, CROPS, DAGSTER_HOME):
        folder.mkdir(parents=True, exist_ok=True)
    if not any(RAW.iterdir()):
        for source in sorted((MEDIA / "raw").glob("*.mp4")):
            shutil.copy(source, RAW / source.name)
    config = DAGSTER_HOME / "dagster.yaml"
    if not config.exists():
        config.write_text("telemetry: {enabled: false}\nnux: {enabled: false}\n")
