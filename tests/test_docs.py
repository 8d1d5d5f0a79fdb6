"""The examples in the README and the guides run, and do what they say."""

from __future__ import annotations

import re
import shlex
import sys
import warnings
from pathlib import Path

import pytest

from metaxy_core import FeatureGraph, MetaxyConfig, use_graph
from metaxy_core.ambient import set_settings
from metaxy_core.backends.support import support_table
from metaxy_core.cli.app import main
from metaxy_core.config.stores import TYPES

ROOT = Path(__file__).parent.parent


def _python(page: str) -> str:
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / page).read_text(), re.S | re.M)
    assert blocks, f"{page} has no Python"
    return "\n".join(blocks)


@pytest.mark.slow
def test_the_readmes_example_counts_what_it_says(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with use_graph(FeatureGraph()):
        exec(compile(_python("README.md"), "README.md", "exec"), {"__name__": "readme"})
    counted = [line for line in capsys.readouterr().out.splitlines() if line.startswith("counting")]
    assert counted == ["counting ['a', 'b']", "counting ['b']"]


@pytest.mark.slow
def test_the_dagster_guide_runs(tmp_path, monkeypatch):
    import dagster as dg

    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)
        exec(compile(_python("docs/dagster.md"), "docs/dagster.md", "exec"), {"__name__": "guide"})


GUIDES = sorted(path.name for path in (ROOT / "docs/guides").glob("[a-z]*.md"))


@pytest.mark.slow
@pytest.mark.parametrize("page", GUIDES)
def test_the_guides_run(page, tmp_path, monkeypatch):
    import dagster as dg

    text = (ROOT / "docs/guides" / page).read_text()
    for block, name in re.findall(r"^```\w+\n(# (\S+\.\w+)\n.*?)^```", text, re.S | re.M):
        (tmp_path / name).write_text(block)
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)
        exec(compile(_python(f"docs/guides/{page}"), page, "exec"), {"__name__": "guide"})


@pytest.mark.slow
def test_the_guide_to_testing_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = "docs/dagster-testing.md"
    exec(compile(_python(page), page, "exec"), {"__name__": "guide"})


@pytest.mark.slow
def test_the_guide_to_the_component_is_a_project(tmp_path, monkeypatch):
    import dagster as dg

    text = (ROOT / "docs/component.md").read_text()
    for block, name in re.findall(r"^```\w+\n(# (\S+\.\w+)\n.*?)^```", text, re.S | re.M):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block)
    (tmp_path / "pyproject.toml").write_text(
        '[tool.dg]\ndirectory_type = "project"\n[tool.dg.project]\nroot_module = "my_project"\n'
        'root_module_path = "my_project"\n'
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    yaml = tmp_path / "my_project/defs/vision/defs.yaml"
    said = yaml.read_text().replace("type: duckdb, path: metadata.duckdb", "type: memory")
    runs = {}
    for kind in ("metaxy_dagster.FeatureGraphComponent", "my_project.components.Measured"):
        yaml.write_text(said.replace("metaxy_dagster.FeatureGraphComponent", kind))
        with use_graph(FeatureGraph()), warnings.catch_warnings():
            warnings.simplefilter("ignore", dg.BetaWarning)
            defs = dg.load_from_defs_folder(path_within_project=tmp_path)
            result = defs.resolve_job_def("materialize_vision").execute_in_process()
            made = [e.asset_key.path for e in result.get_asset_materialization_events()]
            runs[kind] = (made, {tuple(spec.owners) for spec in defs.resolve_all_asset_specs()})
        for name in [name for name in sys.modules if name.startswith("my_project")]:
            del sys.modules[name]
    assert list(runs.values()) == [
        ([["video"], ["crop"]], {("team:ml",)}),
        ([["video"], ["crop"]], {("team:video",)}),
    ]


@pytest.mark.parametrize("page", ["core", "planning"])
def test_the_guides_of_the_core_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(_python(f"docs/{page}.md"), page, "exec"), {"__name__": "guide"})


def test_every_link_in_the_docs_leads_somewhere():
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in pages
        for target in re.findall(r"\]\(([^)#:]+?)(?:#[^)]*)?\)", page.read_text())
        if not (page.parent / target).exists()
    ]
    assert broken == []


STORES = sorted(path.name for path in (ROOT / "docs/stores").glob("*.md"))


@pytest.mark.slow
@pytest.mark.parametrize("page", STORES)
def test_the_pages_of_the_stores_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(_python(f"docs/stores/{page}"), page, "exec"), {"__name__": "guide"})


def test_the_table_of_stores_is_made_from_what_backends_declare():
    assert support_table() in (ROOT / "docs/stores/README.md").read_text()


@pytest.mark.parametrize("page", ["docs/diffs.md", "docs/drift.md", "docs/external.md"])
def test_a_guide_to_the_command_says_what_happens(page, tmp_path, monkeypatch, capsys):
    """Blocks that begin with the name of a file are written there; commands run in order."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    space: dict[str, object] = {"__name__": "guide"}
    for language, text in re.findall(
        r"^```(\w+)\n(.*?)^```", (ROOT / page).read_text(), re.S | re.M
    ):
        named = re.match(r"# (\S+\.\w+)\n", text)
        if named:
            (tmp_path / named[1]).write_text(text)
        elif language == "python":
            exec(compile(text, page, "exec"), space)
        elif language == "console":
            for command, expected in re.findall(r"^\$ metaxy (.*)\n((?:[^$].*\n|\n)*)", text, re.M):
                sys.modules.pop("features", None)
                with use_graph(FeatureGraph()):
                    main(shlex.split(command))
                out, err = capsys.readouterr()
                assert not err or err.startswith("Wrote "), err
                out = out.replace(f"{tmp_path}/", "")
                wanted = re.escape(expected.strip()).replace(r"\.\.\.", ".*")
                assert re.fullmatch(wanted, out.strip(), re.S), f"{command}\n{out}"


def test_the_configuration_guide_runs(tmp_path, monkeypatch):
    page = (ROOT / "docs/configuration.md").read_text()
    toml = re.findall(r"^```toml\n(.*?)^```", page, re.S | re.M)[0]
    (tmp_path / "metaxy.toml").write_text(toml.replace('fallback_stores = ["prod"]\n', ""))
    (tmp_path / "vision").mkdir()
    (tmp_path / "vision" / "features.py").write_text("")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    with use_graph(FeatureGraph()):
        exec(compile(_python("docs/configuration.md"), "guide", "exec"), {"__name__": "guide"})
    set_settings(None)
    for name in ("vision", "vision.features"):
        del sys.modules[name]


def test_the_configuration_guide_names_every_setting_and_type():
    page = (ROOT / "docs/configuration.md").read_text()
    wanted = {*MetaxyConfig.model_fields, *TYPES, *TYPES.values()} - {"stores"}
    assert {name for name in wanted if f"`{name}`" not in page} == set()
