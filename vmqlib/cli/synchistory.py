"""``vmq sync history``."""

from __future__ import annotations

from dataclasses import asdict

import click

from vmqlib.cli.output import json_option, notice, print_json, short_time, table
from vmqlib.cli.syncoptions import connect, connector_option, source_option
from vmqlib.runbook import resync
from vmqlib.times import SystemClock, Window, duration, parse_when, show_time

__all__ = ["history_command"]


@click.command("history")
@source_option
@connector_option
@click.option("--since", default="7d", show_default=True, help="An age (7d, 12h) or a UTC time.")
@click.option("--until", default="now", show_default=True, help="An age or a UTC time.")
@json_option
def history_command(
    data_source_id: str | None, connector: str | None, since: str, until: str, as_json: bool
) -> None:
    """List sync jobs, newest first.

    \b
    Examples:
      vmq sync history --since 21d
      vmq sync history --json | jq '.[0].status'
    """
    settings, aws = connect()
    chosen = resync.choose(settings, data_source_id or "", connector or "")
    now = SystemClock().now()
    window = Window(parse_when(since, now), parse_when(until, now))
    jobs = resync.history(aws, settings, chosen.data_source_id, window)
    if as_json:
        print_json([asdict(job) for job in jobs])
        return
    numbers = ("added", "modified", "deleted", "failed", "scanned")
    table(
        ("started (UTC)", "took", "status", *numbers, "error"),
        (
            (
                short_time(job.started_at),
                duration(job.took(now)),
                job.status,
                *(getattr(job, number) for number in numbers),
                job.error_message,
            )
            for job in jobs
        ),
        numeric=("took", *numbers),
        spare=("scanned",),
    )
    if not jobs:
        notice(f"No sync job started since {show_time(window.since)}.")
