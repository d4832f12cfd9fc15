"""``python -m vmqlib.cli.restore ID``: back to the last good sync (runbook, step 3)."""

from __future__ import annotations

import sys

import click

from vmqlib.cli.output import confirm, notice, progress_bar, table, yes_option

__all__ = ["restore_command"]


@click.command("python -m vmqlib.cli.restore")
@click.argument("incident_id", metavar="ID")
@yes_option
def restore_command(incident_id: str, yes: bool) -> None:
    """Copy back the object versions that were current at the last good sync. No version is destroyed.

    Shows the plan and asks. An object that somebody else changed meanwhile is left alone.

    \b
    Examples:
      python -m vmqlib.cli.restore INC-20261123-001
      python -m vmqlib.cli.restore INC-20261123-001 --yes
    """
    from vmqlib.aws import Aws
    from vmqlib.record.incident import Incident
    from vmqlib.runbook import restore
    from vmqlib.settings import Settings
    from vmqlib.times import show_time

    settings = Settings.load()
    aws = Aws(settings)
    incident = Incident.load(incident_id, settings=settings, aws=aws)
    plan = restore.plan(incident)
    counts = plan.items["action"].value_counts()
    notice(f"s3://{plan.bucket} as of {show_time(plan.at)}, the start of the last good sync:")
    table(("action", "objects"), counts.items(), numeric=("objects",))
    for key in plan.held_back:
        notice(f"held back: {key} changed within that very second; decide by hand")
    if plan.items.empty:
        notice("Nothing to do.")
        return
    confirm(f"Restore {len(plan.items)} objects?", yes=yes)
    with progress_bar("{task.completed}/{task.total}") as bar:
        task = bar.add_task("Restoring", total=len(plan.items))
        restore.apply(incident, aws, plan, progress=lambda: bar.update(task, advance=1))
    notice(f"Restored {len(plan.items)} objects.")
    notice(f"Next: `vmq sync start --incident {incident.id}`, then `vmq sync wait --incident {incident.id}`.")


if __name__ == "__main__":
    from vmqlib.cli.main import run

    sys.exit(run(restore_command))
