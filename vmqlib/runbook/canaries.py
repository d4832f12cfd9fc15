"""Canary questions and guardrail prompts, asked as a user would: what the guardrails do (``qbusiness:ChatSync``).

Asking is a conversation: it stands in the application's logs and metrics. So it is done only where somebody says so.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from vmqlib.awserrors import aws_errors
from vmqlib.errors import AwsError
from vmqlib.sources.base import gather

if TYPE_CHECKING:
    from vmqlib.aws import Aws
    from vmqlib.settings import Settings

__all__ = ["Answer", "Outcome", "ask", "judge"]

Outcome = Literal["answered", "blocked", "unclear", "not-asked"]
_SHOWN = 160


@dataclass(frozen=True)
class Answer:
    """What became of one question.

    Parameters
    ----------
    text:
        The question.
    expect:
        ``answered`` or ``blocked``.
    outcome:
        ``answered``: from documents; ``blocked``: with a message that the guardrails are set to give, from none;
        ``unclear``: from none, with other words: no document has the answer, or the guardrails' message is
        Q Business's own; ``not-asked``: see ``problem``.
    at:
        When it was asked, UTC.
    said:
        The beginning of the answer.
    sources:
        Documents that it cites, by URL, document id or title.
    wanted:
        Keys, one of which a good answer cites.
    problem, hint:
        Why it could not be asked, and what to do about it.
    """

    text: str
    expect: str
    outcome: Outcome
    at: datetime
    said: str = ""
    sources: tuple[str, ...] = ()
    wanted: tuple[str, ...] = ()
    problem: str = ""
    hint: str = ""

    @property
    def cites_wanted(self) -> bool:
        """Whether one of the wanted keys is among the sources."""
        return any(source.endswith(key) for source in self.sources for key in self.wanted)


def ask(aws: Aws, settings: Settings) -> tuple[Answer, ...]:
    """Asks every canary and guardrail prompt of the settings, each in a conversation of its own.

    One that cannot be asked says why; it raises nothing for that.

    Raises
    ------
    SettingsError
        Where the application's id is not set.
    """
    settings.require("app_id")
    messages = _messages(aws, settings)
    todo = [
        *((one.question, "answered", one.sources) for one in settings.canaries),
        *((one.text, str(one.expect), ()) for one in settings.guardrail_prompts),
    ]
    return tuple(
        gather(
            [partial(_ask, aws, settings, messages, text, expect, wanted) for text, expect, wanted in todo]
        )
    )


def judge(said: str, sources: Iterable[str], messages: Iterable[str]) -> Outcome:
    """What an answer is: ``messages`` are those that the guardrails are set to give."""
    if any(True for _ in sources):
        return "answered"
    return "blocked" if said.strip() in {one.strip() for one in messages if one.strip()} else "unclear"


def _ask(
    aws: Aws, settings: Settings, messages: frozenset[str], text: str, expect: str, wanted: tuple[str, ...]
) -> Answer:
    at = aws.clock.now()
    try:
        with aws_errors("qbusiness:ChatSync", f"application {settings.app_id}"):
            answer = aws.client("qbusiness").chat_sync(applicationId=settings.app_id, userMessage=text)
    except AwsError as error:
        return Answer(text, expect, "not-asked", at, wanted=wanted, problem=error.message, hint=error.hint)
    said = str(answer.get("systemMessage") or "")
    sources = tuple(_source(one) for one in answer.get("sourceAttributions") or ())
    return Answer(text, expect, judge(said, sources, messages), at, said[:_SHOWN], sources, wanted)


def _source(attribution: Mapping[str, Any]) -> str:
    return str(
        next((attribution[key] for key in ("documentId", "url", "title") if attribution.get(key)), "?")
    )


def _messages(aws: Aws, settings: Settings) -> frozenset[str]:
    """The messages that the guardrails are set to give. Without the permission to read them: none."""
    from vmqlib.sources import chatcontrols
    from vmqlib.times import Window

    now = aws.clock.now()
    try:
        rows = list(chatcontrols.read(aws, settings, Window(now, now)).rows)
    except AwsError:
        return frozenset()
    found = [
        part
        for row in rows
        if row["kind"] in ("topic", "setting") and "systemMessageOverride" in f"{row['name']}{row['value']}"
        for part in _overrides(json.loads(row["value"] or "null"))
    ]
    return frozenset(found)


def _overrides(value: Any) -> list[str]:
    """Every text under ``systemMessageOverride``; a value that is a text is one itself."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, Mapping):
        own = value.get("systemMessageOverride")
        inner = [
            part for each in value.values() if isinstance(each, Mapping | list) for part in _overrides(each)
        ]
        return [*([own] if isinstance(own, str) else []), *inner]
    if isinstance(value, list):
        return [part for each in value if isinstance(each, Mapping | list) for part in _overrides(each)]
    return []
