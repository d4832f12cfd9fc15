"""The first questions in words: what is wrong, since when, how bad, what changed, what to do next.

The notebook's first screen and ``vmq show`` say the same, since both say this.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from vmqlib.runbook.severity import given_by_person
from vmqlib.runbook.wording import many
from vmqlib.times import duration, show_time

if TYPE_CHECKING:
    from datetime import datetime

    from vmqlib.record.summary import Summary
    from vmqlib.runbook.overview import Overview
    from vmqlib.runbook.questions import Asked
    from vmqlib.runbook.triggers import Verdict

__all__ = ["Answer", "Line", "Question", "answers"]

Question = Literal["wrong", "since", "how bad", "affected", "changed", "next", "who"]

_KEYS = 3
_SUSPECTS = 2
_STEPS = 2
_LONGEST = 350


@dataclass(frozen=True)
class Line:
    """One line of an answer.

    Parameters
    ----------
    text:
        What is so.
    lead:
        What it is about, where it is one of several: a trigger, a step.
    command:
        What to type; empty where there is nothing.
    """

    text: str
    lead: str = ""
    command: str = ""

    def __str__(self) -> str:
        return f"{self.lead}: {self.text}" if self.lead else self.text


@dataclass(frozen=True)
class Answer:
    """The answer to one question; always there, and where it is not known it says so.

    Parameters
    ----------
    question:
        Which.
    lines:
        The answer, the most important first.
    """

    question: Question
    lines: tuple[Line, ...]


def answers(told: Overview) -> tuple[Answer, ...]:
    """All of them, in the order in which they are asked. Of a closed incident nothing is next."""
    summary = told.incident.summary()
    found = [
        Answer("wrong", tuple(_wrong(told))),
        Answer("since", tuple(_since(told))),
        Answer("how bad", tuple(_how_bad(told))),
        Answer("affected", tuple(_affected(told))),
        Answer("changed", tuple(_changed(told))),
    ]
    if not summary.closed_at:
        found += [Answer("next", tuple(_next(told))), Answer("who", tuple(_who(told, summary)))]
    return tuple(found)


def _wrong(told: Overview) -> Iterator[Line]:
    verdicts, firing = told.detection.triggers, told.detection.firing
    quiet = [one.trigger for one in verdicts if one.verdict == "quiet"]
    for place, one in enumerate(firing, 1):
        why = _why(one)
        if quiet and place == len(firing):
            why += f" Quiet: {', '.join(quiet)}."
        yield Line(why, f"{one.trigger} fires ({one.confidence} confidence)")
    if any(one.trigger == "content" for one in firing):
        yield from (
            Line(each.text, "look at it") for each in told.detection.findings if each.kind == "new-folder"
        )
    if not firing:
        yield Line(
            f"No trigger fires now; quiet: {', '.join(quiet)}." if quiet else "No trigger could be told."
        )
    blind = [one for one in told.detection.findings if one.kind == "blind-alarm"]
    for found in blind:
        yield Line(_cut(found.text, 300), "an alarm is blind")
    for one in verdicts:
        if one.verdict == "unknown":
            why = next((each.text for each in one.reasons if each.says == "unknown"), "")
            yield Line(_cut(why, 160), f"{one.trigger} cannot be told")


def _why(one: Verdict) -> str:
    """The most telling reason, and what else the same source says: other sources mostly say it again."""
    firing = [each for each in one.reasons if each.says == "firing"]
    if one.trigger == "content":
        # Each is about other documents.
        return (
            " ".join(_cut(each.text, _LONGEST // 2) for each in firing)
            if firing[1:]
            else _cut(firing[0].text)
        )
    texts = [each.text for each in firing if each.source == firing[0].source]
    return (
        _cut("".join(texts)) if len(texts) < 2 else " ".join(_cut(text, _LONGEST // 2) for text in texts[:2])
    )


def _since(told: Overview) -> Iterator[Line]:
    sign, now = told.ranking.sign, told.detection.at
    firing, over = told.detection.firing, told.ended
    if over is not None and over.since is not None and over.words:
        until = f"until {over.at:%Y-%m-%d %H:%M} UTC: {over.words}" if over.at else over.words
        yield Line(f"{_ago(over.since, now)}; {until}")
        return
    if sign is None:
        since = next((one.since for one in firing if one.since), None)
        calm = all(one.verdict == "quiet" for one in told.detection.triggers)
        yield Line(_ago(since, now) if since else "nothing fires now" if calm else "not known")
        return
    text = _ago(sign.at, now)
    if sign.good_at is not None:
        text += f"; last good sync before it: {_ago(sign.good_at, now)}"
    yield Line(text if firing else f"{text}; the outage that it was opened for")


def _how_bad(told: Overview) -> Iterator[Line]:
    state, found = told.incident.state, told.affected
    reason = state.severity_reason or found.severity.reason
    by = " (set by a person)" if given_by_person(told.incident) else _judged(told, reason)
    yield Line(_cut(reason) or "no reason is noted", f"{state.severity}{by}")
    index, asked = found.index, found.questions
    if index.failing is None or not index.documents:
        parts = ["failing documents: not seen"]
    else:
        share = f" ({index.failing / index.documents:.0%})" if index.failing else ""
        parts = [f"{index.failing:,} of {many(index.documents, 'document')} fail{share} now"]
        if index.kept:
            parts[0] += f", and {index.kept}"
    if found.unauthorized:
        # That none fails is no comfort where some are there that must not be.
        parts = [found.unauthorized, *(parts if index.failing else [])]
    if asked.after is None:
        parts.append(
            f"questions: {asked.problem}" if asked.from_sign and asked.problem else "questions: not seen"
        )
    else:
        window = f"since {asked.after.since:%Y-%m-%d %H:%M} UTC" if asked.from_sign else "in the last day"
        if asked.after.asked:
            shares = (
                f": {_share(asked.after, asked.before, 'no_answer')} without an answer, "
                f"{_share(asked.after, asked.before, 'blocked')} blocked"
            )
        else:
            shares = ""  # of no question there is no share
        parts.append(
            f"{many(asked.after.asked, 'question') if asked.after.asked else 'no question'} {window}{shares}"
        )
    yield Line("; ".join(parts))


def _judged(told: Overview, reason: str) -> str:
    """When the rule made it that severe, where its figures are not those of now."""
    if reason == told.affected.severity.reason:
        return ""
    at = next(
        (one.at for one in reversed(list(told.incident.journal.events())) if one.kind == "severity"), None
    )
    return f" (by the rule at {at:%Y-%m-%d %H:%M} UTC)" if at else ""


def _share(after: Asked, before: Asked | None, what: Literal["no_answer", "blocked"]) -> str:
    def percent(span: Asked) -> str:
        return f"{getattr(span, what) / span.asked:.0%}"

    return f"{percent(after)}" + (
        f" (before {percent(before)})" if before is not None and before.asked else ""
    )


def _affected(told: Overview) -> Iterator[Line]:
    found = told.affected
    hit = [one for one in found.connectors if one.hit]
    doubtful = [one for one in found.connectors if one.hit is None]
    parts = [f"connector {', '.join(one.name for one in hit)}"] if hit else []
    if doubtful:
        parts.append(f"not known of {', '.join(one.name for one in doubtful)}")
    if hit or found.index.failing:
        parts.append(f"index {found.index.name or found.index.id or 'unknown'}")
    if found.guardrail.hit:
        parts.append("the guardrail, and whoever asks")
    if (mended := told.detection.mended) is not None:
        parts.append(f"the guardrail, and whoever asked, until it was changed back at {show_time(mended.at)}")
    folders = found.prefixes[found.prefixes["failing"].fillna(0) > 0] if "failing" in found.prefixes else None
    if folders is not None and len(folders):
        names = [
            f"{name or '(top)'} {int(n)}"
            for name, n in zip(folders["prefix"], folders["failing"], strict=True)
        ]
        parts.append(f"failing in {', '.join(names[:4])}" + (" …" if len(names) > 4 else ""))
    if absent := found.documents.unindexed_count:
        few = ", ".join(found.documents.unindexed[:_KEYS])
        are = "document in the bucket is" if absent == 1 else "documents in the bucket are"
        parts.append(f"{absent:,} {are} in no index ({few}{' …' if absent > _KEYS else ''})")
    if found.hold:
        parts.append(found.hold)
    yield Line("; ".join(parts) or _no_longer(told))


def _no_longer(told: Overview) -> str:
    """What is said where nothing that was seen is hit: an incident about a connector was opened for that one."""
    about = told.incident.identity.data_source_id
    name = next((one.name for one in told.affected.connectors if one.data_source_id == about), "") or about
    return (
        f"nothing that is seen now; it was opened for connector {name}" if about else "nothing that was seen"
    )


def _changed(told: Overview) -> Iterator[Line]:
    ranking, changed = told.ranking, told.changed
    if ranking.sign is None:
        yield Line(
            f"{len(changed.causes):,} changes in three weeks; no bad sign is known, so none is suspected"
        )
    elif not ranking.first:
        before = [one for one in ranking.suspects if not one.after]
        text = "no change that was seen explains it"
        yield Line(
            f"{text}: none of the {len(before)} before it is supported"
            if before
            else f"{text}: none came before it"
        )
    for place, one in enumerate(ranking.supported[:_SUSPECTS], 1):
        yield Line(one.why, f"suspect {place}")
    lost = [one.what for one in changed.unseen if one.whole]
    if lost:
        yield Line("; ".join(lost), "changes that were not seen")


def _next(told: Overview) -> Iterator[Line]:
    steps = told.steps
    for one in steps[:_STEPS]:
        yield Line(_cut(one.why), one.step, one.command)
    if not steps:
        yield Line("nothing is left to do")
    elif len(steps) > _STEPS:
        yield Line(f"{len(steps) - _STEPS} more under “Next steps”")


def _who(told: Overview, summary: Summary) -> Iterator[Line]:
    if summary.acknowledged_at:
        text = f"{summary.acknowledged_by} has it since {show_time(summary.acknowledged_at)}"
    else:
        text = "nobody has acknowledged it yet"
    due = summary.next_update_due
    if due is not None:
        late = summary.as_of > due
        distance = duration(abs(due - summary.as_of))
        when = f"overdue by {distance}" if late else f"in {distance}"
        text += f"; next update in {told.incident.judged_by.slack_channel} due {show_time(due)} ({when})"
    yield Line(text)


def _ago(at: datetime, now: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC ({duration(now - at)} ago)"


def _cut(text: str, most: int = _LONGEST) -> str:
    """At most so many characters: cut between words, and that is marked."""
    if len(text) <= most:
        return text
    return text[:most].rsplit(" ", 1)[0].rstrip(" ,;…") + " …"
