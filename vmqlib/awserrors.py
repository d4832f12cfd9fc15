"""What boto3 raises, turned into the kit's errors: one sentence for what happened and one for what to do."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from vmqlib.errors import (
    AccessDenied,
    AwsError,
    BadInput,
    CredentialsExpired,
    CredentialsMissing,
    ResourceMissing,
    ServiceUnavailableHere,
    Throttled,
    Unreachable,
)

if TYPE_CHECKING:
    from botocore.exceptions import BotoCoreError, ClientError

__all__ = ["InvalidRequest", "aws_errors", "translated"]

# The permission is named after another call than the one made.
_PERMISSIONS = {
    "s3:ListObjectVersions": "s3:ListBucketVersions",
    "s3:ListObjectsV2": "s3:ListBucket",
    "s3:HeadBucket": "s3:ListBucket",
    "s3:HeadObject": "s3:GetObject",
    "s3:CopyObject": "s3:PutObject",
    "s3:GetBucketLifecycleConfiguration": "s3:GetLifecycleConfiguration",
    "s3:GetBucketEncryption": "s3:GetEncryptionConfiguration",
}
_DENIED = re.compile(
    r"User: (?P<user>\S+) is not authorized to perform: (?P<action>[\w-]+:\w+)"
    r"(?: on resource: \"?(?P<resource>[^\s\"]+))?"  # S3 puts it in quotes
)
_REGION = re.compile(r"[a-z]{2,}(?:-[a-z]+)+-\d")


class InvalidRequest(AwsError, BadInput):
    """AWS (or boto3, before sending) refused a value: a malformed id, a bad name."""

    exit_code = 2


_SKEWED = "RequestTimeTooSkewed RequestInTheFuture"
_ELSEWHERE = "PermanentRedirect AuthorizationHeaderMalformed IllegalLocationConstraintException 301"
_CODES: dict[type[AwsError], str] = {
    CredentialsExpired: """
        ExpiredToken ExpiredTokenException RequestExpired InvalidToken InvalidClientTokenId
        InvalidAccessKeyId UnrecognizedClient UnrecognizedClientException SignatureDoesNotMatch
        InvalidSignatureException AuthFailure MissingAuthenticationToken IncompleteSignature
        """,
    AccessDenied: """
        AccessDenied AccessDeniedException UnauthorizedOperation Unauthorized Forbidden
        NotAuthorized AuthorizationError AuthorizationErrorException AllAccessDisabled 401 403
        """,
    ResourceMissing: """
        ResourceNotFound ResourceNotFoundException NotFound NotFoundException NoSuchBucket NoSuchKey
        NoSuchVersion NoSuchEntity 404
        """,
    Throttled: """
        Throttling ThrottlingException ThrottledException RequestThrottled RequestThrottledException
        TooManyRequests TooManyRequestsException RequestLimitExceeded BandwidthLimitExceeded
        LimitExceededException PriorRequestNotComplete SlowDown 429
        """,
    ServiceUnavailableHere: "OptInRequired SubscriptionRequiredException UnsupportedOperation",
    InvalidRequest: """
        ValidationException ValidationError InvalidParameterException InvalidParameterValue
        InvalidParameterCombination InvalidArgument InvalidRequest InvalidBucketName
        MissingRequiredParameter MissingRequiredParameterException SerializationException 400
        """,
    Unreachable: """
        ServiceUnavailable ServiceUnavailableException InternalError InternalFailure
        InternalServerError InternalServerException InternalServiceFault 500 502 503 504
        """,
    AwsError: f"{_SKEWED} {_ELSEWHERE}",
}
_KINDS = {code: kind for kind, codes in _CODES.items() for code in codes.split()}
_PREFIXES: tuple[tuple[str, type[AwsError]], ...] = (
    ("Throttl", Throttled),
    ("TooManyRequests", Throttled),
    ("AccessDenied", AccessDenied),
    ("Unauthorized", AccessDenied),
    ("ResourceNotFound", ResourceMissing),
    ("NoSuch", ResourceMissing),
)
_STATUSES: dict[int, type[AwsError]] = {
    401: AccessDenied,
    403: AccessDenied,
    404: ResourceMissing,
    429: Throttled,
}


@contextmanager
def aws_errors(operation: str, resource: str = "") -> Iterator[None]:
    """Turns whatever boto3 raises inside the block into the kit's errors: one sentence, one hint.

    Parameters
    ----------
    operation:
        The call, ``service:Operation``.
    resource:
        What it was made on, as a person or an IAM policy would name it.

    Raises
    ------
    AwsError
        Or the subclass that fits. Errors of other kinds pass through untouched.
    """
    try:
        yield
    except Exception as error:
        raised = translated(error, operation, resource)
        if raised is None:
            raise
        raise raised from error


def translated(error: Exception, operation: str, resource: str = "") -> AwsError | None:
    """What :func:`aws_errors` would raise for ``error``; ``None``: it is not of boto3 or AWS."""
    from botocore.exceptions import BotoCoreError, ClientError
    from urllib3.exceptions import HTTPError, LocationParseError

    if isinstance(error, ClientError):
        return _refused(error, operation, resource)
    if isinstance(error, BotoCoreError):
        return _unsent(error, operation)
    if isinstance(error, HTTPError) and not isinstance(error, LocationParseError):
        return _no_answer(operation, f"the connection broke ({type(error).__name__})", "")
    return None


# --- AWS answered, and said no


def _refused(error: ClientError, operation: str, resource: str) -> AwsError:
    response: Mapping[str, Any] = error.response
    fault = response.get("Error", {})
    status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) or 0)
    code = str(fault.get("Code") or status or "")
    said = str(fault.get("Message") or "").strip()
    on = f" on {resource}" if resource else ""
    extra: dict[str, Any] = {"operation": operation, "code": code}
    kind = _kind(code, status)

    if kind is AccessDenied:
        return _access_denied(operation, resource, code, said)
    if kind is CredentialsExpired:
        return CredentialsExpired(
            f"AWS does not accept these credentials ({code} on {operation}).",
            hint="They have expired or belong to nobody: sign in again (aws sso login) and repeat.",
            **extra,
        )
    if kind is ResourceMissing:
        return ResourceMissing(
            f"{_named(resource, fault)} does not exist.", hint=_missing_hint(operation), **extra
        )
    if kind is Throttled:
        return Throttled(
            f"AWS kept throttling {operation}{on} ({code}).",
            hint="Wait a minute and repeat; somebody else may be using up this account's quota.",
            retry_after=_retry_after(response),
            **extra,
        )
    if kind is InvalidRequest:
        return InvalidRequest(
            f"AWS refused the request {operation}{on}: {(said or code).rstrip('.')}.",
            hint="Check the ids and names in .env and vmq.toml: `vmq doctor` compares them with the account.",
            **extra,
        )
    if kind is ServiceUnavailableHere:
        return ServiceUnavailableHere(
            f"{_service(operation)} cannot be used in this region or account ({code}).",
            hint="Check REGION in .env; an opt-in region or a subscription may have to be enabled first.",
            **extra,
        )
    if kind is Unreachable:
        return Unreachable(
            f"{operation}{on} failed on AWS's side ({code}) at every attempt.",
            hint="Repeat in a minute, and look at the AWS Health Dashboard.",
            **extra,
        )
    why = (f"{code}: {said}" if said else code).rstrip(".")
    return AwsError(f"AWS refused {operation}{on}: {why}.", hint=_other_hint(code), **extra)


def _retry_after(response: Mapping[str, Any]) -> float:
    """Seconds, as S3 and API Gateway write them; a date is not read."""
    said = str(response.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("retry-after", ""))
    return float(said) if said.isdecimal() else 0.0


def _kind(code: str, status: int) -> type[AwsError]:
    """Which error a code is; the HTTP status decides where the code is not known."""
    if code in _KINDS:
        return _KINDS[code]
    for start, kind in _PREFIXES:
        if code.startswith(start):
            return kind
    return _STATUSES.get(status, Unreachable if status >= 500 else AwsError)


def _access_denied(operation: str, resource: str, code: str, said: str) -> AccessDenied:
    """AWS often names the action, the resource and the caller: they beat our own guess."""
    match = _DENIED.search(said)
    permission = match["action"] if match else _PERMISSIONS.get(operation, operation)
    where = (match["resource"] if match else "") or resource or "the resource"
    who = match["user"] if match else "the role or user in use"
    return AccessDenied(
        f"Access denied: {permission} on {where.rstrip('.')} ({code}).",
        hint=f"Grant {permission} on {where.rstrip('.')} to {who}.",
        operation=operation,
        code=code,
    )


def _named(resource: str, fault: Mapping[str, Any]) -> str:
    if resource:
        return resource[0].upper() + resource[1:]
    named = fault.get("BucketName") or fault.get("Key") or fault.get("resourceId")
    return f"{named!r}" if named else str(fault.get("Message") or "What was asked for").rstrip(".")


def _missing_hint(operation: str) -> str:
    service = operation.split(":", 1)[0]
    return {
        "logs": "A connector logs only after a log delivery (SYNC_JOB_LOGS) was set up for it: check the "
        "name, the region, and the delivery in the Q Business console.",
        "s3": "Check BUCKET_NAME in .env, the connector's bucket in vmq.toml, and the key.",
        "qbusiness": "Check REGION and the ids in .env (APP_ID, INDEX_ID, DS_ID …).",
    }.get(service, "Check the name and the region.")


def _other_hint(code: str) -> str:
    if code in _SKEWED.split():
        return "This machine's clock is wrong: set it (timedatectl) and repeat."
    if code in _ELSEWHERE.split():
        return "The bucket is in another region than REGION in .env says."
    if "Conflict" in code:
        return "Something else is changing it right now: look again, then repeat."
    return "Repeat with --debug to see the whole answer."


# --- no answer, or not even a request


def _unsent(error: BotoCoreError, operation: str) -> AwsError:
    from botocore import exceptions as boto

    known = vars(error).get("kwargs", {})
    if isinstance(error, boto.NoCredentialsError | boto.PartialCredentialsError | boto.ProfileNotFound):
        return CredentialsMissing(
            f"boto3 found no usable AWS credentials: {str(error).rstrip('.')}.",
            hint="Sign in (aws sso login), set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
            operation=operation,
        )
    if isinstance(
        error,
        boto.SSOError
        | boto.LoginError
        | boto.TokenRetrievalError
        | boto.CredentialRetrievalError
        | boto.NoAuthTokenError
        | boto.RefreshWithMFAUnsupportedError,
    ):
        return CredentialsExpired(
            f"The AWS sign-in is no longer good: {str(error).rstrip('.')}.",
            hint="Sign in again (aws sso login) and repeat.",
            operation=operation,
        )
    if isinstance(error, boto.ParamValidationError | boto.ValidationError | boto.InvalidRegionError):
        said = " ".join(str(error).split()).rstrip(".")
        return InvalidRequest(
            f"{operation} cannot be asked like this: {said}.",
            hint="Check the ids and names in .env and vmq.toml.",
            operation=operation,
        )
    if isinstance(
        error, boto.UnknownServiceError | boto.BaseEndpointResolverError | boto.ServiceNotInRegionError
    ):
        return _not_here(operation, str(known.get("region_name", "")), str(error))
    if isinstance(error, boto.EndpointConnectionError) and (region := _unresolved_region(error, operation)):
        return _not_here(operation, region, "its endpoint has no address")
    if isinstance(error, boto.HTTPClientError | boto.ConnectionError):
        where = str(known.get("endpoint_url") or known.get("proxy_url") or "")
        late = isinstance(error, boto.ConnectTimeoutError | boto.ReadTimeoutError)
        return _no_answer(operation, _why(error), where, late=late)
    return AwsError(
        f"boto3 could not do {operation}: {str(error).rstrip('.')}.",
        hint="Check the AWS configuration (~/.aws/config and the AWS_ variables).",
        operation=operation,
    )


def _why(error: Exception) -> str:
    from botocore import exceptions as boto

    if isinstance(error, boto.ProxyConnectionError):
        return "the proxy could not be reached"
    if isinstance(error, boto.SSLError):
        return "the TLS certificate was not accepted"
    if isinstance(error, boto.ConnectTimeoutError):
        return "no connection in time"
    if isinstance(error, boto.ReadTimeoutError):
        return "no answer in time"
    if isinstance(error, boto.ConnectionClosedError | boto.ResponseStreamingError):
        return "the connection was closed before the answer was complete"
    return "no connection"


def _no_answer(operation: str, why: str, where: str, *, late: bool = False) -> Unreachable:
    host = urlsplit(where).netloc or where
    return Unreachable(
        f"AWS cannot be reached{f' at {host}' if host else ''} for {operation}: {why}.",
        hint="Check the network, the VPN or proxy, and AWS_ENDPOINT_URL if it is set.",
        operation=operation,
        late=late,
    )


def _not_here(operation: str, region: str, why: str) -> ServiceUnavailableHere:
    return ServiceUnavailableHere(
        f"{_service(operation)} is not offered in {region or 'this region'}: {why.rstrip('.')}.",
        hint="Set REGION in .env to the region of the Q Business application, for example eu-west-1.",
        operation=operation,
    )


def _service(operation: str) -> str:
    return {"qbusiness": "Amazon Q Business", "logs": "CloudWatch Logs", "cloudwatch": "CloudWatch"}.get(
        operation.split(":", 1)[0], operation.split(":", 1)[0]
    )


def _unresolved_region(error: Exception, operation: str) -> str:
    """The region in an AWS host name without an address, when region or service are to blame; else ``""``.

    botocore's own list names Q Business in nearly every region, so it proves nothing. Proof is that another
    service of the same region does have an address, or that the region is in nobody's list.
    """
    known: Mapping[str, Any] = vars(error).get("kwargs", {})
    host = urlsplit(str(known.get("endpoint_url", ""))).hostname or ""
    if not host.endswith((".amazonaws.com", ".amazonaws.com.cn", ".api.aws")):
        return ""
    if type(known.get("error")).__name__ not in {"NameResolutionError", "NewConnectionError"}:
        return ""
    match = _REGION.search(host)
    if not match:
        return ""
    region = match[0]
    service = operation.split(":", 1)[0]
    return region if region not in _regions(service) or _resolves(f"sts.{region}.amazonaws.com", host) else ""


def _regions(service: str) -> set[str]:
    import botocore.session

    session = botocore.session.get_session()
    partitions = session.get_available_partitions()
    return {region for name in partitions for region in session.get_available_regions(service, name)}


def _resolves(other: str, host: str) -> bool:
    """Whether ``other`` has an address while ``host`` has none."""
    import socket

    def found(name: str) -> bool:
        try:
            return bool(socket.getaddrinfo(name, 443))
        except OSError:
            return False

    return found(other) and not found(host)
