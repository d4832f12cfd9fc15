"""Whether a data source's role may read its bucket: ``iam:SimulatePrincipalPolicy`` on the role of GetDataSource.

The simulation weighs the role's own policies, its permissions boundary and the organization's; it does not weigh the
policy of the bucket or of the key (IAM API reference, SimulatePrincipalPolicy).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from vmqlib.awserrors import aws_errors
from vmqlib.errors import AwsError
from vmqlib.sources.base import TEXT, Column, Reading, Row, Source, data_source_ids, gather

if TYPE_CHECKING:
    from vmqlib.aws import Aws
    from vmqlib.settings import Settings
    from vmqlib.times import Window

__all__ = ["SOURCE", "read"]

_COLUMNS = {
    "data_source_id": Column(TEXT, "", "the data source"),
    "role": Column(TEXT, "", "its role's ARN; empty where it has none, or it could not be read"),
    "action": Column(TEXT, "", "what the connector has to be allowed; empty where nothing was simulated"),
    "resource": Column(TEXT, "", "on what"),
    "decision": Column(TEXT, "", "allowed, explicitDeny or implicitDeny"),
    "policies": Column(TEXT, "", "the policies whose statements decided"),
    "missing_context": Column(
        TEXT, "", "condition keys that the statements ask about and that were not given"
    ),
    "problem": Column(TEXT, "", "why it could not be simulated"),
    "hint": Column(TEXT, "", "what to do about that"),
}

_CALL = "iam:SimulatePrincipalPolicy"
_NO_ENCRYPTION = "ServerSideEncryptionConfigurationNotFoundError"


def read(aws: Aws, settings: Settings, _window: Window, *, data_source_id: str = "") -> Reading:
    """A row for each action and resource that an S3 connector needs: list the bucket, read its objects, use its key.

    Raises
    ------
    AwsError
        Where nothing at all could be read. What else could not has its row, with the reason.
    SettingsError
        Where no application, index or data source is set.
    """
    settings.require("app_id", "index_id")
    ids = data_source_ids(settings, data_source_id)
    seen = gather([partial(_look, aws, settings, one) for one in ids])
    errors = [error for _, error in seen if error is not None]
    if errors and len(errors) == len(seen):
        raise errors[0]
    return Reading(
        source="role-access",
        call=_CALL,
        parameters={"dataSourceIds": ids},
        rows=[row for rows, _ in seen for row in rows],
        complete=not errors,
        stopped=" ".join(dict.fromkeys(error.message for error in errors)),
    )


SOURCE = Source(
    "role-access",
    "What the connector's role may do",
    read,
    _COLUMNS,
    order=("data_source_id",),
    routine=False,
)


@dataclass(frozen=True)
class _Needs:
    """What a connector must be allowed: actions, each with its resources."""

    role: str
    bucket: str
    objects: tuple[str, ...]
    key: str


def _look(aws: Aws, settings: Settings, data_source_id: str) -> tuple[list[Row], AwsError | None]:
    row = {"data_source_id": data_source_id}
    try:
        needs = _needs(aws, settings, data_source_id)
        if needs is None:
            return [row | {"problem": "It is no S3 connector: what its role needs is not known here."}], None
        if not needs.role:
            return [row | {"problem": "The data source has no role."}], None
        return [{**row, "role": needs.role, **said} for said in _simulated(aws, needs)], None
    except AwsError as error:
        return [row | {"problem": error.message, "hint": error.hint}], error


def _needs(aws: Aws, settings: Settings, data_source_id: str) -> _Needs | None:
    with aws_errors("qbusiness:GetDataSource", f"data source {data_source_id}"):
        answer = aws.client("qbusiness").get_data_source(
            applicationId=settings.app_id, indexId=settings.index_id, dataSourceId=data_source_id
        )
    config: Any = answer.get("configuration")
    config = config if isinstance(config, Mapping) else {}
    if str(config.get("type", "S3")).upper() != "S3":
        return None
    place = config.get("connectionConfiguration", {}).get("repositoryEndpointMetadata", {})
    bucket = place.get("BucketName") or settings.bucket_of(settings.connector(data_source_id))
    more = config.get("additionalProperties", {})
    prefixes = [one for one in more.get("inclusionPrefixes") or [] if one] or [""]
    acl = str(more.get("aclConfigurationFilePath") or "")
    acl = acl.split("/", 3)[-1] if acl.startswith("s3://") else acl.lstrip("/")
    metadata = str(more.get("metadataFilesPrefix") or "").lstrip("/")
    keys = [
        *(f"{one}*" for one in prefixes),
        *([acl] if acl else []),
        *([f"{metadata}*"] if metadata else []),
    ]
    home = f"arn:{answer.get('dataSourceArn', 'arn:aws:').split(':')[1]}:s3:::{bucket}"
    key = _key(aws, settings, bucket)
    return _Needs(answer.get("roleArn", ""), home, tuple(f"{home}/{one}" for one in dict.fromkeys(keys)), key)


def _key(aws: Aws, settings: Settings, bucket: str) -> str:
    """The ARN of the key that the bucket encrypts with; where that may not be seen, the one of the settings."""
    try:
        with aws_errors("s3:GetBucketEncryption", f"bucket {bucket}"):
            answer = aws.client("s3").get_bucket_encryption(Bucket=bucket)
        rules = answer["ServerSideEncryptionConfiguration"].get("Rules", [])
        kinds = [one.get("ApplyServerSideEncryptionByDefault", {}) for one in rules]
        found = next(
            (one.get("KMSMasterKeyID", "") for one in kinds if "kms" in one.get("SSEAlgorithm", "")), ""
        )
    except AwsError as error:
        found = "" if error.code == _NO_ENCRYPTION else settings.kms_key_id
    if not found or found.startswith("arn:"):
        return found if ":key/" in found else ""
    return f"arn:aws:kms:{settings.region}:{settings.account_id}:key/{found}" if settings.account_id else ""


def _simulated(aws: Aws, needs: _Needs) -> Iterable[Row]:
    asked: list[tuple[str, tuple[str, ...]]] = [
        ("s3:ListBucket", (needs.bucket,)),
        ("s3:GetObject", needs.objects),
        *([("kms:Decrypt", (needs.key,))] if needs.key else []),
    ]
    rows: list[Row] = []
    for action, resources in asked:
        pages = (
            aws.client("iam")
            .get_paginator("simulate_principal_policy")
            .paginate(
                PolicySourceArn=needs.role,
                ActionNames=[action],
                ResourceArns=list(resources),
                ContextEntries=_context(aws, needs),
            )
        )
        with aws_errors(_CALL, f"role {needs.role}"):
            rows += [_row(one) for page in pages for one in page.get("EvaluationResults", [])]
    return rows


def _context(aws: Aws, needs: _Needs) -> list[dict[str, Any]]:
    """What is so of every request of a connector, as far as policies usually ask."""
    known = {
        "kms:ViaService": ("string", f"s3.{aws.region}.amazonaws.com"),
        "kms:EncryptionContext:aws:s3:arn": ("string", needs.bucket),
        "aws:SecureTransport": ("boolean", "true"),
        "aws:RequestedRegion": ("string", aws.region),
        "aws:PrincipalArn": ("string", needs.role),
        "aws:PrincipalAccount": ("string", _account(needs.role)),
        "aws:ResourceAccount": ("string", _account(needs.role)),
    }
    return [
        {"ContextKeyName": name, "ContextKeyValues": [value], "ContextKeyType": kind}
        for name, (kind, value) in known.items()
    ]


def _account(arn: str) -> str:
    return (arn.split(":") + [""] * 5)[4]


def _row(said: Mapping[str, Any]) -> Row:
    matched = [one.get("SourcePolicyId", "") for one in said.get("MatchedStatements", [])]
    bounds = said.get("PermissionsBoundaryDecisionDetail", {})
    if said.get("EvalDecision") != "allowed" and bounds.get("AllowedByPermissionsBoundary") is False:
        matched.append("the permissions boundary")
    if said.get("OrganizationsDecisionDetail", {}).get("AllowedByOrganizations") is False:
        matched.append("the organization's policies")
    return {
        "action": said.get("EvalActionName", ""),
        "resource": said.get("EvalResourceName", ""),
        "decision": said.get("EvalDecision", ""),
        "policies": ", ".join(dict.fromkeys(filter(None, matched))),
        "missing_context": ", ".join(said.get("MissingContextValues", [])),
    }
