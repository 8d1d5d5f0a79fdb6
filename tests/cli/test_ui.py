"""`metaxy ui`: becomes Dagster on the project's definitions."""

from __future__ import annotations

import os
import signal
import sys

import pytest


class BecameError(Exception):
    """What the command would have become."""


@pytest.fixture
def became(here, monkeypatch):
    def run(*arguments):
        with pytest.raises(BecameError) as found:
            here.run("ui", *arguments)
        return found.value.args

    def become(path, command, environment):
        raise BecameError(command, environment)

    monkeypatch.setattr(os, "execve", become)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    for name in ("my", "other"):
        (here.path / name).mkdir()
        (here.path / name / "definitions.py").write_text("")
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    return run


def test_dagster_is_started_on_the_configured_module_in_the_project(here, became):
    (here.path / "deep").mkdir()
    here.configure('module = "cli_features"\nfunctions = ["my.definitions"]\n')
    os.chdir("deep")
    command, environment = became("--port", "3333")
    dagster = ["-m", "dagster", "dev", "-m", "my.definitions", "-h", "127.0.0.1", "-p", "3333"]
    assert (command[0], command[3:]) == (sys.executable, dagster)
    assert environment["DAGSTER_HOME"] == str(here.path / ".dagster_home")
    assert os.path.samefile(os.curdir, here.path)


def test_the_configuration_that_was_named_is_dagsters_too(here, became):
    (here.path / "conf" / "my").mkdir(parents=True)
    (here.path / "conf" / "my" / "definitions.py").write_text("")
    here.configure('functions = ["my.definitions"]\n', "conf/metaxy.toml")
    _, environment = became("--config", "conf/metaxy.toml")
    assert environment["METAXY_CONFIG"] == str(here.path / "conf" / "metaxy.toml")


def test_the_module_may_be_named(here, became):
    assert "other.definitions" in became("other.definitions")[0]


def test_without_a_module_there_is_a_hint(here):
    ran = here.run("ui")
    assert (ran.code, "Which module has the Dagster definitions?" in ran.err) == (1, True)


def test_a_module_that_is_not_there_is_told(here):
    ran = here.run("ui", "no_such.definitions")
    assert (ran.code, "There is no module 'no_such.definitions' in" in ran.err) == (1, True)
