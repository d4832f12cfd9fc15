"""``vmq list`` and ``verify``: the incidents, and whether they still say what they said."""

from __future__ import annotations

from dataclasses import asdict

import click

from vmqlib.cli.output import json_option, notice, print_json, table
from vmqlib.settings import Settings
from vmqlib.times import SystemClock, duration, show_time

__all__ = [
    "list_command",
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
    entries, now = Incident.list(root), SystemClock().now()
    if as_json:
        print_json([asdict(entry) | {"open_for": entry.open_for(now).total_seconds()} for entry in entries])
        return
    if not entries:
        notice(f"No incidents in {root.resolve()}. `vmq open --trigger sync-failed` opens one.")
        return
    table(
        ("id", "severity", "state", "opened", "open for", "title"),
        (
            (
                entry.id,
                entry.severity,
                entry.phase or "BROKEN",
                show_time(entry.opened_at) if entry.opened_at else "",
                duration(entry.open_for(now)) if entry.opened_at else "",
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

    Exit code 0: it says what it said. 1: it does not, or the final record of a closed incident is missing.

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
    if not (report.ok and report.complete):
        if not as_json and report.ok:
            notice(f"`vmq close {incident_id}` writes the final record.")
        elif not as_json:
            notice("Restore the folder from a copy; keep this one, since it is evidence, too.")
        click.get_current_context().exit(1)
