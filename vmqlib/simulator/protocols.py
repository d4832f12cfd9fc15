"""Which AWS service and operation an HTTP request is for, and how that service words an error.

An error must come in the shape of the service's protocol, or boto3 reports nonsense instead of the code: JSON
with ``__type``, query XML, S3's XML, or CBOR, as botocore's service models name them.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

__all__ = ["Answer", "Call", "error_answer", "identify", "phrase"]

Environ = dict[str, Any]

_SCOPE = re.compile(r"Credential=[^/]+/\d{8}/([^/]+)/([^/]+)/aws4_request")
# SigV4 scope name -> botocore service name, where they differ
_SERVICE_OF_SCOPE = {
    "monitoring": "cloudwatch",
    "states": "stepfunctions",
    "tagging": "resourcegroupstaggingapi",
    "execute-api": "apigatewaymanagementapi",
}
_PHRASES = {
    400: "Bad Request",
    402: "Payment Required",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    409: "Conflict",
    412: "Precondition Failed",
    424: "Failed Dependency",
    429: "Too Many Requests",
    500: "Internal Server Error",
    501: "Not Implemented",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}


@dataclass(frozen=True)
class Call:
    """One request, as far as faults and errors need to know it.

    Parameters
    ----------
    service:
        botocore's name of the service, for example ``logs``; empty when it cannot be told.
    operation:
        The operation, for example ``FilterLogEvents``; empty when it was not asked for or cannot be told.
    method:
        The HTTP method.
    path:
        Path and query as they came, percent-encoded.
    protocol:
        ``json``, ``rest-json``, ``rest-xml``, ``query`` or ``smithy-rpc-v2-cbor``.
    """

    service: str
    operation: str
    method: str
    path: str
    protocol: str


@dataclass(frozen=True)
class Answer:
    """A whole HTTP answer.

    Parameters
    ----------
    status:
        The HTTP status code.
    headers:
        Names and values.
    body:
        The bytes after the headers.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


def phrase(status: int) -> str:
    """The reason phrase of an HTTP status."""
    return _PHRASES.get(status, "OK" if status < 400 else "Error")


def identify(environ: Environ, *, with_operation: bool = True) -> Call:
    """Tells service and operation of a WSGI request, whose body must be seekable.

    Parameters
    ----------
    environ:
        The WSGI environment.
    with_operation:
        Whether to look for the operation, too: for REST services that means matching the path against the
        service's model.
    """
    path = environ.get("RAW_URI") or environ.get("PATH_INFO", "")
    service = _service(environ, path)
    protocol = _protocol(environ, service)
    operation = _operation(environ, service, protocol, path) if with_operation else ""
    return Call(service, operation, environ.get("REQUEST_METHOD", ""), path, protocol)


def _service(environ: Environ, path: str) -> str:
    match = _SCOPE.search(environ.get("HTTP_AUTHORIZATION", ""))
    scope = match.group(2) if match else ""
    if not scope and "X-Amz-Credential=" in environ.get("QUERY_STRING", ""):
        credential = parse_qs(environ["QUERY_STRING"]).get("X-Amz-Credential", [""])[0].split("/")
        scope = credential[3] if len(credential) == 5 else ""
    if scope == "s3" and path.startswith("/v20180820/"):
        return "s3control"
    if scope == "ses" and path.startswith("/v2/"):
        return "sesv2"
    return _SERVICE_OF_SCOPE.get(scope, scope)


def _protocol(environ: Environ, service: str) -> str:
    content = environ.get("CONTENT_TYPE", "")
    if service in ("s3", "s3control"):
        return "rest-xml"
    if environ.get("HTTP_SMITHY_PROTOCOL") == "rpc-v2-cbor":
        return "smithy-rpc-v2-cbor"
    if environ.get("HTTP_X_AMZ_TARGET"):
        return "json"
    if content.startswith("application/x-www-form-urlencoded"):
        return "query"
    return _modelled_protocol(service)


@cache
def _modelled_protocol(service: str) -> str:
    from moto.core.utils import get_service_model

    try:
        return str(get_service_model(service).protocol)
    except Exception:  # noqa: BLE001 - an unknown service: any readable shape will do
        return "rest-xml" if not service else "json"


def _operation(environ: Environ, service: str, protocol: str, path: str) -> str:
    if target := environ.get("HTTP_X_AMZ_TARGET", ""):
        return str(target).rsplit(".", 1)[-1]
    if protocol == "smithy-rpc-v2-cbor":
        return path.partition("?")[0].rsplit("/", 1)[-1]
    if protocol == "query":
        return _form_action(environ)
    return _routed(environ, service)


def _form_action(environ: Environ) -> str:
    stream = environ["wsgi.input"]
    form = parse_qs(stream.read().decode("utf-8", "replace"))
    stream.seek(0)
    return str(form.get("Action", [""])[0])


def _routed(environ: Environ, service: str) -> str:
    from moto.core.request import Request
    from moto.core.routing import get_service_router

    try:
        operation, _ = get_service_router(service).match(Request(dict(environ)))
    except Exception:  # noqa: BLE001 - no such service, path or method
        return ""
    return str(operation.name)


def error_answer(
    call: Call, status: int, code: str, message: str, *, headers: Mapping[str, str] | None = None
) -> Answer:
    """An error as ``call``'s service would word it.

    Parameters
    ----------
    call:
        What is being answered.
    status:
        The HTTP status code.
    code:
        The error code, for example ``ThrottlingException``.
    message:
        The sentence beside it.
    headers:
        Further headers.
    """
    request_id = str(uuid.uuid4())
    content_type, body = _error_body(call, status, code, message, request_id)
    lines = [
        ("Content-Type", content_type),
        ("x-amzn-RequestId", request_id),
        ("x-amz-request-id", request_id),
        ("x-amzn-ErrorType", code),
        *(headers or {}).items(),
    ]
    if call.protocol == "smithy-rpc-v2-cbor":
        lines.append(("smithy-protocol", "rpc-v2-cbor"))
    return Answer(status, tuple(lines), b"" if call.method == "HEAD" else body)


def _error_body(call: Call, status: int, code: str, message: str, request_id: str) -> tuple[str, bytes]:
    if call.protocol == "rest-xml":
        return "application/xml", (
            f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{escape(code)}</Code>'
            f"<Message>{escape(message)}</Message><Resource>{escape(call.path.partition('?')[0])}</Resource>"
            f"<RequestId>{request_id}</RequestId></Error>"
        ).encode()
    if call.protocol in ("query", "ec2"):
        kind = "Sender" if status < 500 else "Receiver"
        return "text/xml", (
            f"<ErrorResponse><Error><Type>{kind}</Type><Code>{escape(code)}</Code>"
            f"<Message>{escape(message)}</Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>"
        ).encode()
    if call.protocol == "smithy-rpc-v2-cbor":
        pairs = [_cbor_text(text) for text in ("__type", code, "message", message)]
        return "application/cbor", b"\xa2" + b"".join(pairs)
    kind = "application/json" if call.protocol == "rest-json" else "application/x-amz-json-1.1"
    return kind, json.dumps({"__type": code, "message": message}).encode()


def _cbor_text(text: str) -> bytes:
    """A CBOR text string (RFC 8949, major type 3)."""
    data = text.encode()
    if len(data) < 24:
        return bytes([0x60 + len(data)]) + data
    if len(data) < 256:
        return b"\x78" + bytes([len(data)]) + data
    return b"\x79" + min(len(data), 65535).to_bytes(2, "big") + data[:65535]
