"""Runbook step 3: copy back the object versions that were current at the last good sync.

scripts/restore_last_good.py INC-20261123-001          shows the plan and asks
scripts/restore_last_good.py INC-20261123-001 --yes    does not ask
"""

from __future__ import annotations

import sys

import click

from vmqlib.aws import Aws
from vmqlib.cli.main import run
from vmqlib.cli.output import confirm, notice, progress_bar, table, yes_option
from vmqlib.record.incident import Incident
from vmqlib.runbook import restore
from vmqlib.settings import Settings
from vmqlib.times import show_time


@click.command()
@click.argument("incident_id", metavar="ID")
@yes_option
def main(incident_id: str, yes: bool) -> None:
    """Restore what changed since the last good sync. No version is destroyed."""
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
        restore.apply(incident, aws, plan, progress=lambda: bar.advance(task))
    notice(f"Restored {len(plan.items)} objects. Next: vmq sync start --incident {incident.id}")


if __name__ == "__main__":
    sys.exit(run(main))
