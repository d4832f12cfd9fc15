"""Chat controls: blocked phrases, topics and the response scope, and what they make of a message.

GetChatControlsConfiguration answers in another shape than UpdateChatControlsConfiguration takes: an update
names what is created or changed and what is deleted. Limits (user guide, "Service quotas"): 20 blocked
phrases, 10 topics.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from vmqlib.simulator.qbusiness.exceptions import QuotaExceeded, Validation
from vmqlib.simulator.qbusiness.index import tokens
from vmqlib.simulator.qbusiness.paging import page
from vmqlib.simulator.qbusiness.resources import Resources

__all__ = ["ChatControls", "Controls", "Verdict"]

_MOST_PHRASES = 20
_MOST_TOPICS = 10
_ALIKE = 0.6  # share of words in common that makes a message one of a topic's
_BLOCKED = "Sorry, your administrator has blocked this type of question or message."
_CONFIGURATION_OF = {
    "CONTENT_BLOCKER_RULE": "contentBlockerRule",
    "CONTENT_RETRIEVAL_RULE": "contentRetrievalRule",
}


@dataclass(frozen=True)
class Verdict:
    """What the controls make of a message.

    Parameters
    ----------
    blocked_by:
        What blocked it, for tests and logs; "" when it may pass.
    system_message:
        What the user reads instead of an answer.
    data_sources:
        The data sources that may answer; None for all.
    """

    blocked_by: str = ""
    system_message: str = ""
    data_sources: frozenset[str] | None = None


@dataclass
class Controls:
    """The chat controls of one application.

    Parameters
    ----------
    response_scope:
        ``ENTERPRISE_CONTENT_ONLY`` or ``EXTENDED_KNOWLEDGE_ENABLED``.
    phrases:
        Blocked phrases.
    phrases_message:
        What a user reads who used one; "" for the service's own.
    topics:
        Topic configurations by name, as the API has them.
    switches:
        The members that are just switched on and off, by name, as the API has them.
    """

    response_scope: str = "ENTERPRISE_CONTENT_ONLY"
    phrases: list[str] = field(default_factory=list)
    phrases_message: str = ""
    topics: dict[str, dict[str, Any]] = field(default_factory=dict)
    switches: dict[str, dict[str, Any]] = field(
        default_factory=lambda: {
            "orchestrationConfiguration": {"control": "DISABLED"},
            "creatorModeConfiguration": {"creatorModeControl": "DISABLED"},
            "hallucinationReductionConfiguration": {"hallucinationReductionControl": "DISABLED"},
        }
    )

    @property
    def has_creator_mode(self) -> bool:
        """Whether users may ask the model itself."""
        return bool(self.switches["creatorModeConfiguration"]["creatorModeControl"] == "ENABLED")

    def judge(self, message: str, user: str | None, groups: frozenset[str]) -> Verdict:
        """What becomes of ``message`` from a user (None: anonymous) who is in ``groups``."""
        for phrase in self.phrases:
            if phrase and re.search(rf"(?<!\w){re.escape(phrase)}(?!\w)", message, re.IGNORECASE):
                return Verdict(f"phrase {phrase!r}", self.phrases_message or _BLOCKED)
        eligible: set[str] | None = None
        for topic in self.topics.values():
            if not _is_about(message, topic):
                continue
            for rule in topic["rules"]:
                if not _concerns(rule, user, groups):
                    continue
                configuration = rule.get("ruleConfiguration") or {}
                if rule["ruleType"] == "CONTENT_BLOCKER_RULE":
                    override = (configuration.get("contentBlockerRule") or {}).get("systemMessageOverride")
                    return Verdict(f"topic {topic['name']}", override or _BLOCKED)
                sources = (configuration.get("contentRetrievalRule") or {}).get("eligibleDataSources") or ()
                eligible = (eligible or set()) | {
                    one["dataSourceId"] for one in sources if "dataSourceId" in one
                }
        return Verdict(data_sources=None if eligible is None else frozenset(eligible))


class ChatControls:
    """Answers Get- and UpdateChatControlsConfiguration, and keeps the controls of each application.

    Parameters
    ----------
    resources:
        Where applications and data sources are looked up.
    """

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._of: dict[str, Controls] = {}

    def operations(self) -> dict[str, Callable[[dict[str, Any]], dict[str, Any]]]:
        """The API operations that this part answers."""
        return {
            "GetChatControlsConfiguration": self._get,
            "UpdateChatControlsConfiguration": self._update,
            "DeleteChatControlsConfiguration": self._delete,
        }

    def of(self, application_id: str) -> Controls:
        """The controls of an application; the service's defaults until they are set."""
        return self._of.get(application_id, Controls())

    def forget(self, application_id: str) -> None:
        """Drops the controls of an application that was deleted."""
        self._of.pop(application_id, None)

    def _get(self, params: dict[str, Any]) -> dict[str, Any]:
        application = self._resources.get("APPLICATION", params)
        controls = self.of(application.resource_id)
        scope = f"topics/{application.resource_id}"
        topics, more = page(list(controls.topics.values()), params, default=50, scope=scope)
        blocked: dict[str, Any] = {"blockedPhrases": list(controls.phrases)}
        if controls.phrases_message:
            blocked["systemMessageOverride"] = controls.phrases_message
        return {
            "responseScope": controls.response_scope,
            **controls.switches,
            "blockedPhrases": blocked,
            "topicConfigurations": topics,
            **more,
        }

    def _update(self, params: dict[str, Any]) -> dict[str, Any]:
        application_id = self._resources.get("APPLICATION", params).resource_id
        before = self.of(application_id)
        after = Controls(
            response_scope=params.get("responseScope") or before.response_scope,
            switches={name: params.get(name) or value for name, value in before.switches.items()},
        )
        update = params.get("blockedPhrasesConfigurationUpdate") or {}
        after.phrases = _phrases(before.phrases, update)
        message = update.get("systemMessageOverride")
        after.phrases_message = before.phrases_message if message is None else message
        after.topics = self._topics(before.topics, params)
        if len(after.phrases) > _MOST_PHRASES:
            text = f"An application has at most {_MOST_PHRASES} blocked phrases, not {len(after.phrases)}."
            raise QuotaExceeded(text, application_id, "APPLICATION")
        if len(after.topics) > _MOST_TOPICS:
            text = f"An application has at most {_MOST_TOPICS} topics, not {len(after.topics)}."
            raise QuotaExceeded(text, application_id, "APPLICATION")
        self._of[application_id] = after
        return {}

    def _delete(self, params: dict[str, Any]) -> dict[str, Any]:
        self.forget(self._resources.get("APPLICATION", params).resource_id)
        return {}

    def _topics(
        self, before: Mapping[str, dict[str, Any]], params: dict[str, Any]
    ) -> dict[str, dict[str, Any]]:
        topics = dict(before)
        for topic in params.get("topicConfigurationsToDelete") or ():
            topics.pop(topic["name"], None)
        for topic in params.get("topicConfigurationsToCreateOrUpdate") or ():
            for rule in topic["rules"]:
                self._check_rule(rule, params["applicationId"])
            topics[topic["name"]] = topic
        return topics

    def _check_rule(self, rule: Mapping[str, Any], application_id: str) -> None:
        configuration = rule.get("ruleConfiguration") or {}
        wanted = _CONFIGURATION_OF[rule["ruleType"]]
        if any(name != wanted for name, value in configuration.items() if value is not None):
            raise Validation(
                f"A rule of type {rule['ruleType']} takes a {wanted}.",
                [("ruleConfiguration", "does not fit the ruleType")],
            )
        sources = (configuration.get("contentRetrievalRule") or {}).get("eligibleDataSources") or ()
        for source in sources:
            if "indexId" in source and "dataSourceId" in source:
                self._resources.get("DATA_SOURCE", {"applicationId": application_id, **source})


def _phrases(before: list[str], update: Mapping[str, Any]) -> list[str]:
    dropped = {phrase.lower() for phrase in update.get("blockedPhrasesToDelete") or ()}
    kept = {phrase.lower(): phrase for phrase in before if phrase.lower() not in dropped}
    for phrase in update.get("blockedPhrasesToCreateOrUpdate") or ():
        kept[phrase.lower()] = phrase
    return list(kept.values())


def _is_about(message: str, topic: Mapping[str, Any]) -> bool:
    words = set(tokens(message))
    samples = [topic.get("description") or "", *(topic.get("exampleChatMessages") or ())]
    return any(_alike(words, set(tokens(sample))) for sample in samples)


def _alike(words: set[str], sample: set[str]) -> bool:
    smaller = min(len(words), len(sample))
    common = len(words & sample)
    return common >= min(2, max(1, smaller)) and common / smaller >= _ALIKE


def _concerns(rule: Mapping[str, Any], user: str | None, groups: frozenset[str]) -> bool:
    included, excluded = rule.get("includedUsersAndGroups"), rule.get("excludedUsersAndGroups")
    if excluded and _among(excluded, user, groups):
        return False
    return not included or _among(included, user, groups)


def _among(people: Mapping[str, Any], user: str | None, groups: frozenset[str]) -> bool:
    return user in (people.get("userIds") or ()) or not groups.isdisjoint(people.get("userGroups") or ())
