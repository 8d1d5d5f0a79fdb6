"""The graph at a git ref: the project as it was, imported in a process of its own.

The ref is checked out beside the project, in a temporary work tree that is removed again; the
user's own work tree, index and branches are not touched. The features are imported with the
packages installed now, by this version of the library.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from metaxy_core.cli.revision import GIT, Named
from metaxy_core.errors import ConfigError
from metaxy_core.graph import GraphSnapshot
from metaxy_core.keys import FeatureKey

# A hook that calls us has set them for its own repository and index.
_OF_A_HOOK = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_COMMON_DIR")
_LIBRARY = Path(__file__).parents[2]
_CHILD = (
    "import sys; sys.path.insert(0, sys.argv[1]); from metaxy_core.cli import export; "
    "sys.path.remove(sys.argv[1]); sys.path.append(sys.argv[1]); export.main(*sys.argv[2:])"
)


@dataclass(frozen=True)
class _Repository:
    """Where the user is.

    Attributes:
        top: the directory of the work tree.
        inside: the current directory in it.
    """

    top: Path
    inside: Path

    def git(self, *arguments: str) -> str:
        """Run git here and give what it prints.

        Raises:
            ConfigError: it failed; in its words.
        """
        ran = _git(self.top, *arguments)
        if ran.returncode:
            said = ran.stderr.strip().removeprefix("fatal: ")
            raise ConfigError(f"git {' '.join(arguments[:2])} failed: {said}")
        return ran.stdout.strip()


def at_ref(
    ref: str, module: str | None = None, config: Path | None = None, *, functions: bool = False
) -> Named:
    """The graph, and the code of its features, as they were at a git ref.

    Args:
        ref: a branch, a tag, a commit, `HEAD~1`.
        module: the module of the features, where the user has named one.
        config: the configuration file, where the user has named one.
        functions: whether the code of the features is asked for.

    Raises:
        ConfigError: there is no git, no such ref, or the features cannot be imported there.
    """
    repository = _repository()
    commit = _commit(repository, ref)
    with _checked_out(repository, commit) as tree:
        asked = ["functions" if functions else "features", *([module] if module else [])]
        found = _export(repository, tree, ref, asked, config)
    graph = GraphSnapshot.from_json(found["snapshot"]).graph
    keyed = ({FeatureKey.of(k): v for k, v in found[n].items()} for n in ("sources", "missing"))
    return Named(graph, *keyed)


def _repository() -> _Repository:
    here = Path.cwd()
    if shutil.which("git") is None:
        raise ConfigError(f"Comparing with {GIT}REF needs git, which is not installed.")
    ran = _git(here, "rev-parse", "--show-toplevel")
    if ran.returncode:
        raise ConfigError(f"{here} is not in a git repository, so there is no {GIT}REF.")
    top = Path(ran.stdout.rstrip("\n"))
    return _Repository(top, here.resolve().relative_to(top.resolve()))


def _commit(repository: _Repository, ref: str) -> str:
    asked = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
    ran = _git(repository.top, *asked)
    if ran.returncode:
        shallow = repository.git("rev-parse", "--is-shallow-repository") == "true"
        hint = " This clone is shallow: `git fetch --unshallow` gets the rest." if shallow else ""
        raise ConfigError(
            f"The git repository {repository.top} has no commit '{ref}'.{hint} `git branch -a` "
            "lists the branches."
        )
    return ran.stdout.strip()


@contextmanager
def _checked_out(repository: _Repository, commit: str) -> Iterator[Path]:
    """The repository at a commit, in a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="metaxy-") as folder:
        tree = Path(folder).resolve() / "tree"
        try:
            # No hook of the user's has asked for this checkout, and no large file is needed.
            repository.git(
                "-c", "core.hooksPath=/dev/null", "worktree", "add", "--quiet", "--detach",
                str(tree), commit,
            )  # fmt: skip
            yield tree
        finally:
            _git(repository.top, "worktree", "remove", "--force", "--force", str(tree))
    _git(repository.top, "worktree", "prune")


def _export(
    repository: _Repository, tree: Path, ref: str, asked: Sequence[str], config: Path | None
) -> dict[str, Any]:
    here = tree / repository.inside
    if not here.is_dir():
        raise ConfigError(f"{GIT}{ref} has no folder {repository.inside}.")
    output = tree.parent / "graph.json"
    environment = _environment(repository, tree)
    if config is not None:
        environment["METAXY_CONFIG"] = _moved(repository, tree, config)
    ran = subprocess.run(  # noqa: S603  # this very Python
        [sys.executable, "-P", "-c", _CHILD, str(_LIBRARY), str(output),
         str(repository.top), str(tree), *asked],
        cwd=here, env=environment, capture_output=True, text=True,
        errors="replace", check=False,
    )  # fmt: skip
    if not output.exists():
        last = (ran.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise ConfigError(
            f"{GIT}{ref}: importing the features ended with exit code {ran.returncode}: {last}"
        )
    found: dict[str, Any] = json.loads(output.read_text(encoding="utf-8"))
    if "error" in found:
        raise ConfigError(f"{GIT}{ref}: {found['error'].replace(f'{tree}{os.sep}', '')}")
    return found


def _environment(repository: _Repository, tree: Path) -> dict[str, str]:
    """Ours, with every place of imports inside the repository moved to the other work tree."""
    places = dict.fromkeys(_moved(repository, tree, Path(entry)) for entry in sys.path)
    kept = {name: value for name, value in os.environ.items() if name not in _OF_A_HOOK}
    if "METAXY_CONFIG" in kept:
        kept["METAXY_CONFIG"] = _moved(repository, tree, Path(kept["METAXY_CONFIG"]))
    return kept | {"PYTHONPATH": os.pathsep.join(places)}


def _moved(repository: _Repository, tree: Path, place: Path) -> str:
    """A place in the repository as it is in the other work tree."""
    place, top = place.resolve(), repository.top.resolve()
    moved = tree / place.relative_to(top) if place.is_relative_to(top) else place
    # What git does not keep, such as an environment that lies there, stays where it is.
    return str(moved if moved.exists() else place)


def _git(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if k not in _OF_A_HOOK}
    return subprocess.run(  # noqa: S603
        ["git", *arguments],  # noqa: S607  # the user's git
        cwd=directory,
        env=environment | {"GIT_LFS_SKIP_SMUDGE": "1", "LC_ALL": "C"},
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
