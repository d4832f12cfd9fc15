"""S3 over HTTP, without boto3's serialiser and parsers, which take most of a request's time.

What remains is a kept library's for each thing: botocore signs, urllib3 sends, and where to, as whom and through
which proxy is what a boto3 client would do. ``docs/benchmarks.md`` has what it saves.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from vmqlib.aws import LATE
from vmqlib.awserrors import translated
from vmqlib.errors import AwsError, Throttled
from vmqlib.s3route import Answer as Answer
from vmqlib.s3route import NoAnswer as NoAnswer
from vmqlib.s3route import Route
from vmqlib.s3route import encoded as encoded

if TYPE_CHECKING:
    from vmqlib.aws import Aws

__all__ = ["S3", "Answer", "NoAnswer", "encoded"]

_NONE: Mapping[str, str] = {}
_AGAIN = frozenset({429, 500, 502, 503, 504})
_ELSEWHERE = frozenset({301, 307, 400})  # with x-amz-bucket-region: where the bucket is
_LONGEST_S = 20.0  # between two tries; as boto3's standard mode


class S3:
    """One bucket over HTTP. Safe to share between threads; connections are kept and shared.

    Endpoint, addressing style, region, proxies, certificates and credentials are those of a boto3 client: it is asked
    to prepare one request, which is looked at and not sent. A bucket in another region is followed there once.

    Parameters
    ----------
    aws:
        Session, credentials and how often a read is tried.
    bucket:
        Its name, or the ARN of an access point.
    connections:
        How many are kept open: as many as threads use this.

    Raises
    ------
    CredentialsMissing
        There are none.
    AwsError
        boto3 cannot be set up, or has no endpoint for such a bucket.
    """

    def __init__(self, aws: Aws, bucket: str, *, connections: int = 32) -> None:
        self.bucket = bucket
        self.max_attempts = aws.max_attempts
        self._aws = aws
        self._connections = connections
        self._lock = threading.Lock()
        self._route = Route.learn(aws, bucket, connections)
        self._moved = False

    def send(
        self,
        method: str,
        key: str = "",
        *,
        query: Mapping[str, str] = _NONE,
        headers: Mapping[str, str] = _NONE,
        body: bytes = b"",
    ) -> Answer:
        """One request, one attempt; the answer whatever its status.

        Parameters
        ----------
        method:
            ``GET``, ``HEAD``, ``PUT``, ``POST`` or ``DELETE``.
        key:
            The object, decoded; empty: the bucket itself.
        query:
            Parameters by name; an empty value names a sub-resource, such as ``versions``.
        headers:
            Beyond those that every request has.

        Raises
        ------
        NoAnswer
            Connection refused, reset or closed, time-out: what became of the request is not known.
        CredentialsMissing, CredentialsExpired
            There are none, or they cannot be refreshed.
        """
        route = self._route
        answer = route.send(method, key, query, headers, body)
        if answer.status in _ELSEWHERE and (region := answer.headers.get("x-amz-bucket-region")):
            moved = self._follow(route, region)
            if moved is not None:  # the first one was refused: nothing is done twice
                return moved.send(method, key, query, headers, body)
        return answer

    def ask(
        self,
        method: str,
        key: str = "",
        *,
        operation: str,
        query: Mapping[str, str] = _NONE,
        headers: Mapping[str, str] = _NONE,
        body: bytes = b"",
        stop: threading.Event | None = None,
    ) -> Answer:
        """The answer to something that may be asked twice: a GET, HEAD or listing.

        It is asked again after NoAnswer, 429, 500, 502, 503, 504, a throttling code and an error body inside a 200,
        as often as the session's ``max_attempts`` says, with a growing random pause (boto3's standard mode); after a
        time-out once.

        Parameters
        ----------
        operation:
            For errors, in IAM's spelling: ``s3:ListObjectVersions``.
        stop:
            Ends the pauses: the last error comes at once.

        Raises
        ------
        AwsError
            The kit's error for any other status from 300 on, or for the last attempt.
        """
        resource = f"object s3://{self.bucket}/{key}" if key else f"bucket {self.bucket}"
        attempt, late = 1, 0
        while True:
            error: AwsError
            try:
                answer = self.send(method, key, query=query, headers=headers, body=body)
            except NoAnswer as lost:
                late += lost.late
                error, again = self._renamed(lost, operation), late < LATE
            else:
                # An error inside a 200; an object's own content may look like one.
                wrong = answer.status < 300 and not key and _is_error(answer.body)
                if answer.status < 300 and not wrong:
                    return answer
                error = self.refuse(answer, operation, resource)
                again = wrong or answer.status in _AGAIN or isinstance(error, Throttled)
                again = again or error.code == "RequestTimeout"
            if not again or attempt >= self.max_attempts:
                raise error
            self.pause(attempt, stop)
            if stop is not None and stop.is_set():
                raise error
            attempt += 1

    def url(self, key: str) -> str:
        """Where an object is found over HTTP: as this asks for it, without a signature."""
        return self._route.url(key)

    @staticmethod
    def pause(attempt: int, stop: threading.Event | None = None) -> None:
        """Waits before the next try: up to 1, 2, 4 … 20 s, at random, or until ``stop`` is set."""
        longest = min(2.0 ** (attempt - 1), _LONGEST_S)
        (stop or threading.Event()).wait(secrets.SystemRandom().uniform(0, longest))

    def refuse(self, answer: Answer, operation: str, resource: str = "") -> AwsError:
        """The kit's error for a refusal of S3's: by the error body (also inside a 200), else by the status.

        Parameters
        ----------
        operation, resource:
            As for :func:`vmqlib.awserrors.aws_errors`.
        """
        from botocore.exceptions import ClientError

        fault = _fault(answer.body)
        fault.setdefault("Code", answer.headers.get("x-amz-error-code") or str(answer.status))
        fault.setdefault("Message", answer.headers.get("x-amz-error-message", ""))
        metadata = {"HTTPStatusCode": answer.status, "HTTPHeaders": dict(answer.headers)}
        said: Any = {"Error": fault, "ResponseMetadata": metadata}
        error = translated(ClientError(said, operation.rpartition(":")[2]), operation, resource)
        assert error is not None
        return error

    def close(self) -> None:
        """Closes the connections; it cannot be used any more."""
        self._route.close()

    def __enter__(self) -> S3:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _follow(self, route: Route, region: str) -> Route | None:
        with self._lock:
            if self._route is not route:  # another thread was first
                return self._route
            if self._moved or region == route.region:
                return None
            self._moved = True
            self._route = Route.learn(self._aws, self.bucket, self._connections, region)
            return self._route

    def _renamed(self, lost: NoAnswer, operation: str) -> NoAnswer:
        message = lost.message.replace(lost.operation, operation)
        return NoAnswer(message, hint=lost.hint, operation=operation, sent=lost.sent, late=lost.late)


def _is_error(body: bytes) -> bool:
    return b"<Error>" in body[:200] or b"<Error " in body[:200]


def _fault(body: bytes) -> dict[str, str]:
    """Code, Message and whatever else an error body of S3's says; nothing for any other body (HTML of a proxy)."""
    try:
        # S3 sends spaces to keep a long copy's connection open before it knows how it went.
        root = ElementTree.fromstring(body.strip())  # noqa: S314 - expat refuses entity bombs
    except ElementTree.ParseError:
        return {}
    if root.tag.rpartition("}")[2] != "Error":
        return {}
    return {child.tag.rpartition("}")[2]: child.text or "" for child in root if len(child) == 0}
