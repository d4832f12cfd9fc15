"""``vmq close`` and ``vmq reopen``: an incident ends, or goes on (runbook, step 6)."""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from vmqlib.cli.alarms import watch
from vmqlib.cli.output import json_option, notice, print_json, printable, progress_bar, yes_option
from vmqlib.errors import BadInput
from vmqlib.settings import Settings
from vmqlib.times import duration, show_time

if TYPE_CHECKING:
    from vmqlib.record.incident import Incident
    from vmqlib.runbook.close import Afterwards

__all__ = ["close_command", "reopen_command"]

_PATIENCE = timedelta(minutes=30)

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

    Refuses while `vmq validate` finds that it is not over, or a schedule that it disabled is still off. Then it enters
    the incident into the operations runbook, leaves the invitation to the post-incident review in its folder, and
    with --post tells people (on a terminal it asks). What of that fails is said; it is closed all the same.

    Exit code 1: it is not over. 3: AWS could not be asked, or a message did not go where it should.

    \b
    Examples:
      vmq close INC-20261123-001 --impact "…" --root-cause "…" --remediation "…" --customers "none"
      vmq close INC-20261123-001 --wait --post --yes
      vmq close INC-20261123-001 --force --reason "Data source retired"
    """
    from vmqlib.aws import Aws
    from vmqlib.record.incident import Incident
    from vmqlib.runbook.close import Words, afterwards, close, ready

    if force and not reason:
        raise BadInput("--force needs --reason.", hint="Say why it is closed although it is not over.")
    settings = Settings.load()
    incident = Incident.load(incident_id, settings=settings, aws=Aws(settings))
    if wait and not incident.state.closed_at:
        watch(incident.aws or Aws(settings), settings, _PATIENCE, incident)
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
    names = ("Impact", "Root cause", "Remediation", "Customers")
    given = (impact, root_cause, remediation, customers)
    words = Words(*(_asked(name, text) for name, text in zip(names, given, strict=True)))
    with progress_bar(transient=True) as bar:
        bar.add_task("Writing the record", total=None)
        close(incident, made, words, reason=reason)
        after = afterwards(incident, entry=not no_entry)
    sent = _tell_people(incident, post, yes=yes, quiet=as_json)
    if as_json:
        print_json(
            {
                "id": incident.id,
                "dir": incident.dir.resolve(),
                "html": after.record.html.resolve(),
                "state": "closed",
                "outcome": incident.state.closing.outcome if incident.state.closing else "",
                "checks": [check.as_dict() for check in made.checks],
                "entered": after.entered.path if after.entered else None,
                "retro": after.invitation,
                "sent": sent,
            }
        )
    else:
        _show(incident, after)
    if after.problems:
        first, *rest = after.problems
        for problem in rest:
            notice(f"{problem}")
        raise first
    if any(not one["ok"] for one in sent):
        from vmqlib.cli.messages import NOT_SENT

        click.get_current_context().exit(NOT_SENT)


def _show(incident: Incident, after: Afterwards) -> None:
    click.echo(f"{incident.id}: closed after {duration(incident.summary().open_for)}.")
    if incident.state.closing and incident.state.closing.outcome:
        click.echo(f"  {printable(incident.state.closing.outcome)}")
    click.echo(f"  {after.record.html}")
    if after.entered:
        click.echo(f"  entered into {after.entered.path}")
    if after.invitation:
        click.echo(f"  review: {after.invitation}; `vmq retro {incident.id}` prepares it")


def _tell_people(incident: Incident, post: bool | None, *, yes: bool, quiet: bool) -> list[dict[str, Any]]:
    """That it is resolved, in the channel, and the invitation to the review: sent where that was asked for."""
    from vmqlib.cli.messages import send_ending, sent_json

    if post is False:
        return []
    if post is None and not sys.stdin.isatty():
        notice(f"Nobody was told. `vmq update {incident.id} --resolved` tells them.")
        return []
    return [sent_json(one) for one in send_ending(incident, yes=yes and post is True, quiet=quiet)]


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
    if due:
        click.echo(f"  next update in {incident.settings.slack_channel} due {show_time(due)}")
    notice(f"  `vmq render {incident.id} --refresh` looks at AWS again and writes the record.")


def _asked(name: str, given: str) -> str:
    """What the record is to say of it: as given, else asked for on a terminal, else nothing, and that is said."""
    if given:
        return given
    if sys.stdin.isatty():
        return str(click.prompt(name, default="", show_default=False, err=True))
    notice(f"{name} is not stated; --{name.lower().replace(' ', '-')} states it.")
    return ""
