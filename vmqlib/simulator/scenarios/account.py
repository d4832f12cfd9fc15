"""VaultMesh's account as its ops repo sets it up: bucket, Q Business, alarms, notifications, dashboard."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from vmqlib.simulator.identity import ACCESS_KEY_ID, ACCOUNT_ID, REGION, SECRET_ACCESS_KEY, Resources
from vmqlib.simulator.scenarios.dashboard import dashboard_body
from vmqlib.simulator.scenarios.documents import ACL_KEY, METADATA_PREFIX
from vmqlib.simulator.scenarios.stage import Stage

__all__ = [
    "BUCKET",
    "DASHBOARD",
    "ESCALATIONS",
    "GUARDRAILS",
    "block_phrase",
    "drop_expired_messages",
    "set_up",
]

BUCKET = "vaultmesh-knowledge-base"
ESCALATIONS = "ops-escalations"
DASHBOARD = "VaultMesh-QBusiness"
_DEPLOYER = "vaultmesh-deploy"
_RETENTION = 14 * 24 * 3600  # seconds
GUARDRAILS: dict[str, Any] = {
    "responseScope": "ENTERPRISE_CONTENT_ONLY",
    "blockedPhrasesConfigurationUpdate": {
        "blockedPhrasesToCreateOrUpdate": ["password", "private key"],
        "systemMessageOverride": "This assistant does not talk about that. Ask in #ask-vaultmesh.",
    },
}
_TOPIC_ARN = f"arn:aws:sns:{REGION}:{ACCOUNT_ID}:{ESCALATIONS}"


def set_up(stage: Stage, at: datetime, schedule: str) -> None:
    """Creates everything at ``at`` and notes the ids in ``stage.resources``.

    Parameters
    ----------
    stage:
        The empty account.
    at:
        When that was.
    schedule:
        The data source's sync schedule, a cron expression.
    """
    from vmqlib.simulator.aws_gaps.cloudtrail import acting_as

    with stage.clock.at(at), acting_as(_DEPLOYER):
        role = _people_and_roles(stage)
        key_id = _key(stage)
        _bucket(stage, key_id)
        stage.resources = _q_business(stage, role, key_id, schedule)
        _deliveries(stage)
        _escalations(stage)
        _alarms(stage)
        _dashboard(stage)


def _people_and_roles(stage: Stage) -> str:
    iam = stage.client("iam")
    iam.create_user(UserName="on-call")
    _give_known_key("on-call")
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "qbusiness.amazonaws.com"},
                "Action": "sts:AssumeRole",
                "Condition": {"StringEquals": {"aws:SourceAccount": ACCOUNT_ID}},
            }
        ],
    }
    role = iam.create_role(RoleName="vaultmesh-qbusiness-s3", AssumeRolePolicyDocument=json.dumps(trust))
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": ["s3:GetObject", "s3:ListBucket"],
                "Resource": [f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/*"],
            },
            {
                "Effect": "Allow",
                "Action": "kms:Decrypt",
                "Resource": f"arn:aws:kms:{REGION}:{ACCOUNT_ID}:key/*",
                "Condition": {"StringLike": {"kms:ViaService": f"s3.{REGION}.amazonaws.com"}},
            },
            {
                "Effect": "Allow",
                "Action": ["qbusiness:BatchPutDocument", "qbusiness:BatchDeleteDocument"],
                "Resource": "*",
            },
        ],
    }
    iam.put_role_policy(
        RoleName="vaultmesh-qbusiness-s3", PolicyName="read-knowledge-base", PolicyDocument=json.dumps(policy)
    )
    return str(role["Role"]["Arn"])


def _give_known_key(user: str) -> None:
    """Lets the credentials that the simulator hands out belong to ``user``, so that STS names them."""
    from moto.iam.models import iam_backends

    backend: Any = iam_backends[ACCOUNT_ID]["aws"]
    made = backend.create_access_key(user)
    backend.access_keys.pop(made.access_key_id, None)
    made.access_key_id, made.secret_access_key = ACCESS_KEY_ID, SECRET_ACCESS_KEY
    backend.access_keys[ACCESS_KEY_ID] = made


def _key(stage: Stage) -> str:
    kms = stage.client("kms")
    key_id = str(kms.create_key(Description="VaultMesh knowledge base")["KeyMetadata"]["KeyId"])
    kms.create_alias(AliasName="alias/vaultmesh-knowledge-base", TargetKeyId=key_id)
    return key_id


def _bucket(stage: Stage, key_id: str) -> None:
    s3 = stage.client("s3")
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    encryption = {
        "SSEAlgorithm": "aws:kms",
        "KMSMasterKeyID": f"arn:aws:kms:{REGION}:{ACCOUNT_ID}:key/{key_id}",
    }
    s3.put_bucket_encryption(
        Bucket=BUCKET,
        ServerSideEncryptionConfiguration={
            "Rules": [{"ApplyServerSideEncryptionByDefault": encryption, "BucketKeyEnabled": True}]
        },
    )
    s3.put_bucket_tagging(Bucket=BUCKET, Tagging={"TagSet": [{"Key": "owner", "Value": "knowledge-ops"}]})


def _q_business(stage: Stage, role: str, key_id: str, schedule: str) -> Resources:
    q = stage.client("qbusiness")
    app = q.create_application(displayName="vaultmesh-assistant", identityType="ANONYMOUS")["applicationId"]
    index = q.create_index(applicationId=app, displayName="vaultmesh-index", type="ENTERPRISE")["indexId"]
    retriever = q.create_retriever(
        applicationId=app,
        displayName="vaultmesh-retriever",
        type="NATIVE_INDEX",
        configuration={"nativeIndexConfiguration": {"indexId": index}},
    )["retrieverId"]
    source = q.create_data_source(
        applicationId=app,
        indexId=index,
        displayName="vaultmesh-s3",
        roleArn=role,
        syncSchedule=schedule,
        configuration=_connector(),
    )["dataSourceId"]
    web = q.create_web_experience(applicationId=app, title="VaultMesh assistant")["webExperienceId"]
    q.update_chat_controls_configuration(applicationId=app, **GUARDRAILS)
    return Resources(BUCKET, app, index, retriever, source, web, key_id)


def _connector() -> dict[str, Any]:
    return {
        "type": "S3",
        "version": "1.0.0",
        "syncMode": "FULL_CRAWL",
        "connectionConfiguration": {"repositoryEndpointMetadata": {"BucketName": BUCKET}},
        "repositoryConfigurations": {
            "document": {
                "fieldMappings": [
                    {
                        "indexFieldName": "_source_uri",
                        "indexFieldType": "STRING",
                        "dataSourceFieldName": "s3_uri",
                    }
                ]
            }
        },
        "additionalProperties": {
            "inclusionPatterns": ["*.md"],
            "exclusionPatterns": [],
            "inclusionPrefixes": [],
            "exclusionPrefixes": ["_staging/", "ci/", "audit/"],
            "aclConfigurationFilePath": f"s3://{BUCKET}/{ACL_KEY}",
            "metadataFilesPrefix": METADATA_PREFIX,
            "enableDeletionProtection": "true",
            "deletionProtectionThreshold": "15",
        },
    }


def _deliveries(stage: Stage) -> None:
    """The log group, and the vended deliveries that fill it."""
    app = stage.resources.app_id
    group = f"/aws/qbusiness/{app}"
    logs = stage.client("logs")
    logs.create_log_group(logGroupName=group)
    logs.put_retention_policy(logGroupName=group, retentionInDays=90)
    destination = logs.put_delivery_destination(
        name="vaultmesh-qbusiness",
        outputFormat="json",
        deliveryDestinationConfiguration={
            "destinationResourceArn": f"arn:aws:logs:{REGION}:{ACCOUNT_ID}:log-group:{group}"
        },
    )["deliveryDestination"]["arn"]
    application = f"arn:aws:qbusiness:{REGION}:{ACCOUNT_ID}:application/{app}"
    for log_type in ("SYNC_JOB_LOGS", "EVENT_LOGS"):
        name = f"vaultmesh-{log_type.lower().replace('_', '-')}"
        logs.put_delivery_source(name=name, resourceArn=application, logType=log_type)
        logs.create_delivery(deliverySourceName=name, deliveryDestinationArn=destination)


def _escalations(stage: Stage) -> None:
    from vmqlib.simulator.aws_gaps.sns import token_of

    sns, sqs = stage.client("sns"), stage.client("sqs")
    sns.create_topic(Name=ESCALATIONS)
    sqs.create_queue(QueueName=ESCALATIONS, Attributes={"MessageRetentionPeriod": str(_RETENTION)})
    queue = f"arn:aws:sqs:{REGION}:{ACCOUNT_ID}:{ESCALATIONS}"
    sns.subscribe(TopicArn=_TOPIC_ARN, Protocol="sqs", Endpoint=queue)
    mail = sns.subscribe(
        TopicArn=_TOPIC_ARN,
        Protocol="email",
        Endpoint="knowledge-ops@vaultmesh.io",
        ReturnSubscriptionArn=True,
    )["SubscriptionArn"]
    sns.confirm_subscription(TopicArn=_TOPIC_ARN, Token=token_of(mail))


def block_phrase(stage: Stage, phrase: str, who: str) -> None:
    """One more blocked phrase, as ``who`` adds it to the guardrails."""
    from vmqlib.simulator.aws_gaps.cloudtrail import acting_as

    with acting_as(who):
        stage.client("qbusiness").update_chat_controls_configuration(
            applicationId=stage.resources.app_id,
            blockedPhrasesConfigurationUpdate={"blockedPhrasesToCreateOrUpdate": [phrase]},
        )


def drop_expired_messages(stage: Stage) -> None:
    """What SQS does by itself. moto answers nothing at all while an expired message is the first of a queue."""
    from moto.sqs.models import sqs_backends

    oldest = (stage.now.timestamp() - _RETENTION) * 1000
    queue: Any = sqs_backends[ACCOUNT_ID][REGION].queues[ESCALATIONS]
    queue._messages[:] = [message for message in queue._messages if message.sent_timestamp > oldest]


def _alarms(stage: Stage) -> None:
    """Both of the runbook's, with the dimension that their metrics are published with."""
    cloudwatch = stage.client("cloudwatch")
    common: dict[str, Any] = {
        "Namespace": "VaultMesh/QBusiness",
        "Dimensions": [{"Name": "App", "Value": stage.resources.app_id}],
        "Threshold": 1.0,
        "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        "EvaluationPeriods": 1,
        "DatapointsToAlarm": 1,
        "ActionsEnabled": True,
        "AlarmActions": [_TOPIC_ARN],
        "OKActions": [_TOPIC_ARN],
    }
    cloudwatch.put_metric_alarm(
        AlarmName="QBusinessSyncFailed",
        AlarmDescription="A sync of the knowledge base FAILED or was INCOMPLETE.",
        MetricName="SyncFailed",
        Statistic="Sum",
        Period=int(stage.watch_every.total_seconds()),
        TreatMissingData="notBreaching",
        **common,
    )
    cloudwatch.put_metric_alarm(
        AlarmName="QBusinessNoSync",
        AlarmDescription="No sync of the knowledge base has succeeded for 24 hours.",
        MetricName="NoSync",
        Statistic="Maximum",
        Period=86400,
        TreatMissingData="ignore",
        **common,
    )


def _dashboard(stage: Stage) -> None:
    body = dashboard_body(stage.resources)
    stage.client("cloudwatch").put_dashboard(DashboardName=DASHBOARD, DashboardBody=body)
