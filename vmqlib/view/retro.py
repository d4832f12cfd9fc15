"""Panels of the review: times, updates, who saw it, what went well and badly, action items."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from vmqlib.runbook.wording import many
from vmqlib.times import duration, show_time
from vmqlib.view.base import Html, Panel, View, guarded, join, notice, plain, tag
from vmqlib.view.layout import Column, chip, code, facts, line, panel, short, stacked, table, when
from vmqlib.view.panels import Record

if TYPE_CHECKING:
    from vmqlib.runbook.retro import Proposal, Review, Witness

__all__ = [
    "retro_actions",
    "retro_events",
    "retro_record",
    "retro_remarks",
    "retro_summary",
    "retro_times",
    "retro_updates",
    "retro_witnesses",
    "retro_words",
]

_TITLES = {"well": "What went well", "badly": "What went badly", "lucky": "Where we were lucky"}
_EMPTY_ROWS = 2
_BLANK = tag("div", " ", style="border-bottom:1px solid #bbb;min-height:1.4em;min-width:16em;white-space:pre")


@guarded
def retro_summary(review: Review) -> View:
    """What it was, from when to when, how the times came out, and when it is reviewed.

    Parameters
    ----------
    review:
        The incident in review; so in all the functions here.
    """
    told = review.summary
    title = tag(
        "div", chip(told.severity), " ", chip(told.phase), " ", tag("strong", plain(told.title, 300)),
        style="font-size:135%;margin:0.2em 0",
    )  # fmt: skip
    took = [
        (one.title, duration(one.took) if one.took is not None else "not known") for one in review.measures
    ]
    kept = review.cadence
    updates = (
        f"{kept.count('in time')} in time, {kept.count('late')} late, {kept.count('never sent')} never sent"
        if kept.updates
        else "none was due"
    )
    end = (
        f"{when(told.closed_at)}, {duration(told.closed_at - told.opened_at)} after the opening"
        if told.closed_at
        else ""
    )
    pairs: list[tuple[str, object]] = [
        ("incident", code(told.id)),
        ("trigger", plain(told.trigger, 80)),
        ("opened", when(told.opened_at)),
        *((f"closed, then reopened{_nth(number, told.reopenings)}", _reopened(closed, again))
          for number, (closed, again) in enumerate(zip(told.closings, told.reopenings, strict=False))),
        ("closed", end or "not closed: what is missing below may still come"),
        *took,
        (f"updates in {plain(review.channel, 60)}", updates),
        ("the review", f"{show_time(review.meeting)} (retro.ics)" if review.meeting else "no invitation is written"),
    ]  # fmt: skip
    text = [f"{plain(told.severity)} {plain(told.phase)}: {plain(told.title, 300)}"]
    text += [f"{name}: {value}" for name, value in pairs[1:] if not isinstance(value, Html)]
    damage = [notice(plain(problem, 300), "#D55E00") for problem in told.problems]
    return Panel(tag("div", title, facts(pairs), *damage), "\n".join(text))


def _nth(number: int, several: Sequence[object]) -> str:
    return f" ({number + 1})" if len(several) > 1 else ""


def _reopened(closed: Any, again: Any) -> str:
    return f"{when(closed.at)}; {when(again.at)} by {plain(again.by, 80)}: {plain(again.reason, 600)}"


@guarded
def retro_times(review: Review) -> View:
    """How long each part took, from what to what, or why that is not known."""
    columns = [
        Column("measure"),
        Column("took", _took),
        Column("from (UTC)", short),
        Column("to (UTC)", short),
        Column("how it was computed"),
    ]
    rows = [[one.title, one.took, one.start, one.end, one.how] for one in review.measures]
    known = [f"{one.title} {duration(one.took)}" for one in review.measures if one.took is not None]
    lead = f"{'; '.join(known) or 'No time is known'}."
    words = [
        line([one.title, duration(one.took) if one.took is not None else "not known", one.how])
        for one in review.measures
    ]
    return panel(lead[:1].upper() + lead[1:], table(columns, rows), text=words)


def _took(span: timedelta | None) -> Html:
    return chip("not known") if span is None else tag("strong", duration(span), style="white-space:nowrap")


@guarded
def retro_events(review: Review) -> View:
    """The events that tell what happened, without the looks between them."""
    columns = [Column("at (UTC)", short), Column("what"), Column("step"), Column("happened")]
    rows = [[one.at, one.kind, one.step, one.summary] for one in review.entries]
    words = [line([when(one.at), one.kind, one.summary]) for one in review.entries]
    times = [one.at for one in review.entries]
    between = f" between {when(min(times))} and {when(max(times))}" if times else ""
    lead = f"{many(len(times), 'event')}{between}."
    return panel(lead, table(columns, rows), text=words)


@guarded
def retro_updates(review: Review) -> View:
    """Whether people were told at the cadence that the runbook asks for (step 5)."""
    kept = review.cadence
    every = duration(kept.every)
    if not kept.updates:
        lead = f"No update was due: it was open for {duration(kept.longest)}, and one is due every {every}."
        return panel(lead, text=())
    lead = (
        f"{many(len(kept.updates), 'update')} due every {every}: {kept.count('in time')} in time, "
        f"{kept.count('late')} late, {kept.count('never sent')} never sent. "
        f"The longest silence was {duration(kept.longest)}."
    )
    columns = [
        Column("due (UTC)", short),
        Column("sent (UTC)", short),
        Column("outcome", chip),
        Column("late by"),
    ]
    rows = [
        [one.due_at, one.sent, one.outcome, duration(one.late) if not one.kept else ""]
        for one in kept.updates
    ]
    words = [line([when(one.due_at), when(one.sent), one.outcome]) for one in kept.updates]
    return panel(lead, table(columns, rows), text=words)


@guarded
def retro_words(review: Review) -> View:
    """Impact, cause and remediation, as they were stated at the closing."""
    closing = review.summary.closing
    if closing is None:
        return Panel(
            notice("It is not closed: impact, cause and remediation are stated then.", "#E69F00"),
            "Not closed.",
        )
    said = [
        ("impact", closing.impact), ("customers affected", closing.customers), ("root cause", closing.cause),
        ("remediation", closing.remediation),
    ]  # fmt: skip
    pairs = [(name, plain(words, 2000) or "not stated") for name, words in said]
    pairs += [("outcome", plain(closing.outcome, 2000))] if closing.outcome else []
    lead = f"Stated by {plain(closing.by, 80)} at {when(closing.at)}."
    return panel(lead, facts(pairs), text=[f"{name}: {words}" for name, words in pairs])


@guarded
def retro_witnesses(review: Review) -> View:
    """Which alarms and triggers saw it, and which were blind."""
    columns = [
        Column("witness", lambda one: stacked([f"{one.kind}", tag("code", plain(one.name, 80))])),
        Column("saw it", lambda one: chip(_saw(one))),
        Column("since (UTC)", short),
        Column("finding"),
    ]
    rows = [[one, one, one.at, one.finding] for one in review.witnesses]
    blind = [one.name for one in review.witnesses if one.kind == "alarm" and one.blind]
    saw = [one.name for one in review.witnesses if one.kind == "alarm" and one.saw]
    lead = (
        f"Alarms that saw it: {', '.join(saw) or 'none'}; blind: {', '.join(blind) or 'none that is known'}."
    )
    words = [line([one.kind, one.name, _saw(one), one.finding]) for one in review.witnesses]
    said = _doctor(review)
    return panel(lead, table(columns, rows), said, text=[*words, _plain_doctor(review)])


def _saw(one: Witness) -> str:
    if one.saw is None:
        return "cannot tell"
    if one.saw:
        return "saw it"
    return "blind" if one.expected else "quiet"


def _plain_doctor(review: Review) -> str:
    if review.doctor is None:
        return "The alarms' wiring: not looked at."
    if not review.doctor:
        return "The alarms' wiring: nothing wrong was found."
    return "; ".join(
        f"{one.get('outcome', '')} {one.get('name', '')} {one.get('subject', '')}" for one in review.doctor
    )


def _doctor(review: Review) -> Html:
    """What checks of the wiring found, or that nobody looked."""
    if review.doctor is None:
        return tag(
            "div",
            "The alarms' wiring: not looked at in this incident (`vmq doctor --incident` does).",
            style="color:#555",
        )
    if not review.doctor:
        return tag("div", "The alarms' wiring: `vmq doctor` found nothing wrong with it.")
    columns = [Column("outcome", chip), Column("check"), Column("about"), Column("finding")]
    rows = [
        [one.get(name, "") for name in ("outcome", "name", "subject", "finding")] for one in review.doctor
    ]
    return join([tag("div", tag("strong", "The alarms' wiring")), table(columns, rows)])


@guarded
def retro_remarks(review: Review) -> View:
    """What went well, badly, and where one was lucky: proposed by rules, and beside it what people said."""
    columns = [
        Column("", lambda title: tag("strong", title)),
        Column("proposed from the facts; nobody has said so", _proposed),
        Column("what people say", lambda kind: _said(review, kind)),
    ]
    rows = [[title, review.proposed(kind), kind] for kind, title in _TITLES.items()]
    said = sum(len(review.said(kind)) for kind in _TITLES)
    proposed = sum(len(review.proposed(kind)) for kind in _TITLES)
    lead = f"{many(proposed, 'proposal')} from the facts; {many(said, 'remark')} by people."
    how = tag(
        "div",
        "To add one: ",
        code(f'vmq note {review.summary.id} --retro badly "…"'),
        "; then run this again.",
    )
    words = [f"proposed, {one.kind}: {one.text}" for one in review.proposals if one.kind in _TITLES]
    words += [f"{one.kind}: {one.text} ({one.by})" for one in review.remarks if one.kind in _TITLES]
    return panel(lead, table(columns, rows), how, text=words)


def _proposed(several: Sequence[Proposal]) -> Html:
    return join([tag("div", f"– {plain(one.text, 600)}", style="margin:0.15em 0") for one in several])


def _said(review: Review, kind: str) -> Html:
    words = [
        tag("div", tag("strong", plain(one.text, 1000)), f" ({plain(one.by, 60)})")
        for one in review.said(kind)
    ]
    return join([*words, *[_BLANK] * max(0, _EMPTY_ROWS - len(words))])


@guarded
def retro_actions(review: Review) -> View:
    """Action items: those that people noted, and those that the facts suggest, without an owner yet."""
    noted, proposed = review.said("action"), review.proposed("action")
    columns = [Column("action item", lambda one: tag("strong", plain(one, 1000)) if one else _BLANK), Column("owner"),
               Column("due"), Column("noted")]  # fmt: skip
    rows = [
        [one.text, one.owner or "open", one.due or "open", f"{plain(one.by, 60)}, {when(one.at)}"]
        for one in noted
    ]
    rows += [["", "", "", ""]] * max(0, _EMPTY_ROWS - len(rows))
    parts = [table(columns, rows)]
    if proposed:
        offered = [
            Column("proposed; nobody has taken it on"),
            Column("to take it on", lambda one: code(one) if one else ""),
        ]
        parts.append(table(offered, [[one.text, one.command and _with_owner(one)] for one in proposed]))
    else:
        command = f'vmq note {review.summary.id} --action "…" --owner NAME --due DATE'
        parts.append(tag("div", "To add one: ", code(command)))
    lead = f"{many(len(noted), 'action item')} noted; {many(len(proposed), 'proposal')} that nobody has taken on."
    words = [line([one.text, one.owner or "no owner", one.due or "no date"]) for one in noted]
    words += [f"proposed: {one.text}" for one in proposed]
    return panel(lead, *parts, text=words)


def _with_owner(one: Proposal) -> str:
    return f"{one.command} --owner NAME --due DATE"


def retro_record(review: Review) -> Record:
    """The review for programs, as an output of the type :data:`vmqlib.view.RECORD_MIME`."""
    took = {one.title: duration(one.took) for one in review.measures if one.took is not None}
    words = "; ".join(f"{title} {span}" for title, span in took.items()) or "no time is known"
    return Record(review.as_dict(), f"{review.summary.id} in review: {words}.")
