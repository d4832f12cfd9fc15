"""How requests get to a bucket: what boto3 would do is learnt from a boto3 client, once; then botocore's signer signs
and urllib3 sends each of them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from vmqlib.aws import LONG_READ_S
from vmqlib.awserrors import aws_errors, translated
from vmqlib.errors import Unreachable

if TYPE_CHECKING:
    from botocore.credentials import Credentials
    from urllib3 import BaseHTTPResponse, HTTPConnectionPool

    from vmqlib.aws import Aws

__all__ = ["Answer", "NoAnswer", "Route", "encoded"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What S3 answered.

    Parameters
    ----------
    status:
        The HTTP status.
    headers:
        By lower-case name.
    body:
        As it came; empty for HEAD.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


class NoAnswer(Unreachable):
    """A request got no whole answer: it may or may not have been carried out.

    Parameters
    ----------
    sent:
        False: it surely did not leave, since there was no connection.
    """

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        operation: str = "",
        code: str = "",
        sent: bool = True,
        late: bool = False,
    ) -> None:
        super().__init__(message, hint=hint, operation=operation, code=code, late=late)
        self.sent = sent


def encoded(text: str, safe: str = "/") -> str:
    """A key as S3 wants it in a path or in ``x-amz-copy-source``: every byte but the unreserved ones and ``safe``.

    Nothing is normalised: leading slashes, ``//`` and ``..`` are parts of a key.
    """
    return quote(text, safe=safe, errors="surrogateescape")


class _Request:
    """What botocore's signer reads of its own ``AWSRequest``, whose header class costs more than the signature."""

    __slots__ = ("body", "context", "headers", "method", "params", "url")

    def __init__(self, method: str, url: str, headers: dict[str, str], body: bytes) -> None:
        self.method = method
        self.url = url
        self.headers = headers
        self.body = body
        self.params: None = None
        self.context: dict[str, Any] = {}


@dataclass(frozen=True)
class Route:
    """How a bucket is reached. Safe to share between threads.

    Parameters
    ----------
    credentials:
        boto3's, which refresh themselves.
    pool:
        The connections.
    origin:
        Scheme and host of every URL.
    base:
        The path of the bucket itself: ``/`` or ``/bucket``.
    region, service:
        What requests are signed for.
    user_agent:
        boto3's, with the kit's name in it.
    proxied:
        Whether whole URLs are asked for (plain HTTP through a proxy).
    """

    credentials: Credentials
    pool: HTTPConnectionPool
    origin: str
    base: str
    region: str
    service: str
    user_agent: str
    proxied: bool

    @classmethod
    def learn(cls, aws: Aws, bucket: str, connections: int, region: str = "") -> Route:
        """The route that boto3 takes, found without asking AWS; ``region``: the bucket's, if it is another."""
        with aws_errors("s3:ListObjectVersions", f"bucket {bucket}"):
            client = aws.own_client("s3", region=region, read_s=LONG_READ_S)
            prepared = _prepared(client, bucket)
            parts = urlsplit(prepared.url)
            signature = _text(prepared.headers["Authorization"])
            # AWS4-HMAC-SHA256 Credential=AKID/20261123/eu-west-1/s3/aws4_request, SignedHeaders=…
            scope = signature.partition("Credential=")[2].partition(",")[0].rsplit("/", 4)
            pool = _pool(prepared.url, client.meta.config, connections)
            return cls(
                credentials=aws.credentials(),
                pool=pool,
                origin=f"{parts.scheme}://{parts.netloc}",
                base=parts.path or "/",
                region=scope[2],
                service=scope[3],
                user_agent=_text(prepared.headers["User-Agent"]),
                proxied=pool.proxy is not None and parts.scheme == "http",
            )

    @cached_property
    def _host(self) -> str:
        parts = urlsplit(self.origin)
        default = {"http": 80, "https": 443}[parts.scheme]
        return parts.netloc.removesuffix(f":{default}").rpartition("@")[2]

    @cached_property
    def _folder(self) -> str:
        return self.base if self.base.endswith("/") else f"{self.base}/"

    @cached_property
    def _retries(self) -> Any:
        from urllib3 import Retry

        return Retry(total=False)  # none, and errors come as they are

    @cached_property
    def _errors(self) -> type[Exception]:
        from urllib3.exceptions import HTTPError

        return HTTPError

    def url(self, key: str) -> str:
        """The address of an object."""
        return self.origin + self._folder + encoded(key)

    def send(
        self, method: str, key: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes
    ) -> Answer:
        """One signed request, as :meth:`vmqlib.s3.S3.send` has it."""
        path = self._folder + encoded(key) if key else self.base
        if query:
            path += "?" + "&".join(_parameters(query))
        request = _Request(method, self.origin + path, {"host": self._host, **headers}, body)
        self._sign(request)
        sent: Any = request.headers
        sent["user-agent"] = self.user_agent  # intermediaries may change it: never signed
        for name, value in headers.items():
            if not value.isascii():
                sent[name] = value.encode()  # as it was signed
        try:
            response = self.pool.urlopen(
                method,
                request.url if self.proxied else path,
                body=body or None,
                headers=sent,
                retries=self._retries,
                redirect=False,
                assert_same_host=False,
                decode_content=False,
            )
        except (self._errors, OSError) as error:
            raise _lost(error, self.origin, method) from error
        return Answer(response.status, dict(_headers(response)), response.data)

    def _sign(self, request: _Request) -> None:
        from botocore.auth import S3SigV4Auth

        with aws_errors("s3:credentials"):
            credentials = self.credentials.get_frozen_credentials()  # refreshes them when it is time
        signer: Any = S3SigV4Auth(credentials, self.service, self.region)
        signer.add_auth(request)

    def close(self) -> None:
        """Closes the connections."""
        self.pool.close()


def _parameters(query: Mapping[str, str]) -> Iterator[str]:
    for name, value in query.items():
        yield f"{encoded(name, '')}={encoded(value, '')}" if value else encoded(name, "")


def _headers(response: BaseHTTPResponse) -> Iterator[tuple[str, str]]:
    for name, value in response.headers.items():
        if not value.isascii():  # http.client reads Latin-1; S3 writes UTF-8
            value = value.encode("latin-1").decode("utf-8", "replace")
        yield name.lower(), value


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


# What boto3 would do


def _prepared(client: Any, bucket: str) -> Any:
    """The request that a boto3 client would send to a bucket: signed, and kept from leaving."""
    from botocore.awsrequest import AWSResponse
    from botocore.compat import HTTPHeaders

    kept: list[Any] = []

    def keep(request: Any, **_: object) -> AWSResponse:
        kept.append(request)
        return AWSResponse(request.url, 200, HTTPHeaders(), _Nothing())

    client.meta.events.register("before-send.s3.ListObjectVersions", keep)
    client.list_object_versions(Bucket=bucket)
    return kept[0]


class _Nothing:
    """An empty listing, as botocore reads it from urllib3."""

    def stream(self, *_: object, **__: object) -> list[bytes]:
        return [b"<ListVersionsResult/>"]


def _pool(url: str, config: Any, connections: int) -> HTTPConnectionPool:
    """A pool for that URL, with time-outs, certificates and proxy as botocore has them."""
    import urllib3
    from botocore.httpsession import ProxyConfiguration, get_cert_path
    from botocore.session import get_session
    from botocore.utils import get_environ_proxies

    verify: Any = (
        get_session().get_config_variable("ca_bundle") or os.environ.get("REQUESTS_CA_BUNDLE") or True
    )
    timeout = urllib3.Timeout(connect=config.connect_timeout, read=config.read_timeout)
    options: dict[str, Any] = {"maxsize": connections, "timeout": timeout}
    parts = urlsplit(url)
    if parts.scheme == "https":
        options |= {"cert_reqs": "CERT_REQUIRED", "ca_certs": get_cert_path(verify)}
        if config.client_cert:
            cert, key = (
                config.client_cert if isinstance(config.client_cert, tuple) else (config.client_cert, None)
            )
            options |= {"cert_file": cert, "key_file": key}
    proxies = ProxyConfiguration(config.proxies or get_environ_proxies(url), config.proxies_config)
    proxy = proxies.proxy_url_for(url)
    if proxy:
        manager = urllib3.ProxyManager(proxy, proxy_headers=proxies.proxy_headers_for(proxy), **options)
        return manager.connection_from_url(url)
    return urllib3.connection_from_url(url, **options)


# What went wrong


def _lost(error: Exception, origin: str, method: str) -> NoAnswer:
    from botocore import exceptions as boto
    from urllib3 import exceptions as http

    operation = f"s3:{method}"
    told: Exception
    sent = False
    if isinstance(error, http.NewConnectionError):
        told = boto.EndpointConnectionError(endpoint_url=origin, error=error)
    elif isinstance(error, http.ConnectTimeoutError):
        told = boto.ConnectTimeoutError(endpoint_url=origin, error=error)
    elif isinstance(error, http.ProxyError):
        told = boto.ProxyConnectionError(proxy_url=origin, error=error)
    elif isinstance(error, http.SSLError):
        told = boto.SSLError(endpoint_url=origin, error=error)
    elif isinstance(error, http.ReadTimeoutError):
        told, sent = boto.ReadTimeoutError(endpoint_url=origin, error=error), True
    else:
        told, sent = boto.ConnectionClosedError(endpoint_url=origin, error=error), True
    kits = translated(told, operation)
    assert kits is not None
    late = isinstance(kits, Unreachable) and kits.late
    return NoAnswer(kits.message, hint=kits.hint, operation=operation, code=kits.code, sent=sent, late=late)
