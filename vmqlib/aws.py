"""How the kit talks to AWS: one session, clients made when first needed, and errors that say what to do.

The endpoint, the profile and the credentials are boto3's own affair
(``AWS_ENDPOINT_URL``, ``AWS_PROFILE`` …), so the local AWS and the real one differ in the environment alone.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, overload

from vmqlib.awserrors import InvalidRequest, aws_errors
from vmqlib.times import Clock, SystemClock

if TYPE_CHECKING:
    from boto3.session import Session
    from botocore.credentials import Credentials
    from mypy_boto3_cloudtrail import CloudTrailClient
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_qbusiness import QBusinessClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sts import STSClient

    from vmqlib.settings import Settings

__all__ = ["LATE", "LONG_READ_S", "Aws", "Caller", "InvalidRequest", "aws_errors"]

_CONNECT_S = 5
_READ_S = 15
LONG_READ_S: Final = 30
"""Seconds that a page of a big listing or of a search may keep one waiting; other looks list little."""
LATE: Final = 2
"""Tries of a call that is not answered in time: an endpoint that hangs costs half a minute, not minutes."""
_POOL = 32  # connections kept open by one client: more than any source uses threads

Service = Literal[
    "cloudtrail", "cloudwatch", "iam", "logs", "qbusiness", "s3", "secretsmanager", "sesv2", "sns", "sts"
]  # fmt: skip


@dataclass(frozen=True)
class Caller:
    """Who AWS says we are (``sts:GetCallerIdentity``).

    Parameters
    ----------
    account:
        The account's twelve digits.
    arn:
        The caller's ARN.
    user:
        The last part of the ARN: the user, or the session of an assumed role.
    """

    account: str
    arn: str
    user: str


class Aws:
    """One boto3 session and its clients. Safe to share between threads.

    Parameters
    ----------
    settings:
        Names the region.
    clock:
        Tells the time, for whoever holds this.
    max_attempts:
        How often a request is tried in all (boto3's standard retry mode); one that is not answered in time, twice.
    profile:
        The AWS profile whose credentials are used; ``""``: boto3's own choice.
    """

    def __init__(
        self, settings: Settings, clock: Clock | None = None, *, max_attempts: int = 5, profile: str = ""
    ) -> None:
        self.settings = settings
        self.clock: Clock = clock or SystemClock()
        self.max_attempts = max_attempts
        self.profile = profile
        self._lock = threading.RLock()
        self._asking = threading.Lock()
        self._session: Session | None = None
        self._clients: dict[str, Any] = {}
        self._caller: Caller | None = None

    @property
    def region(self) -> str:
        """The region that every client talks to."""
        return self.settings.region

    @overload
    def client(self, service: Literal["cloudtrail"]) -> CloudTrailClient: ...
    @overload
    def client(self, service: Literal["cloudwatch"]) -> CloudWatchClient: ...
    @overload
    def client(self, service: Literal["iam"]) -> Any: ...
    @overload
    def client(self, service: Literal["logs"]) -> CloudWatchLogsClient: ...
    @overload
    def client(self, service: Literal["qbusiness"]) -> QBusinessClient: ...
    @overload
    def client(self, service: Literal["s3"]) -> S3Client: ...
    @overload
    def client(self, service: Literal["sns"]) -> SNSClient: ...
    @overload
    def client(self, service: Literal["sts"]) -> STSClient: ...

    def client(self, service: Service) -> Any:
        """The client of that service: made once, then shared.

        Raises
        ------
        AwsError
            Where boto3 cannot even be set up: an unknown profile, a broken config file.
        """
        with self._lock:
            if service not in self._clients:
                self._clients[service] = self._make(service, "", self.max_attempts)
            return self._clients[service]

    def own_client(
        self, service: Service, *, region: str = "", max_attempts: int = 0, read_s: float = 0
    ) -> Any:
        """A client that nobody else holds, for whoever hooks into how requests are made or answers are parsed.

        ``region`` is one other than the settings' own: a bucket's, for instance. ``max_attempts`` is another number of
        attempts: 1 for whoever repeats by himself. ``read_s`` is another time to wait for an answer, in seconds.
        """
        with self._lock:
            return self._make(service, region, max_attempts or self.max_attempts, read_s)

    def credentials(self) -> Credentials:
        """boto3's credentials, which refresh themselves (SSO, roles): freeze them for each request.

        Raises
        ------
        CredentialsMissing
            There are none.
        AwsError
            boto3 cannot be set up: an unknown profile, a broken config file.
        """
        from botocore.exceptions import NoCredentialsError

        with self._lock, aws_errors("sts:credentials"):
            found = self._opened().get_credentials()
            if found is None:
                raise NoCredentialsError
            return found

    def close(self) -> None:
        """Closes the connections of every client. A later call opens new ones."""
        with self._lock:
            for client in self._clients.values():
                client.close()
            self._clients.clear()

    def caller(self) -> Caller:
        """Who we are. Asked once.

        Raises
        ------
        AwsError
            Most often: no credentials, expired credentials.
        """
        # A lock of its own: while STS takes its time, other threads still get their clients.
        with self._asking:
            if self._caller is None:
                client = self.client("sts")
                with aws_errors("sts:GetCallerIdentity"):
                    answer = client.get_caller_identity()
                arn = answer["Arn"]
                user = arn.rsplit("/", 1)[-1] if "/" in arn else arn.rsplit(":", 1)[-1]
                self._caller = Caller(account=answer["Account"], arn=arn, user=user)
            return self._caller

    def _opened(self) -> Session:
        if self._session is None:
            import boto3.session

            self._session = boto3.session.Session(region_name=self.region, profile_name=self.profile or None)
        return self._session

    def _make(self, service: str, region: str, max_attempts: int, read_s: float = 0) -> Any:
        from botocore.config import Config

        from vmqlib import __version__

        config = Config(
            connect_timeout=_CONNECT_S,
            read_timeout=read_s or _READ_S,
            # botocore counts the first try, too, under this name.
            retries={"mode": "standard", "total_max_attempts": max_attempts},
            user_agent_extra=f"vmq/{__version__}",
            max_pool_connections=_POOL,
        )
        with aws_errors(f"{service}:client"):
            client = self._opened().client(service, region_name=region or None, config=config)  # type: ignore[call-overload]
        client.meta.events.register_first("needs-retry", _enough)
        return client


def _enough(*, attempts: int, caught_exception: Exception | None, **_: object) -> None:
    """Ends a call that was late too often, whatever boto3 would do. Throttling keeps all of boto3's attempts.

    Asked by botocore after each attempt (event ``needs-retry``); what is raised here ends the call.
    """
    from botocore.exceptions import ConnectTimeoutError, ReadTimeoutError

    if attempts >= LATE and isinstance(caught_exception, ConnectTimeoutError | ReadTimeoutError):
        raise caught_exception
