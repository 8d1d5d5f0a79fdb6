"""Dagster's UI on the example project: `make ui`, then http://127.0.0.1:3000."""

import os
import sys
from pathlib import Path

from example_project import paths


def main() -> None:
    """Become `dg dev` on this project, with the demo's history if there is one."""
    paths.prepare()
    os.environ["DAGSTER_HOME"] = str(paths.DAGSTER_HOME)
    command = Path(sys.executable).with_name("dg")
    os.execv(command, [str(command), "dev", "--host", "127.0.0.1", "--port", "3000"])  # noqa: S606


if __name__ == "__main__":
    main()
