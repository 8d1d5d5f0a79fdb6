"""The story in four runs, through Dagster: `make demo`."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import duckdb
from rich.console import Console
from rich.panel import Panel
from rich.table import Table

from example_project import paths

FEATURES = ("example/video", "example/crop", "example/face_detection", "example/stt")
REPLACED = "astronaut"

console = Console(width=min(Console().width, 100), highlight=False)


def main() -> None:
    """Tell the story; every run is a Dagster run in a process of its own."""
    shutil.rmtree(paths.HOME, ignore_errors=True)
    paths.prepare()
    count = len(list(paths.RAW.glob("*.mp4")))
    console.print(
        Panel(
            f"{count} short videos with picture and sound: video → crop → face_detection, and "
            "video → stt. Every run below materialises all four assets in Dagster; the metadata "
            "layer hands each of them only the samples that have to be done.",
            title="metaxy: exactly the affected samples run again",
        )
    )
    _story("Run 1: nothing is stored yet, so everything is new.")
    _run({})
    _results()

    _story("Run 2: nothing changed. Dagster runs the assets, and no sample is processed.")
    _run({})

    _story(
        f"Run 3: {REPLACED}.mp4 gets another sound track; its pictures stay the same, bit by "
        "bit. crop and stt are made from the sound, so they run for that one sample. "
        "face_detection is made from the pictures alone: it does not run."
    )
    before = _transcript(REPLACED)
    shutil.copy(paths.MEDIA / "alternative" / f"{REPLACED}.mp4", paths.RAW / f"{REPLACED}.mp4")
    _run({})
    console.print(f"  {REPLACED} said: “{before}”\n  and now says: “{_transcript(REPLACED)}”")

    _story("Run 4: the code that reads sound changes: video.audio, code version 1 → 2.")
    bumped = {"EXAMPLE_AUDIO_CODE_VERSION": "2"}
    console.print("What would follow, before anything runs (metaxy graph diff):\n")
    console.print(_metaxy(bumped, "graph", "diff").rstrip(), markup=False)
    _expected_work(json.loads(_metaxy(bumped, "graph", "diff", "--format", "json")))
    console.print("\nAnd the run:")
    _run(bumped)
    console.print(
        "\nThe history of these runs is in Dagster's UI: [bold]make ui[/bold]. "
        f"Everything the demo made is in {_shown(paths.HOME)}/."
    )


def _story(text: str) -> None:
    console.print()
    console.rule(style="dim")
    console.print(f"[bold]{text}[/bold]\n")


def _run(environment: dict[str, str]) -> None:
    """One Dagster run in a process of its own; its log goes to a file."""
    start = time.monotonic()
    log = paths.HOME / "runs.log"
    with log.open("a") as errors:
        finished = subprocess.run(
            [sys.executable, "-W", "ignore", "-m", "example_project.run"],
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            check=False,
        )
    if finished.returncode:
        console.print(f"[red]The run failed; its log is {log}.[/red]")
        sys.exit(finished.returncode)
    _print_run(json.loads(finished.stdout.splitlines()[-1]), time.monotonic() - start)


def _print_run(done: dict[str, dict[str, int]], seconds: float) -> None:
    table = Table("asset", "new", "changed", "processed", box=None, padding=(0, 3))
    for column in table.columns[1:]:
        column.justify = "right"
    for feature in FEATURES:
        new, stale = done[feature]["new"], done[feature]["stale"]
        style = "bold green" if new + stale else "dim"
        table.add_row(feature, str(new), str(stale), str(new + stale), style=style)
    console.print(table)
    console.print(f"  [dim]one Dagster run, {seconds:.1f} s with start-up[/dim]")


def _results() -> None:
    """What was found: the example's own tables, in the same DuckDB file as the metadata."""
    table = Table("video", "faces", "speech", box=None, padding=(0, 3))
    for row in _query(
        "SELECT t.video_id, count(DISTINCT f.frame), coalesce(max(f.n), 0), any_value(t.text) "
        "FROM transcripts t LEFT JOIN (SELECT *, count(*) OVER (PARTITION BY video_id, frame) n "
        "FROM faces) f USING (video_id) GROUP BY 1 ORDER BY 1"
    ):
        video, pictures, faces, text = row
        seen = f"{faces}, in {pictures} pictures" if faces else "none"
        table.add_row(video, seen, f"“{text}”")
    console.print("\n  What was found:")
    console.print(table)


def _transcript(video: str) -> str:
    return str(_query("SELECT text FROM transcripts WHERE video_id = ?", [video])[0][0])


def _expected_work(difference: dict[str, Any]) -> None:
    """How many samples are stored of each feature that the change reaches, or does not."""
    reached = {node["key"]: node["status"] for node in difference["nodes"]}
    table = Table("feature", "samples to make again", box=None, padding=(0, 3))
    table.columns[1].justify = "right"
    for feature in FEATURES:
        stored = _query(
            "SELECT count(DISTINCT video_id) FROM query_table(?)", [feature.replace("/", "__")]
        )[0][0]
        again = reached.get(feature) in ("changed", "affected")
        table.add_row(feature, str(stored if again else 0), style=None if again else "dim")
    console.print()
    console.print(table)


def _query(statement: str, parameters: list[Any] | None = None) -> list[Any]:
    with duckdb.connect(str(paths.DATABASE), read_only=True) as connection:
        return connection.execute(statement, parameters or []).fetchall()


def _metaxy(environment: dict[str, str], *arguments: str) -> str:
    """What the command line prints about this project."""
    where = ["--module", "example_project.features", "--store", str(paths.DATABASE)]
    finished = subprocess.run(  # noqa: S603  # fixed arguments
        [sys.executable, "-W", "ignore", "-m", "metaxy_core.cli", *arguments, *where],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    # 0: nothing differs, 2: differences were printed.
    if finished.returncode not in (0, 2):
        sys.exit(finished.stderr)
    return finished.stdout


def _shown(path: Path) -> Path:
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


if __name__ == "__main__":
    main()
