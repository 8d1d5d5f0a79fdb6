"""A new project that runs: configuration, features, Dagster definitions."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from importlib.util import find_spec
from keyword import iskeyword
from pathlib import Path
from typing import Literal

from metaxy_core.cli.metadata import DryRun
from metaxy_core.cli.output import Format, gives, show, show_records
from metaxy_core.errors import ConfigError

_TOML = """\
# What is here may also come from the environment: METAXY_STORE=prod, METAXY_STORES__DEV__PATH=…
project = "{name}"
entrypoints = ["{package}.features"]
functions = ["{package}.definitions"]  # whose code `metaxy graph check` compares
store = "dev"

[stores.dev]
type = "duckdb"
path = "meta.duckdb"
"""
_FEATURES = '''\
"""What the pipeline makes: tables of samples, and the parts of the data that are versioned.

Bump a field's code_version when its code gives other results: what follows from it runs again.
"""

from metaxy_core import Feature, FeatureSpec, FieldSpec


class Text(
    Feature,
    spec=FeatureSpec(
        "docs/text",
        id_columns=["name"],
        fields=["content"],
        provenance_from={{"content": ["digest"]}},
    ),
):
    """A text, as it arrived."""

    name: str
    path: str
    digest: str


class Words(
    Feature,
    spec=FeatureSpec(
        "docs/words",
        id_columns=["name"],
        deps=[Text],
        fields=[FieldSpec("count", code_version=1)],
    ),
):
    """How many words a text has."""

    name: str
    words: int
'''
_DEFINITIONS = '''\
"""What Dagster loads: `dagster dev -m {package}.definitions`."""

from hashlib import sha256
from pathlib import Path

import dagster as dg
import polars as pl

from metaxy_dagster import Increment, MetaxyIOManager, MetaxyStore, feature_asset
from {package}.features import Text, Words

FOLDER = Path(__file__).parents[1] / "texts"


@feature_asset(Text)
def text() -> pl.DataFrame:
    """Every file in `texts/`: a root lists its samples."""
    files = sorted(FOLDER.glob("*.txt"))
    return pl.DataFrame(
        {{
            "name": [file.stem for file in files],
            "path": [str(file) for file in files],
            "digest": [sha256(file.read_bytes()).hexdigest() for file in files],
        }},
        schema={{"name": pl.String, "path": pl.String, "digest": pl.String}},
    )


@feature_asset(Words)
def words(increment: Increment):
    """Only the texts that are new or have changed."""
    for batch in increment.iter_batches(100):
        rows = batch.to_native()
        counts = [len(Path(path).read_text().split()) for path in rows["path"]]
        yield rows.with_columns(words=pl.Series(counts, dtype=pl.Int64))


store = MetaxyStore.from_config()
defs = dg.Definitions(
    assets=[text, words],
    resources={{"metaxy": store, "metaxy_io": MetaxyIOManager(store=store)}},
)
'''
_README = """\
# {name}

    metaxy ui                               # the pipeline in the browser, by Dagster
    metaxy list features                    # what there is
    metaxy push                             # record the graph as it stands
    metaxy status                           # what there is to do
    metaxy graph diff                       # what a change of features makes run again
    metaxy graph check                      # what changed without a new code version

- `metaxy.toml`: where the metadata is kept.
- `{package}/features.py`: what the pipeline makes, and what from.
- `{package}/definitions.py`: how, as Dagster assets.
- `texts/`: the data. Materialise all, change a text, materialise again: one sample runs.

Bump `code_version` in `features.py`, and `metaxy graph diff` shows what follows.
"""
_IGNORED = """\
__pycache__/
*.duckdb
*.duckdb.wal
.dagster_home/
"""


@dataclass(frozen=True)
class WrittenFile:
    """A file of the new project."""

    path: str
    action: Literal["written", "to write"]


@gives(lambda: list[WrittenFile])
def init(
    directory: Path = Path(),
    /,
    *,
    name: str | None = None,
    dry_run: DryRun = False,
    format: Format = "plain",
) -> int:
    """Start a project: metaxy.toml, two features, their Dagster assets, and a text to count.

    It runs as it is. Nothing is overwritten: where one of the files exists, none is written.

    Example: metaxy init my-project

    Exit codes: 0 written, 1 a mistake, or a file is in the way.

    Args:
        directory: Where; the current directory without it.
        name: What the project is called; the directory's name without it.
    """
    called = name or directory.resolve().name
    files = {directory / path: text for path, text in _files(called).items()}
    if taken := [path for path in files if path.exists() or path.is_symlink()]:
        names = ", ".join(map(str, taken))
        raise ConfigError(f"Nothing was written, because there is already: {names}.")
    if not dry_run:
        for path, text in files.items():
            _write(path, text)
    action: Literal["written", "to write"] = "to write" if dry_run else "written"
    written = [WrittenFile(str(path), action) for path in files]
    show_records(("path", "action"), written, format, "")
    if format == "plain" and not dry_run:
        where = "" if directory == Path() else f"cd {shlex.quote(str(directory))} && "
        show(f"Next: {where}metaxy ui")
    return 0


def _files(name: str) -> dict[str, str]:
    package = _package(name)
    words = {"name": re.sub(r"[^\w .-]", "-", name), "package": package}
    return {
        "metaxy.toml": _TOML.format(**words),
        f"{package}/__init__.py": f'"""The project {package}."""\n',
        f"{package}/features.py": _FEATURES.format(**words),
        f"{package}/definitions.py": _DEFINITIONS.format(**words),
        "texts/hamlet.txt": "To be, or not to be, that is the question\n",
        ".gitignore": _IGNORED,
        "README.md": _README.format(**words),
    }


def _package(name: str) -> str:
    """A module's name that looks like the project's, and is not that of one installed."""
    made = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    if not made.isidentifier() or iskeyword(made) or made == "texts" or find_spec(made):
        made = f"project_{made}".rstrip("_")
    return made


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise ConfigError(f"Cannot write {path}: {error.strerror}.") from error
