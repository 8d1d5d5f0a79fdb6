"""The command `metaxy`: its commands by name, and the one place where errors are told.

Exit codes: 0 done, or in sync; 1 a mistake in what was asked; 2 differences (`graph diff`) or
something to do (`status`), or something wrong (`metadata verify`).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from cyclopts import App, CycloptsError

from metaxy_core.cli import (
    checks,
    configuration,
    deletion,
    describe,
    failures,
    graph,
    inventory,
    listing,
    locks,
    metadata,
    plan,
    scaffold,
    snapshots,
    status,
    ui,
)
from metaxy_core.cli.output import tell
from metaxy_core.errors import MetaxyError

app = App(
    name="metaxy",
    help="Features of multimodal data: their graph, its history, and what there is to do.\n\n"
    "Example: metaxy status --module example_project.features --store meta.duckdb",
    help_format="markdown",
    version=lambda: _version(),
    suppress_keyboard_interrupt=False,  # told below, as other errors are
)
graphs = App(name="graph", help="Draw the graph, compare it, see its history.")
lists = App(name="list", help="List what there is.")
upkeep = App(name="metadata", help="See stored rows and keep them in order.")
settings = App(name="config", help="See the configuration, and check it.")
failed = App(name="failures", help="Samples that failed: list, retry, clear.")
for group in (graphs, lists, upkeep, failed, settings):
    app.command(group)
app.command(scaffold.init, name="init")
app.command(describe.describe, name="describe")
app.command(status.status, name="status")
app.command(locks.lock, name="lock")
app.command(plan.plan, name="plan")
app.command(plan.explain, name="explain")
app.command(snapshots.push, name="push")
app.command(ui.ui, name="ui")
lists.command(listing.features, name="features")
lists.command(listing.stores, name="stores")
failed.command(failures.listed, name="list")
failed.command(failures.retry, name="retry")
failed.command(failures.clear, name="clear")
graphs.command(graph.render, name="render")
graphs.command(graph.diff, name="diff")
graphs.command(checks.check, name="check")
graphs.command(snapshots.push, name="push")
graphs.command(snapshots.history, name="history")
graphs.command(snapshots.snapshot, name="snapshot")
upkeep.command(inventory.status, name="status")
upkeep.command(metadata.copy, name="copy")
upkeep.command(deletion.delete, name="delete")
upkeep.command(deletion.drop, name="drop")
upkeep.command(metadata.rebase, name="rebase")
upkeep.command(metadata.verify, name="verify")
upkeep.command(metadata.compact, name="compact")
upkeep.command(metadata.replay, name="replay")
settings.command(configuration.show_config, name="print")
settings.command(configuration.check, name="check")
app.register_install_completion_command()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the result is the exit code.

    A mistake in what was asked, or in the module of the features, is told in one message on
    standard error, without a traceback.

    >>> main(["list", "features", "--module", "there_is_no_such_module"])
    1
    """
    try:
        result = app(arguments, result_action="return_value", exit_on_error=False)
    except MetaxyError as error:
        tell(f"metaxy: {error}")
        return 1
    except CycloptsError:  # printed by then
        return 1
    except KeyboardInterrupt:
        tell("metaxy: interrupted.")
        return 130
    except BrokenPipeError:  # the reader of the pipe has seen enough, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return result if isinstance(result, int) else 0


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("metaxy-dagster")
    except PackageNotFoundError:
        return "not installed"
