"""`metaxy graph check`: code that changed without a code version."""

import json

import pytest

FEATURES = '''
from metaxy_core import Feature, FeatureSpec, FieldSpec, implements

class Video(Feature, spec=FeatureSpec("video", id_columns=["id"], fields=["audio"])):
    """A video."""

class Crop(Feature, spec=FeatureSpec("crop", id_columns=["id"], deps=[Video], fields=[
    FieldSpec("audio", code_version={code})])):
    """A crop."""

SIZE = 2

def scaled(x):
    """Scale."""
    return x * SIZE

def of_others(x):
    return x

@implements(Crop)
def crop(rows):
    """Crop."""
    return [scaled(row) for row in rows]  # all of them
'''


@pytest.fixture
def declared(here):
    def declare(*changes, code=1):
        text = FEATURES
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        here.declare(code=code, text=text)
        return here

    declare()
    here.run("push")
    return declare


@pytest.mark.parametrize(
    "change",
    [
        ("# all of them", "# every one"),
        ('"""Crop."""', '"""Crop the rows."""'),
        ('"""Scale."""', ""),
        ('"""A crop."""', '"""Another crop."""'),
        ("[scaled(row) for row in rows]", "[\n        scaled(row)\n        for row in rows\n    ]"),
        ("def of_others(x):\n    return x", "def of_others(x):\n    return -x"),
    ],
)
def test_nothing_is_said_of_words_and_of_others(declared, change):
    ran = declared(change).run("graph", "check")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("0 of 1 features changed")


@pytest.mark.parametrize(
    ("change", "removed", "added"),
    [
        (("scaled(row)", "-scaled(row)"), "scaled(row)", "-scaled(row)"),
        (("x * SIZE", "x + SIZE"), "return x * SIZE", "return x + SIZE"),
        (("SIZE = 2", "SIZE = 3"), "SIZE = 2", "SIZE = 3"),
    ],
)
def test_changed_code_is_a_warning_with_the_difference(declared, change, removed, added):
    ran = declared(change).run("graph", "check")
    assert ran.code == 2
    assert "crop: the code changed, no code version did (cli_features:crop)" in ran.out
    lines = [line.strip() for line in ran.out.splitlines()]
    assert any(line.startswith("-") and removed in line for line in lines)
    assert any(line.startswith("+") and added in line for line in lines)


def test_a_new_code_version_is_what_was_wanted(declared):
    assert declared(("SIZE = 2", "SIZE = 3"), code=2).run("graph", "check").code == 0


def test_push_records_changed_code_of_an_unchanged_graph(declared):
    here = declared(("SIZE = 2", "SIZE = 3"))
    assert here.run("graph", "check").code == 2
    assert here.run("push").out.startswith("Recorded ")
    assert here.run("graph", "check").code == 0
    assert "already the newest" in here.run("push").out


def test_a_recorded_graph_or_tag_may_be_compared_with(declared):
    here = declared()
    here.run("push", "--tag", "v1")
    declared(("SIZE = 2", "SIZE = 3")).run("push")
    assert here.run("graph", "check").code == 0
    assert here.run("graph", "check", "--since", "v1").code == 2


def test_check_as_json(declared):
    shown = json.loads(
        declared(("SIZE = 2", "SIZE = 3")).run("graph", "check", "--format", "json").out
    )
    diff = shown["drift"][0].pop("diff")
    assert "-SIZE = 2" in diff.splitlines()
    since = shown.pop("since")
    assert len(since) == 64
    assert shown == {
        "format": 1,
        "kind": "check",
        "drift": [{"feature": "crop", "functions": ["cli_features:crop"]}],
        "compared": ["crop"],
        "unreadable": [],
        "unrecorded": [],
        "unknown": ["video"],
        "lost": [],
        "external": [],
    }


def test_a_function_without_source_is_said(declared):
    text = ("@implements(Crop)\ndef crop", "space = {}\nexec('def crop(x): return x', space)\n"
            "implements(Crop)(space['crop'])\ndef crop")  # fmt: skip
    ran = declared(text).run("graph", "check")
    assert ran.code == 0
    assert "crop: not compared, crop has no source file" in ran.out


def test_code_that_is_not_known_here_stays_recorded(declared):
    here = declared(("@implements(Crop)\n", ""))
    assert "already the newest" in here.run("push").out
    assert "No function is known here of: video, crop." in here.run("graph", "check").out
    assert declared(("SIZE = 2", "SIZE = 3")).run("graph", "check").code == 2


def test_code_that_is_not_known_here_is_forgotten_with_its_code_version(declared):
    here = declared(("@implements(Crop)\n", ""), code=2)
    here.run("push")
    ran = declared(("SIZE = 2", "SIZE = 3"), code=2).run("graph", "check")
    assert (here, ran.code) == (here, 0)
    assert "No code was recorded of: crop." in ran.out


def test_without_a_recorded_graph_there_is_nothing_to_check(here):
    here.declare(text=FEATURES)
    (here.path / "metaxy.toml").write_text('module = "cli_features"\nstore = "new.duckdb"\n')
    ran = here.run("graph", "check")
    assert ran.code == 1
    assert ran.out == ""


class TestFunctionsInModulesOfTheirOwn:
    """Features in one module, the functions that make them in another."""

    FEATURES = """
from metaxy_core import Feature, FeatureSpec, FieldSpec

class Crop(Feature, spec=FeatureSpec("crop", id_columns=["id"], fields=[
    FieldSpec("audio", code_version={code})])):
    pass
"""
    FUNCTIONS = """
from metaxy_core import implements
from cli_features import Crop

@implements(Crop)
def crop(rows):
    return rows * {factor}
"""

    @pytest.fixture
    def project(self, here):
        def declare(code=1, factor=1, functions='functions = ["cli_features_made"]'):
            here.declare(code, self.FEATURES)
            here.declare(text=self.FUNCTIONS.format(factor=factor), module="cli_features_made")
            here.configure(f'entrypoints = ["cli_features"]\nstore = "meta.duckdb"\n{functions}')
            return here

        return declare

    def test_are_found_where_the_configuration_names_them(self, project):
        project().run("push")
        ran = project(factor=2).run("graph", "check")
        assert ran.code == 2
        assert "crop: the code changed, no code version did (cli_features_made:crop)" in ran.out

    def test_that_are_not_named_are_a_warning_where_code_was_recorded(self, project):
        project().run("push")
        ran = project(factor=2, functions="").run("graph", "check")
        assert ran.code == 2
        assert "Their code was recorded, and is not compared: crop." in ran.out
        assert 'functions = ["package.definitions"] in metaxy.toml' in ran.out

    def test_that_are_not_named_are_told_where_nothing_was_recorded(self, project):
        project(functions="").run("push")
        ran = project(functions="").run("graph", "check")
        assert ran.code == 0
        assert 'functions = ["package.definitions"] in metaxy.toml' in ran.out

    def test_push_says_what_code_it_does_not_record_any_more(self, project):
        project().run("push")
        ran = project(code=2, functions="").run("push")
        assert "No function is known here of crop, whose code is recorded no longer." in ran.err
        assert project(code=2).run("push").err == ""

    def test_are_not_imported_by_other_commands(self, project):
        here = project()
        here.declare(text="raise RuntimeError('not now')", module="cli_features_made")
        assert "crop" in here.run("list", "features").out
        ran = here.run("push")
        assert ran.code == 1
        assert "cli_features_made" in ran.err
        assert "RuntimeError: not now" in ran.err
