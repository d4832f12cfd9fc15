"""``vmq sync``: the group; each subcommand has a module of its own, and a line here (runbook, step 4)."""

from __future__ import annotations

import click

from vmqlib.cli.syncdocs import docs_command
from vmqlib.cli.synchistory import history_command
from vmqlib.cli.syncrun import run_command
from vmqlib.cli.syncstart import start_command, stop_command
from vmqlib.cli.synctouch import touch_command
from vmqlib.cli.syncverify import verify_command
from vmqlib.cli.syncwait import wait_command

__all__ = ["sync_command"]


@click.group("sync")
def sync_command() -> None:
    """Start a sync job, wait for it, prove that it worked; stop it, list past ones.

    \b
    Examples:
      vmq sync start && vmq sync wait
      vmq sync wait --deadline 20m
      vmq sync verify --incident INC-20261123-001
      vmq sync history --since 7d
    """


sync_command.add_command(start_command)
sync_command.add_command(wait_command)
sync_command.add_command(stop_command)
sync_command.add_command(history_command)
sync_command.add_command(verify_command)
sync_command.add_command(touch_command)
sync_command.add_command(docs_command)
sync_command.add_command(run_command)
