"""``vmq note``: what people saw, said and want done, in an incident's journal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from vmqlib.cli.output import json_option, notice, print_json
from vmqlib.errors import BadInput
from vmqlib.settings import Settings
from vmqlib.times import show_time

__all__ = ["note_command"]

# Written out here, so that `--help` and a mistyped option need not load the library.
_RETRO = ("well", "badly", "lucky")


@click.command("note")
@click.argument("incident_id", metavar="ID")
@click.argument("text", nargs=-1, required=False)
@click.option("--retro", type=click.Choice(_RETRO), help="What went well, badly, or where we were lucky.")
@click.option("--action", default="", metavar="TEXT", help="An action item of the review.")
@click.option("--owner", default="", metavar="NAME", help="Who does it.")
@click.option(
    "--due", default="", metavar="DATE", help="Until when, such as 2026-12-04; not a day that is over."
)
@click.option(
    "--question", metavar="TEXT", help="The canary question or guardrail prompt that you asked yourself."
)
@click.option(
    "--as-expected/--not-as-expected",
    default=None,
    help="With --question: whether it was answered as it should be.",
)
@json_option
def note_command(
    incident_id: str,
    text: tuple[str, ...],
    retro: str | None,
    action: str,
    owner: str,
    due: str,
    question: str | None,
    as_expected: bool | None,
    as_json: bool,
) -> None:
    """Write a line into an incident's journal. Secrets and addresses in it are masked.

    With --retro or --action it is for the post-incident review: `vmq retro` shows it. With --question it counts in
    `vmq validate`, where the kit cannot ask by itself. Works on a closed incident, too.

    \b
    Examples:
      vmq note INC-20261123-001 "Support confirms: answers are back."
      vmq note INC-20261123-001 --question "What is MIRAGE?" --as-expected "cites phases-mirage.md"
      vmq note INC-20261123-001 --retro lucky "Dana happened to look at the dashboard."
      vmq note INC-20261123-001 --action "Alarm on INCOMPLETE syncs" --owner dana --due 2026-12-04
    """
    from vmqlib.record.incident import Incident

    said = " ".join(text)
    if question and not said.strip():
        raise BadInput(
            "What was answered is missing.",
            hint='vmq note ID --question "…" --as-expected "what it answered" (or --not-as-expected).',
        )
    if not said.strip() and not action.strip():
        raise BadInput(
            "The note is empty.", hint='Write what is to be remembered: "…", or --action "…" for the review.'
        )
    if said.strip() and action.strip():
        raise BadInput("A text and --action are two notes.", hint="Write one after the other.")
    if sum(map(bool, (retro, action, question))) > 1:
        raise BadInput(
            "--retro, --action and --question are notes of their own.", hint="Write one after the other."
        )
    if (owner or due) and not action:
        raise BadInput(
            "--owner and --due belong to an --action.", hint='vmq note ID --action "…" --owner NAME.'
        )
    incident = Incident.load(incident_id, settings=Settings.load())
    data: Mapping[str, Any] = _asked_by_hand(incident.settings, question, as_expected)
    if action:
        from vmqlib.runbook.retro.duedate import due_day

        day = due_day(due, incident.clock.now(), incident.settings.retro.time_zone)
        data = {"retro": "action", "owner": owner.strip(), "due": day}
    elif retro:
        data = {"retro": retro}
    event = incident.note(action or said, data)
    if as_json:
        print_json({"id": incident_id, "seq": event.seq, "at": event.at, "summary": event.summary})
    else:
        notice(f"Noted as event {event.seq} at {show_time(event.at)}.")


def _asked_by_hand(settings: Settings, question: str | None, ok: bool | None) -> Mapping[str, Any]:
    """What a note says of a question that a person asked; nothing where it is about none."""
    from vmqlib.runbook.validation import QUESTION

    if (question is None) != (ok is None):
        raise BadInput(
            "--question and --as-expected (or --not-as-expected) belong together.",
            hint="Say which question was asked, and whether it was answered as it should be.",
        )
    if question is None:
        return {}
    known = [one.question for one in settings.canaries] + [one.text for one in settings.guardrail_prompts]
    if question not in known:
        raise BadInput(
            f"{question!r} is no canary question and no guardrail prompt.",
            hint=f"Those of the settings are: {'; '.join(known)}.",
        )
    return {QUESTION: question, "ok": bool(ok)}
