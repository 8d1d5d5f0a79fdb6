"""Entry points: which modules are imported, and what their mistakes are told as."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

import metaxy_core
from metaxy_core import ConfigError, Graph, MetaxyConfig, MetaxyProject, active_graph, init
from metaxy_core.ambient import active_settings

FEATURE = """
from metaxy_core import Feature, FeatureGraph, FeatureSpec
class Mine(Feature, spec=FeatureSpec("{key}")): ...
"""
GRAPH = """
from metaxy_core import FeatureGraph, FeatureSpec
graph = FeatureGraph([FeatureSpec("{key}")])
"""


def keys(project: MetaxyProject) -> list[str]:
    return [str(key) for key in project.graph]


def test_entry_points_of_the_list_and_the_module_are_imported(root):
    root.write(FEATURE.replace("{key}", "a"), "my_pkg/a.py")
    root.write(FEATURE.replace("{key}", "b"), "my_b.py")
    root.write('entrypoints = ["my_pkg.a"]\nmodule = "my_b"')
    project = init()
    assert keys(project) == ["a", "b"]
    assert project.graph == active_graph().freeze()
    assert MetaxyConfig.active() is project.config


def test_the_environment_names_entry_points(root, monkeypatch):
    root.write(FEATURE.replace("{key}", "a"), "my_a.py")
    root.write(FEATURE.replace("{key}", "b"), "my_b.py")
    monkeypatch.setenv("METAXY_ENTRYPOINTS", "my_a,my_b")
    assert keys(init()) == ["a", "b"]


def test_packages_bring_features(root, monkeypatch):
    root.write(FEATURE.replace("{key}", "packaged"), "my_packaged.py")
    root.write(FEATURE.replace("{key}", "own"), "my_own.py")
    found = EntryPoint("theirs", "my_packaged", "metaxy.features")
    monkeypatch.setattr("metaxy_core.config.features.entry_points", lambda group: [found])
    root.write('entrypoints = ["my_own"]')
    assert keys(init()) == ["own", "packaged"]


def test_a_module_named_on_the_spot_is_the_only_one(root):
    root.write(FEATURE.replace("{key}", "a"), "my_a.py")
    root.write(GRAPH.replace("{key}", "b"), "my_b.py")
    root.write('entrypoints = ["my_a"]')
    assert keys(init(module="my_b:graph")) == ["b"]


def test_graphs_and_classes_come_together(root):
    root.write(FEATURE.replace("{key}", "a"), "my_a.py")
    root.write(GRAPH.replace("{key}", "b"), "my_b.py")
    root.write('entrypoints = ["my_a", "my_b:graph"]')
    assert keys(init()) == ["a", "b"]
    root.write('entrypoints = ["my_b:graph"]')
    assert keys(init()) == ["b"]


def test_init_gives_the_stores_with_the_graph(root):
    root.write(FEATURE.replace("{key}", "a"), "my_a.py")
    root.write("""
        project = "vision"
        store = "dev"
        module = "my_a"
        [stores.dev]
        type = "memory"
        [stores.other]
        type = "memory"
    """)
    project = init()
    assert repr(project) == "MetaxyProject('vision', 1 features)"
    assert list(project.stores) == ["dev", "other"]
    assert len(project.stores) == 2
    assert project.store() is project.store("dev") is project.stores["dev"]
    with project.store().open("w") as store:
        assert store.push()
    assert isinstance(project.graph, Graph)
    with pytest.raises(KeyError):
        project.stores["none"]
    with pytest.raises(ConfigError):
        project.store("none")


def test_without_entry_points_features_are_declared_afterwards(root):
    project = init(start=root.path)
    exec(FEATURE.replace("{key}", "later"), {"__name__": "notebook"})
    assert keys(project) == ["later"]


def test_init_has_an_earlier_spelling():
    assert metaxy_core.init_metaxy is init


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("x = 1\nraise ValueError('boom')", "my_a.py:2: ValueError: boom"),
        ("import sys\nsys.exit(3)", "my_a.py:2: SystemExit: 3"),
        ("def f(:", "my_a.py:1: SyntaxError"),
        ("import there_is_no_such", "my_a.py:1: it needs 'there_is_no_such'"),
        (
            "from metaxy_core import FeatureSpec\n\nFeatureSpec('a__b')",
            "my_a.py:3: InvalidKeyError",
        ),
        (
            "from metaxy_core import FeatureSpec\nFeatureSpec('a', nope=1)",
            "my_a.py:2: FeatureSpec: nope",
        ),
        ("from metaxy_core import FeatureGraph\nmine = FeatureGraph()", "say --module my_a:mine"),
        ("import json\njson.loads('{')", "my_a.py:2: JSONDecodeError"),
    ],
)
def test_an_entry_point_that_raises_is_told_with_the_place(root, text, told):
    root.write(text, "my_a.py")
    root.write('entrypoints = ["my_a"]')
    before = active_settings()
    with pytest.raises(ConfigError) as error:
        init()
    assert told in str(error.value)
    assert "metaxy.toml: 'entrypoints'" in str(error.value)
    assert active_settings() is before


@pytest.mark.parametrize(
    ("named", "told"),
    [
        ("my_none", "There is no module 'my_none'"),
        ("my-none", "a module is named like package.features; given: 'my-none'"),
        ("my_a:none", "the module 'my_a' has no graph 'none'"),
    ],
)
def test_an_entry_point_that_there_is_not_is_told(root, named, told):
    root.write("", "my_a.py")
    root.write(f'entrypoints = ["{named}"]')
    with pytest.raises(ConfigError, match=told):
        init()
