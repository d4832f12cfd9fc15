"""``vmq logs``: capture a data source's logs (runbook, step 2: ``make logs SYNC_DATA_SOURCE_ID=<id>``)."""

from __future__ import annotations

from pathlib import Path

import click

from vmqlib.aws import Aws, aws_errors
from vmqlib.cli.output import json_option, notice, print_json, progress_bar, short_time, table
from vmqlib.errors import AwsError, ResourceMissing
from vmqlib.record.redaction import redactor_for
from vmqlib.runbook.resync import choose
from vmqlib.settings import Settings
from vmqlib.sources.logs import Capture, CaptureProgress, LogQuery, capture, default_out
from vmqlib.times import SystemClock, Window, parse_when, show_time

__all__ = ["logs_command"]


@click.command("logs")
@click.option(
    "--data-source", "data_source_id", metavar="ID", default="", help="Default: DS_ID, or the only connector."
)
@click.option(
    "--since", default="2h", show_default=True, help="An age (2h, 3d) or a UTC time (2026-11-20T10:00Z)."
)
@click.option("--until", default="now", show_default=True, help="An age or a UTC time.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Folder to write to.  [default: logs/<data source>/<window>]",
)
@click.option("--conversations", is_flag=True, help="The conversation log, too: what people asked, masked.")
@click.option("--filter", "pattern", default="", metavar="PATTERN", help="A CloudWatch Logs filter pattern.")
@json_option
def logs_command(
    data_source_id: str,
    since: str,
    until: str,
    out: Path | None,
    conversations: bool,
    pattern: str,
    as_json: bool,
) -> None:
    """Capture the connector log, the document-level report and further groups into gzip JSON lines.

    Secrets and personal data are masked before anything touches the disk. Ctrl-C loses nothing that was read: the same
    command goes on where it stopped.

    \b
    Examples:
      vmq logs --since 2h
      vmq logs --data-source ID --since 2026-11-20T10:00Z --until 2026-11-20T12:00Z --out /tmp/logs
      vmq logs --filter '{ $.LogLevel = "Error" }' --json | jq .failing_documents
    """
    settings = Settings.load()
    settings.require("app_id")
    source = choose(settings, data_source_id).data_source_id
    now = SystemClock().now()
    window = Window(parse_when(since, now), parse_when(until, now))
    query = LogQuery.of_data_source(
        settings, source, window, conversation=conversations, pattern=pattern, asked=f"{since} to {until}"
    )
    out = out or default_out(Path("logs"), query)
    aws = Aws(settings)
    mask = redactor_for(settings, kept=True).text
    with progress_bar("{task.fields[count]}", transient=True) as bar:
        task = bar.add_task("Reading", total=None, count="")

        def show(seen: CaptureProgress) -> None:
            latest = f" to {show_time(seen.latest)}" if seen.latest else ""
            bar.update(
                task,
                description=f"Reading{latest}",
                total=seen.streams_total or None,
                completed=seen.streams_done,
                count=f"{seen.events:,} events, {seen.streams_done}/{seen.streams_total} streams",
            )

        found = capture(aws, settings, query, out, mask, show)
    if as_json:
        print_json({**found.to_json(), "out": out.resolve()})
    else:
        _show(found)
    if found.problem is not None:
        raise found.problem
    if not found.events:
        _exists(aws, settings, source)


def _exists(aws: Aws, settings: Settings, data_source_id: str) -> None:
    """No events at all: is there such a data source? Where that cannot be told, an empty window is believed."""
    try:
        with aws_errors("qbusiness:GetDataSource", f"data source {data_source_id}"):
            aws.client("qbusiness").get_data_source(
                applicationId=settings.app_id, indexId=settings.index_id, dataSourceId=data_source_id
            )
    except ResourceMissing:
        raise
    except AwsError as error:
        notice(f"No events, and it cannot be told whether there is such a data source: {error.message}")


def _show(found: Capture) -> None:
    table(
        ("log", "events", "first (UTC)", "last (UTC)", "complete"),
        (
            (
                part.name,
                f"{part.events:,}",
                short_time(part.first) if part.first else "",
                short_time(part.last) if part.last else "",
                "yes" if part.complete else f"no: {part.stopped}",
            )
            for part in found.parts
        ),
        numeric=("events",),
    )
    click.echo(f"  {found.out}/")
    for note in dict.fromkeys(part.note for part in found.parts if part.note):
        notice(f"  {note}")
    if found.resumed:
        notice("Went on from an earlier capture that was interrupted.")
    if found.failures:
        table(
            ("failing documents", "error", "first seen", "last seen", "for example"),
            (
                (
                    each.documents,
                    each.error,
                    each.first_seen[:19],
                    each.last_seen[:19],
                    each.examples[0] if each.examples else "",
                )
                for each in found.failures
            ),
            numeric=("failing documents",),
            whole=("for example",),
        )
