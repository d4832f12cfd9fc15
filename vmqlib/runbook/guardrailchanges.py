"""The guardrail in an incident: what it holds now, and what of it was changed, by whom and when."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vmqlib.record.observation import Observation

__all__ = ["Guardrail", "GuardrailChange", "guardrail", "guardrails_set"]

_EVENT = "UpdateChatControlsConfiguration"


@dataclass(frozen=True)
class GuardrailChange:
    """One change of the chat controls (CloudTrail's ``UpdateChatControlsConfiguration``).

    Parameters
    ----------
    at, who:
        When, UTC, and by whom; empty where the event does not say.
    what:
        What it set or took away, one phrase each: ``phrase “the” added``; empty where the event's parameters could
        not be read.
    refused:
        AWS's error code, where the change was refused and nothing changed.
    """

    at: datetime | None
    who: str
    what: tuple[str, ...]
    refused: str = ""


@dataclass(frozen=True)
class Guardrail:
    """The chat controls of the application.

    Parameters
    ----------
    hit:
        Whether the trigger *guardrail* fires; ``None`` where that is not known.
    phrases, topics:
        How many there are now; ``None`` where they were not seen.
    scope:
        The response scope now; empty where it was not seen.
    changes:
        Changes that took place, newest first; ``None`` where CloudTrail was not seen.
    """

    hit: bool | None = None
    phrases: int | None = None
    topics: int | None = None
    scope: str = ""
    changes: tuple[GuardrailChange, ...] | None = None


def guardrail(controls: Observation | None, trail: Observation | None, hit: bool | None = None) -> Guardrail:
    """The guardrail as far as it was seen. Pure.

    Parameters
    ----------
    controls, trail:
        The sources ``chat-controls`` and ``trail``.
    hit:
        Whether its trigger fires.
    """
    phrases = topics = None
    scope = ""
    if controls is not None and controls.available:
        kinds = controls.frame["kind"].value_counts()
        phrases, topics = int(kinds.get("blocked-phrase", 0)), int(kinds.get("topic", 0))
        settings = controls.frame[controls.frame["kind"].eq("setting")]
        named = settings.loc[
            settings["name"].fillna("").str.casefold().str.replace("-", "") == "responsescope"
        ]
        scope = "" if named.empty else str(_value(named["value"].iloc[0]))
    changes = None
    if trail is not None and trail.available:
        events = trail.frame[trail.frame["event"].eq(_EVENT)].sort_values(
            "at", ascending=False, kind="stable"
        )
        columns = (events[name].tolist() for name in ("at", "user", "parameters", "error_code"))
        changes = tuple(
            GuardrailChange(_moment(at), _text(user), guardrails_set(_text(given)), _text(refused))
            for at, user, given, refused in zip(*columns, strict=True)
        )
    return Guardrail(hit, phrases, topics, scope, changes)


def guardrails_set(parameters: str) -> tuple[str, ...]:
    """What a call of ``UpdateChatControlsConfiguration`` set or took away, one phrase each.

    Parameters
    ----------
    parameters:
        The event's parameters as JSON text; nothing is told of what cannot be read.
    """
    return tuple(_said(_read(parameters)))


def _moment(value: Any) -> datetime | None:
    found: datetime | None = None if _text(value) == "" else value.to_pydatetime()
    return found


def _text(value: Any) -> str:
    return "" if value is None or str(value) in ("<NA>", "NaT", "nan") else str(value)


def _value(text: Any) -> Any:
    try:
        return json.loads(_text(text))
    except ValueError:
        return _text(text)


def _read(text: str) -> Mapping[str, Any]:
    """An event's parameters; nothing where they were cut or are none."""
    found = _value(text)
    return found if isinstance(found, dict) else {}


def _said(given: Mapping[str, Any]) -> Iterator[str]:
    """What a call's parameters ask for, in the words of the update's own shape (botocore's model)."""
    phrases = given.get("blockedPhrasesConfigurationUpdate")
    phrases = phrases if isinstance(phrases, Mapping) else {}
    yield from (f"phrase “{one}” added" for one in _names(phrases.get("blockedPhrasesToCreateOrUpdate")))
    yield from (f"phrase “{one}” removed" for one in _names(phrases.get("blockedPhrasesToDelete")))
    if phrases.get("systemMessageOverride"):
        yield "the message for blocked prompts set"
    yield from (f"topic “{one}” set" for one in _names(given.get("topicConfigurationsToCreateOrUpdate")))
    yield from (f"topic “{one}” removed" for one in _names(given.get("topicConfigurationsToDelete")))
    if isinstance(scope := given.get("responseScope"), str) and scope:
        yield f"response scope set to {scope}"
    if given.get("creatorModeConfiguration"):
        yield "creator mode set"
    if given.get("orchestrationConfiguration"):
        yield "orchestration set"
    if given.get("hallucinationReductionConfiguration"):
        yield "hallucination reduction set"


def _names(listed: Any) -> list[str]:
    """Phrases are text; topics are mappings with a name."""
    items = listed if isinstance(listed, list) else []
    return [str(one.get("name", "")) if isinstance(one, Mapping) else str(one) for one in items]
