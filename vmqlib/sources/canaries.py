"""Canary questions and guardrail prompts, asked as a user would: what the guardrails do (``qbusiness:ChatSync``).

Asking is a conversation: it stands in the application's logs and metrics. So it is done only where somebody says so,
and the source ``canaries`` is never looked at by itself. Each question leaves a trace
(:mod:`vmqlib.sources.ownquestions`): nobody is to take it for a user's.

Who asks matters. An application for anonymous users takes any caller. One with IAM Identity Center takes a signed-in
user's session only: that of ``chat_profile``, where the settings name one. Where neither can ask, a person has to.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from vmqlib.awserrors import aws_errors
from vmqlib.errors import (
    AccessDenied,
    AwsError,
    CredentialsExpired,
    CredentialsMissing,
    ResourceMissing,
    StorageError,
    Throttled,
)
from vmqlib.sources.base import TEXT, TIME, Column, Reading, Row, Source, gather, moment
from vmqlib.sources.ownquestions import LOST, REFUSED, Trace
from vmqlib.times import parse_iso

if TYPE_CHECKING:
    import pandas as pd

    from vmqlib.aws import Aws
    from vmqlib.settings import Settings
    from vmqlib.times import Window

__all__ = ["SOURCE", "Answer", "Outcome", "answers", "ask", "judge", "read"]

Outcome = Literal["answered", "blocked", "unclear", "not-asked"]
_SHOWN = 160
_ANSWER_S = 60  # an answer is written by a model: that takes longer than a look


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
    identity:
        Who asked, in words; empty where that is not known.
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
    identity: str = ""

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
    asker = _Asker(aws, settings)
    todo = [
        *((one.question, "answered", one.sources) for one in settings.canaries),
        *((one.text, str(one.expect), ()) for one in settings.guardrail_prompts),
    ]
    return tuple(
        gather([partial(_ask, asker, messages, text, expect, wanted) for text, expect, wanted in todo])
    )


def judge(said: str, sources: Iterable[str], messages: Iterable[str]) -> Outcome:
    """What an answer is: ``messages`` are those that the guardrails are set to give."""
    if any(True for _ in sources):
        return "answered"
    return "blocked" if said.strip() in {one.strip() for one in messages if one.strip()} else "unclear"


class _Asker:
    """Who asks, and how: the caller, or the identity-aware session of the settings' ``chat_profile``."""

    def __init__(self, aws: Aws, settings: Settings) -> None:
        from vmqlib.aws import Aws

        self.clock = aws.clock
        self.trace = Trace(settings)
        self.app_id = settings.app_id
        self.profile = settings.chat_profile
        who = Aws(settings, aws.clock, profile=self.profile) if self.profile else aws
        self.client = who.own_client("qbusiness", read_s=_ANSWER_S)
        self._type = _identity_type(aws, settings)

    @property
    def identity(self) -> str:
        """Who asks, in words."""
        if self.profile:
            return f"the session of the AWS profile {self.profile}"
        return "an anonymous user" if self._type == "ANONYMOUS" else "the caller's own session"

    def hint(self, error: AwsError) -> str:
        """What to do where the question was refused."""
        if self._type in ("", "ANONYMOUS") or error.code != "AccessDeniedException":
            return error.hint
        return (
            "This application wants a signed-in user: name an AWS profile with identity-aware credentials as "
            "chat_profile in vmq.toml, or ask in the web experience and note the answer."
        )


def _ask(asker: _Asker, messages: frozenset[str], text: str, expect: str, wanted: tuple[str, ...]) -> Answer:
    at = asker.clock.now()

    def not_asked(problem: str, hint: str) -> Answer:
        return Answer(
            text, expect, "not-asked", at, wanted=wanted, problem=problem, hint=hint, identity=asker.identity
        )

    try:
        ask_id = asker.trace.asking(at, text)
    except StorageError as error:
        return not_asked(error.message, error.hint)
    try:
        with aws_errors("qbusiness:ChatSync", f"application {asker.app_id}"):
            answer = asker.client.chat_sync(applicationId=asker.app_id, userMessage=text)
    except AwsError as error:
        asker.trace.ended(ask_id, asker.clock.now(), REFUSED if _was_refused(error) else LOST)
        return not_asked(error.message, asker.hint(error))
    said = str(answer.get("systemMessage") or "")
    sources = tuple(_source(one) for one in answer.get("sourceAttributions") or ())
    outcome = judge(said, sources, messages)
    asker.trace.ended(ask_id, asker.clock.now(), outcome, str(answer.get("conversationId") or ""))
    return Answer(text, expect, outcome, at, said[:_SHOWN], sources, wanted, identity=asker.identity)


def _was_refused(error: AwsError) -> bool:
    """Whether AWS certainly did not take the question: it said so, and not that it failed at it."""
    certain = (AccessDenied, CredentialsExpired, CredentialsMissing, ResourceMissing, Throttled)
    return isinstance(error, certain) or error.code == "ValidationException"


def _identity_type(aws: Aws, settings: Settings) -> str:
    """How the application knows its users (``identityType``); empty where that may not be read."""
    try:
        with aws_errors("qbusiness:GetApplication", f"application {settings.app_id}"):
            found = aws.client("qbusiness").get_application(applicationId=settings.app_id)
    except AwsError:
        return ""
    return str(found.get("identityType", ""))


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


# -- as a source: what was asked is kept as evidence

_COLUMNS = {
    "text": Column(TEXT, "", "the question or prompt"),
    "expect": Column(TEXT, "", "answered or blocked"),
    "outcome": Column(TEXT, "", "answered, blocked, unclear or not-asked"),
    "at": Column(TIME, "", "when it was asked"),
    "said": Column(TEXT, "", "the beginning of the answer"),
    "sources": Column(TEXT, "", "documents that it cites, as a JSON list"),
    "wanted": Column(TEXT, "", "keys, one of which a good answer cites, as a JSON list"),
    "problem": Column(TEXT, "", "why it could not be asked"),
    "hint": Column(TEXT, "", "what to do about that"),
    "identity": Column(TEXT, "", "who asked"),
}


def read(aws: Aws, settings: Settings, _window: Window, **_: str) -> Reading:
    """One row for each question and prompt of the settings, asked now (``qbusiness:ChatSync``).

    Raises
    ------
    SettingsError
        Where the application's id is not set.
    """
    rows = [_row(one) for one in ask(aws, settings)]
    missing = [row["text"] for row in rows if row["outcome"] == "not-asked"]
    return Reading(
        source="canaries",
        call="qbusiness:ChatSync",
        parameters={"applicationId": settings.app_id},
        rows=rows,
        complete=not missing,
        stopped=f"{len(missing)} of {len(rows)} could not be asked" if missing else "",
    )


def _row(answer: Answer) -> Row:
    return {name: getattr(answer, name) for name in _COLUMNS} | {
        "at": moment(answer.at),
        "sources": json.dumps(answer.sources),
        "wanted": json.dumps(answer.wanted),
    }


SOURCE = Source("canaries", "Canary questions", read, _COLUMNS, routine=False)


def answers(frame: pd.DataFrame) -> tuple[Answer, ...]:
    """The answers that a frame of the source ``canaries`` holds."""
    rows = frame.fillna({name: "" for name in _COLUMNS if name != "at"}).to_dict("records")
    return tuple(
        Answer(
            **{
                name: row[name]
                for name in ("text", "expect", "outcome", "said", "problem", "hint", "identity")
            },
            at=parse_iso(row["at"].isoformat()),
            sources=tuple(json.loads(row["sources"] or "[]")),
            wanted=tuple(json.loads(row["wanted"] or "[]")),
        )
        for row in rows
    )
