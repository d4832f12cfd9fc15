"""The local Slack over HTTP: paths, forms and JSON, and connections that are cut."""

from __future__ import annotations

import json
import re
import socket
import struct
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

if TYPE_CHECKING:
    from vmqlib.simulator.slack import LocalSlack, SlackFault

__all__ = ["HOOK", "SlackServer"]

HOOK = "/services/T0LOCAL/B0LOCAL/not-a-real-webhook"
"""The path of the incoming webhook."""

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER on, 0 s: closing sends RST


class SlackServer(ThreadingHTTPServer):
    """Serves one local Slack on 127.0.0.1.

    Parameters
    ----------
    slack:
        What answers.
    port:
        Its port; 0 takes a free one.

    Raises
    ------
    OSError
        When the port is taken.
    """

    daemon_threads = True

    def __init__(self, slack: LocalSlack, port: int) -> None:
        self.slack = slack
        super().__init__(("127.0.0.1", port), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away in the middle is nothing to report."""


class _Handler(BaseHTTPRequestHandler):
    server: SlackServer
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as the base class
        """Requests are not logged."""

    def do_GET(self) -> None:
        """Slack's methods take both verbs."""
        self._serve()

    def do_POST(self) -> None:
        """As above."""
        self._serve()

    def _serve(self) -> None:
        slack = self.server.slack
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        url = urlsplit(self.path)
        method = _method(url.path)
        slack.noted(method)
        fault = slack.take_fault(method)
        if fault is not None and fault.cut:
            self._cut()
        elif fault is not None and not fault.lost:
            self._refuse(fault, method)
        else:
            status, kind, answer = self._work(method, url.path, url.query, body)
            if fault is not None:
                self._cut()
            else:
                self._send(status, kind, answer)

    def _work(self, method: str, path: str, query: str, body: bytes) -> tuple[int, str, str]:
        slack = self.server.slack
        if method == "upload":
            return (*_plain(*slack.uploaded(path.rsplit("/", 1)[-1], body)),)
        if method == "webhook":
            if path != HOOK:
                return _plain(404, "no_service")
            try:
                payload = json.loads(body)
            except ValueError:
                return _plain(400, "invalid_payload")
            return _plain(*slack.hook(payload))
        asked: dict[str, Any] = dict(parse_qsl(query))
        if "json" in self.headers.get("Content-Type", "") and body:
            asked |= json.loads(body)
        elif body:
            asked |= dict(parse_qsl(body.decode()))
        token = self.headers.get("Authorization", "").removeprefix("Bearer ").strip()
        return 200, "application/json; charset=utf-8", json.dumps(slack.answer(method, token, asked))

    def _refuse(self, fault: SlackFault, method: str) -> None:
        status = fault.status or 200
        headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
        word = fault.error or ("ratelimited" if status == 429 else "internal_error")
        if status >= 500 and not fault.error:
            self._send(status, "text/html", "<html><body>Server Error</body></html>", headers)
        elif method == "webhook":
            self._send(status, "text/plain", word, headers)
        else:
            self._send(status, "application/json", json.dumps({"ok": False, "error": word}), headers)

    def _send(self, status: int, kind: str, text: str, headers: Mapping[str, str] | None = None) -> None:
        body = text.encode()
        self.send_response(status)
        for name, value in {
            "Content-Type": kind,
            **(headers or {}),
            "Content-Length": str(len(body)),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _cut(self) -> None:
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.connection.close()


def _method(path: str) -> str:
    if path.startswith("/upload/"):
        return "upload"
    found = re.fullmatch(r"/api/([A-Za-z.]+)", path)
    return found[1] if found else "webhook"


def _plain(status: int, text: str) -> tuple[int, str, str]:
    return status, "text/plain", text
