"""Dagster's UI on this project."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from metaxy_core.cli.output import tell
from metaxy_core.cli.project import Project
from metaxy_core.errors import ConfigError

if TYPE_CHECKING:
    from metaxy_core.config import MetaxyConfig

_QUIET = "ignore:Function `dev_command` is superseded"
"""`dg dev` wants a project of its own shape; `dagster dev` takes any module."""


def ui(
    module: str | None = None,
    /,
    *,
    host: str = "127.0.0.1",
    port: Annotated[int, Parameter(validator=Number(gte=0, lt=2**16))] = 3000,
    config: Path | None = None,
) -> int:
    """Open Dagster on this project: materialise features, see increments, diffs and checks.

    Becomes `dagster dev` in the project's folder. Runs are kept in DAGSTER_HOME, which is
    `.dagster_home` there where it is not set.

    Example: metaxy ui --port 3333

    Exit codes: 0 and others as Dagster ends; 1 a mistake.

    Args:
        module: The module of the Dagster definitions; by default the one under `functions`.
        host: The address to listen on.
        port: The port to listen on.
        config: The configuration file, instead of the nearest one.
    """
    settings = Project(config=config).settings()
    chosen = module or (settings.functions[0] if len(settings.functions) == 1 else None)
    if chosen is None:
        raise ConfigError(
            "Which module has the Dagster definitions? Give it, as in `metaxy ui "
            'package.definitions`, or write functions = ["package.definitions"] in metaxy.toml.'
        )
    if missing := [name for name in ("dagster", "dagster_webserver") if find_spec(name) is None]:
        raise ConfigError(
            f"Dagster's UI needs {' and '.join(missing)}: pip install 'metaxy-dagster[ui]'"
        )
    with suppress(ModuleNotFoundError):  # its parent is missing
        sys.path.insert(0, str(settings.root))
        if find_spec(chosen) is not None:
            return _become(chosen, host, port, settings)
    raise ConfigError(f"There is no module '{chosen}' in {settings.root}.")


def _become(module: str, host: str, port: int, settings: MetaxyConfig) -> int:
    home = Path(os.environ.get("DAGSTER_HOME") or settings.root / ".dagster_home").absolute()
    try:
        home.mkdir(parents=True, exist_ok=True)
        (home / "dagster.yaml").touch()  # Dagster warns where there is none
    except OSError as error:
        raise ConfigError(f"DAGSTER_HOME {home} cannot be used: {error.strerror}.") from error
    tell(f"Dagster on {module}, runs in {home}")
    command = [sys.executable, "-W", _QUIET, "-m", "dagster", "dev", "-m", module]
    command += ["-h", host, "-p", str(port)]
    environment = {**os.environ, "DAGSTER_HOME": str(home)}
    if settings.files:  # the same one, from another folder
        environment["METAXY_CONFIG"] = str(settings.files[0].absolute())
    os.chdir(settings.root)
    # A shell that starts it in the background lets it ignore what Dagster stops its children with.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.execve(sys.executable, command, environment)  # noqa: S606
