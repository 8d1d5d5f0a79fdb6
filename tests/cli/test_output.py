"""What is printed where: results on standard output, everything else beside it."""

from __future__ import annotations

import sys

import pytest

from metaxy_core.cli.app import app, main
from metaxy_core.cli.output import progress


@pytest.mark.parametrize("on_terminal", [True, False])
def test_progress_is_shown_on_standard_error_of_a_terminal_only(capsys, monkeypatch, on_terminal):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: on_terminal)
    monkeypatch.setenv("TERM", "xterm")
    assert list(progress(["a/b", "c[/]\x1b[31m"], "comparing")) == ["a/b", "c[/]\x1b[31m"]
    out, err = capsys.readouterr()
    assert out == ""
    assert ("2/2" in err) == on_terminal
    assert "c[/]\x1b" not in err


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_there_is_completion_for_every_shell(shell):
    script = app.generate_completion(shell=shell)
    assert "metaxy" in script
    assert "describe" in script


def test_an_interruption_is_one_line_and_its_own_exit_code(monkeypatch, capsys):
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("metaxy_core.cli.project.Project.graph", interrupted)
    assert main(["list", "features"]) == 130
    assert capsys.readouterr().err == "metaxy: interrupted.\n"
