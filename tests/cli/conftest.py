"""A project on disk, and the command run in it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from metaxy_core import FeatureGraph, use_graph
from metaxy_core.cli.app import main

FEATURES = """
from metaxy_core import Feature, FeatureSpec, FieldDep, FieldSpec

class Video(Feature, spec=FeatureSpec(
    "video", id_columns=["id"], fields=[FieldSpec("audio", code_version={code}), "frames"])):
    '''A video.'''

class Crop(Feature, spec=FeatureSpec("crop", id_columns=["id"], deps=[Video],
                                     fields=["audio", "frames"])):
    '''A crop.'''

class Faces(Feature, spec=FeatureSpec("faces", id_columns=["id"], deps=[Crop], fields=[
    FieldSpec("faces", deps=[FieldDep(feature=Crop, fields=["frames"])])])):
    '''Faces.'''
"""


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


class Here:
    """A project directory that is the current one."""

    def __init__(self, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.path = path
        self._capsys = capsys

    def declare(self, code: object = 1, text: str = FEATURES, module: str = "cli_features") -> None:
        (self.path / f"{module}.py").write_text(text.replace("{code}", repr(code)))

    def configure(self, text: str, file: str = "metaxy.toml") -> None:
        (self.path / file).write_text(text)

    def run(self, *arguments: str) -> Ran:
        """The command, with the features imported afresh."""
        for name in [name for name in sys.modules if name.startswith("cli_features")]:
            del sys.modules[name]
        with use_graph(FeatureGraph()):
            code = main(arguments)
        out, err = self._capsys.readouterr()
        return Ran(code, out, err)


@pytest.fixture
def here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Here]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    # Two texts of one length within a second would be one to the cache of compiled modules.
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    for name in [name for name in os.environ if name.startswith("METAXY_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("METAXY_SPOOL_DIR", str(tmp_path / "spool"))
    made = Here(tmp_path, capsys)
    made.declare()
    made.configure('module = "cli_features"\nstore = "meta.duckdb"\n')
    yield made
    sys.modules.pop("cli_features", None)
