"""One Dagster run of all four assets, headless: `python -m example_project.run`.

Prints one JSON line: per asset the samples found, those processed, and the seconds it took.
"""

import json
import os
import sys

import dagster as dg

from example_project import paths


def main() -> int:
    """Run everything and print what was done; 0 when the run succeeded."""
    paths.prepare()
    os.environ["DAGSTER_HOME"] = str(paths.DAGSTER_HOME)
    from example_project.definitions import defs

    with dg.DagsterInstance.get() as instance:
        job = defs.resolve_implicit_global_asset_job_def()
        result = job.execute_in_process(instance=instance, raise_on_error=False)
    done = {}
    for event in result.get_asset_materialization_events():
        found = event.materialization.metadata["metaxy/increment"]
        assert isinstance(found, dg.TableMetadataValue)
        done[event.materialization.asset_key.to_user_string()] = {
            str(record.data["status"]): record.data["processed"] for record in found.records
        }
    sys.stdout.write(json.dumps(done) + "\n")
    return 0 if result.success else 1


if __name__ == "__main__":
    sys.exit(main())
