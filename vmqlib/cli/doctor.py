"""``vmq doctor``: is everything wired up that the kit, and whoever is on call, relies on?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vmqlib.cli.output import Once, json_option, notice, print_json, printable, progress_bar, table
from vmqlib.errors import BadInput
from vmqlib.times import show_time

if TYPE_CHECKING:
    from vmqlib.runbook.checks import CheckResult
    from vmqlib.runbook.doctor import Diagnosis

__all__ = ["doctor_command"]


@click.command("doctor")
@click.option(
    "--incident", "incident_id", default="", metavar="ID",
    help="Keep what it sees as this incident's evidence, and note what it comes to in its journal.",
)  # fmt: skip
@json_option
def doctor_command(incident_id: str, as_json: bool) -> None:
    """Check settings, account, permissions, ids, alarms, log delivery, bucket and the connector's role.

    Each check passes, fails, or cannot be told, with the reason. What is wrong comes with its mend, to be copied: a
    blind alarm with the whole command that lets it see, every other property as it is. Nothing is ever changed.

    Exit codes: 0 nothing failed (what cannot be told is said, and is no failure), 1 a check failed,
    3 AWS cannot be reached at all.

    \b
    Examples:
      vmq doctor
      vmq doctor --incident INC-20261123-001
      vmq doctor --json | jq -r '.checks[] | select(.outcome == "fail") | .mend'
    """
    from vmqlib.aws import Aws
    from vmqlib.runbook.doctor import diagnose, examine, look, sources_of
    from vmqlib.settings import Settings

    settings = Settings.load()
    aws = Aws(settings)
    with progress_bar("{task.completed:.0f}/{task.total:.0f}", transient=True) as bar:
        task = bar.add_task("Looking", total=len(sources_of()))

        def progress(name: str) -> None:
            bar.update(task, advance=1, description=f"looked at {name}")

        if incident_id:
            from vmqlib.record.incident import Incident

            incident = Incident.load(incident_id, settings=settings, aws=aws)
            if closed := incident.state.closed_at:
                raise BadInput(
                    f"{incident.id} was closed at {show_time(closed)}.",
                    hint="A closed record stays as it is; `vmq doctor` looks without one.",
                )
            found = diagnose(incident, progress=progress)
        else:
            found = examine(look(aws, settings, progress=progress), settings, aws.clock.now())
    if as_json:
        print_json(found.as_dict())
    else:
        _show(found)
    if found.unreachable:
        notice("AWS cannot be reached, or takes no call from us: only settings and folders were looked at.")
    click.get_current_context().exit(3 if found.unreachable else 1 if found.count(False) else 0)


def _show(found: Diagnosis) -> None:
    once = Once()
    for part in found.parts:
        click.echo(click.style(part.title, bold=True))
        rows = [
            (one.outcome, one.name, _of(one, one.finding if one.ok else once(one.finding, one.name)))
            for one in part.checks
        ]
        table(("outcome", "check", "finding"), rows)
        click.echo()
    mends: dict[str, list[CheckResult]] = {}
    for one in found.checks:
        if one.ok is not True and one.mend:
            mends.setdefault(one.mend, []).append(one)
    if mends:
        click.echo(click.style("What to do", bold=True))
    for mend, concerned in mends.items():
        click.echo()
        for one in concerned:
            click.echo(_heading(one))
        # Not through the table: a command has to be copied as it is.
        for line in mend.splitlines():
            click.echo(printable(line))
    click.echo(f"\n{found.summary}" if mends else found.summary)


def _of(one: CheckResult, finding: str) -> str:
    """A finding with what it is of, where its words do not say that themselves."""
    return finding if not one.subject or one.subject in finding else f"{one.subject}: {finding}"


def _heading(one: CheckResult) -> str:
    of = f" ({one.subject})" if one.subject else ""
    return click.style(f"# {one.outcome}: {printable(one.name + of)}", bold=True)
