"""Graphs at git refs; each needs a process, so each test asks for much at once."""

import json
import subprocess
import sys
from pathlib import Path

import pytest


def git(path: Path, *arguments: str) -> str:
    ran = subprocess.run(
        ["git", "-c", "user.name=a", "-c", "user.email=a@b.c", *arguments],
        cwd=path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return ran.stdout.strip()


@pytest.fixture
def repository(here):
    """The project in a repository: `old` has code version 1, `broken` cannot be imported."""
    git(here.path, "init", "--quiet", "--initial-branch=main")
    here.configure('module = "cli_features"\n')
    git(here.path, "add", "cli_features.py", "metaxy.toml")
    git(here.path, "commit", "--quiet", "-m", "one")
    git(here.path, "tag", "old")
    here.declare(text="import there_is_no_such_package\n")
    git(here.path, "commit", "--quiet", "-am", "broken")
    git(here.path, "tag", "broken")
    here.declare(code=2)
    git(here.path, "commit", "--quiet", "-am", "two")
    return here


def test_the_code_is_compared_with_a_ref_and_nothing_is_left_behind(repository, monkeypatch):
    # As in a hook of the user's repository: its index is not ours to write.
    monkeypatch.setenv("GIT_INDEX_FILE", str(repository.path / ".git" / "index"))
    repository.declare(code=3)
    (repository.path / "untracked.py").write_text("")
    before = git(repository.path, "status", "--porcelain")
    shown = json.loads(repository.run("graph", "diff", "git:old", "--format", "json").out)
    audio = shown["nodes"][0]["fields"][0]
    assert (audio["code_before"], audio["code_after"]) == ("1", "3")
    assert git(repository.path, "status", "--porcelain") == before
    assert len(git(repository.path, "worktree", "list").splitlines()) == 1
    assert not list((repository.path / ".git").glob("worktrees/*"))


def test_two_refs_are_compared_whatever_the_code_is(repository):
    repository.declare(text="raise RuntimeError('this is not to be imported')")
    shown = json.loads(
        repository.run("graph", "diff", "git:HEAD~2", "git:main", "--format", "json").out
    )
    audio = shown["nodes"][0]["fields"][0]
    assert (audio["code_before"], audio["code_after"]) == ("1", "2")


def test_a_ref_that_cannot_be_imported_is_one_message(repository):
    ran = repository.run("graph", "diff", "git:broken")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == (
        "metaxy: git:broken: metaxy.toml: 'module': importing 'cli_features' failed: "
        "cli_features.py:1: it needs 'there_is_no_such_package', which is not installed.\n"
    )
    assert len(git(repository.path, "worktree", "list").splitlines()) == 1


@pytest.mark.parametrize("ref", ["nothing", "", "--help", "HEAD~99", "main:cli_features.py"])
def test_a_missing_ref_is_one_message(repository, ref):
    ran = repository.run("graph", "diff", f"git:{ref}")
    assert (ran.code, ran.out) == (1, "")
    assert f"has no commit '{ref}'" in ran.err
    assert len(ran.err.splitlines()) == 1


def test_there_are_no_refs_outside_a_repository(here, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(here.path.parent))
    ran = here.run("graph", "diff", "git:main")
    assert ran.code == 1
    assert "is not in a git repository" in ran.err


def test_code_of_the_users_own_work_tree_is_not_taken_for_the_refs(repository):
    """As an editable installation does that looks modules up by itself."""
    (repository.path / "cli_helper.py").write_text("")
    repository.declare(
        text=f"""
import sys
from importlib.util import module_from_spec, spec_from_file_location
spec = spec_from_file_location("cli_helper", {str(repository.path / "cli_helper.py")!r})
sys.modules["cli_helper"] = module_from_spec(spec)
spec.loader.exec_module(sys.modules["cli_helper"])
from metaxy_core import FeatureSpec, active_graph
active_graph().add(FeatureSpec("video"))
"""
    )
    git(repository.path, "add", ".")
    git(repository.path, "commit", "--quiet", "-m", "three")
    ran = repository.run("graph", "diff", "git:HEAD")
    assert (ran.code, ran.out) == (1, "")
    assert "the module 'cli_helper' was imported from" in ran.err


def test_code_since_a_ref_in_a_folder_of_sources(repository):
    """Packages that an editable installation puts on the path come from the ref, too."""
    path = repository.path / "src"
    path.mkdir()
    text = (
        "from metaxy_core import FeatureSpec, active_graph, implements\n"
        "active_graph().add(FeatureSpec('video'))\n"
        "@implements('video')\ndef video(x):\n    return x\n"
    )
    (path / "cli_features_in_src.py").write_text(text)
    git(repository.path, "add", "src")
    git(repository.path, "commit", "--quiet", "-m", "src")
    sys.path.insert(0, str(path))  # the fixture puts the list back
    (path / "cli_features_in_src.py").write_text(text.replace("return x", "return -x"))
    ran = repository.run("graph", "check", "--since", "git:HEAD", "--module", "cli_features_in_src")
    assert ran.code == 2
    assert "  -    return x\n  +    return -x\n" in ran.out
