"""A tiny AWS on 127.0.0.1 whose every answer a test decides: for faults, odd pages and orders that a real server has
only on bad days."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit
from xml.sax.saxutils import escape

REST = [
    (r"GET /applications/[^/]+", "GetApplication"),
    (r"GET /applications/[^/]+/indices", "ListIndices"),
    (r"GET /applications/[^/]+/indices/[^/]+", "GetIndex"),
    (r"GET /applications/[^/]+/retrievers", "ListRetrievers"),
    (r"GET /applications/[^/]+/retrievers/[^/]+", "GetRetriever"),
    (r"GET /applications/[^/]+/experiences", "ListWebExperiences"),
    (r"GET /applications/[^/]+/experiences/[^/]+", "GetWebExperience"),
    (r"GET /applications/[^/]+/indices/[^/]+/datasources", "ListDataSources"),
    (r"GET /applications/[^/]+/indices/[^/]+/datasources/[^/]+", "GetDataSource"),
    (r"GET /applications/[^/]+/indices/[^/]+/datasources/[^/]+/syncjobs", "ListDataSourceSyncJobs"),
    (r"GET /applications/[^/]+/index/[^/]+/documents", "ListDocuments"),
    (r"GET /applications/[^/]+/chatcontrols", "GetChatControlsConfiguration"),
]


@dataclass
class Asked:
    """One request: its operation and everything that it said."""

    operation: str
    values: dict[str, Any]
    path: str
    headers: dict[str, str]


@dataclass
class Answer:
    """One answer; ``body`` is sent as JSON unless it is bytes or text."""

    body: Any = field(default_factory=dict)
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


Handler = Callable[[Asked], "Answer | dict[str, Any] | str"]


def error(code: str, status: int = 400, message: str = "no") -> Answer:
    """A refusal; the server words it as the protocol of the operation wants it."""
    return Answer({"__error__": code, "message": message}, status)


class StubAws:
    """The server. ``on[operation]`` is what answers; ``asked`` what was asked."""

    def __init__(self) -> None:
        self.on: dict[str, Handler] = {}
        self.asked: list[Asked] = []
        stub = self

        class _Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def _serve(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                asked = _understand(self.command, self.path, dict(self.headers), body)
                stub.asked.append(asked)
                handler = stub.on.get(asked.operation)
                answer = handler(asked) if handler else error("NoSuchOperation", 400, asked.operation)
                if not isinstance(answer, Answer):
                    answer = Answer(answer)
                if answer.status == 0:  # hang up instead of answering
                    self.close_connection = True
                    return
                status, kind, data = _word(answer, asked)
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(data)))
                if isinstance(answer.body, dict) and "__error__" in answer.body:
                    self.send_header("x-amzn-ErrorType", answer.body["__error__"])
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_HEAD = do_PUT = _serve  # noqa: N815

            def log_message(self, *_: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    def __enter__(self) -> StubAws:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def operations(self) -> list[str]:
        return [asked.operation for asked in self.asked]


def _understand(method: str, target: str, headers: dict[str, str], body: bytes) -> Asked:
    where = urlsplit(target)
    values: dict[str, Any] = dict(parse_qsl(where.query, keep_blank_values=True))
    path = unquote(where.path)
    aim = next((value for name, value in headers.items() if name.lower() == "x-amz-target"), "")
    if aim:
        return Asked(aim.rsplit(".", 1)[-1], json.loads(body or b"{}"), path, headers)
    if b"Action=" in body:
        values = dict(parse_qsl(body.decode()))
        return Asked(values["Action"], values, path, headers)
    if "versions" in values:
        return Asked("ListObjectVersions", values, path, headers)
    if "list-type" in values:
        return Asked("ListObjectsV2", values, path, headers)
    for pattern, operation in REST:
        if re.fullmatch(pattern, f"{method} {path}"):
            return Asked(operation, values, path, headers)
    return Asked("GetObject", values, path, headers)


_XML = {"ListObjectVersions", "ListObjectsV2", "GetObject"}


def _word(answer: Answer, asked: Asked) -> tuple[int, str, bytes]:
    body = answer.body
    if isinstance(body, dict) and "__error__" in body:
        code, said = body["__error__"], body["message"]
        if asked.operation in _XML:
            text = f"<Error><Code>{code}</Code><Message>{escape(said)}</Message></Error>"
            return answer.status, "application/xml", text.encode()
        if asked.operation == "GetCallerIdentity":
            text = f"<ErrorResponse><Error><Code>{code}</Code><Message>{escape(said)}</Message></Error></ErrorResponse>"
            return answer.status, "text/xml", text.encode()
        body = {"__type": code, "message": said}
    if isinstance(body, bytes):
        return answer.status, "application/octet-stream", body
    if isinstance(body, str):
        return answer.status, "application/xml", body.encode()
    return answer.status, "application/json", json.dumps(body).encode()
