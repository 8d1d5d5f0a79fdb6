"""A directory with a configuration, and nothing of this machine's environment."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from metaxy_core import FeatureGraph, MetaxyConfig, use_graph
from metaxy_core.ambient import active_settings, set_settings


class Root:
    """The directory of a project, which is the current one."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, text: str, file: str = "metaxy.toml") -> Path:
        path = self.path / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text), encoding="utf-8")
        return path

    def load(self, text: str | None = None, **said: object) -> MetaxyConfig:
        if text is not None:
            self.write(text)
        return MetaxyConfig.load(**said)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Root]:
    for name in [name for name in os.environ if name.startswith("METAXY_")]:
        monkeypatch.delenv(name)
    project = tmp_path / "project"
    project.mkdir()
    monkeypatch.chdir(project)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    before, modules = active_settings(), set(sys.modules)
    with use_graph(FeatureGraph()):
        yield Root(project)
    set_settings(before)
    for name in set(sys.modules) - modules:
        if name.startswith("my_"):
            del sys.modules[name]
