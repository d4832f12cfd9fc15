"""ChatSync: a message goes through the chat controls, is answered from the index, logged and counted.

A blocked message answers the system message with no source attribution. Without a document that is good
enough, the answer says so; with EXTENDED_KNOWLEDGE_ENABLED the model would answer from what it knows, which
is only marked here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from vmqlib.simulator.qbusiness.context import Context
from vmqlib.simulator.qbusiness.controls import ChatControls
from vmqlib.simulator.qbusiness.exceptions import AccessDenied, ResourceNotFound, Validation
from vmqlib.simulator.qbusiness.index import Hit
from vmqlib.simulator.qbusiness.logs import EVENT_LOGS
from vmqlib.simulator.qbusiness.metrics import AWS
from vmqlib.simulator.qbusiness.resources import Resource, Resources
from vmqlib.simulator.qbusiness.retrieval import Asker, Retrieval, index_id, passage, web_uri
from vmqlib.simulator.qbusiness.timing import now

__all__ = ["Chat"]

_NO_ANSWER = "Sorry, I could not find relevant information to complete your request."
_FROM_KNOWLEDGE = (
    "No enterprise document has the answer. From general knowledge: this is what is commonly known."
)
_GOOD_ENOUGH = 0.5  # share of the question's words, by weight, that a document must have to answer
_NEAR_THE_BEST = 0.6  # score, as a share of the best hit's, that makes a document one more source
_MOST_SOURCES = 3
_LONGEST = 2048
_LONGEST_QUESTION = 7000
_SIGNED_IN = frozenset({"AWS_IAM_IDC", "AWS_IAM_IDP_SAML", "AWS_IAM_IDP_OIDC", "AWS_QUICKSIGHT_IDP"})


@dataclass
class _Conversation:
    """A conversation's messages, by id, and whose it is."""

    application_id: str
    user: str | None
    messages: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class _Answer:
    """What is said, on what grounds, and how it is counted."""

    text: str
    sources: tuple[dict[str, Any], ...] = ()
    blocked: bool = False
    unanswered: bool = False


class Chat:
    """Answers ChatSync.

    Parameters
    ----------
    context:
        Shared with the other parts.
    resources:
        Where applications and retrievers are looked up.
    controls:
        The applications' guardrails.
    retrieval:
        Finds documents.
    """

    def __init__(
        self, context: Context, resources: Resources, controls: ChatControls, retrieval: Retrieval
    ) -> None:
        self._context = context
        self._resources = resources
        self._controls = controls
        self._retrieval = retrieval
        self._conversations: dict[str, _Conversation] = {}

    def operations(self) -> dict[str, Callable[[dict[str, Any]], dict[str, Any]]]:
        """The API operations that this part answers."""
        return {"ChatSync": self._chat}

    def _chat(self, params: dict[str, Any]) -> dict[str, Any]:
        application = self._resources.get("APPLICATION", params)
        self._check(application, params)
        user = params.get("userId")
        conversation_id, conversation = self._conversation(application.resource_id, user, params)
        groups = frozenset(params.get("userGroups") or ()) | self._context.groups_of(user)
        answer = self._answer(application, params, Asker(user, groups))
        user_message_id, system_message_id = self._context.new_id(), self._context.new_id()
        conversation.messages |= {user_message_id, system_message_id}
        ids = {
            "conversationId": conversation_id,
            "userMessageId": user_message_id,
            "systemMessageId": system_message_id,
        }
        self._note(application, ids, params["userMessage"], answer, user)
        return {
            **ids,
            "systemMessage": answer.text,
            "sourceAttributions": list(answer.sources),
            "failedAttachments": [],
        }

    def _check(self, application: Resource, params: Mapping[str, Any]) -> None:
        message = params.get("userMessage") or ""
        if not message.strip():
            raise Validation("The userMessage is empty.", [("userMessage", "is required")])
        if len(message) > _LONGEST_QUESTION:
            raise Validation(
                f"The userMessage is longer than {_LONGEST_QUESTION} characters.",
                [("userMessage", "is too long")],
            )
        for name in ("attachments", "actionExecution", "authChallengeResponse"):
            if params.get(name):
                raise Validation(f"The simulator does not have {name}.", [(name, "is not simulated")])
        signed_in = application.settings.get("identityType") in _SIGNED_IN
        if signed_in and not self._context.identity_aware:
            raise AccessDenied(
                "The credentials are not identity-aware: this application needs a signed-in user."
            )
        mode = params.get("chatMode")
        if mode == "PLUGIN_MODE":
            raise Validation("The simulator has no plugins.", [("chatMode", "PLUGIN_MODE is not simulated")])
        if mode == "CREATOR_MODE" and not self._controls.of(application.resource_id).has_creator_mode:
            raise Validation("Creator mode is disabled.", [("chatMode", "CREATOR_MODE is disabled")])

    def _conversation(
        self, application_id: str, user: str | None, params: Mapping[str, Any]
    ) -> tuple[str, _Conversation]:
        wanted, parent = params.get("conversationId"), params.get("parentMessageId")
        if wanted is None:
            conversation_id = self._context.new_id()
            self._conversations[conversation_id] = _Conversation(application_id, user)
            return conversation_id, self._conversations[conversation_id]
        conversation = self._conversations.get(wanted)
        if conversation is None or conversation.application_id != application_id or conversation.user != user:
            raise ResourceNotFound(wanted, "CONVERSATION")
        if parent is not None and parent not in conversation.messages:
            raise ResourceNotFound(parent, "MESSAGE")
        return wanted, conversation

    def _answer(self, application: Resource, params: Mapping[str, Any], asker: Asker) -> _Answer:
        question = params["userMessage"]
        controls = self._controls.of(application.resource_id)
        verdict = controls.judge(question, asker.user, asker.groups)
        if verdict.blocked_by:
            return _Answer(verdict.system_message, blocked=True)
        if params.get("chatMode") == "CREATOR_MODE":
            return _Answer(_FROM_KNOWLEDGE)
        for retriever in self._resources.all("RETRIEVER", applicationId=application.resource_id):
            hits = self._retrieval.find(
                retriever,
                question,
                asker,
                attributes=params.get("attributeFilter"),
                data_sources=verdict.data_sources,
            )
            good = [hit for hit in hits if hit.coverage >= _GOOD_ENOUGH]
            if good:
                return _quote(good, question, index_id(retriever))
        if controls.response_scope == "EXTENDED_KNOWLEDGE_ENABLED":
            return _Answer(_FROM_KNOWLEDGE)
        return _Answer(_NO_ANSWER, unanswered=True)

    def _note(
        self, application: Resource, ids: Mapping[str, str], question: str, answer: _Answer, user: str | None
    ) -> None:
        at, application_id = now(), application.resource_id
        event = {
            "application_id": application_id,
            "event_timestamp": int(at.timestamp() * 1000),
            "log_type": "Message",
            "conversation_id": ids["conversationId"],
            "user_message_id": ids["userMessageId"],
            "user_message": question,
            "system_message_id": ids["systemMessageId"],
            "system_message": answer.text,
            "output_metrics_is_message_blocked": answer.blocked,
            "output_metrics_is_message_with_no_answer": answer.unanswered,
            "user_email": user or "",
        }
        self._context.logs.write(application_id, EVENT_LOGS, f"EVENT_LOGS/{application_id}", [(at, event)])
        values = {"ChatMessages": 1.0}
        if answer.blocked:
            values["BlockedChatMessages"] = 1.0
        if answer.unanswered:
            values["ChatMessagesWithNoAnswer"] = 1.0
        self._context.metrics.put(AWS, values, {"ApplicationId": application_id}, at)


def _quote(hits: list[Hit], question: str, searched: str) -> _Answer:
    """An answer that quotes the best hits, each attributed to the stretch of text that is its own."""
    text = ""
    sources: list[dict[str, Any]] = []
    best = max(hit.score for hit in hits)
    near = [hit for hit in hits if hit.score >= _NEAR_THE_BEST * best]
    for number, hit in enumerate(near[:_MOST_SOURCES], start=1):
        document, quoted = hit.document, passage(hit.document, question)
        begin = len(text) + (1 if text else 0)
        if sources and begin + len(quoted) > _LONGEST:
            break
        text = f"{text} {quoted}" if text else quoted
        source = {
            "title": document.title[:_LONGEST],
            "snippet": quoted,
            "citationNumber": number,
            "updatedAt": document.updated_at,
            "documentId": document.document_id,
            "indexId": searched,
            "textMessageSegments": [
                {"beginOffset": begin, "endOffset": len(text), "snippetExcerpt": {"text": quoted}}
            ],
        }
        if uri := web_uri(document):
            source["url"] = uri
        if document.data_source_id:
            source["datasourceId"] = document.data_source_id
        sources.append(source)
    return _Answer(text, tuple(sources))
