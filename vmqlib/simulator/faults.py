"""Bad days on demand: errors, delays, lost answers and cut connections, injected in front of the services."""

from __future__ import annotations

import fnmatch
import random
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from vmqlib.simulator.protocols import Answer, Call, error_answer

__all__ = ["CutConnection", "Fault", "Faults"]

# the HTTP status that AWS sends with these codes, where it is not 400
_STATUS = {
    "AccessDenied": 403,
    "AccessDeniedException": 403,
    "ExpiredToken": 403,
    "ExpiredTokenException": 403,
    "InvalidClientTokenId": 403,
    "SignatureDoesNotMatch": 403,
    "NoSuchBucket": 404,
    "NoSuchKey": 404,
    "ConflictException": 409,
    "PreconditionFailed": 412,
    "InternalError": 500,
    "InternalFailure": 500,
    "InternalServerException": 500,
    "ServiceUnavailable": 503,
    "ServiceUnavailableException": 503,
    "SlowDown": 503,
}


class CutConnection(Exception):
    """Tells the server to reset the connection instead of answering."""


@dataclass
class Fault:
    """One rule: which requests it meets and what becomes of them.

    Parameters
    ----------
    service:
        botocore's name of the service, shell wildcards allowed.
    operation:
        Operation name, shell wildcards allowed.
    path:
        Regular expression searched in the request's path and query as sent; empty meets all.
    status:
        HTTP status of the error; 0 takes the usual one of ``code``; without either the request goes through.
    code:
        Error code, for example ``AccessDeniedException``.
    message:
        The sentence beside it.
    times:
        How many requests it meets before it is spent; None for all.
    skip:
        How many requests it lets pass first.
    latency:
        Seconds to wait before anything else.
    after:
        Do the work, then answer with the error (or cut the connection): the answer is lost.
    reset:
        Cut the connection instead of answering.
    probability:
        Share of the requests it meets, drawn from the seeded generator.
    headers:
        Further headers of the error, for example ``Retry-After``.
    hits:
        How many requests it has met so far.
    """

    service: str = "*"
    operation: str = "*"
    path: str = ""
    status: int = 0
    code: str = ""
    message: str = "Injected by the simulator."
    times: int | None = None
    skip: int = 0
    latency: float = 0.0
    after: bool = False
    reset: bool = False
    probability: float = 1.0
    headers: Mapping[str, str] = field(default_factory=dict)
    hits: int = 0

    @property
    def fails(self) -> bool:
        """Whether a request that it meets gets no proper answer."""
        return bool(self.status or self.code or self.reset)

    def answer(self, call: Call) -> Answer:
        """The error for ``call``.

        Raises
        ------
        CutConnection
            When there is to be no answer at all.
        """
        if self.reset:
            raise CutConnection
        status = self.status or _STATUS.get(self.code, 429 if _throttles(call, self.code) else 400)
        return error_answer(call, status, self.code or _code(status), self.message, headers=self.headers)

    def meets(self, call: Call) -> bool:
        """Whether service, operation and path fit (counters are not looked at)."""
        return (
            fnmatch.fnmatchcase(call.service, self.service)
            and fnmatch.fnmatchcase(call.operation, self.operation)
            and (not self.path or re.search(self.path, call.path) is not None)
        )


def _throttles(call: Call, code: str) -> bool:
    """REST services throttle with 429, the others with 400 (botocore's models)."""
    return code == "ThrottlingException" and call.protocol == "rest-json"


def _code(status: int) -> str:
    by_status = {403: "AccessDenied", 404: "NotFound", 429: "ThrottlingException", 503: "ServiceUnavailable"}
    return by_status.get(status, "InternalFailure" if status >= 500 else "BadRequest")


class Faults:
    """The rules in force, first match first. Thread-safe.

    Parameters
    ----------
    seed:
        Of the generator that rules with a probability draw from.
    sleep:
        What waits out a latency, in seconds.
    """

    def __init__(self, seed: int = 0, sleep: Callable[[float], None] = time.sleep) -> None:
        self._lock = threading.Lock()
        self._rules: list[Fault] = []
        self._random = random.Random(seed)
        self._sleep = sleep
        self._record: list[Call] | None = None

    def add(
        self,
        service: str = "*",
        operation: str = "*",
        *,
        path: str = "",
        status: int = 0,
        code: str = "",
        message: str = "Injected by the simulator.",
        times: int | None = None,
        skip: int = 0,
        latency: float = 0.0,
        after: bool = False,
        reset: bool = False,
        probability: float = 1.0,
        headers: Mapping[str, str] | None = None,
    ) -> Fault:
        """Puts a rule in force (:class:`Fault` says what each parameter means) and returns it."""
        rule = Fault(
            service, operation, path, status, code, message, times, skip, latency, after, reset, probability,
            dict(headers or {}),
        )  # fmt: skip
        return self.put(rule)

    def put(self, rule: Fault) -> Fault:
        """Puts a ready-made rule in force and returns it."""
        re.compile(rule.path)
        with self._lock:
            self._rules.append(rule)
        return rule

    def remove(self, rule: Fault) -> None:
        """Takes a rule out of force; one that is not in force is no error."""
        with self._lock:
            self._rules = [other for other in self._rules if other is not rule]

    def clear(self) -> None:
        """Takes every rule out of force."""
        with self._lock:
            self._rules.clear()

    @property
    def rules(self) -> tuple[Fault, ...]:
        """Those in force, first match first."""
        return tuple(self._rules)

    def record(self) -> list[Call]:
        """From now on every request is appended to the list that this returns."""
        with self._lock:
            self._record = []
            return self._record

    @property
    def idle(self) -> bool:
        """Whether no rule is in force and nothing is recorded: requests need no looking at."""
        return not self._rules and self._record is None

    def take(self, call: Call) -> Fault | None:
        """The rule that meets ``call``, with its counters moved on; its latency is waited out here."""
        with self._lock:
            if self._record is not None:
                self._record.append(call)
            rule = next((rule for rule in self._rules if self._strikes(rule, call)), None)
        if rule is not None and rule.latency:
            self._sleep(rule.latency)
        return rule

    def _strikes(self, rule: Fault, call: Call) -> bool:
        if rule.times == 0 or not rule.meets(call):
            return False
        if rule.skip > 0:
            rule.skip -= 1
            return False
        if rule.probability < 1.0 and self._random.random() >= rule.probability:
            return False
        if rule.times is not None:
            rule.times -= 1
        rule.hits += 1
        return True
