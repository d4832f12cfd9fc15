"""One event of CloudTrail as a row: the parts of its record that say who did what.

Record contents: https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from vmqlib.sources.base import Row, moment, shortened

__all__ = ["MOST_PARAMETERS", "capped", "row_of"]

MOST_PARAMETERS = 8_000
"""Characters of a call's parameters that are kept: a policy document fits, a whole configuration of 100 KB does not."""

_MOST_TEXT = 1_000
# What names the thing, where CloudTrail lists no resources; the smaller thing first.
_NAMES = (
    "dataSourceId", "webExperienceId", "retrieverId", "indexId", "applicationId", "bucketName", "policyArn", "roleName",
    "userName", "groupName", "keyId",
)  # fmt: skip


def row_of(event: Mapping[str, Any]) -> Row:
    """A row of the source ``trail`` from an event as ``cloudtrail:LookupEvents`` gives it.

    Where its record (``CloudTrailEvent``) cannot be read, what LookupEvents says beside it stays, and ``problem``
    says so.
    """
    record, problem = _record(event.get("CloudTrailEvent"))
    who = _mapping(record.get("userIdentity"))
    asked = record.get("requestParameters")
    source = _text(event.get("EventSource") or record.get("eventSource"))
    return {
        "at": moment(event.get("EventTime")),
        "event": _text(event.get("EventName") or record.get("eventName")),
        "service": source.removesuffix(".amazonaws.com"),
        "user": _text(event.get("Username")) or _user(who),
        "user_arn": _text(who.get("arn")),
        "resource": ", ".join(_resources(event, asked)),
        "parameters": _parameters(asked),
        "error_code": _text(record.get("errorCode")),
        "error_message": _text(record.get("errorMessage")),
        "source_ip": _text(record.get("sourceIPAddress")),
        "event_id": _text(event.get("EventId") or record.get("eventID")),
        "problem": problem,
    }


def capped(value: Any, most: int = MOST_PARAMETERS) -> str:
    """``value`` as JSON text of at most ``most`` characters.

    Texts that are too long are left out whole, the longest ones first, and their place says how long they were. Nothing
    is cut in the middle: half of a secret is one that nobody recognises, and half of a JSON text is none.
    """
    text = _json(value)
    for limit in (most // 2, most // 4, most // 16, most // 64):
        if len(text) <= most:
            return text
        text = _json(_shorter(value, limit))
    return text if len(text) <= most else _json(_left_out(len(_json(value))))


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def _shorter(value: Any, limit: int) -> Any:
    if isinstance(value, Mapping):
        return {name: _shorter(inner, limit) for name, inner in value.items()}
    if isinstance(value, list):
        return [_shorter(inner, limit) for inner in value]
    return _left_out(len(value)) if isinstance(value, str) and len(value) > limit else value


def _left_out(size: int) -> str:
    return f"(left out: {size} characters)"


def _record(text: Any) -> tuple[Mapping[str, Any], str]:
    try:
        content = json.loads(text or "")
    except (ValueError, TypeError, RecursionError):
        return {}, "its record (CloudTrailEvent) is not JSON"
    if not isinstance(content, Mapping):
        return {}, "its record (CloudTrailEvent) is not a JSON object"
    return content, ""


def _parameters(asked: Any) -> str:
    if asked in (None, "", {}, []):
        return ""
    try:
        return capped(asked)
    except RecursionError:
        return _json("(left out: nested too deeply)")


def _user(who: Mapping[str, Any]) -> str:
    """Who it was, where LookupEvents does not say: a service, an assumed role's session, the root user."""
    if name := _text(who.get("userName") or who.get("invokedBy")):
        return name
    return _text(who.get("arn")).rpartition("/")[2] or _text(who.get("type"))


def _resources(event: Mapping[str, Any], asked: Any) -> Iterator[str]:
    names = [_text(one.get("ResourceName")) for one in event.get("Resources") or ()]
    if not any(names) and isinstance(asked, Mapping):
        names = [_text(asked[name]) for name in _NAMES if asked.get(name)][:1]
    yield from dict.fromkeys(filter(None, names))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: Any) -> str:
    if value is None:
        return ""
    return shortened(value if isinstance(value, str) else _json(value), _MOST_TEXT)
