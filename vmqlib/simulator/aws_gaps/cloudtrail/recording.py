"""Records what is done through moto, whoever does it: over HTTP, or in process.

What is a management event and what is data, of Amazon Q Business:
https://docs.aws.amazon.com/amazonq/latest/qbusiness-ug/logging-using-cloudtrail.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from moto.core.common_types import TYPE_RESPONSE
from moto.core.responses import BaseResponse
from moto.s3.responses import S3Response

from vmqlib.simulator.aws_gaps.cloudtrail.events import actor, record_event
from vmqlib.simulator.aws_gaps.gap import now, replace

__all__ = ["install", "is_management_write", "record_call"]

_WRITES = re.compile(
    r"(Add|Associate|Attach|Cancel|Change|Copy|Create|Deactivate|Delete|Deregister|Detach|Disable|Disassociate|Enable|"
    r"Import|Modify|Put|Register|Remove|Reset|Restore|Revoke|Rotate|Schedule|Set|Tag|Untag|Update|Upload)[A-Z]"
)
#: Data events, which nobody logs unless told to, and calls that CloudTrail does not log at all.
_DATA = re.compile(
    r"qbusiness:(Batch|Chat|PutFeedback|CreateAnonymous)|logs:PutLogEvents|cloudwatch:PutMetricData|"
    r"s3:(DeleteObject|DeleteObjects|PutObject|CopyObject|UploadPart|RestoreObject|CreateMultipartUpload)|"
    r"sqs:(Delete|Change)Message|dynamodb:(Put|Update|Delete)Item|dynamodb:BatchWriteItem"
)
#: What CloudTrail calls the parts of a bucket that have a configuration of their own.
_BUCKET_PARTS = {
    "accelerate": "AccelerateConfiguration",
    "acl": "Acl",
    "cors": "Cors",
    "encryption": "Encryption",
    "inventory": "InventoryConfiguration",
    "lifecycle": "Lifecycle",
    "logging": "Logging",
    "notification": "Notification",
    "object-lock": "ObjectLockConfiguration",
    "ownershipControls": "OwnershipControls",
    "policy": "Policy",
    "publicAccessBlock": "PublicAccessBlock",
    "replication": "Replication",
    "tagging": "Tagging",
    "versioning": "Versioning",
    "website": "Website",
}
_SOURCES = {"cloudwatch": "monitoring", "stepfunctions": "states", "sesv2": "ses"}
_SECRET = re.compile(r"password|secret|accesstoken|privatekey", re.IGNORECASE)
_HIDDEN = "HIDDEN_DUE_TO_SECURITY_REASONS"
#: Parameter -> the type of the resource that it names.
_RESOURCES = {
    "alarmName": "AWS::CloudWatch::Alarm",
    "applicationId": "AWS::QBusiness::Application",
    "bucketName": "AWS::S3::Bucket",
    "dashboardName": "AWS::CloudWatch::Dashboard",
    "dataSourceId": "AWS::QBusiness::DataSource",
    "indexId": "AWS::QBusiness::Index",
    "keyId": "AWS::KMS::Key",
    "logGroupName": "AWS::Logs::LogGroup",
    "policyArn": "AWS::IAM::Policy",
    "retrieverId": "AWS::QBusiness::Retriever",
    "roleName": "AWS::IAM::Role",
    "topicArn": "AWS::SNS::Topic",
    "userName": "AWS::IAM::User",
    "webExperienceId": "AWS::QBusiness::WebExperience",
}


def is_management_write(service: str, operation: str) -> bool:
    """Whether a call is recorded: it changes something, and it is no data event."""
    return _WRITES.match(operation) is not None and _DATA.match(f"{service}:{operation}") is None


def record_call(
    service: str,
    operation: str,
    params: Mapping[str, Any],
    *,
    account: str,
    region: str,
    username: str = "",
    access_key_id: str = "",
    user_agent: str = "",
    response: Mapping[str, Any] | None = None,
    error: tuple[str, str] | None = None,
) -> bool:
    """Records a call that was made just now, if it is a management event that changes something.

    Parameters
    ----------
    service, operation:
        As botocore names them, for example ``qbusiness`` and ``UpdateDataSource``.
    params:
        What it was called with.
    account, region, username, access_key_id, user_agent:
        Where and by whom; by default whom :func:`acting_as` names, else moto's own user.
    response:
        What it answered.
    error:
        Code and message, where it was refused.

    Returns
    -------
    Whether it was recorded.
    """
    if not is_management_write(service, operation):
        return False
    shown, answered = _shown(params), _shown(response or {})
    resources = {
        (kind, str(given[name])): None
        for given in (shown, answered)
        for name, kind in _RESOURCES.items()
        if isinstance(given.get(name), str)
    }
    record_event(
        account,
        region,
        operation,
        f"{_SOURCES.get(service, service)}.amazonaws.com",
        actor() or username or "moto",
        now(),
        shown,
        tuple(resources),
        response_elements=answered,
        error=error,
        access_key_id=access_key_id,
        user_agent=user_agent,
    )
    return True


def _shown(value: Any) -> Any:
    """Parameters as CloudTrail shows them: in lower camel case, without secrets."""
    if isinstance(value, Mapping):
        return {
            _lower(str(name)): _HIDDEN
            if _SECRET.search(str(name)) and isinstance(inner, str)
            else _shown(inner)
            for name, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return [_shown(inner) for inner in value]
    return value if isinstance(value, str | int | float | bool) or value is None else str(value)


def _lower(name: str) -> str:
    return name[:1].lower() + name[1:] if name[:2] != name[:2].upper() else name


# ---- where moto answers


def _dispatch(original: Callable[..., TYPE_RESPONSE]) -> Callable[..., TYPE_RESPONSE]:
    def dispatch(self: BaseResponse, *args: Any, **kwargs: Any) -> TYPE_RESPONSE:
        answer = original(self, *args, **kwargs)
        operation = self._get_action() or ""
        if self.service_name and is_management_write(self.service_name, operation):
            _record(self, operation, _parameters(self), answer)
        return answer

    return dispatch


def _bucket_response(original: Callable[..., TYPE_RESPONSE]) -> Callable[..., TYPE_RESPONSE]:
    """S3 has a way of its own to be called. Only its calls on buckets are management events."""

    def bucket_response(self: S3Response, request: Any, full_url: str, headers: Any) -> TYPE_RESPONSE:
        answer = original(self, request, full_url, headers)
        if request.method in ("PUT", "DELETE") and self.bucket_name:
            part = next((name for key, name in _BUCKET_PARTS.items() if key in request.args), "")
            verb = ("Put" if part else "Create") if request.method == "PUT" else "Delete"
            params = {"bucketName": self.bucket_name, **_parameters(self)}
            _record(self, f"{verb}Bucket{part}", params, answer)
        return answer

    return bucket_response


def _parameters(self: BaseResponse) -> dict[str, Any]:
    if self.automated_parameter_parsing:
        parsed = self.__dict__.get("params") or {}  # nothing where the request could not be parsed
        return {**parsed, **self.uri_match}
    body = self.body.decode("utf-8", "replace") if isinstance(self.body, bytes) else self.body or ""
    try:
        if body.startswith("{"):
            return dict(json.loads(body))
        if body.startswith("<"):
            import xmltodict  # type: ignore[import-untyped]

            parsed = dict(xmltodict.parse(body))
            return {name: _without_namespace(inner) for name, inner in parsed.items()}
        given = self._get_params()
        return {name: value for name, value in given.items() if name not in ("Action", "Version")}
    except Exception:  # noqa: BLE001 - a request that cannot be read was refused, and its record says why
        return {}


def _without_namespace(value: Any) -> Any:
    return (
        {name: inner for name, inner in value.items() if name != "@xmlns"}
        if isinstance(value, dict)
        else value
    )


def _record(self: BaseResponse, operation: str, params: dict[str, Any], answer: TYPE_RESPONSE) -> None:
    status, headers, body = answer
    told = _told(body)
    error = None
    if int(status) >= 400:
        kind = headers.get("x-amzn-ErrorType") or headers.get("X-Amzn-ErrorType") or told.get("__type") or ""
        error = (_code(str(kind), body), str(told.get("message") or told.get("Message") or ""))
    record_call(
        str(self.service_name),
        operation,
        params,
        account=self.current_account,
        region=self.region,
        username=_username(self),
        access_key_id=self.access_key,
        user_agent=self.headers.get("User-Agent") or "",
        response=told if error is None else None,
        error=error,
    )


def _told(body: Any) -> dict[str, Any]:
    """A JSON answer; of others nothing is shown."""
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else str(body or "")
    try:
        told = json.loads(text) if text.startswith("{") else {}
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _code(kind: str, body: Any) -> str:
    if kind:
        return kind.rsplit("#", 1)[-1]
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else str(body or "")
    found = re.search(r"<Code>([^<]+)</Code>", text)
    return found[1] if found else "UnknownError"


def _username(self: BaseResponse) -> str:
    """The IAM user that the access key belongs to."""
    from moto.iam.models import iam_backends

    for user in list(iam_backends[self.current_account]["aws"].users.values()):
        if any(key.access_key_id == self.access_key for key in user.access_keys):
            return str(user.name)
    return ""


def install() -> None:
    """Lets moto record what is done through it."""
    replace(BaseResponse, _dispatch=_dispatch(BaseResponse._dispatch))
    replace(S3Response, bucket_response=_bucket_response(S3Response.bucket_response))
