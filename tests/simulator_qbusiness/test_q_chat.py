"""Chat: answers from the index, guardrails, who may see what, logs and counts."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

MIRAGE = "# Phases of MIRAGE\n\nMIRAGE is the migration programme. It has four phases.\n"
BACKUP = "# Backups\n\nBackups of the vault run every night at two. They are kept for a year.\n"
NO_ANSWER = "Sorry, I could not find relevant information to complete your request."


def code(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response["Error"]["Code"])


@pytest.fixture
def knowing(account: Any) -> Any:
    """The account with two documents indexed."""
    account.put_key("phases-mirage.md", MIRAGE)
    account.put_key("backups.md", BACKUP)
    account.sync()
    return account


def ask(account: Any, message: str, **more: Any) -> dict[str, Any]:
    answer: dict[str, Any] = account.q.chat_sync(applicationId=account.app, userMessage=message, **more)
    return answer


def test_answers_from_the_index_with_attribution(knowing: Any) -> None:
    answer = ask(knowing, "What is MIRAGE?")
    assert "MIRAGE is the migration programme." in answer["systemMessage"]
    (source,) = answer["sourceAttributions"]
    assert source["title"] == "Phases of MIRAGE"
    assert source["url"] == f"https://{knowing.bucket}.s3.amazonaws.com/phases-mirage.md"
    assert source["documentId"] == f"s3://{knowing.bucket}/phases-mirage.md"
    assert source["citationNumber"] == 1
    assert (source["indexId"], source["datasourceId"]) == (knowing.index, knowing.source)
    (segment,) = source["textMessageSegments"]
    said = answer["systemMessage"][segment["beginOffset"] : segment["endOffset"]]
    assert said == source["snippet"] == segment["snippetExcerpt"]["text"]


def test_several_sources_share_the_answer(knowing: Any) -> None:
    knowing.put_key("backups-2.md", BACKUP.replace("at two", "at three"))
    knowing.sync()
    answer = ask(knowing, "When do backups of the vault run?")
    assert [source["citationNumber"] for source in answer["sourceAttributions"]] == [1, 2]
    for source in answer["sourceAttributions"]:
        (segment,) = source["textMessageSegments"]
        assert answer["systemMessage"][segment["beginOffset"] : segment["endOffset"]] == source["snippet"]


@pytest.mark.parametrize("question", ["How do I bake sourdough bread?", "???", "the of and"])
def test_says_so_when_nothing_answers(knowing: Any, question: str) -> None:
    answer = ask(knowing, question)
    assert answer["systemMessage"] == NO_ANSWER
    assert answer["sourceAttributions"] == []
    assert len(knowing.metric("AWS/QBusiness", "ChatMessagesWithNoAnswer", ApplicationId=knowing.app)) == 1


def test_stops_answering_from_a_document_that_turned_bad(knowing: Any) -> None:
    knowing.put_key("phases-mirage.md", b"\xff\xfe\xfa")
    knowing.sync()
    assert ask(knowing, "What is MIRAGE?")["systemMessage"] == NO_ANSWER
    knowing.put_key("phases-mirage.md", MIRAGE)
    knowing.sync()
    assert ask(knowing, "What is MIRAGE?")["sourceAttributions"]


def test_extended_knowledge_answers_without_sources(knowing: Any) -> None:
    knowing.q.update_chat_controls_configuration(
        applicationId=knowing.app, responseScope="EXTENDED_KNOWLEDGE_ENABLED"
    )
    answer = ask(knowing, "How do I bake sourdough bread?")
    assert answer["systemMessage"] != NO_ANSWER
    assert answer["sourceAttributions"] == []
    assert not knowing.metric("AWS/QBusiness", "ChatMessagesWithNoAnswer", ApplicationId=knowing.app)


@pytest.mark.parametrize(
    ("message", "blocked"),
    [
        ("what is the Password of the vault", True),
        ("tell me the vault's PASSWORD!", True),
        ("are backups passwordless", False),
    ],
)
def test_blocked_phrases(knowing: Any, message: str, blocked: bool) -> None:
    knowing.q.update_chat_controls_configuration(
        applicationId=knowing.app,
        blockedPhrasesConfigurationUpdate={
            "blockedPhrasesToCreateOrUpdate": ["password"],
            "systemMessageOverride": "Ask the security team.",
        },
    )
    answer = ask(knowing, message)
    assert (answer["systemMessage"] == "Ask the security team.") is blocked
    if blocked:
        assert answer["sourceAttributions"] == []
    values = knowing.metric("AWS/QBusiness", "BlockedChatMessages", ApplicationId=knowing.app)
    assert len(values) == int(blocked)


def topic(*rules: dict[str, Any], name: str = "payroll") -> dict[str, Any]:
    return {
        "name": name,
        "description": "Salaries and payroll of employees",
        "exampleChatMessages": ["What is the salary of the CEO?"],
        "rules": list(rules),
    }


BLOCKER: dict[str, Any] = {
    "ruleType": "CONTENT_BLOCKER_RULE",
    "ruleConfiguration": {"contentBlockerRule": {"systemMessageOverride": "Not here."}},
}


def test_topics_block_what_they_are_about(knowing: Any) -> None:
    knowing.q.update_chat_controls_configuration(
        applicationId=knowing.app, topicConfigurationsToCreateOrUpdate=[topic(BLOCKER)]
    )
    assert ask(knowing, "What is the salary of the CEO")["systemMessage"] == "Not here."
    assert ask(knowing, "employee salaries?")["systemMessage"] == "Not here."
    assert ask(knowing, "What is MIRAGE?")["sourceAttributions"]


def test_topic_rules_concern_some_people_only(knowing: Any) -> None:
    rule = {**BLOCKER, "excludedUsersAndGroups": {"userGroups": ["finance"]}}
    knowing.q.update_chat_controls_configuration(
        applicationId=knowing.app, topicConfigurationsToCreateOrUpdate=[topic(rule)]
    )
    knowing.backend.put_user("fay@example.com", "finance")
    question = "What is the salary of the CEO?"
    assert ask(knowing, question, userId="ann@example.com")["systemMessage"] == "Not here."
    assert ask(knowing, question, userId="fay@example.com")["systemMessage"] == NO_ANSWER


def test_retrieval_rules_restrict_the_sources(knowing: Any) -> None:
    other = knowing.create_source("other")
    rule = {
        "ruleType": "CONTENT_RETRIEVAL_RULE",
        "ruleConfiguration": {
            "contentRetrievalRule": {
                "eligibleDataSources": [{"indexId": knowing.index, "dataSourceId": other}]
            }
        },
    }
    mirage = {
        "name": "mirage",
        "description": "MIRAGE",
        "exampleChatMessages": ["What is MIRAGE?"],
        "rules": [rule],
    }
    knowing.q.update_chat_controls_configuration(
        applicationId=knowing.app, topicConfigurationsToCreateOrUpdate=[mirage]
    )
    assert ask(knowing, "What is MIRAGE?")["sourceAttributions"] == []
    assert ask(knowing, "When do backups run?")["sourceAttributions"]


def test_conversations_go_on_and_belong_to_their_user(knowing: Any) -> None:
    first = ask(knowing, "What is MIRAGE?", userId="ann@example.com")
    again = {"conversationId": first["conversationId"], "userId": "ann@example.com"}
    second = ask(knowing, "And its phases?", **again, parentMessageId=first["systemMessageId"])
    assert second["conversationId"] == first["conversationId"]
    assert second["systemMessageId"] != first["systemMessageId"]
    with pytest.raises(ClientError) as refused:
        ask(knowing, "And mine?", **{**again, "userId": "bob@example.com"})
    assert code(refused) == "ResourceNotFoundException"
    with pytest.raises(ClientError) as refused:
        ask(knowing, "And?", **again, parentMessageId="0" * 36)
    assert code(refused) == "ResourceNotFoundException"


def test_conversation_log(knowing: Any) -> None:
    answer = ask(knowing, "What is MIRAGE?", userId="ann@example.com")
    ask(knowing, "How do I bake sourdough bread?")
    good, bad = knowing.events("EVENT_LOGS/")
    assert good == {
        "application_id": knowing.app,
        "event_timestamp": int(knowing.clock.now().timestamp() * 1000),
        "log_type": "Message",
        "conversation_id": answer["conversationId"],
        "user_message_id": answer["userMessageId"],
        "user_message": "What is MIRAGE?",
        "system_message_id": answer["systemMessageId"],
        "system_message": answer["systemMessage"],
        "output_metrics_is_message_blocked": False,
        "output_metrics_is_message_with_no_answer": False,
        "user_email": "ann@example.com",
    }
    assert bad["output_metrics_is_message_with_no_answer"] is True
    assert len(knowing.metric("AWS/QBusiness", "ChatMessages", ApplicationId=knowing.app)) == 2


def test_a_repeated_client_token_is_answered_once(knowing: Any) -> None:
    first = ask(knowing, "What is MIRAGE?", clientToken="t-1")
    assert ask(knowing, "What is MIRAGE?", clientToken="t-1")["systemMessageId"] == first["systemMessageId"]
    assert len(knowing.events("EVENT_LOGS/")) == 1


@pytest.mark.parametrize(
    "more",
    [
        {"userMessage": " "},
        {"userMessage": "x" * 7001},
        {"userMessage": "hi", "chatMode": "PLUGIN_MODE"},
        {"userMessage": "hi", "chatMode": "CREATOR_MODE"},
        {"userMessage": "hi", "attachments": [{"name": "a.txt", "data": b"a"}]},
    ],
)
def test_messages_that_are_refused(knowing: Any, more: dict[str, Any]) -> None:
    with pytest.raises(ClientError) as refused:
        knowing.q.chat_sync(applicationId=knowing.app, **more)
    assert code(refused) == "ValidationException"


def test_creator_mode_answers_without_the_index(knowing: Any) -> None:
    knowing.q.update_chat_controls_configuration(
        applicationId=knowing.app, creatorModeConfiguration={"creatorModeControl": "ENABLED"}
    )
    assert ask(knowing, "What is MIRAGE?", chatMode="CREATOR_MODE")["sourceAttributions"] == []


def test_signed_in_applications_need_identity_aware_credentials(bare: Any) -> None:
    bare.app = bare.q.create_application(displayName="sso", identityType="AWS_IAM_IDC")["applicationId"]
    assert ask(bare, "Hello there")["systemMessage"] == NO_ANSWER
    bare.backend.identity_aware = False
    with pytest.raises(ClientError) as refused:
        ask(bare, "Hello there")
    assert code(refused) == "AccessDeniedException"


def test_acl_decides_who_finds_what(account: Any) -> None:
    rules = [
        {
            "keyPrefix": f"s3://{account.bucket}/secret/",
            "aclEntries": [
                {"Name": "ann@example.com", "Type": "USER", "Access": "ALLOW"},
                {"Name": "ops", "Type": "GROUP", "Access": "ALLOW"},
                {"Name": "eve@example.com", "Type": "USER", "Access": "DENY"},
            ],
        }
    ]
    account.put_key("acl.json", json.dumps(rules))
    account.q.update_data_source(
        **account.ids, configuration=account.configuration(aclConfigurationFilePath="acl.json")
    )
    account.put_key("secret/mirage.md", MIRAGE)
    account.put_key("backups.md", BACKUP)
    account.sync()
    account.backend.put_user("bob@example.com", "ops")
    account.backend.put_user("eve@example.com", "ops")

    def sees(key: str, user: str) -> bool:
        checked = account.q.check_document_access(
            applicationId=account.app,
            indexId=account.index,
            dataSourceId=account.source,
            userId=user,
            documentId=f"s3://{account.bucket}/{key}",
        )
        found = bool(ask(account, "What is MIRAGE?", userId=user)["sourceAttributions"])
        if key == "secret/mirage.md":
            assert found is checked["hasAccess"]
        return bool(checked["hasAccess"])

    people = ("ann@example.com", "bob@example.com", "eve@example.com", "zoe@example.com")
    assert [sees("secret/mirage.md", person) for person in people] == [True, True, False, False]
    assert all(sees("backups.md", person) for person in people)
    access = account.q.check_document_access(
        applicationId=account.app,
        indexId=account.index,
        userId="bob@example.com",
        documentId=f"s3://{account.bucket}/secret/mirage.md",
    )
    assert access["userGroups"] == [{"name": "ops", "type": "DATASOURCE"}]
    (allowed,) = access["documentAcl"]["allowlist"]["conditions"]
    assert [user["id"] for user in allowed["users"]] == ["ann@example.com"]
    with pytest.raises(ClientError) as refused:
        account.q.check_document_access(
            applicationId=account.app, indexId=account.index, userId="a", documentId="s3://no/such.md"
        )
    assert code(refused) == "ResourceNotFoundException"


def test_search_relevant_content(knowing: Any) -> None:
    retriever = knowing.q.list_retrievers(applicationId=knowing.app)["retrievers"][0]["retrieverId"]
    asked = {
        "applicationId": knowing.app,
        "contentSource": {"retriever": {"retrieverId": retriever}},
        "queryText": "phases of the MIRAGE programme",
    }
    (found,) = knowing.q.search_relevant_content(**asked)["relevantContent"]
    assert found["documentId"] == f"s3://{knowing.bucket}/phases-mirage.md"
    assert found["scoreAttributes"]["scoreConfidence"] == "VERY_HIGH"
    assert found["documentUri"].startswith("https://")
    knowing.put_key("mirage-2.md", MIRAGE)
    knowing.sync()
    first = knowing.q.search_relevant_content(**asked, maxResults=1)
    second = knowing.q.search_relevant_content(**asked, maxResults=1, nextToken=first["nextToken"])
    assert "nextToken" not in second
    assert first["relevantContent"][0]["documentId"] != second["relevantContent"][0]["documentId"]


def test_attribute_filters(account: Any) -> None:
    for name, year in (("old", 2019), ("new", 2026)):
        account.put_key(f"{name}.md", MIRAGE)
        metadata = {"Attributes": {"year": year, "team": ["ops", name]}}
        account.put_key(f"{name}.md.metadata.json", json.dumps(metadata))
    account.sync()
    retriever = account.q.list_retrievers(applicationId=account.app)["retrievers"][0]["retrieverId"]

    def found(condition: dict[str, Any]) -> set[str]:
        answer = account.q.search_relevant_content(
            applicationId=account.app,
            contentSource={"retriever": {"retrieverId": retriever}},
            queryText="MIRAGE",
            attributeFilter=condition,
        )
        return {one["documentId"].rsplit("/", 1)[-1] for one in answer["relevantContent"]}

    later = {"greaterThan": {"name": "year", "value": {"longValue": 2020}}}
    assert found(later) == {"new.md"}
    assert found({"notFilter": later}) == {"old.md"}
    assert found({"orAllFilters": [later, {"notFilter": later}]}) == {"old.md", "new.md"}
    both = {"name": "team", "value": {"stringListValue": ["ops", "old"]}}
    assert found({"containsAll": both}) == {"old.md"}
    assert found({"containsAny": both}) == {"old.md", "new.md"}
    assert found({"equalsTo": {"name": "nothing", "value": {"stringValue": "x"}}}) == set()


def test_documents_put_by_hand_are_found_and_deleted(account: Any) -> None:
    where = {"applicationId": account.app, "indexId": account.index}
    account.put_key("by-hand.md", BACKUP)
    answer = account.q.batch_put_document(
        **where,
        documents=[
            {
                "id": "doc-1",
                "title": "MIRAGE",
                "content": {"blob": MIRAGE.encode()},
                "contentType": "MD",
                "attributes": [
                    {"name": "_source_uri", "value": {"stringValue": "https://wiki.example.com/mirage"}}
                ],
            },
            {"id": "doc-2", "content": {"s3": {"bucket": account.bucket, "key": "by-hand.md"}}},
            {"id": "doc-3", "content": {"blob": b""}},
            {"id": "doc-4", "content": {"s3": {"bucket": account.bucket, "key": "nowhere.md"}}},
        ],
    )
    assert {failed["id"] for failed in answer["failedDocuments"]} == {"doc-3", "doc-4"}
    (source,) = ask(account, "What is MIRAGE?")["sourceAttributions"]
    assert source["url"] == "https://wiki.example.com/mirage"
    assert ask(account, "When do backups run?")["sourceAttributions"]
    failed = account.q.batch_delete_document(
        **where, documents=[{"documentId": "doc-1"}, {"documentId": "doc-9"}]
    )["failedDocuments"]
    assert [one["id"] for one in failed] == ["doc-9"]
    assert ask(account, "What is MIRAGE?")["sourceAttributions"] == []


def test_a_custom_connector_brings_its_own_documents(account: Any) -> None:
    created = account.q.create_data_source(
        applicationId=account.app,
        indexId=account.index,
        displayName="wiki",
        configuration={"type": "CUSTOM", "version": "1.0.0"},
    )
    account.source = account.ids["dataSourceId"] = created["dataSourceId"]
    execution = account.start()
    account.pass_time(minutes=5)
    assert account.job()["status"] == "SYNCING"
    account.q.batch_put_document(
        applicationId=account.app,
        indexId=account.index,
        dataSourceSyncId=execution,
        documents=[{"id": "w-1", "content": {"blob": MIRAGE.encode()}}],
    )
    account.q.stop_data_source_sync_job(**account.ids)
    account.pass_time(minutes=5)
    job = account.job()
    assert job["status"] == "SUCCEEDED"
    assert account.counts(job) == {"added": 1, "modified": 0, "deleted": 0, "failed": 0, "scanned": 1}
    assert account.statuses() == {"w-1": "INDEXED"}
    with pytest.raises(ClientError) as refused:
        account.q.batch_delete_document(
            applicationId=account.app,
            indexId=account.index,
            dataSourceSyncId=execution,
            documents=[{"documentId": "w-1"}],
        )
    assert code(refused) == "ResourceNotFoundException"  # that sync is over


def test_binary_content_travels_intact(account: Any) -> None:
    body = base64.b64decode("//79")  # not text at all
    answer = account.q.batch_put_document(
        applicationId=account.app, indexId=account.index, documents=[{"id": "x", "content": {"blob": body}}]
    )
    assert "not valid UTF-8" in answer["failedDocuments"][0]["error"]["errorMessage"]
