"""Applications, indices, retrievers, data sources, web experiences, tags, chat controls: the whole life of each."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

NOWHERE = "00000000-0000-4000-8000-000000000000"


def code(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response["Error"]["Code"])


def test_application(bare: Any) -> None:
    created = bare.q.create_application(
        displayName="vaultmesh",
        description="The knowledge base",
        roleArn=bare.role,
        identityType="AWS_IAM_IDC",
        identityCenterInstanceArn="arn:aws:sso:::instance/ssoins-1234567890abcdef",
        encryptionConfiguration={"kmsKeyId": "alias/kb"},
        tags=[{"key": "team", "value": "ops"}],
    )
    where = {"applicationId": created["applicationId"]}
    assert created["applicationArn"].endswith(f":application/{created['applicationId']}")
    got = bare.q.get_application(**where)
    assert (got["displayName"], got["status"], got["createdAt"]) == ("vaultmesh", "ACTIVE", bare.started)
    assert got["identityCenterApplicationArn"].startswith("arn:aws:sso::")
    bare.pass_time(minutes=1)
    bare.q.update_application(**where, description="Changed")
    got = bare.q.get_application(**where)
    assert (got["description"], got["displayName"]) == ("Changed", "vaultmesh")
    assert got["updatedAt"] == bare.started + timedelta(minutes=1)
    (listed,) = bare.q.list_applications()["applications"]
    assert listed["applicationId"] == where["applicationId"]
    bare.q.delete_application(**where)
    assert bare.q.list_applications()["applications"] == []


def test_index_retriever_and_web_experience(account: Any) -> None:
    where = {"applicationId": account.app}
    index = {**where, "indexId": account.index}
    account.q.update_index(
        **index,
        capacityConfiguration={"units": 2},
        documentAttributeConfigurations=[{"name": "year", "type": "NUMBER", "search": "ENABLED"}],
    )
    got = account.q.get_index(**index)
    assert (got["type"], got["capacityConfiguration"]) == ("ENTERPRISE", {"units": 2})
    assert got["documentAttributeConfigurations"][0]["name"] == "year"
    assert [one["indexId"] for one in account.q.list_indices(**where)["indices"]] == [account.index]

    (listed,) = account.q.list_retrievers(**where)["retrievers"]
    retriever = {**where, "retrieverId": listed["retrieverId"]}
    account.q.update_retriever(**retriever, displayName="renamed")
    assert account.q.get_retriever(**retriever)["displayName"] == "renamed"
    account.q.delete_retriever(**retriever)
    assert account.q.list_retrievers(**where)["retrievers"] == []

    created = account.q.create_web_experience(**where, title="Ask", origins=["https://example.com"])
    web = {**where, "webExperienceId": created["webExperienceId"]}
    account.q.update_web_experience(**web, subtitle="anything")
    got = account.q.get_web_experience(**web)
    assert (got["title"], got["subtitle"]) == ("Ask", "anything")
    assert got["defaultEndpoint"].startswith("https://")
    assert len(account.q.list_web_experiences(**where)["webExperiences"]) == 1
    account.q.delete_web_experience(**web)

    account.q.delete_index(**index)
    with pytest.raises(ClientError) as refused:
        account.q.get_data_source(**account.ids)  # it went with its index
    assert refused.value.response["resourceType"] == "INDEX"


def test_data_source(account: Any) -> None:
    got = account.q.get_data_source(**account.ids)
    assert (got["type"], got["syncSchedule"], got["status"]) == ("S3", "", "ACTIVE")
    assert got["configuration"] == account.configuration()
    ids = {"applicationId": account.app, "indexId": account.index}
    for number in range(11):
        account.create_source(f"more-{number}")
    pages = list(account.q.get_paginator("list_data_sources").paginate(**ids))
    assert [len(page["dataSources"]) for page in pages] == [10, 2]
    with pytest.raises(ClientError) as refused:
        account.q.update_data_source(**account.ids, configuration={"type": "CUSTOM"})
    assert code(refused) == "ValidationException"


def test_deleting_a_data_source_takes_its_documents_along(account: Any) -> None:
    account.put(a="# A")
    account.sync()
    account.start()
    with pytest.raises(ClientError) as refused:
        account.q.delete_data_source(**account.ids)
    assert code(refused) == "ConflictException"
    account.pass_time(hours=1)
    account.q.delete_data_source(**account.ids)
    listed = account.q.list_documents(applicationId=account.app, indexId=account.index)
    assert listed["documentDetailList"] == []
    with pytest.raises(ClientError) as refused:
        account.job()
    assert code(refused) == "ResourceNotFoundException"


def test_deleting_an_application_takes_everything_along(account: Any) -> None:
    account.q.delete_application(applicationId=account.app)
    with pytest.raises(ClientError) as refused:
        account.q.get_data_source(**account.ids)
    assert refused.value.response["resourceType"] == "APPLICATION"


@pytest.mark.parametrize(
    ("member", "kind"),
    [("applicationId", "APPLICATION"), ("indexId", "INDEX"), ("dataSourceId", "DATA_SOURCE")],
)
def test_wrong_ids_are_not_found(account: Any, member: str, kind: str) -> None:
    for operation in ("get_data_source", "start_data_source_sync_job", "list_data_source_sync_jobs"):
        with pytest.raises(ClientError) as refused:
            getattr(account.q, operation)(**{**account.ids, member: NOWHERE})
        assert code(refused) == "ResourceNotFoundException"
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404
        assert (refused.value.response["resourceId"], refused.value.response["resourceType"]) == (
            NOWHERE,
            kind,
        )


def test_an_index_of_another_application_is_not_found(account: Any) -> None:
    other = account.q.create_application(displayName="other")["applicationId"]
    with pytest.raises(ClientError) as refused:
        account.q.get_data_source(**{**account.ids, "applicationId": other})
    assert refused.value.response["resourceType"] == "INDEX"


@pytest.mark.parametrize(
    ("operation", "params", "field"),
    [
        ("create_application", {"displayName": "no spaces"}, "displayName"),
        ("create_application", {"displayName": "x" * 1001}, "displayName"),
        ("create_application", {"displayName": "x", "identityType": "NONE"}, "identityType"),
        ("create_application", {"displayName": "x", "roleArn": "role"}, "roleArn"),
        ("get_application", {"applicationId": "-" * 36}, "applicationId"),
        ("list_applications", {"maxResults": 101}, "maxResults"),
    ],
)
def test_input_is_held_against_the_model(
    bare: Any, operation: str, params: dict[str, Any], field: str
) -> None:
    with pytest.raises(ClientError) as refused:
        getattr(bare.q, operation)(**params)
    response = refused.value.response
    assert response["Error"]["Code"] == "ValidationException"
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert response["reason"] == "FIELD_VALIDATION_FAILED"
    assert [one["name"] for one in response["fields"]] == [field]


@pytest.mark.parametrize(
    "configuration",
    [
        {},
        {"type": "S3"},
        {"type": "S3", "connectionConfiguration": {"repositoryEndpointMetadata": {}}},
        {
            "type": "S3",
            "syncMode": "SOMETIMES",
            "connectionConfiguration": {"repositoryEndpointMetadata": {"BucketName": "b"}},
        },
        {
            "type": "S3",
            "connectionConfiguration": {"repositoryEndpointMetadata": {"BucketName": "b"}},
            "additionalProperties": {"inclusionPatterns": "*.md"},
        },
    ],
)
def test_connector_configurations_are_checked(account: Any, configuration: dict[str, Any]) -> None:
    with pytest.raises(ClientError) as refused:
        account.q.create_data_source(
            applicationId=account.app, indexId=account.index, displayName="x", configuration=configuration
        )
    assert code(refused) == "ValidationException"


def test_the_newer_s3_template_is_read_too() -> None:
    from vmqlib.simulator.qbusiness.connector import S3Connector

    connector = S3Connector.read(
        {
            "type": "S3V2",
            "connectionConfiguration": {"bucketName": "b", "bucketOwnerAccountId": "123456789012"},
            "filterConfiguration": {"exclusionPrefixes": ["audit/"]},
            "accessControlConfiguration": {"aclConfigurationFilePath": "s3://b/acl.json"},
        }
    )
    assert (connector.bucket, connector.acl_path) == ("b", "acl.json")
    assert not connector.is_document("audit/x.md")


def test_client_tokens_make_creation_idempotent(bare: Any) -> None:
    first = bare.q.create_application(displayName="one", clientToken="t")
    again = bare.q.create_application(displayName="one", clientToken="t")
    assert first["applicationId"] == again["applicationId"]
    assert len(bare.q.list_applications()["applications"]) == 1
    with pytest.raises(ClientError) as refused:
        bare.q.create_application(displayName="two", clientToken="t")
    assert code(refused) == "ConflictException"


def test_tags(account: Any) -> None:
    arn = account.q.get_data_source(**account.ids)["dataSourceArn"]
    account.q.tag_resource(resourceARN=arn, tags=[{"key": "a", "value": "1"}, {"key": "b", "value": ""}])
    account.q.tag_resource(resourceARN=arn, tags=[{"key": "a", "value": "2"}])
    account.q.untag_resource(resourceARN=arn, tagKeys=["b"])
    assert account.q.list_tags_for_resource(resourceARN=arn)["tags"] == [{"key": "a", "value": "2"}]
    with pytest.raises(ClientError) as refused:
        account.q.list_tags_for_resource(resourceARN=arn.replace(account.source, NOWHERE))
    assert code(refused) == "ResourceNotFoundException"


def test_documents_are_listed_in_pages_of_a_hundred(account: Any) -> None:
    account.put(**{f"d{i:03}": f"# {i}" for i in range(150)})
    account.sync()
    where = {"applicationId": account.app, "indexId": account.index}
    first = account.q.list_documents(**where)
    assert len(first["documentDetailList"]) == 100
    second = account.q.list_documents(**where, nextToken=first["nextToken"])
    assert len(second["documentDetailList"]) == 50
    assert len(account.statuses()) == 150
    with pytest.raises(ClientError) as refused:
        account.q.list_documents(**where, maxResults=101)
    assert code(refused) == "ValidationException"
    with pytest.raises(ClientError) as refused:
        account.q.list_documents(**where, dataSourceIds=[NOWHERE])
    assert code(refused) == "ResourceNotFoundException"


def test_chat_controls_come_back_in_the_other_shape(account: Any) -> None:
    where = {"applicationId": account.app}
    got = account.q.get_chat_controls_configuration(**where)
    assert (got["responseScope"], got["topicConfigurations"]) == ("ENTERPRISE_CONTENT_ONLY", [])
    topic = {
        "name": "payroll",
        "description": "Salaries",
        "exampleChatMessages": ["What does she earn?"],
        "rules": [{"ruleType": "CONTENT_BLOCKER_RULE", "ruleConfiguration": {"contentBlockerRule": {}}}],
    }
    account.q.update_chat_controls_configuration(
        **where,
        responseScope="EXTENDED_KNOWLEDGE_ENABLED",
        blockedPhrasesConfigurationUpdate={
            "blockedPhrasesToCreateOrUpdate": ["password", "Secret key"],
            "systemMessageOverride": "No.",
        },
        topicConfigurationsToCreateOrUpdate=[topic],
        hallucinationReductionConfiguration={"hallucinationReductionControl": "ENABLED"},
    )
    account.q.update_chat_controls_configuration(
        **where,
        blockedPhrasesConfigurationUpdate={
            "blockedPhrasesToDelete": ["PASSWORD"],
            "blockedPhrasesToCreateOrUpdate": ["token"],
        },
    )
    got = account.q.get_chat_controls_configuration(**where)
    assert got["responseScope"] == "EXTENDED_KNOWLEDGE_ENABLED"
    assert got["blockedPhrases"] == {
        "blockedPhrases": ["Secret key", "token"],
        "systemMessageOverride": "No.",
    }
    assert got["topicConfigurations"] == [topic]
    assert got["hallucinationReductionConfiguration"] == {"hallucinationReductionControl": "ENABLED"}
    account.q.update_chat_controls_configuration(**where, topicConfigurationsToDelete=[topic])
    assert account.q.get_chat_controls_configuration(**where)["topicConfigurations"] == []


@pytest.mark.parametrize(
    ("update", "refusal"),
    [
        (
            {"blockedPhrasesConfigurationUpdate": {"blockedPhrasesToCreateOrUpdate": ["x" * 37]}},
            "ValidationException",
        ),
        (
            {
                "blockedPhrasesConfigurationUpdate": {
                    "blockedPhrasesToCreateOrUpdate": [f"p{i}" for i in range(21)]
                }
            },
            "ServiceQuotaExceededException",
        ),
        (
            {"topicConfigurationsToCreateOrUpdate": [{"name": "with space", "rules": []}]},
            "ValidationException",
        ),
        (
            {"topicConfigurationsToCreateOrUpdate": [{"name": f"t{i}", "rules": []} for i in range(11)]},
            "ValidationException",
        ),
        (
            {"topicConfigurationsToCreateOrUpdate": [{"name": "t", "description": "x" * 351, "rules": []}]},
            "ValidationException",
        ),
        (
            {
                "topicConfigurationsToCreateOrUpdate": [
                    {
                        "name": "t",
                        "rules": [
                            {
                                "ruleType": "CONTENT_BLOCKER_RULE",
                                "ruleConfiguration": {"contentRetrievalRule": {}},
                            }
                        ],
                    }
                ]
            },
            "ValidationException",
        ),
        (
            {
                "topicConfigurationsToCreateOrUpdate": [
                    {"name": "t", "rules": [{"ruleType": "CONTENT_WARNING"}]}
                ]
            },
            "ValidationException",
        ),
        ({"responseScope": "ANYTHING"}, "ValidationException"),
    ],
)
def test_limits_of_chat_controls(account: Any, update: dict[str, Any], refusal: str) -> None:
    with pytest.raises(ClientError) as refused:
        account.q.update_chat_controls_configuration(applicationId=account.app, **update)
    assert code(refused) == refusal


def test_topics_add_up_to_ten_at_most(account: Any) -> None:
    def add(prefix: str, count: int) -> None:
        topics = [{"name": f"{prefix}{i}", "rules": []} for i in range(count)]
        account.q.update_chat_controls_configuration(
            applicationId=account.app, topicConfigurationsToCreateOrUpdate=topics
        )

    add("a", 6)
    with pytest.raises(ClientError) as refused:
        add("b", 5)
    assert code(refused) == "ServiceQuotaExceededException"
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 402
    got = account.q.get_chat_controls_configuration(applicationId=account.app, maxResults=4)
    assert len(got["topicConfigurations"]) == 4
    rest = account.q.get_chat_controls_configuration(applicationId=account.app, nextToken=got["nextToken"])
    assert len(rest["topicConfigurations"]) == 2  # the refused update changed nothing
