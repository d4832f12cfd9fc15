"""``vmq sync``: the group; each subcommand has a module of its own, and a line here (runbook, step 4)."""

from __future__ import annotations

import click

from vmqlib.cli.synchistory import history_command
from vmqlib.cli.syncstart import start_command, stop_command
from vmqlib.cli.syncwait import wait_command
from vmqlib.aws import Aws
from vmqlib.cli.output import confirm, json_option, notice, print_json, progress_bar, table, yes_option
from vmqlib.cli.synctouch import touch_command
from vmqlib.cli.syncverify import verify_command
from vmqlib.errors import BadInput, Interrupted
from vmqlib.runbook import resync
from vmqlib.settings import Settings
from vmqlib.times import SystemClock, Window, duration, parse_when, show_time

__all__ = ["sync_command"]


@click.group("sync")
def sync_command() -> None:
    """Start a sync job, wait for it, stop it, list past ones.

    \b
    Examples:
      vmq sync start && vmq sync wait
      vmq sync wait --deadline 20m
      vmq sync history --since 7d
    """


sync_command.add_command(start_command)
sync_command.add_command(wait_command)
sync_command.add_command(stop_command)
sync_command.add_command(history_command)
sync_command.add_command(verify_command)
sync_command.add_command(touch_command)


@sync_command.command("start")
@_source
@_connector
@click.option("--incident", "incident_id", metavar="ID", help="Write it into this incident's journal.")
@yes_option
@json_option
def start_command(
    data_source_id: str | None, connector: str | None, incident_id: str | None, yes: bool, as_json: bool
) -> None:
    """Start a sync job, or say which one runs already.

    \b
    Examples:
      vmq sync start
      vmq sync start --connector docs --yes
      vmq sync start --incident INC-20261123-001 --yes
    """
    settings, aws = _connect()
    chosen = resync.choose(settings, data_source_id or "", connector or "")
    confirm(f"Start a sync job of {chosen.name} ({chosen.data_source_id})?", yes=yes)
    if incident_id:
        from vmqlib.record.incident import Incident

        incident = Incident.load(incident_id, settings=settings, aws=aws)
        started = resync.journaled_start(incident, aws, settings, chosen.data_source_id)
    else:
        started = resync.start(aws, settings, chosen.data_source_id)
    if as_json:
        print_json(asdict(started))
    elif started.joined:
        notice("A sync job was running already; joined it.")
        click.echo(started.execution_id)
    else:
        notice("Started a sync job. `vmq sync wait` waits for its end.")
        click.echo(started.execution_id)


@sync_command.command("wait")
@_source
@_connector
@click.option(
    "--execution", "execution_id", metavar="ID", default="", help="The sync job; default: the newest."
)
@click.option(
    "--deadline", default="2h", show_default=True, help="Give up waiting after this long (90s, 20m, 2h)."
)
@click.option(
    "--incident", "incident_id", metavar="ID", help="Write the outcome into this incident's journal."
)
@json_option
def wait_command(
    data_source_id: str | None,
    connector: str | None,
    execution_id: str,
    deadline: str,
    incident_id: str | None,
    as_json: bool,
) -> None:
    """Wait until a sync job has ended. Ctrl-C leaves the job alone.

    Exit code 0: SUCCEEDED. 1: INCOMPLETE, FAILED or ABORTED. 5: it still runs at the deadline.

    \b
    Examples:
      vmq sync wait
      vmq sync wait --deadline 20m --json
    """
    settings, aws = _connect()
    chosen = resync.choose(settings, data_source_id or "", connector or "")
    with progress_bar("{task.fields[counts]}") as progress:
        task = progress.add_task(f"Sync of {chosen.name}", total=None, counts="")

        def show(job: resync.SyncJob) -> None:
            counts = f"{job.scanned} scanned, {job.added} added, {job.modified} modified, {job.failed} failed"
            progress.update(task, description=f"{job.status}: {resync.MEANING[job.status]}", counts=counts)

        try:
            job = resync.wait(
                aws, settings, chosen.data_source_id, execution_id, deadline=_span(deadline), progress=show
            )
        except KeyboardInterrupt as error:
            raise Interrupted(
                "Stopped waiting; the sync job goes on.", hint="`vmq sync wait` waits for it again."
            ) from error
    sentence = resync.describe(job, SystemClock().now())
    if incident_id:
        from vmqlib.record.incident import Incident

        resync.journal_outcome(Incident.load(incident_id, settings=settings, aws=aws), job)
    if as_json:
        print_json({**asdict(job), "succeeded": job.succeeded})
    else:
        click.echo(sentence)
        if not job.succeeded:
            notice(
                f"{job.status}: {resync.MEANING[job.status]}. `vmq logs --since 2h` shows which documents and why."
            )
    click.get_current_context().exit(0 if job.succeeded else 1)


@sync_command.command("history")
@_source
@_connector
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
    settings, aws = _connect()
    chosen = resync.choose(settings, data_source_id or "", connector or "")
    now = SystemClock().now()
    window = Window(parse_when(since, now), parse_when(until, now))
    jobs = resync.history(aws, settings, chosen.data_source_id, window)
    if as_json:
        print_json([asdict(job) for job in jobs])
        return
    numbers = ("added", "modified", "deleted", "failed", "scanned")
    table(
        ("started", "took", "status", *numbers, "error"),
        (
            (
                show_time(job.started_at),
                duration((job.ended_at or now) - job.started_at),
                job.status,
                *(getattr(job, number) for number in numbers),
                job.error_message,
            )
            for job in jobs
        ),
        numeric=("took", *numbers),
    )
    if not jobs:
        notice(f"No sync job started since {show_time(window.since)}.")


def _connect() -> tuple[Settings, Aws]:
    settings = Settings.load()
    settings.require("app_id", "index_id")
    return settings, Aws(settings)


def _span(text: str) -> timedelta:
    now = SystemClock().now()
    span = now - parse_when(text, now)
    if span <= timedelta():
        raise BadInput(f"{text!r} is not a length of time.", hint="Write one such as 90s, 20m or 2h.")
    return span
