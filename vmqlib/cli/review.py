"""``vmq entry`` and ``vmq retro``: what comes after the incident."""

from __future__ import annotations

import sys

import click

from vmqlib.cli.output import confirm, json_option, notice, print_json, printable, table, waiting, yes_option
from vmqlib.settings import Settings
from vmqlib.times import duration, show_time

__all__ = ["entry_command", "retro_command"]

_id = click.argument("incident_id", metavar="ID")


@click.command("entry")
@_id
@click.option("--preview", is_flag=True, help="Only show what would be written.")
@yes_option
@json_option
def entry_command(incident_id: str, preview: bool, yes: bool, as_json: bool) -> None:
    """Enter a closed incident into the operations runbook: timeline, impact, cause, remediation, link to the record.

    `vmq close` does it, too. There is one entry for an incident, however often it is entered: changed words replace it,
    and everything else in the file stays byte for byte. The file is the setting operations_runbook.

    \b
    Examples:
      vmq entry INC-20261123-001 --preview
      vmq entry INC-20261123-001 --yes
    """
    from vmqlib.record.incident import Incident
    from vmqlib.runbook import operationsrunbook

    incident = Incident.load(incident_id, settings=Settings.load())
    change = operationsrunbook.preview(incident)
    document = {"id": incident.id, "path": change.path.resolve(), "entry": change.entry}
    if preview:
        if as_json:
            print_json({**document, "changes": change.changes, "diff": change.diff})
        elif change.changes:
            _show(change.diff)
        else:
            notice(f"{change.path} has this entry already.")
        return
    if change.changes and not yes:
        _show(change.diff, err=as_json)
        confirm(f"Write this to {change.path}?", yes=yes)
    done = operationsrunbook.enter(incident)
    if as_json:
        print_json({**document, "changed": done.changed, "kept": done.kept.resolve()})
    elif done.changed:
        click.echo(f"{incident.id}: entered into {done.path}.")
    else:
        click.echo(f"{incident.id} is in {done.path} already.")
        notice("  Nothing was written.")


@click.command("retro")
@_id
@json_option
def retro_command(incident_id: str, as_json: bool) -> None:
    """Write the post-incident review of an incident: retro.ipynb and retro.html in its folder.

    Timeline as a Gantt, time to detect, acknowledge, mitigate and resolve, updates kept or missed, which alarms saw it,
    what went well, badly and lucky (proposed from the facts, and what people noted), action items. AWS is not asked:
    it is made from journal and evidence alone. `vmq note ID --retro …` and `--action …` add to it.

    \b
    Examples:
      vmq retro INC-20261123-001
      vmq retro INC-20261123-001 --json | jq '.measures[] | {name, took}'
    """
    from vmqlib.record.incident import Incident
    from vmqlib.record.kernel import start_kernel
    from vmqlib.runbook.retro import retro

    incident = Incident.load(incident_id, settings=Settings.load())
    with start_kernel(offline=True) as kernel, waiting(f"Writing the review of {incident.id}"):
        made = retro(incident, kernel=kernel)
    told = made.review
    if as_json:
        files = {
            "dir": incident.dir.resolve(),
            "notebook": made.run.path.resolve(),
            "html": made.html.resolve(),
        }
        print_json({**told.as_dict(), **files})
        return
    if told.summary.closed_at is None:
        notice(f"{incident.id} is not closed: what is not known yet is said so.")
    table(
        ("measure", "took", "how"),
        (
            (one.title, duration(one.took) if one.took is not None else "not known", one.how)
            for one in told.measures
        ),
    )
    kept = told.cadence
    counts = (
        f"{kept.count('in time')} in time, {kept.count('late')} late, {kept.count('never sent')} never sent"
    )
    click.echo(f"updates: {counts}")
    if told.meeting:
        click.echo(f"the review is at {show_time(told.meeting)}")
    click.echo(f"  {made.html}")
    click.echo(f"  {made.run.path}")


def _show(diff: str, *, err: bool = False) -> None:
    """A diff, in colours on a terminal."""
    colours = {"+": "green", "-": "red", "@": "cyan"}
    coloured = (sys.stderr if err else sys.stdout).isatty()
    for line in diff.splitlines():
        text = printable(line)
        click.echo(click.style(text, fg=colours.get(line[:1])) if coloured else text, err=err)
