"""``vmq close`` and ``vmq reopen``: an incident ends, or goes on (runbook, step 6)."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from vmqlib.cli.alarms import watch
from vmqlib.cli.output import json_option, notice, print_json, printable, progress_bar, say, table, yes_option
from vmqlib.errors import BadInput, Declined, Interrupted, VmqError
from vmqlib.runbook.wording import one_line
from vmqlib.settings import Settings
from vmqlib.times import duration, show_time

if TYPE_CHECKING:
    from vmqlib.record.incident import Incident
    from vmqlib.runbook.checks import CheckResult
    from vmqlib.runbook.close import Afterwards, Ready
    from vmqlib.runbook.communicate.sending import Sent

__all__ = ["close_command", "reopen_command"]

_PATIENCE = timedelta(minutes=30)
_LONGEST_WHY, _LONGEST_NEXT = 90, 240
_WORDS = ("Impact", "Root cause", "Remediation", "Customers")
_COMMAND = re.compile(r"(?:vmq|make|aws) [^`]+")

_id = click.argument("incident_id", metavar="ID")


@click.command("close")
@_id
@click.option("--impact", default="", help="Who and what was affected.")
@click.option("--root-cause", default="", help="Why it happened.")
@click.option("--remediation", default="", help="What was done about it.")
@click.option("--customers", default="", help="Which customers were affected.")
@click.option("--wait", is_flag=True, help="Wait until the alarms are OK first, at most half an hour.")
@click.option("--no-ask", is_flag=True, help="Ask no canary question: what was answered before counts.")
@click.option("--post/--no-post", default=None, help="Tell people that it is resolved, with the invitation.")
@click.option(
    "--no-entry", is_flag=True, help="Leave the operations runbook alone; `vmq entry` enters it later."
)
@click.option("--force", is_flag=True, help="Close although a check is in the way; needs --reason.")
@click.option("--reason", default="", help="Why it is closed all the same.")
@click.option(
    "--schedule-off-reason", default="", help="Why a schedule that this incident disabled stays off."
)
@yes_option
@json_option
def close_command(
    incident_id: str, impact: str, root_cause: str, remediation: str, customers: str, wait: bool, no_ask: bool,
    post: bool | None, no_entry: bool, force: bool, reason: str, schedule_off_reason: str, yes: bool, as_json: bool,
) -> None:  # fmt: skip
    """Close an incident: validate, note the end, write the final record and a manifest of every file.

    The four closing words are asked for on a terminal; with --yes, or without one, each has to be given ("not known"
    is an answer). Refuses while `vmq validate` finds that it is not over, or a schedule that it disabled is still off.

    Then it enters the incident into the operations runbook, leaves the invitation to the post-incident review in its
    folder, and with --post tells people (on a terminal it asks). What of that fails is said; it is closed all the same,
    and the same command again does what is missing. Nothing of AWS is changed.

    Exit codes: 0 closed, 1 it is not over, 2 bad input or settings, or it is closed already and nothing is missing,
    3 AWS could not be asked, or a message did not go where it should, 4 something was changed while it was being
    closed, 5 with --wait the alarms were not OK after half an hour, 130 interrupted.

    \b
    Examples:
      vmq close INC-20261123-001 --impact "…" --root-cause "…" --remediation "…" --customers "none"
      vmq close INC-20261123-001 --wait --post
      vmq close INC-20261123-001 --force --reason "Data source retired"
    """
    from vmqlib.aws import Aws
    from vmqlib.record.incident import Incident
    from vmqlib.runbook.close import Words, close, ready

    if force and not reason.strip():
        raise BadInput("--force needs --reason.", hint="Say why it is closed although it is not over.")
    if post and not yes and not sys.stdin.isatty():
        raise BadInput(
            "Not asked: --post tells people.", hint="There is no terminal to ask on. Add --yes to say yes."
        )
    settings = Settings.load()
    aws = Aws(settings)
    incident = Incident.load(incident_id, settings=settings, aws=aws)
    given = dict(zip(_WORDS, (impact, root_cause, remediation, customers), strict=True))
    if incident.state.closed_at:
        _complete(incident, given, entry=not no_entry, post=post, yes=yes, as_json=as_json)
        return
    if yes or wait:  # before anything is looked at, or waited for
        _refuse_unsaid(given, yes=yes)
    if not force:
        aws.caller()  # nothing that follows says anything where nobody can be asked
    if wait:
        _, late = watch(aws, settings, _PATIENCE, incident)
        if late is not None:
            raise late
    with progress_bar(transient=True) as bar:
        task = bar.add_task("Validating", total=None)
        made = ready(
            incident,
            force=force,
            reason=reason,
            schedule_off_reason=schedule_off_reason,
            ask=not no_ask,
            progress=lambda name: bar.update(task, description=f"Validating: looked at {name}"),
        )
    if made.refusal is not None:
        if as_json:
            refusal = {"problem": made.refusal.message, "hint": made.refusal.hint}
            print_json(_document(incident, made) | refusal)
        else:
            _show_held(made.refusing)
        raise made.refusal
    _refuse_unsaid(given, yes=yes)
    close(incident, made, Words(*(_asked(name, text) for name, text in given.items())))
    _end(incident, made, entry=not no_entry, post=post, yes=yes, as_json=as_json)


def _complete(
    incident: Incident, words: Mapping[str, str], *, entry: bool, post: bool | None, yes: bool, as_json: bool
) -> None:
    """What is missing of a closing: whoever did it was killed, or was refused."""
    from vmqlib.runbook.close import missing

    if not _same_words(incident, words):
        raise BadInput(
            f"{incident.id} is closed already, with other words: those stand.",
            hint=f"`vmq note` adds to them; `vmq reopen {incident.id} --reason …` and close it again.",
        )
    if not (todo := missing(incident, entry=entry)) and post is not True:
        raise BadInput(
            f"{incident.id} is closed already, and nothing is missing of it.",
            hint=f"`vmq update {incident.id} --resolved` tells people; `vmq note` adds to it.",
        )
    if todo:
        notice(f"{incident.id} was closed, and its {', '.join(todo)} is missing: written now.")
    _end(incident, None, entry=entry, post=post, yes=yes, as_json=as_json, todo=bool(todo))


def _same_words(incident: Incident, given: Mapping[str, str]) -> bool:
    """Whether no other words are given than those that it was closed with: it is the same command again. The journal
    has them masked."""
    closing = incident.state.closing
    assert closing is not None
    masked = incident.redactor.fresh().text
    stand = (closing.impact, closing.cause, closing.remediation, closing.customers)
    return all(
        not text.strip() or masked(text).strip() == stood.strip()
        for text, stood in zip(given.values(), stand, strict=True)
    )


def _end(
    incident: Incident,
    made: Ready | None,
    *,
    entry: bool,
    post: bool | None,
    yes: bool,
    as_json: bool,
    todo: bool = True,
) -> None:
    """What comes of a closing, and what is said of it."""
    from vmqlib.cli.messages import NOT_SENT, missed, sent_json
    from vmqlib.runbook.close import Afterwards, afterwards

    try:
        after = Afterwards(None, None, None, ())
        if todo:
            with progress_bar(transient=True) as bar:
                bar.add_task("Writing the record", total=None)
                after = afterwards(incident, entry=entry)
        sent, unsent = _tell_people(incident, post, yes=yes, quiet=as_json)
    except KeyboardInterrupt:
        raise Interrupted(
            f"{incident.id} is closed; what comes after that was interrupted.",
            hint=f"`vmq close {incident.id}` does what is missing.",
        ) from None
    problems = [*after.problems, *([unsent] if unsent else [])]
    if as_json:
        print_json(
            _document(incident, made)
            | {
                "entered": after.entered.path if after.entered else None,
                "retro": after.invitation.resolve() if after.invitation else None,
                "sent": [sent_json(one) for one in sent],
                "problems": [f"{one}" for one in problems],
            }
        )
    else:
        _show(incident, after)
    if problems:
        first, *rest = problems
        for problem in rest:
            notice(printable(problem))
        raise first
    if missed(incident, sent):
        click.get_current_context().exit(NOT_SENT)


def _show_held(held: Sequence[CheckResult]) -> None:
    """One line for each check in the way: which, why, what to do next."""
    rows = [
        (
            one.outcome,
            f"{one.name}{f' ({one.subject})' if one.subject else ''}",
            one_line(one.finding, _LONGEST_WHY),
            _next(one.mend),
        )
        for one in held
    ]
    table(("outcome", "check", "why", "next"), rows, whole=("next",))


def _next(mend: str) -> str:
    """The first command of a mend, where it has one; else what it says first."""
    lines = [one_line(line, _LONGEST_NEXT) for line in mend.splitlines()] or [""]
    found = next((found for line in lines if (found := _COMMAND.search(line))), None)
    return found[0].strip() if found else lines[0]


def _document(incident: Incident, made: Ready | None) -> dict[str, Any]:
    """Where an incident stands, and what was checked, for programs."""
    page = incident.dir.resolve() / "incident.html"
    closing = incident.state.closing
    checks = {"checks": [check.as_dict() for check in made.validation.checks]} if made else {}
    held = {"in_the_way": [check.as_dict() for check in made.held]} if made else {}
    return {
        "id": incident.id,
        "dir": incident.dir.resolve(),
        "html": page if page.is_file() else None,
        "state": incident.state.phase,
        "outcome": closing.outcome if closing else "",
        **checks,
        **held,
    }


def _show(incident: Incident, after: Afterwards) -> None:
    again = " in all" if incident.state.reopenings else ""
    click.echo(f"{incident.id}: closed; it was open for {duration(incident.summary().open_for)}{again}.")
    if incident.state.closing and incident.state.closing.outcome:
        say(f"  {printable(incident.state.closing.outcome)}")
    if after.record:
        click.echo(f"  {after.record.html}")
    if after.entered:
        click.echo(f"  entered into {after.entered.path}")
    if after.invitation:
        click.echo(f"  review: {after.invitation}; `vmq retro {incident.id}` prepares it")


def _tell_people(
    incident: Incident, post: bool | None, *, yes: bool, quiet: bool
) -> tuple[tuple[Sent, ...], VmqError | None]:
    """That it is resolved, in the channel, and the invitation to the review: sent where that was asked for. And why
    nothing was sent, where that went wrong: it is closed all the same."""
    from vmqlib.cli.messages import send_ending

    later = f"Nobody was told. `vmq update {incident.id} --resolved` tells them."
    if post is False:
        return (), None
    if post is None and not sys.stdin.isatty():
        notice(later)
        return (), None
    try:
        return send_ending(incident, yes=yes and post is True, quiet=quiet), None
    except (Declined, click.Abort):
        notice(later)
        return (), None
    except VmqError as error:
        return (), error


@click.command("reopen")
@_id
@click.option("--reason", required=True, help="Why it is not over.")
@json_option
def reopen_command(incident_id: str, reason: str, as_json: bool) -> None:
    """Reopen a closed incident: it goes on in the same journal, and the clock of updates with it.

    The closing and its words are kept. Its manifest is set aside in closings/ and stays under `vmq verify`; the next
    `vmq close` writes a new one.

    \b
    Examples:
      vmq reopen INC-20261123-001 --reason "The next promotion broke it again"
    """
    from vmqlib.record.incident import Incident

    incident = Incident.load(incident_id, settings=Settings.load())
    event = incident.reopen(reason)
    due = incident.state.next_update_due
    if as_json:
        print_json(
            {
                "id": incident.id, "seq": event.seq, "at": event.at, "phase": incident.state.phase,
                "closings": len(incident.state.closings), "next_update_due": due,
            }
        )  # fmt: skip
        return
    click.echo(f"{incident.id}: {printable(event.summary)}")
    if incident.state.reopened(by_mail=False):
        click.echo(f"  {incident.settings.slack_channel} believes that it is over: vmq update {incident.id}")
    elif due:
        click.echo(f"  next update in {incident.settings.slack_channel} due {show_time(due)}")
    if incident.state.reopened(by_mail=True):
        click.echo(f"  stakeholders believe that it is over: vmq update {incident.id} --email")
    notice(f"  `vmq render {incident.id} --refresh` looks at AWS again and writes the record.")


def _refuse_unsaid(given: Mapping[str, str], *, yes: bool) -> None:
    """Where nobody is asked for them, the closing words are complete, or nothing is closed: they stand for good."""
    if not yes and sys.stdin.isatty():
        return
    if unsaid := [f"--{name.lower().replace(' ', '-')}" for name, text in given.items() if not text.strip()]:
        raise BadInput(
            f"Not closed: the closing words stand for good, and some are missing: {', '.join(unsaid)}.",
            hint='State them; "not known" is an answer, too. On a terminal, without --yes, they are asked for.',
        )


def _asked(name: str, given: str) -> str:
    """What the record is to say of it: as given, else asked for on a terminal, where Enter leaves it unstated."""
    if given.strip():
        return given
    prompt = f"{name} (Enter: not stated)"
    return str(click.prompt(prompt, default="", show_default=False, err=True))
