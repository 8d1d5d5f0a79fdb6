"""A run launched as the UI does it: over GraphQL, on a server that is running."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg

_WHERE = """query Where($keys: [AssetKeyInput!]) {
  assetNodes(assetKeys: $keys) { assetKey { path } repository { name location { name } } }
}"""
_LAUNCH = """mutation Launch($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on Error { message }
    ... on RunConfigValidationInvalid { errors { message } }
  }
}"""
_STATUS = """query Status($id: ID!) {
  runOrError(runId: $id) { __typename ... on Run { status } ... on Error { message } }
}"""
_ENDED = ("SUCCESS", "FAILURE", "CANCELED")


@dataclass(frozen=True)
class LaunchedRun:
    """A run that has ended.

    Attributes:
        status: `SUCCESS`, `FAILURE` or `CANCELED`.
    """

    run_id: str
    status: str

    @property
    def success(self) -> bool:
        """Whether it succeeded."""
        return self.status == "SUCCESS"


def launch_via_graphql(
    url: str,
    assets: Sequence[dg.AssetKey | str],
    *,
    run_config: Mapping[str, Any] | None = None,
    tags: Mapping[str, str] | None = None,
    timeout: float = 120.0,
    every: float = 0.5,
) -> LaunchedRun:
    """Materialise assets on a running server, as the UI's button does, and wait for the end.

    Args:
        url: of `dg dev` or a webserver, such as `http://127.0.0.1:3000`.
        assets: all of one code location.
        timeout: seconds to wait for the end of the run, and for each answer.
        every: seconds between two questions.

    Raises:
        LookupError: the server does not know an asset.
        RuntimeError: the server refused the run; says why.
        TimeoutError: the run had not ended in time; it goes on.
        OSError: there is no server.

    >>> run = launch_via_graphql("http://127.0.0.1:3000", ["video", "crop"])  # doctest: +SKIP
    >>> run.status  # doctest: +SKIP
    'SUCCESS'
    """
    until = time.monotonic() + timeout
    keys = [dg.AssetKey.from_user_string(one) if isinstance(one, str) else one for one in assets]
    paths = [{"path": list(key.path)} for key in keys]
    nodes = _ask(url, _WHERE, {"keys": paths}, timeout)["assetNodes"]
    run_id = _launch(url, _selector(nodes, paths), run_config or {}, tags or {}, timeout)
    while True:
        answer = _ask(url, _STATUS, {"id": run_id}, timeout)["runOrError"]
        status = answer.get("status")
        if status is None:
            raise RuntimeError(f"Run {run_id}: {answer.get('message', answer)}")
        if status in _ENDED:
            return LaunchedRun(run_id, status)
        if time.monotonic() > until:
            raise TimeoutError(f"Run {run_id} is {status} after {timeout} seconds.")
        time.sleep(every)


def _selector(
    nodes: Sequence[Mapping[str, Any]], paths: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Which job of which code location makes these assets."""
    known = [node["assetKey"] for node in nodes]
    if missing := ["/".join(path["path"]) for path in paths if path not in known]:
        raise LookupError(f"The server has no assets {', '.join(missing)}.")
    repository = nodes[0]["repository"]
    return {
        "repositoryLocationName": repository["location"]["name"],
        "repositoryName": repository["name"],
        "jobName": "__ASSET_JOB",
        "assetSelection": list(paths),
    }


def _launch(
    url: str,
    selector: Mapping[str, Any],
    run_config: Mapping[str, Any],
    tags: Mapping[str, str],
    timeout: float,
) -> str:
    said = [{"key": key, "value": value} for key, value in tags.items()]
    params = {
        "selector": selector,
        "runConfigData": run_config,
        "executionMetadata": {"tags": said},
    }
    answer = _ask(url, _LAUNCH, {"params": params}, timeout)["launchRun"]
    if answer["__typename"] != "LaunchRunSuccess":
        errors = [one["message"] for one in answer.get("errors", ())]
        why = "; ".join(errors) or answer.get("message") or answer["__typename"]
        raise RuntimeError(f"The server refused the run: {why}")
    return str(answer["run"]["runId"])


def _ask(url: str, text: str, variables: Mapping[str, Any], timeout: float) -> dict[str, Any]:
    """The data of an answer.

    Raises:
        RuntimeError: the server did not understand the question.
    """
    body = json.dumps({"query": text, "variables": variables}).encode()
    asked = urllib.request.Request(  # noqa: S310  # the address of the caller's own server
        f"{url.rstrip('/')}/graphql", body, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(asked, timeout=timeout) as answer:  # noqa: S310  # as above
        told = json.load(answer)
    if errors := told.get("errors"):
        raise RuntimeError("; ".join(str(one.get("message")) for one in errors))
    data: dict[str, Any] = told["data"]
    return data
