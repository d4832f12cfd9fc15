"""``vmq show``: where an incident stands."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from vmqlib.cli.output import json_option, notice, print_json, printable, say, short_time, table, waiting
from vmqlib.times import SystemClock, duration, show_time

if TYPE_CHECKING:
    from vmqlib.record.incident import Incident
    from vmqlib.record.summary import Summary
    from vmqlib.runbook.answers import Answer
    from vmqlib.runbook.changes import Suspicion
    from vmqlib.runbook.communicate.clock import Slot
    from vmqlib.runbook.overview import Overview

__all__ = ["show_command"]

_SUSPECTS = 10


@click.command("show")
@click.argument("incident_id", metavar="ID")
@json_option
def show_command(incident_id: str, as_json: bool) -> None:
    """Show where an incident stands: what is wrong, since when, how bad, what changed, what next; then the rest.

    \b
    Examples:
      vmq show INC-20261123-001
      vmq show INC-20261123-001 --json | jq .next_steps
      vmq show INC-20261123-001 --json | jq '.suspects[0]'
    """
    from vmqlib.record.incident import Incident
    from vmqlib.runbook.answers import answers
    from vmqlib.runbook.communicate.plan import cadence
    from vmqlib.runbook.overview import Overview

    incident = Incident.load(incident_id)
    with waiting(f"Reading the evidence of {incident.id}"):
        clock, told = cadence(incident), Overview(incident)
        summary, steps = incident.summary(), told.steps
    state = incident.state
    took = state.time_to_acknowledge
    open_for = state.open_for(SystemClock().now())
    events = incident.timeline()
    missing = [seen for seen in incident.observations().values() if not seen.available]
    if as_json:
        print_json(
            {
                **asdict(summary),
                "resources": dict(summary.resources),
                "open_for": open_for.total_seconds(),
                "severity_reason": state.severity_reason,
                "seconds_to_acknowledge": took.total_seconds() if took else None,
                "dir": incident.dir.resolve(),
                "late": [
                    {"due_at": one.due_at, "why": one.why, "told_at": one.told.at if one.told else None}
                    | {"late_seconds": one.late.total_seconds()}
                    for one in clock.late
                ],
                "timeline": events.to_dict("records"),
                "unavailable": [
                    {"name": seen.name, "problem": seen.problem, "hint": seen.hint} for seen in missing
                ],
                "next_steps": [asdict(step) for step in steps],
                **_told(told),
            }
        )
        return
    _head(incident, summary)
    for slot in clock.late:
        say(f"  {_late(slot)}")
    for problem in summary.problems:
        notice(f"  {problem}")
    click.echo(f"From the evidence, as of {show_time(told.detection.at)}:")
    for answer in answers(told):
        if answer.question != "who":  # stands above
            _show_answer(answer)
    click.echo("")
    table(
        ("at (UTC)", "kind", "step", "what"),
        zip(events["at"].map(short_time), events["kind"], events["step"], events["summary"], strict=True),
    )
    for seen in missing:
        say(f"not seen: {seen.title}: {seen.problem} {seen.hint}")
    click.echo("Next steps")
    for step in steps:
        say(f"  {step.step}: {printable(step.why)}")
        if step.command:
            click.echo(f"    {printable(step.command)}")


def _head(incident: Incident, summary: Summary) -> None:
    """What it is, how long it is open, who has it, and when people are told next."""
    from vmqlib.cli.messages import next_due

    open_for = duration(incident.state.open_for(SystemClock().now()))
    if summary.reopenings:
        open_for += " in all"
    ended = f"closed {show_time(summary.closed_at)}; it was " if summary.closed_at else ""
    took = incident.state.time_to_acknowledge
    click.echo(f"{summary.id}  {summary.severity}  {summary.phase}  {summary.title}")
    say(f"  opened {show_time(summary.opened_at)}, {ended}open for {open_for}; {incident.dir}")
    for closed, again in zip(summary.closings, summary.reopenings, strict=False):
        words = f"closed at {show_time(closed.at)}, reopened at {show_time(again.at)} by {again.by}: {again.reason}"
        say(f"  {printable(words)}")
    if summary.acknowledged_at and took is not None:
        when = f"{show_time(summary.acknowledged_at)}, {duration(took)} after the opening"
        say(f"  acknowledged by {printable(summary.acknowledged_by)} at {when}")
    elif not summary.closed_at:
        click.echo(f"  acknowledged by nobody yet: vmq ack {summary.id}")
    if due := next_due(incident):
        say(f"  {due}")


def _show_answer(answer: Answer) -> None:
    for number, line in enumerate(answer.lines):
        lead, indent = (f"{answer.question:<9}", 11) if number == 0 else (" " * 9, 2)
        say(f"{lead}{printable(str(line))}", indent)
        if line.command:
            click.echo(f"           {printable(line.command)}")


def _told(told: Overview) -> dict[str, Any]:
    """What is wrong, since when, and what changed, for programs."""
    from vmqlib.cli.detect import document
    from vmqlib.runbook.answers import answers

    found, sign = document(told.detection), told.ranking.sign
    return {
        "answers": {
            one.question: [
                {"lead": line.lead, "text": line.text, "command": line.command} for line in one.lines
            ]
            for one in answers(told)
        },
        "triggers": found["triggers"],
        "findings": found["findings"],
        "first_bad_sign": {"trigger": sign.trigger, "at": sign.at, "last_good": sign.good_at}
        if sign
        else None,
        "suspects": [_suspect(one) for one in told.ranking.suspects[:_SUSPECTS]],
        "changes_not_seen": [asdict(one) for one in told.changed.unseen],
    }


def _suspect(one: Suspicion) -> dict[str, Any]:
    change = one.change
    return {
        "name": change.name,
        "kind": change.kind,
        "at": change.at,
        "until": change.until,
        "who": change.who,
        "what": change.what,
        "where": change.where,
        "reference": change.reference,
        "evidence": change.evidence.file if change.evidence else "",
        "after_the_first_bad_sign": one.after,
        "supported": one.is_supported,
        "points": one.points,
        "parts": [asdict(part) for part in one.parts],
        "why": one.why,
    }


def _late(slot: Slot) -> str:
    """What was told late, or never."""
    what = "e-mail to stakeholders" if slot.why == "stakeholders" else "update"
    if slot.told is None:
        return f"{what} of {show_time(slot.due_at)} was never sent"
    return f"{what} of {show_time(slot.due_at)} was {duration(slot.late)} late"
