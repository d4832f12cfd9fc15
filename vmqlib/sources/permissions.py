"""Which of the kit's reading calls are allowed: each is made once, as small as it can be.

Asked is what an incident looks at (``docs/settings.md``, *Permissions to look*). What an answer holds is thrown away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from vmqlib.awserrors import InvalidRequest, aws_errors
from vmqlib.errors import AccessDenied, AwsError, ResourceMissing, Unreachable
from vmqlib.sources.base import TEXT, Column, Reading, Row, Source, data_source_ids, gather

if TYPE_CHECKING:
    from vmqlib.aws import Aws
    from vmqlib.settings import Settings
    from vmqlib.times import Window

__all__ = ["SOURCE", "read"]

_COLUMNS = {
    "action": Column(TEXT, "", "the action in IAM's spelling"),
    "call": Column(TEXT, "", "the call that was made"),
    "needed_for": Column(TEXT, "", "the sources that need it"),
    "outcome": Column(TEXT, "", "allowed, refused, unknown, or not asked"),
    "problem": Column(TEXT, "", "what AWS said, or why it was not asked"),
    "hint": Column(TEXT, "", "what to do about that: the permission to grant"),
}

_TRAIL_OF_IAM = "us-east-1"
_NOWHERE = "vmq-doctor-looks-for-nothing"
_AUDIT = "audit/"


@dataclass(frozen=True)
class _Probe:
    """One call.

    Parameters
    ----------
    action:
        The permission.
    call:
        ``service:Operation``.
    needed_for:
        Sources that make it.
    ask:
        Makes it.
    needs:
        Settings without which it cannot be asked.
    """

    action: str
    call: str
    needed_for: str
    ask: Callable[[], object]
    needs: tuple[str, ...] = ()


def read(aws: Aws, settings: Settings, _window: Window, **_: str) -> Reading:
    """One row for each action. Never raises for a refusal: that is what is looked for.

    Raises
    ------
    AwsError
        Where none of the calls was answered at all.
    """
    probes = list(_probes(aws, settings))
    # All at once: where AWS does not answer, each of them takes its whole time.
    seen = gather([partial(_made, probe, settings) for probe in probes], workers=len(probes))
    errors = [error for _, error in seen if error is not None]
    asked = [row for row, _ in seen if row["outcome"] != "not asked"]
    if errors and len(errors) == len(asked):
        raise errors[0]
    return Reading(
        source="permissions",
        call="several",
        parameters={"actions": [probe.action for probe in probes]},
        rows=[row for row, _ in seen],
        complete=not errors,
        stopped=" ".join(dict.fromkeys(error.message for error in errors)),
    )


SOURCE = Source("permissions", "Permissions to look", read, _COLUMNS, routine=False)


def _made(probe: _Probe, settings: Settings) -> tuple[Row, AwsError | None]:
    row = {"action": probe.action, "call": probe.call, "needed_for": probe.needed_for}
    missing = [name.upper() for name in probe.needs if not getattr(settings, name)]
    if missing:
        return row | {"outcome": "not asked", "problem": f"Not set: {', '.join(missing)}."}, None
    try:
        with aws_errors(probe.call, _where(probe, settings)):
            probe.ask()
    except AccessDenied as error:
        return row | {"outcome": "refused", "problem": error.message, "hint": error.hint}, None
    except (ResourceMissing, InvalidRequest):
        pass  # IAM comes first: who is told that something is not there was allowed to ask
    except AwsError as error:
        return row | {"outcome": "unknown", "problem": error.message, "hint": error.hint}, error
    return row | {"outcome": "allowed"}, None


def _where(probe: _Probe, settings: Settings) -> str:
    service = probe.action.split(":")[0]
    if service == "qbusiness":
        return f"application {settings.app_id}"
    return {"s3": f"bucket {settings.bucket_name}", "logs": f"log group {settings.log_group}"}.get(
        service, "*"
    )


def _probes(aws: Aws, settings: Settings) -> Iterator[_Probe]:
    yield from _of_qbusiness(aws, settings)
    yield from _of_cloudwatch(aws)
    yield from _of_logs(aws, settings)
    yield from _of_bucket(aws, settings)
    for region in dict.fromkeys((settings.region, _TRAIL_OF_IAM)):
        ask = partial(_trail, aws, region)
        yield _Probe("cloudtrail:LookupEvents", "cloudtrail:LookupEvents", f"trail ({region})", ask)


def _of_qbusiness(aws: Aws, settings: Settings) -> Iterator[_Probe]:
    app = {"applicationId": settings.app_id}
    index = app | {"indexId": settings.index_id}
    source = index | {"dataSourceId": next(iter(_data_sources(settings)), "")}
    known = bool(source["dataSourceId"])
    calls: tuple[tuple[str, str, dict[str, Any], tuple[str, ...]], ...] = (
        ("GetApplication", "resources", app, ("app_id",)),
        ("GetIndex", "resources", index, ("app_id", "index_id")),
        ("GetRetriever", "resources", app | {"retrieverId": settings.retriever_id}, ("app_id", "retriever_id")),
        ("GetDataSource", "resources, acl", source, ("app_id", "index_id", *(() if known else ("ds_id",)))),
        (
            "GetWebExperience", "resources", app | {"webExperienceId": settings.web_experience_id},
            ("app_id", "web_experience_id"),
        ),
        ("GetChatControlsConfiguration", "chat-controls", app | {"maxResults": 1}, ("app_id",)),
        ("ListDataSources", "resources", index | {"maxResults": 1}, ("app_id", "index_id")),
        (
            "ListDataSourceSyncJobs", "sync-jobs", source | {"maxResults": 1},
            ("app_id", "index_id", *(() if known else ("ds_id",))),
        ),
        ("ListDocuments", "documents", index | {"maxResults": 1}, ("app_id", "index_id")),
    )  # fmt: skip
    for operation, needed_for, parameters, needs in calls:
        ask = partial(_call, aws, "qbusiness", operation, parameters)
        yield _Probe(f"qbusiness:{operation}", f"qbusiness:{operation}", needed_for, ask, needs)


def _of_cloudwatch(aws: Aws) -> Iterator[_Probe]:
    now = aws.clock.now()
    one_metric = {
        "Id": "m0",
        "MetricStat": {
            "Metric": {"Namespace": "AWS/QBusiness", "MetricName": "ChatMessages"}, "Period": 3600, "Stat": "Sum",
        },
    }  # fmt: skip
    window = {"StartTime": now - timedelta(hours=1), "EndTime": now}
    for operation, needed_for, parameters in (
        ("DescribeAlarms", "alarms", {"MaxRecords": 1}),
        ("DescribeAlarmHistory", "alarm-history", {"MaxRecords": 1}),
        ("GetMetricData", "metrics", {"MetricDataQueries": [one_metric], **window}),
    ):
        ask = partial(_call, aws, "cloudwatch", operation, parameters)
        yield _Probe(f"cloudwatch:{operation}", f"cloudwatch:{operation}", needed_for, ask)


def _of_logs(aws: Aws, settings: Settings) -> Iterator[_Probe]:
    group = {"logGroupName": settings.log_group, "limit": 1}
    # The connector's streams alone: what users ask is none of this check's business.
    streams = {"logStreamNamePrefix": "SYNC_RUN_HISTORY_REPORT/"}
    for operation, parameters in (
        ("DescribeLogStreams", group | streams),
        ("FilterLogEvents", group | streams),
        ("GetLogEvents", group | {"logStreamName": _NOWHERE}),
    ):
        ask = partial(_call, aws, "logs", operation, parameters)
        needed_for = "connector-log, document-report" if operation == "FilterLogEvents" else "vmq logs"
        yield _Probe(f"logs:{operation}", f"logs:{operation}", needed_for, ask, ("app_id",))


def _of_bucket(aws: Aws, settings: Settings) -> Iterator[_Probe]:
    bucket = {"Bucket": settings.bucket_name}
    calls: tuple[tuple[str, str, str, dict[str, Any]], ...] = (
        ("s3:ListBucket", "ListObjectsV2", "promotions", {"MaxKeys": 1}),
        ("s3:ListBucketVersions", "ListObjectVersions", "versions, rollback plan", {"MaxKeys": 1}),
        ("s3:GetBucketVersioning", "GetBucketVersioning", "rollback plan", {}),
    )
    for action, operation, needed_for, more in calls:
        ask = partial(_call, aws, "s3", operation, bucket | more)
        yield _Probe(action, f"s3:{operation}", needed_for, ask)
    yield _Probe(
        "s3:GetObject", "s3:GetObject", "promotions, acl", partial(_object, aws, settings.bucket_name)
    )
    prefix = next((one.prefix for one in settings.data_sources if one.bucket == settings.bucket_name), "")
    yield _Probe(
        "s3:GetObjectVersion", "s3:GetObjectVersion", "rollback plan, older versions of the access control file",
        partial(_version, aws, settings.bucket_name, prefix),
    )  # fmt: skip


def _object(aws: Aws, bucket: str) -> None:
    """One byte of an audit record, or of one that is not there: reading it takes the key, too."""
    s3 = aws.client("s3")
    try:
        with aws_errors("s3:ListObjectsV2", f"bucket {bucket}"):
            found = s3.list_objects_v2(Bucket=bucket, Prefix=_AUDIT, MaxKeys=1).get("Contents", [])
    except Unreachable:
        raise  # whoever does not answer this does not answer the next
    except AwsError:
        found = []
    key = found[0]["Key"] if found else f"{_AUDIT}{_NOWHERE}"
    with aws_errors("s3:GetObject", f"s3://{bucket}/{key}"):
        s3.get_object(Bucket=bucket, Key=key, Range="bytes=0-0")["Body"].close()


def _version(aws: Aws, bucket: str, prefix: str) -> None:
    """The properties of a version, or of one that is not there: nothing of its content is read."""
    s3 = aws.client("s3")
    try:
        with aws_errors("s3:ListObjectVersions", f"bucket {bucket}"):
            found = s3.list_object_versions(Bucket=bucket, Prefix=prefix, MaxKeys=50).get("Versions", [])
    except Unreachable:
        raise
    except AwsError:
        found = []
    key, version = (found[0]["Key"], found[0]["VersionId"]) if found else (f"{prefix}{_NOWHERE}", "null")
    with aws_errors("s3:GetObjectVersion", f"s3://{bucket}/{key}"):
        s3.head_object(Bucket=bucket, Key=key, VersionId=version)


def _trail(aws: Aws, region: str) -> None:
    if region == aws.region:
        aws.client("cloudtrail").lookup_events(MaxResults=1)
        return
    with closing(aws.own_client("cloudtrail", region=region)) as client:
        client.lookup_events(MaxResults=1)


def _call(aws: Aws, service: Any, operation: str, parameters: dict[str, Any]) -> None:
    from botocore import xform_name

    client: Any = aws.client(service)
    getattr(client, xform_name(operation))(**parameters)


def _data_sources(settings: Settings) -> list[str]:
    return data_source_ids(settings) if any(one.data_source_id for one in settings.data_sources) else []
