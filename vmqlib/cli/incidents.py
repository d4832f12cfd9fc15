"""``vmq list``, ``verify``, ``close`` and ``reopen``: the incidents and their journals."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from vmqlib.cli.output import json_option, notice, print_json, printable, table
from vmqlib.errors import BadInput
from vmqlib.settings import Settings
from vmqlib.times import SystemClock, duration, show_time

if TYPE_CHECKING:
    from vmqlib.record.incident import Incident

__all__ = [
    "close_command",
    "list_command",
    "reopen_command",
    "verify_command",
]

_id = click.argument("incident_id", metavar="ID")


@click.command("list")
@json_option
def list_command(as_json: bool) -> None:
    """List the incidents, newest first.

    \b
    Examples:
      vmq list
      vmq list --json | jq -r '.[] | select(.closed_at == null) | .id'
    """
    from vmqlib.record.incident import Incident

    root = Settings.load().incidents
    entries = Incident.list(root)
    if as_json:
        print_json([asdict(entry) for entry in entries])
        return
    if not entries:
        notice(f"No incidents in {root.resolve()}. `vmq open --trigger sync-failed` opens one.")
        return
    now = SystemClock().now()
    table(
        ("id", "severity", "state", "opened", "lasted", "title"),
        (
            (
                entry.id,
                entry.severity,
                entry.phase or "BROKEN",
                show_time(entry.opened_at) if entry.opened_at else "",
                duration((entry.closed_at or now) - entry.opened_at) if entry.opened_at else "",
                entry.problem or entry.title,
            )
            for entry in entries
        ),
    )


@click.command("verify")
@_id
@json_option
def verify_command(incident_id: str, as_json: bool) -> None:
    """Check that nothing of a record was changed: journal, evidence files, manifest.

    Exit code 0: it says what it said. 1: it does not.

    \b
    Examples:
      vmq verify INC-20261123-001
      for id in $(vmq list --json | jq -r '.[].id'); do vmq verify "$id"; done
    """
    from vmqlib.record.checks import verify_folder
    from vmqlib.record.identity import find

    folder = find(Settings.load().incidents, incident_id)
    report = verify_folder(folder)
    if as_json:
        print_json(asdict(report))
    else:
        click.echo(f"{incident_id} {report}")
    if not report.ok:
        if not as_json:
            notice("Restore the folder from a copy; keep this one, since it is evidence, too.")
        click.get_current_context().exit(1)


@click.command("close")
@_id
@click.option("--impact", default="", help="Who and what was affected.")
@click.option("--root-cause", default="", help="Why it happened.")
@click.option("--remediation", default="", help="What was done about it.")
@click.option("--customers", default="", help="Which customers were affected.")
@click.option(
    "--no-entry", is_flag=True, help="Leave the operations runbook alone; `vmq entry` enters it later."
)
@click.option("--force", is_flag=True, help="Close although the newest sync did not succeed; needs --reason.")
@click.option("--reason", default="", help="Why it is closed all the same.")
@click.option(
    "--schedule-off-reason", default="", help="Why a schedule that this incident disabled stays off."
)
@json_option
def close_command(
    incident_id: str,
    impact: str,
    root_cause: str,
    remediation: str,
    customers: str,
    no_entry: bool,
    force: bool,
    reason: str,
    schedule_off_reason: str,
    as_json: bool,
) -> None:
    """Close an incident: look once more, write the final record and a manifest of every file.

    Refuses while the newest sync has not succeeded, or a schedule that it disabled is still off. Enters the incident
    into the operations runbook, and leaves the invitation to the post-incident review in its folder; where that cannot
    be done, it is closed all the same.

    \b
    Examples:
      vmq close INC-20261123-001 --impact "…" --root-cause "…" --remediation "…"
      vmq close INC-20261123-001 --force --reason "Data source retired"
    """
    from vmqlib.aws import Aws
    from vmqlib.runbook.close import afterwards, close

    if force and not reason:
        raise BadInput("--force needs --reason.", hint="Say why it is closed although it is not over.")
    settings = Settings.load()
    incident = _load(incident_id, aws=Aws(settings))
    if not incident.state.closed_at:
        impact, root_cause, remediation = (
            _asked(name, given)
            for name, given in (("Impact", impact), ("Root cause", root_cause), ("Remediation", remediation))
        )
    record = close(
        incident,
        impact=impact,
        root_cause=root_cause,
        remediation=remediation,
        customers=customers,
        force=force,
        reason=reason,
        schedule_off_reason=schedule_off_reason,
    )
    after = afterwards(incident, entry=not no_entry)
    if as_json:
        print_json(
            {
                "id": incident.id,
                "dir": incident.dir.resolve(),
                "html": record.html.resolve(),
                "state": "closed",
                "entered": after.entered.path if after.entered else None,
                "retro": after.invitation,
            }
        )
    else:
        click.echo(f"{incident.id}: closed after {duration(incident.summary().open_for)}.")
        click.echo(f"  {record.html}")
        if after.entered:
            click.echo(f"  entered into {after.entered.path}")
        if after.invitation:
            click.echo(f"  review: {after.invitation}; `vmq retro {incident.id}` prepares it")
    if after.problems:
        first, *rest = after.problems
        for problem in rest:
            notice(f"{problem}")
        raise first


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
    incident = _load(incident_id)
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


def _load(incident_id: str, aws=None) -> Incident:  # type: ignore[no-untyped-def]
    from vmqlib.record.incident import Incident

    return Incident.load(incident_id, settings=Settings.load(), aws=aws)
