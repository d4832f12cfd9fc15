"""``vmq validate``: is it over (runbook, step 6)?"""

from __future__ import annotations

import click

from vmqlib.cli.output import json_option, notice, print_json, printable, progress_bar, table
from vmqlib.settings import Settings

__all__ = ["validate_command"]


@click.command("validate")
@click.argument("incident_id", metavar="ID")
@click.option("--no-ask", is_flag=True, help="Ask no canary question: what was answered before counts.")
@json_option
def validate_command(incident_id: str, no_ask: bool, as_json: bool) -> None:
    """Look again whether an incident is over: questions, alarms, syncs, index, schedules, dashboard, open changes.

    Nothing is changed. The canary questions and guardrail prompts of the settings are asked, as a user would: that
    stands in the application's logs. What the kit cannot ask is asked by a person, and noted. docs/closing.md.

    Exit codes: 0 every check passed, 1 one failed or cannot be told, 2 it is closed, 3 AWS cannot be reached at all.

    \b
    Examples:
      vmq validate INC-20261123-001
      vmq validate INC-20261123-001 --json | jq '.checks[] | select(.outcome != "pass")'
      vmq note INC-20261123-001 --question "What is MIRAGE?" --as-expected "cites phases-mirage.md"
    """
    from vmqlib.aws import Aws
    from vmqlib.record.incident import Incident
    from vmqlib.runbook.validation import validate

    settings = Settings.load()
    aws = Aws(settings)
    incident = Incident.load(incident_id, settings=settings, aws=aws)
    if not incident.state.closed_at:  # that is said first, and needs nobody
        aws.caller()  # nothing that follows says anything where nobody can be asked
    with progress_bar(transient=True) as progress:
        task = progress.add_task("Looking", total=None)
        made = validate(
            incident,
            ask=not no_ask,
            progress=lambda name: progress.update(task, description=f"Looked at {name}"),
        )
    if as_json:
        print_json(
            {
                "id": incident.id,
                "ok": made.ok,
                "at": made.at,
                "sentence": made.sentence,
                "checks": [check.as_dict() for check in made.checks],
            }
        )
    else:
        table(
            ("outcome", "check", "about", "finding"),
            ((check.outcome, check.name, check.subject, check.finding) for check in made.checks),
        )
        for check in (*made.failing, *made.unknown):
            if check.mend:
                about = f" ({check.subject})" if check.subject else ""
                click.echo(printable(f"{check.outcome}: {check.name}{about}"))
                for line in check.mend.splitlines():
                    click.echo(f"    {printable(line)}")
        notice(printable(made.sentence))
    click.get_current_context().exit(0 if made.ok else 1)
