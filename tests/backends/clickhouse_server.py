"""A stand-in for a ClickHouse server: its HTTP interface before the engine in this process.

It speaks as much of the protocol as clickhouse-connect uses: sessions, settings, passwords, errors
with their codes. It can also fail: see `Server.lose_answers`.
"""

from __future__ import annotations

import base64
import os
import tempfile
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import chdb

USER, PASSWORD = "writer", "canary-p@ss/word"
_TRANSPORT = {
    "client_protocol_version", "compress", "database", "decompress", "enable_http_compression",
    "http_headers_progress_interval_ms", "query", "query_id", "send_progress_in_http_headers",
    "session_id", "session_timeout", "wait_end_of_query",
}  # fmt: skip


class Server(ThreadingHTTPServer):
    """Serves one folder; `seen` are the statements it ran, with their settings.

    Attributes:
        lose_answers: how many INSERTs it carries out and then hangs up without an answer.
        read_only: whether its users may change nothing, settings included.
    """

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder, self.lock = folder, threading.Lock()
        self.sessions: dict[str, chdb.Connection] = {}
        self.seen: list[tuple[str, dict[str, str]]] = []
        self.lose_answers, self.read_only = 0, False

    def answer(self, params: dict[str, str], body: bytes) -> bytes:
        """Run one statement in its session."""
        session = params.get("session_id", "")
        if session not in self.sessions:
            self.sessions[session] = chdb.connect(str(self.folder))
            self.sessions[session].query(f"SET readonly = {self.read_only:d}")
        engine = self.sessions[session]
        settings = {
            name: value
            for name, value in params.items()
            if name not in _TRANSPORT and not name.startswith("param_")
        }
        for name, value in settings.items():
            engine.query(f"SET {name} = {_text(value)}")
        if "database" in params:
            engine.query(f"USE `{params['database']}`")
        bound = {name[6:]: value for name, value in params.items() if name.startswith("param_")}
        asked = params.get("query", "")
        self.seen.append((asked or body.decode(), settings))
        if not asked.startswith("INSERT"):
            return engine.query(asked + body.decode(), "TabSeparated", params=bound).bytes()
        with tempfile.NamedTemporaryFile(delete=False) as file:
            file.write(body)
        try:
            into, _, form = asked.rpartition(" FORMAT ")
            engine.query(f"{into} FROM INFILE {_text(file.name)} FORMAT {form}")
        finally:
            os.unlink(file.name)
        return b""


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        params = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        known = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if self.headers.get("Authorization") != f"Basic {known}":
            return self._fail(403, 516, "Authentication failed. (AUTHENTICATION_FAILED)")
        try:
            with self.server.lock:
                found = self.server.answer(params, body)
        except RuntimeError as error:
            code = str(error).partition("Code: ")[2].partition(".")[0]
            return self._fail(500, int(code or 1000), str(error))
        if params.get("query", "").startswith("INSERT") and self.server.lose_answers:
            self.server.lose_answers -= 1
            self.close_connection = True
            return self.connection.close()
        return self._send(200, found, {"X-ClickHouse-Format": "TabSeparated"} if found else {})

    do_GET = do_POST  # noqa: N815

    def _fail(self, status: int, code: int, text: str) -> None:
        body = f"Code: {code}. DB::Exception: {text}".encode()
        self._send(status, body, {"X-ClickHouse-Exception-Code": str(code)})

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *values: object) -> None:
        pass


@contextmanager
def serving(folder: Path):
    """A server for the time of a test."""
    with Server(folder) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
            for session in server.sessions.values():
                session.close()


def _text(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
