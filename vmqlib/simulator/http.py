"""A quick HTTP/1.1 front: keep-alive, threads, loopback only, no logs. It always reads a request to its end.

werkzeug's own handler closes every connection and lingers 10 ms on each to drain it; with boto3's pools and
thousands of requests that is most of the time there is.
"""

from __future__ import annotations

import contextlib
import io
import socket
import struct
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, cast

from moto.moto_server.werkzeug_app import MotoRequestHandler
from werkzeug.serving import ThreadedWSGIServer

from vmqlib.simulator.faults import CutConnection
from vmqlib.simulator.protocols import Answer, Environ, phrase

__all__ = ["HOST", "Server"]

HOST = "127.0.0.1"
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER on, 0 s: closing sends RST


class Server(ThreadedWSGIServer):
    """Serves one application, a function from a WSGI environment to a whole answer.

    Parameters
    ----------
    application:
        Answers a request.
    port:
        Port on 127.0.0.1; 0 takes a free one.
    now:
        What its answers give as their ``Date``; by default the real time.

    Raises
    ------
    OSError
        When the port is taken.
    """

    daemon_threads = True

    def __init__(
        self,
        application: Callable[[Environ], Answer],
        port: int = 0,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((HOST, port))
            listener.listen(128)
            super().__init__(HOST, port, cast("Any", None), handler=_Handler, fd=listener.fileno())
        finally:
            listener.close()
        self.application = application
        self.now = now
        self._open: set[socket.socket] = set()
        self._guard = threading.Lock()

    @property
    def url(self) -> str:
        """Where it listens, for ``AWS_ENDPOINT_URL``."""
        return f"http://{HOST}:{self.port}"

    def opened(self, connection: socket.socket) -> None:
        with self._guard:
            self._open.add(connection)

    def closed(self, connection: socket.socket) -> None:
        with self._guard:
            self._open.discard(connection)

    def hang_up(self) -> None:
        """Ends the connections that clients keep open."""
        with self._guard:
            connections = list(self._open)
        for connection in connections:
            with contextlib.suppress(OSError):  # it went by itself
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away in the middle is nothing to report."""


class _Handler(MotoRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # headers and body leave together
    error_content_type = "application/json"
    error_message_format = '{"__type": "BadRequest", "message": "%(code)d %(message)s"}'
    server: Server

    def setup(self) -> None:
        super().setup()
        self.server.opened(self.connection)

    def finish(self) -> None:
        self.server.closed(self.connection)
        super().finish()

    def address_string(self) -> str:
        return HOST

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - as the base class
        """Requests are not logged."""

    def handle_expect_100(self) -> bool:
        """Lets a client go on at once that asks before it sends its body."""
        self.send_response_only(100)
        self.end_headers()
        self.wfile.flush()
        return True

    def run_wsgi(self) -> None:
        environ = self.make_environ()
        body = self._body(environ)
        if body is None:
            self._cut()
            return
        environ["wsgi.input"] = io.BytesIO(body)
        environ["wsgi.input_terminated"] = True
        if "HTTP_TRANSFER_ENCODING" in environ:
            del environ["HTTP_TRANSFER_ENCODING"]
            environ["CONTENT_LENGTH"] = str(len(body))
        try:
            self._send(self.server.application(environ))
        except CutConnection:
            self._cut()

    def _body(self, environ: Environ) -> bytes | None:
        """The whole body, ``None`` where the client went away before its end: half a request does nothing."""
        if environ.get("wsgi.input_terminated"):
            with contextlib.suppress(OSError):  # no chunk where one should be
                return cast("bytes", environ["wsgi.input"].readall())
            return None
        length = int(environ.get("CONTENT_LENGTH") or 0)
        body = self.rfile.read(length) if length else b""
        return body if len(body) == length else None

    def _send(self, answer: Answer) -> None:
        self.send_response_only(answer.status, phrase(answer.status))
        sized = False
        for name, value in answer.headers:
            lower = name.lower()
            if lower == "connection" or (lower == "content-length" and sized):
                continue
            sized = sized or lower == "content-length"
            self.send_header(name, value)
        bodiless = self.command == "HEAD" or answer.status in (204, 304)
        if not sized and not bodiless:
            self.send_header("Content-Length", str(len(answer.body)))
        if not any(name.lower() == "date" for name, _ in answer.headers):
            self.send_header("Date", self.date_time_string(self.server.now().timestamp()))
        self.end_headers()
        if not bodiless:
            self.wfile.write(answer.body)
        self.wfile.flush()

    def _cut(self) -> None:
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.connection.close()
