"""Each check of the doctor on the local AWS: as it is set up, with something wrong, and where AWS refuses to say."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from support.looks import NOW, job, look

from vmqlib.aws import Aws
from vmqlib.runbook import doctor
from vmqlib.runbook.checks import CheckResult
from vmqlib.runbook.wiring.bucket import KEPT, VERSIONED
from vmqlib.settings import Connector, Settings
from vmqlib.simulator.server import LocalAws

pytestmark = pytest.mark.slow

BUCKET = "vaultmesh-knowledge-base"
Examine = Callable[..., list[CheckResult]]


@pytest.fixture
def settings(local_aws: LocalAws, point_at: Callable[[Any], None]) -> Settings:
    point_at(local_aws)
    return Settings.load()


@pytest.fixture
def client(settings: Settings) -> Iterator[Callable[[Any], Any]]:
    aws = Aws(settings)
    yield aws.client
    aws.close()


@pytest.fixture
def examine(local_aws: LocalAws, settings: Settings) -> Iterator[Examine]:
    """``examine("Bucket", read_conversations=True)``: the results under one heading, worst first."""

    def call(title: str, **changes: Any) -> list[CheckResult]:
        mine = settings.model_copy(update=changes)
        aws = Aws(mine, max_attempts=1)
        checks = [one for one in doctor.CHECKS if one.title == title]
        try:
            seen = doctor.look(aws, mine, checks=checks)
        finally:
            aws.close()
        return list(doctor.examine(seen, mine, local_aws.clock.now(), checks=checks).checks)

    yield call
    local_aws.faults.clear()


def outcomes(results: list[CheckResult]) -> dict[str, bool | None]:
    """The worst outcome of each check, by name."""
    return {one.name: one.ok for one in reversed(results)}


def deny(local_aws: LocalAws, service: str, *operations: str) -> None:
    for operation in operations:
        local_aws.faults.add(service, operation, code="AccessDenied")


def test_as_it_is_set_up_nothing_fails_and_nothing_is_unknown(examine: Examine) -> None:
    for title in {one.title for one in doctor.CHECKS}:
        assert {one.ok for one in examine(title)} == {True}, title


# -- bucket


def test_versioning_that_is_suspended(examine: Examine, client: Any, local_aws: LocalAws) -> None:
    client("s3").put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Suspended"})
    try:
        (bad,) = [one for one in examine("Bucket") if one.ok is False]
    finally:
        client("s3").put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    assert (bad.name, bad.subject) == (VERSIONED, BUCKET)
    assert "Status=Enabled" in bad.mend


@pytest.mark.parametrize(
    ("rule", "ok", "words"),
    [
        ({"NoncurrentVersionExpiration": {"NoncurrentDays": 90}}, True, "90 days"),
        ({"NoncurrentVersionExpiration": {"NoncurrentDays": 3}}, False, "weekend"),
        ({"NoncurrentVersionExpiration": {"NoncurrentDays": 3, "NewerNoncurrentVersions": 5}}, None, "5 newest"),
        (
            {"NoncurrentVersionExpiration": {"NoncurrentDays": 1}, "Filter": {"Prefix": "_staging/"}}, True,
            "concerns no document",
        ),
        ({"NoncurrentVersionTransitions": [{"NoncurrentDays": 2, "StorageClass": "GLACIER"}]}, False, "thawed"),
        ({"NoncurrentVersionTransitions": [{"NoncurrentDays": 2, "StorageClass": "STANDARD_IA"}]}, True, "takes no"),
        ({"Expiration": {"Days": 365}}, False, "deletes documents"),
        ({"Expiration": {"ExpiredObjectDeleteMarker": True}}, True, "no rollback needs"),
        ({"NoncurrentVersionExpiration": {"NoncurrentDays": 1}, "Status": "Disabled"}, True, "no lifecycle rule"),
    ],
)  # fmt: skip
def test_lifecycle_rules(
    examine: Examine, client: Any, rule: dict[str, Any], ok: bool | None, words: str
) -> None:
    whole = {"ID": "r", "Status": "Enabled", "Filter": {"Prefix": ""}} | rule
    client("s3").put_bucket_lifecycle_configuration(Bucket=BUCKET, LifecycleConfiguration={"Rules": [whole]})
    try:
        (kept,) = [one for one in examine("Bucket") if one.name == KEPT]
    finally:
        client("s3").delete_bucket_lifecycle(Bucket=BUCKET)
    assert kept.ok is ok
    assert words in kept.finding
    assert bool(kept.mend) is (ok is not True)


@pytest.mark.parametrize(("days", "ok"), [(30, True), (10, False)])
def test_days_are_compared_with_the_last_good_sync(days: int, ok: bool) -> None:
    """Three weeks without a good sync: what ten days keep is gone."""
    settings = Settings.load(
        app_id="0c7e6f0a-91b2-4d5e-8f3a-b6c4d2e1f0a9", ds_id="f7c1bd87-4da5-4709-9471-3d60c8a70639"
    )
    rules = [{"ID": "r", "Status": "Enabled", "NoncurrentVersionExpiration": {"NoncurrentDays": days}}]
    seen = {
        "bucket-health": look(
            "bucket-health", [{"bucket": BUCKET, "aspect": "lifecycle", "value": json.dumps(rules)}]
        ),
        "sync-jobs": look("sync-jobs", [job("SUCCEEDED", NOW - timedelta(days=21)), job("FAILED", NOW)]),
    }
    checks = [one for one in doctor.CHECKS if one.title == "Bucket"]
    (kept,) = doctor.examine(seen, settings, NOW, checks=checks).checks
    assert kept.ok is ok
    assert "21 d" in kept.finding


def test_a_key_that_the_settings_do_not_know(examine: Examine) -> None:
    (bad,) = [
        one for one in examine("Bucket", kms_key_id="00000000-0000-0000-0000-000000000000") if not one.ok
    ]
    assert bad.ok is False
    assert "KMS_KEY_ID" in bad.mend


def test_a_bucket_that_may_not_be_looked_at(examine: Examine, local_aws: LocalAws) -> None:
    deny(local_aws, "s3", "GetBucketLifecycleConfiguration")
    results = {one.name: one for one in examine("Bucket")}
    assert results[KEPT].ok is None
    assert "s3:GetLifecycleConfiguration" in results[KEPT].mend
    assert results[VERSIONED].ok is True
    deny(local_aws, "s3", "GetBucketVersioning", "GetBucketEncryption")
    assert {one.ok for one in examine("Bucket")} == {None}


# -- logs


def test_a_log_delivery_that_is_gone_and_comes_back(
    examine: Examine, client: Any, settings: Settings
) -> None:
    logs = client("logs")
    sources = {one["logType"]: one["name"] for one in logs.describe_delivery_sources()["deliverySources"]}
    name = sources["SYNC_JOB_LOGS"]
    every = logs.describe_deliveries()["deliveries"]
    (delivery,) = [one for one in every if one["deliverySourceName"] == name]
    logs.delete_delivery(id=delivery["id"])
    (without,) = examine("Logs")
    assert without.ok is False
    assert "source without a delivery" in without.finding
    assert f"create-delivery --region eu-west-1 --delivery-source-name {name}" in without.mend
    assert "put-delivery-source" not in without.mend
    logs.delete_delivery_source(name=name)
    (gone,) = examine("Logs")
    assert gone.ok is False
    application = f"arn:aws:qbusiness:eu-west-1:{settings.account_id}:application/{settings.app_id}"
    assert f"--resource-arn {application} --log-type SYNC_JOB_LOGS" in gone.mend
    logs.put_delivery_source(name=name, resourceArn=application, logType="SYNC_JOB_LOGS")
    logs.create_delivery(deliverySourceName=name, deliveryDestinationArn=delivery["deliveryDestinationArn"])
    assert outcomes(examine("Logs")) == {"logs are delivered": True}


def test_logs_that_are_delivered_elsewhere(examine: Examine, settings: Settings) -> None:
    arn = "arn:aws:logs:eu-west-1:123456789012:log-group:/vended/q:*"
    row = {
        "log_type": "SYNC_JOB_LOGS",
        "source": "s",
        "delivery": "d",
        "destination_type": "CWL",
        "destination": arn,
    }
    checks = [one for one in doctor.CHECKS if one.title == "Logs"]

    def check(mine: Settings, **changes: str) -> CheckResult:
        seen = {"log-deliveries": look("log-deliveries", [row | changes])}
        (result,) = doctor.examine(seen, mine, NOW, checks=checks).checks
        return result

    elsewhere = check(settings)
    assert elsewhere.ok is False
    assert 'log_groups = ["/vended/q"]' in elsewhere.mend
    assert check(settings.model_copy(update={"log_groups": ("/vended/q",)})).ok is True
    assert check(settings, destination_type="S3", destination="arn:aws:s3:::b").ok is False
    assert check(settings, destination="").ok is None


def test_the_conversation_log_only_where_it_is_wanted(examine: Examine) -> None:
    assert [one.subject for one in examine("Logs")] == ["SYNC_JOB_LOGS"]
    assert [one.subject for one in examine("Logs", read_conversations=True)] == [
        "SYNC_JOB_LOGS",
        "EVENT_LOGS",
    ]


def test_deliveries_that_may_not_be_looked_at(examine: Examine, local_aws: LocalAws) -> None:
    deny(local_aws, "logs", "DescribeDeliveryDestinations")
    (where,) = examine("Logs")
    assert where.ok is None
    assert "logs:DescribeDeliveryDestinations" in where.mend
    deny(local_aws, "logs", "DescribeDeliverySources")
    (none,) = examine("Logs")
    assert none.ok is None
    assert "logs:DescribeDeliverySources" in none.mend


# -- role


def test_a_role_that_may_not_be_looked_at(examine: Examine, local_aws: LocalAws) -> None:
    deny(local_aws, "iam", "SimulatePrincipalPolicy")
    (result,) = examine("Connector's role")
    assert result.ok is None
    assert "iam:SimulatePrincipalPolicy" in result.mend


def test_a_role_that_lost_its_key_and_one_whose_condition_nobody_knows(examine: Examine, client: Any) -> None:
    iam, where = client("iam"), {"RoleName": "vaultmesh-qbusiness-s3", "PolicyName": "read-knowledge-base"}
    before = iam.get_role_policy(**where)["PolicyDocument"]
    no_key = {**before, "Statement": [one for one in before["Statement"] if "kms" not in str(one["Action"])]}
    reading = {**before["Statement"][0], "Condition": {"StringEquals": {"aws:PrincipalTag/team": "docs"}}}
    tagged = {**before, "Statement": [reading, *before["Statement"][1:]]}
    try:
        iam.put_role_policy(**where, PolicyDocument=json.dumps(no_key))
        (lost,) = examine("Connector's role")
        iam.put_role_policy(**where, PolicyDocument=json.dumps(tagged))
        asks = examine("Connector's role")
    finally:
        iam.put_role_policy(**where, PolicyDocument=json.dumps(before))
    assert lost.ok is False
    assert "kms:Decrypt" in lost.finding
    assert '"Action": "kms:Decrypt"' in lost.mend
    assert {one.ok for one in asks} == {None}
    assert "aws:PrincipalTag/team" in asks[0].finding


def test_another_kind_of_connector_is_not_judged(examine: Examine, settings: Settings, client: Any) -> None:
    made = client("qbusiness").create_data_source(
        applicationId=settings.app_id, indexId=settings.index_id, displayName="wiki",
        configuration={"type": "CONFLUENCEV2", "syncMode": "FULL_CRAWL"},
    )  # fmt: skip
    wiki = Connector(name="wiki", data_source_id=made["dataSourceId"])
    results = examine("Connector's role", connectors=(wiki,))
    assert [one.ok for one in results] == [None]
    assert "no S3 connector" in results[0].finding
    client("qbusiness").delete_data_source(
        applicationId=settings.app_id, indexId=settings.index_id, dataSourceId=made["dataSourceId"]
    )


# -- ids


def test_an_id_that_is_not_there(examine: Examine) -> None:
    (bad,) = [
        one
        for one in examine("Application", retriever_id="00000000-0000-0000-0000-000000000000")
        if not one.ok
    ]
    assert bad.ok is False
    assert "list-retrievers" in bad.mend


def test_no_schedule_and_no_safeguard(examine: Examine, client: Any, settings: Settings) -> None:
    q = client("qbusiness")
    source = {"applicationId": settings.app_id, "indexId": settings.index_id, "dataSourceId": settings.ds_id}
    before = q.get_data_source(**source)
    changed = json.loads(json.dumps(before["configuration"]))
    changed["additionalProperties"]["enableDeletionProtection"] = "false"
    try:
        q.update_data_source(**source, syncSchedule="", configuration=changed)
        results = {one.name: one for one in examine("Application") if one.ok is False}
    finally:
        q.update_data_source(
            **source, syncSchedule=before["syncSchedule"], configuration=before["configuration"]
        )
    assert set(results) == {"sync schedule is on", "deletion safeguard is on"}
    assert f"--data-source-id {settings.ds_id} --sync-schedule" in results["sync schedule is on"].mend


def test_an_index_that_may_not_be_looked_at(examine: Examine, local_aws: LocalAws) -> None:
    deny(local_aws, "qbusiness", "GetIndex")
    (unknown,) = [one for one in examine("Application") if one.ok is not True]
    assert unknown.ok is None
    assert "qbusiness:GetIndex" in unknown.mend


# -- settings, account, permissions


def test_another_account(examine: Examine) -> None:
    (bad,) = [one for one in examine("Settings and account", account_id="999999999999") if not one.ok]
    assert bad.ok is False
    assert "123456789012" in bad.finding
    (unset,) = [one for one in examine("Settings and account", account_id="") if not one.ok]
    assert unset.ok is None
    assert unset.mend == "Write ACCOUNT_ID='123456789012' in .env."


def test_ids_that_are_not_set(examine: Examine) -> None:
    results = [one for one in examine("Settings and account", index_id="", ds_id="") if not one.ok]
    assert {one.subject for one in results} == {"INDEX_ID", "DS_ID"}
    assert all("aws qbusiness list-" in one.mend for one in results)


def test_folders_that_cannot_be_written(examine: Examine, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    before = sorted(tmp_path.rglob("*"))
    results = examine("Settings and account", incidents=file / "below", operations_runbook=tmp_path)
    assert [one.ok for one in results].count(False) == 2
    assert sorted(tmp_path.rglob("*")) == before, "nothing was made"


def test_each_refused_call_names_the_permission(examine: Examine, local_aws: LocalAws) -> None:
    deny(local_aws, "qbusiness", "ListDocuments")
    deny(local_aws, "s3", "ListObjectVersions", "GetObject")
    deny(local_aws, "cloudtrail", "LookupEvents")
    local_aws.faults.add("logs", "FilterLogEvents", code="ThrottlingException")
    results = examine("Permissions to look")
    refused = {one.subject: one.mend for one in results if one.ok is False}
    assert set(refused) == {
        "qbusiness:ListDocuments", "s3:ListBucketVersions", "s3:GetObject", "cloudtrail:LookupEvents",
    }  # fmt: skip
    assert all(f"Grant {action} on" in mend for action, mend in refused.items())
    (unknown,) = [one for one in results if one.ok is None]
    assert unknown.subject == "logs:FilterLogEvents"


def test_reading_old_versions_is_the_rollbacks_affair_and_not_the_roles(
    examine: Examine, local_aws: LocalAws
) -> None:
    """That we are refused it does not say that nobody may: cannot tell, and the role is not asked for it."""
    assert not [one for one in examine("Permissions to look") if not one.ok]
    deny(local_aws, "s3", "HeadObject")
    (unknown,) = [one for one in examine("Permissions to look") if not one.ok]
    assert (unknown.ok, unknown.subject) == (None, "s3:GetObjectVersion")
    assert "rollback" in unknown.finding
    assert "Grant s3:GetObjectVersion on" in unknown.mend
    assert not [one for one in examine("Connector's role") if "GetObjectVersion" in one.finding]


# -- alarms, as far as AWS has to say something


@pytest.mark.parametrize(
    ("service", "operation", "permission", "unknown"),
    [
        (
            "cloudwatch",
            "DescribeAlarms",
            "cloudwatch:DescribeAlarms",
            {"alarm exists", "alarm sees its metric"},
        ),
        ("cloudwatch", "ListMetrics", "cloudwatch:ListMetrics", {"alarm sees its metric"}),
        ("cloudwatch", "GetMetricData", "cloudwatch:GetMetricData", {"alarm sees its metric"}),
        ("sns", "ListSubscriptionsByTopic", "sns:ListSubscriptionsByTopic", {"alarm tells somebody"}),
    ],
)
def test_what_is_refused_about_alarms(
    examine: Examine, local_aws: LocalAws, service: str, operation: str, permission: str, unknown: set[str]
) -> None:
    deny(local_aws, service, operation)
    results = examine("Alarms")
    assert not [one for one in results if one.ok is False]
    assert {one.name for one in results if one.ok is None} >= unknown
    assert all(permission in one.mend for one in results if one.name in unknown)


def test_one_check_that_breaks_costs_its_own_lines_alone(settings: Settings) -> None:
    def broken(*_: Any) -> list[CheckResult]:
        raise ValueError("boom")

    checks = [doctor.Check("Broken", (), broken), *(one for one in doctor.CHECKS if not one.needs)]
    found = doctor.examine({}, settings, NOW, checks=checks)
    assert [one.ok for part in found.parts for one in part.checks if part.title == "Broken"] == [None]
    assert found.count(True) == 5
