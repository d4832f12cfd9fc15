"""boto3 clients that reach the simulator without a socket: what a scenario is set up with.

Requests are built, signed, routed and answered as over HTTP, so that what is set up is what AWS would accept, and
is recorded as AWS would record it.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import cache
from typing import Any
from urllib.parse import unquote, urlsplit

from vmqlib.simulator.identity import ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY
from vmqlib.simulator.protocols import Answer, Environ

__all__ = ["Clients"]

_NOWHERE = "http://127.0.0.1:9"  # never connected to


class Clients:
    """Makes the clients, one for each service.

    Parameters
    ----------
    answer:
        Answers a WSGI request.
    """

    def __init__(self, answer: Callable[[Environ], Answer]) -> None:
        from botocore.config import Config

        self._answer = answer
        self._session = _session()
        self._config = Config(  # type: ignore[call-arg]  # the stubs lack an option
            retries={"max_attempts": 1, "mode": "standard"},
            ignore_configured_endpoint_urls=True,
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        self._made: dict[str, Any] = {}

    def __call__(self, service: str) -> Any:
        """The client of ``service``."""
        if service not in self._made:
            client: Any = self._session.client(service, endpoint_url=_NOWHERE, config=self._config)
            client.meta.events.register_first("before-send.*.*", self._send)
            self._made[service] = client
        return self._made[service]

    def _send(self, request: Any, **_: Any) -> Any:
        from botocore.awsrequest import AWSResponse
        from botocore.compat import HTTPHeaders

        answer = self._answer(_environ(request))
        return AWSResponse(
            request.url, answer.status, HTTPHeaders.from_pairs(answer.headers), _Raw(answer.body)
        )


@cache
def _session() -> Any:
    """One for all simulators of this process: it keeps the service models that it has read."""
    import boto3

    return boto3.session.Session(ACCESS_KEY_ID, SECRET_ACCESS_KEY, region_name=REGION)


class _Raw(io.BytesIO):
    """An answer's body as botocore reads it from urllib3."""

    def stream(self, **_: Any) -> Any:
        while chunk := self.read(65536):
            yield chunk


def _environ(request: Any) -> Environ:
    url = urlsplit(request.url)
    body = request.body or b""
    if hasattr(body, "read"):
        body = body.read()
    if isinstance(body, str):
        body = body.encode()
    environ: Environ = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote(url.path).encode().decode("latin-1"),
        "QUERY_STRING": url.query,
        "RAW_URI": url.path + (f"?{url.query}" if url.query else ""),
        "REQUEST_URI": url.path + (f"?{url.query}" if url.query else ""),
        "REMOTE_ADDR": "127.0.0.1",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "9",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": url.netloc,
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.input_terminated": True,
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in request.headers.items():
        value = value.decode() if isinstance(value, bytes) else str(value)
        key = name.upper().replace("-", "_")
        environ[key if key == "CONTENT_TYPE" else f"HTTP_{key}"] = value
    environ.pop("HTTP_CONTENT_LENGTH", None)
    return environ
