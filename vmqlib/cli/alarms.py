"""``vmq alarms``: watch the alarms until they clear (runbook, steps 4 and 6)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import click

from vmqlib.cli.output import json_option, notice, print_json, printable, progress_bar, table
from vmqlib.errors import BadInput, DeadlinePassed, Interrupted
from vmqlib.times import parse_span, show_time

if TYPE_CHECKING:
    from vmqlib.aws import Aws
    from vmqlib.record.incident import Incident
    from vmqlib.runbook.alarmwatch import Watched
    from vmqlib.settings import Settings

__all__ = ["alarms_command", "watch"]


@click.group("alarms")
def alarms_command() -> None:
    """Watch the CloudWatch alarms on syncs until they clear.

    \b
    Examples:
      vmq alarms wait
      vmq alarms wait --incident INC-20261123-001 --deadline 30m
    """


@alarms_command.command("wait")
@click.option(
    "--incident", "incident_id", metavar="ID", help="Write what was seen into this incident's journal."
)
@click.option(
    "--deadline", default="30m", show_default=True, help="Give up waiting after this long (90s, 20m, 2h)."
)
@json_option
def wait_command(incident_id: str | None, deadline: str, as_json: bool) -> None:
    """Wait until every alarm is OK, and say which never will be. Changes nothing.

    An alarm whose metric has no datapoint with the very dimensions that it looks at is blind: its state says nothing.

    Exit codes: 0 all OK, 1 one is blind or gets no data (or there is none), 3 AWS refused, 5 one was not OK at the
    deadline, or nothing could be seen.

    \b
    Examples:
      vmq alarms wait
      vmq alarms wait --incident INC-20261123-001 --deadline 1h
      vmq alarms wait --deadline 10s --json | jq -r '.alarms[] | "\\(.name) \\(.state) \\(.clears_by)"'
    """
    from vmqlib.aws import Aws
    from vmqlib.settings import Settings

    settings = Settings.load()
    settings.require("app_id")
    aws = Aws(settings)
    incident = _open_incident(incident_id, settings, aws) if incident_id else None
    seen, late = watch(aws, settings, parse_span(deadline), incident)
    if as_json:
        print_json(seen.as_dict())
    else:
        _show(seen)
    for name in seen.missing:
        notice(
            f"There is no alarm {printable(name)}, which the settings name: `vmq doctor` shows how to make it."
        )
    if late is not None:
        raise late
    click.get_current_context().exit(0 if seen.ok else 1)


def watch(
    aws: Aws, settings: Settings, span: timedelta, incident: Incident | None = None
) -> tuple[Watched, DeadlinePassed | None]:
    """Watches the alarms, tells on stderr what changes, and writes what was seen last into the incident's journal.

    Returns
    -------
    tuple
        What was seen last, and the error to end with where ``span`` was not enough.

    Raises
    ------
    DeadlinePassed
        Where nothing could be seen at all within ``span``.
    Interrupted
        By Ctrl-C.
    """
    from vmqlib.runbook import alarmwatch
    from vmqlib.runbook.alarmlook import Look

    last: alarmwatch.Watched | None = None
    trouble = ""
    late: DeadlinePassed | None = None
    with progress_bar("{task.fields[states]}") as bar:
        task = bar.add_task("Watching", total=None, states="")

        def show(seen: alarmwatch.Watched | None, problem: str) -> None:
            nonlocal last, trouble
            if problem != trouble:
                notice(f"  {printable(problem)} Trying on." if problem else "  AWS answers again.")
            trouble = problem
            if seen is None:
                return
            told = _words(seen)
            if last is None or told != _words(last):
                for one in seen.alarms:
                    notice(f"  {printable(one.brief)}")
            last = seen
            bar.update(task, description="Watching (no answer)" if problem else "Watching", states=told)

        try:
            seen = alarmwatch.wait(Look(aws, settings), deadline=span, progress=show)
        except KeyboardInterrupt as error:
            raise Interrupted("Stopped watching.", hint="`vmq alarms wait` watches again.") from error
        except DeadlinePassed as error:
            if last is None:
                raise
            late, seen = error, last
    if incident is not None:
        alarmwatch.journal_watch(incident, seen)
    return seen, late


def _open_incident(incident_id: str, settings: Settings, aws: Aws) -> Incident:
    from vmqlib.record.incident import Incident

    incident = Incident.load(incident_id, settings=settings, aws=aws)
    if incident.state.closed_at:
        raise BadInput(f"{incident.id} is closed: its record is complete.", hint="Leave --incident out.")
    return incident


def _words(seen: Watched) -> str:
    return ", ".join(f"{one.name} {one.state}" for one in seen.alarms)


def _show(seen: Watched) -> None:
    from vmqlib.runbook.alarmwatch import clears_by

    click.echo(printable(seen.sentence))
    table(
        ("alarm", "state", "since", "clears by", "sees nothing"),
        (
            (
                one.name,
                one.state,
                show_time(one.since) if one.since else "",
                show_time(at) if (at := clears_by(one)) else "",
                # Why, the sentence above says.
                "yes, see above" if one.sees_nothing else "",
            )
            for one in seen.alarms
        ),
    )
