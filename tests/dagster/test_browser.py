"""The main pages of Dagster's UI, seen in a real browser; CONTRIBUTING.md says what it takes."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from tests.dagster.browsed import build

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
CHROMIUMS = ("chromium", "chromium-browser", "google-chrome")
SECONDS = 90
"""How long a page may take: a machine may have other work."""


def test_the_main_pages_show_what_they_promise(tmp_path: Path) -> None:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    pytest.importorskip("dagster_webserver")
    chromium = os.environ.get("METAXY_TEST_CHROMIUM") or next(
        filter(None, map(shutil.which, CHROMIUMS)), None
    )
    if chromium is None:
        pytest.skip(f"no browser: none of {', '.join(CHROMIUMS)}, no METAXY_TEST_CHROMIUM")
    home = tmp_path / "dagster"
    home.mkdir()
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\nnux: {enabled: false}\n")
    with dg.DagsterInstance.from_config(str(home)) as instance, Server(tmp_path, home) as server:
        # The server takes as long to start as these take.
        run(instance, tmp_path, "1", checks=False)
        changed = run(instance, tmp_path, "2")
        with sync_api.sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": 1500, "height": 3000})
            page.set_default_timeout(SECONDS * 1000)
            server.wait()
            look(Pages(page, server.address), changed)
            browser.close()


def look(pages: Pages, run_id: str) -> None:
    """Go through the pages as a user does."""
    pages.open("/asset-groups/")
    pages.sees("crop", "words", "Metaxy", "DuckDB", "6 / 6 Passed")

    pages.open("/assets/ex/crop?view=overview")
    pages.sees("The middle of a video.", "pictures", "Identifies the sample.", "field/audio")
    pages.sees("class Crop", "function computed", "on_increment")
    pages.sees("metaxy/increment", "metaxy/seconds_per_sample", "ex/video.audio")
    pages.sees_picture("metaxy/graph", "ex/crop and its neighbours")

    pages.open("/assets/ex/crop?view=events")
    pages.sees("metaxy/estimated_seconds", "metaxy/field_data_versions")

    pages.open("/assets/ex/crop?view=checks&checkDetail=graph_diff")
    pages.sees("follows ex/video.audio", "would_recompute", "changed_fields", "Passed")
    pages.sees_picture("diff", "What changed around ex/crop")

    pages.open("/assets/ex/crop?view=checks&checkDetail=pending_increment")
    pages.sees("There is nothing to process.", "orphaned")

    pages.open(f"/runs/{run_id}")
    pages.filters_the_log("ex/crop: ")
    pages.sees("ex/crop: 2 stale; this run processes 2: ", "ex/crop: done, 2 rows written")


class Pages:
    """A browser's page on a server."""

    def __init__(self, page: Any, address: str) -> None:
        self._page, self._address = page, address

    def open(self, path: str) -> None:
        """Go there; the page never stops talking to the server, so only the document is awaited."""
        self._page.goto(self._address + path, wait_until="domcontentloaded")

    def sees(self, *texts: str) -> None:
        """Wait until the texts are on the page."""
        for text in texts:
            # Some texts are there a second time, unseen, to be measured.
            self._page.get_by_text(text).filter(visible=True).first.wait_for()

    def filters_the_log(self, text: str) -> None:
        """Show only these lines: the page holds no more of a log than can be seen."""
        self._page.get_by_placeholder("Filter…").last.fill(text)

    def sees_picture(self, key: str, alt: str) -> None:
        """Open the Markdown of a metadata key; the picture in it is drawn, not only named."""
        row = self._page.locator("tr", has=self._page.get_by_text(key, exact=True))
        row.get_by_text("[Show Markdown]").first.click()
        picture = self._page.get_by_alt_text(alt)
        picture.wait_for()
        assert picture.evaluate("one => one.complete && one.naturalWidth") > 100
        self._page.get_by_role("button", name="Close").click()


def run(instance: dg.DagsterInstance, home: Path, audio_code: str, *, checks: bool = True) -> str:
    chosen = dg.AssetSelection.all()
    name = "everything"
    job = dg.define_asset_job(name, chosen if checks else chosen.without_checks())
    made = dg.Definitions.merge(build(home, audio_code), dg.Definitions(jobs=[job]))
    result = made.resolve_job_def(name).execute_in_process(instance=instance)
    assert result.success
    return result.run_id


class Server:
    """Dagster's web server on the small project; it and all it started are gone afterwards."""

    def __init__(self, project: Path, home: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.address = f"http://127.0.0.1:{port}"
        self._log = project / "server.log"
        command = [sys.executable, "-W", "ignore", "-m", "dagster_webserver", "--port", str(port)]
        command += ["--host", "127.0.0.1", "--module-name", "tests.dagster.browsed"]
        environment = {
            **os.environ,
            "DAGSTER_HOME": str(home),
            "METAXY_TEST_HOME": str(project),
            "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
        }
        with self._log.open("w") as output:
            # A group of its own, so that what it starts can be stopped with it.
            self._process = subprocess.Popen(
                command, env=environment, cwd=project, stdout=output, stderr=output, process_group=0
            )

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *error: object) -> None:
        """Ask it to end, then end the whole group: nothing of it may be left behind."""
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=10)
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def wait(self) -> None:
        """Wait until it answers."""
        until = time.monotonic() + SECONDS
        while True:
            try:
                with urllib.request.urlopen(f"{self.address}/server_info", timeout=1):
                    return
            except (urllib.error.URLError, TimeoutError):
                if self._process.poll() is not None or time.monotonic() > until:
                    pytest.fail(f"The server does not answer:\n{self._log.read_text()}")
                time.sleep(0.2)
