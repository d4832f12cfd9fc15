"""The guardrail in an incident: what it holds now, and what of it was changed, by whom and when."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vmqlib.record.observation import Observation

__all__ = ["Guardrail", "GuardrailChange", "Mended", "guardrail", "guardrails_set", "taken_back"]

_EVENT = "UpdateChatControlsConfiguration"
_PERIOD = timedelta(hours=1)
"""So much later than its metrics' period says the blocking may have begun, and so much earlier its cause may be."""
_SHOWN = 3
_ADDED, _SET, _REMOVED = " added", " set", " removed"


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

    @property
    def loosens(self) -> bool:
        """Whether it took away phrases or topics, and did nothing else."""
        return bool(self.what) and all(one.endswith(_REMOVED) for one in self.what)

    @property
    def words(self) -> str:
        """What it did, in a few words."""
        more = f" and {len(self.what) - _SHOWN} more" if len(self.what) > _SHOWN else ""
        return ", ".join(self.what[:_SHOWN]) + more if self.what else "what, the event does not say"


@dataclass(frozen=True)
class Mended:
    """The blocking that a change of the guardrails ended.

    Parameters
    ----------
    began, at:
        Since when too much was blocked, and when that was taken back, UTC.
    change:
        What took it back.
    """

    began: datetime
    at: datetime
    change: GuardrailChange


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


def taken_back(trail: Observation | None, began: datetime) -> tuple[GuardrailChange, tuple[str, ...]] | None:
    """The newest change, where that only took phrases or topics away after the blocking had begun; and what was added
    or set around that beginning, and is still there. ``None`` where the newest change is another, or not seen. Pure.

    Parameters
    ----------
    trail:
        The source ``trail``.
    began:
        Since when too much is blocked.
    """
    done = [one for one in guardrail(None, trail).changes or () if not one.refused and one.at is not None]
    if not done or not done[0].loosens or done[0].at <= began:  # type: ignore[operator]
        return None
    left: dict[str, None] = {}
    for change in reversed([one for one in done if one.at >= began - _PERIOD]):  # type: ignore[operator]
        if not change.what:
            left["something that the event does not say"] = None
        for told in change.what:
            if told.endswith(_REMOVED):
                left.pop(told.removesuffix(_REMOVED), None)
            else:
                left[told.removesuffix(_ADDED).removesuffix(_SET)] = None
    return done[0], tuple(left)


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
