"""``vmq open`` and ``vmq render``: the record, made and made again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from vmqlib.cli.output import json_option, notice, print_json, printable, progress_bar
from vmqlib.errors import AlreadyOpen, BadInput
from vmqlib.record.kernel import start_kernel
from vmqlib.times import show_time

if TYPE_CHECKING:
    from vmqlib.runbook.approvals import Remedy
    from vmqlib.runbook.opening import Record

__all__ = ["open_command", "render_command"]

# Written out here, so that `vmq open --help` and a mistyped option need not load the library.
_TRIGGERS = ("sync-failed", "no-sync", "guardrail", "content")
_SEVERITIES = ("SEV1", "SEV2", "SEV3")


@click.command("open")
@click.option("--trigger", type=click.Choice(_TRIGGERS), help="The runbook's trigger condition.")
@click.option(
    "--event", "event", type=click.Path(dir_okay=False, allow_dash=True), metavar="FILE",
    help="A CloudWatch alarm: SNS notification, EventBridge event, or bare. - reads stdin.",
)  # fmt: skip
@click.option("--auto", is_flag=True, help="Whatever `vmq detect` finds firing, one incident for each cause.")
@click.option(
    "--severity", type=click.Choice(_SEVERITIES),
    help="Default: SEV2, or SEV1 where the settings' rule says that customers are hit.",
)  # fmt: skip
@click.option("--title", default="", help="Default: the trigger, in the runbook's words; the alarm's reason.")
@click.option(
    "--data-source", "data_source_id", default="", metavar="ID", help="Default: DS_ID, or every connector."
)
@click.option("--since", default="21d", show_default=True, help="How far back to look: an age or a UTC time.")
@click.option("--logs-since", default="48h", show_default=True, help="How far back to read logs.")
@click.option(
    "--approve", multiple=True, metavar="STEP",
    help="Carry this step out, too; may be given again: rollback (to the last good sync), schedule (disable it when "
    "failures are recurring).",
)  # fmt: skip
@json_option
def open_command(
    trigger: str | None,
    event: str | None,
    auto: bool,
    severity: str | None,
    title: str,
    data_source_id: str,
    since: str,
    logs_since: str,
    approve: tuple[str, ...],
    as_json: bool,
) -> None:
    """From a page to a record: open an incident, look at everything, run the notebook, write the page.

    Give one of --trigger, --event and --auto. With --event and --auto there is one incident for one cause: where there
    is one already, it is named and no other is opened.

    Looks only; changes nothing in AWS unless --approve names a step. A rollback to the last good sync is planned and
    shown. What cannot be had is said in its place in the record.

    \b
    Examples:
      vmq open --trigger sync-failed
      vmq open --trigger sync-failed --approve rollback
      vmq open --trigger no-sync --severity SEV1 --title "Nothing indexed since Friday"
      vmq open --event notification.json
      aws cloudwatch describe-alarms --alarm-names QBusinessSyncFailed | vmq open --event -
      vmq open --auto
      vmq open --trigger sync-failed --json | jq -r .html
    """
    if (given := (trigger is not None) + (event is not None) + auto) != 1:
        raise BadInput(
            "Nothing says what to open an incident for."
            if not given
            else "More than one thing says what to open.",
            hint="Give one of --trigger NAME, --event FILE and --auto.",
        )
    from vmqlib.cli.occasions import Occasion, by_event, by_rules, show_known, show_nothing

    # A page is read before anything is started: one that cannot be used costs nothing.
    occasions = [by_event(event)] if event is not None else [Occasion(trigger)] if trigger else []
    # Before anything else is imported: it gets ready on the other core.
    with start_kernel(offline=True) as kernel, progress_bar(transient=True) as bar:
        task = bar.add_task("Opening", total=None)

        def progress(words: str) -> None:
            bar.update(task, description=words)

        from vmqlib.runbook.opening import page_to_record
        from vmqlib.settings import Settings

        settings = Settings.load()
        found = None
        if auto:
            found, occasions = by_rules(settings, since=since, progress=progress)
        records: list[Record] = []
        known: list[AlreadyOpen] = []
        for occasion in occasions:
            try:
                records.append(
                    page_to_record(
                        settings,
                        kernel=kernel if occasion is occasions[0] else None,
                        trigger=occasion.trigger,
                        severity=severity or "",
                        title=title or occasion.title,
                        data_source_id=data_source_id or occasion.data_source_id,
                        since=since,
                        logs_since=logs_since,
                        approve=approve,
                        cause=occasion.cause,
                        progress=progress,
                    )
                )
            except AlreadyOpen as error:
                known.append(error)
    if found is not None and not occasions:
        show_nothing(found, as_json=as_json)
    elif not records:
        show_known(settings, known, as_json=as_json)
    for there in known:
        notice(f"  {printable(there.message)}")
        if there.closed and found is None:
            notice(f"  {printable(there.hint)}")
    for record in records:
        _others_open(record)
        _say_where_ok(record, occasions[0].alarm)
    _show_all(records, as_json=as_json)
    # What was looked at just now fires although its incident is closed: nobody works on it.
    closed = [there for there in known if there.closed]
    if found is not None and closed:
        raise AlreadyOpen(
            f"It fires still, and {_ids(closed)} closed: nobody works on it.",
            hint="\n".join(dict.fromkeys(there.hint for there in closed)),
            incident_id=closed[0].incident_id,
            closed=True,
        )


def _ids(known: Sequence[AlreadyOpen]) -> str:
    ids = list(dict.fromkeys(one.incident_id for one in known))
    return f"{', '.join(ids)} {'is' if len(ids) == 1 else 'are'}"


def _say_where_ok(record: Record, alarm: str) -> None:
    """Says where the alarm of the page that it was opened for has gone to OK meanwhile."""
    seen = record.incident.observed("alarms")
    if alarm and seen.available and (seen.frame["name"].eq(alarm) & seen.frame["state"].eq("OK")).any():
        notice(f"  the alarm {printable(alarm)} is OK now.")


def _show_all(records: Sequence[Record], *, as_json: bool) -> None:
    """Says where the records are. In JSON it is one document: the most severe one's, with the others in it."""
    stopped = [one.remedy.stopped for one in records if one.remedy.stopped is not None]
    if as_json and len(records) > 1:
        first, *others = [_record(one, opened=True) for one in records]
        print_json({**first, "others": others})
    else:
        for record in records:
            _show(record, as_json=as_json, looked=True, opened=True)
    if stopped:
        raise stopped[0]


@click.command("render")
@click.argument("incident_id", metavar="ID")
@click.option("--refresh", is_flag=True, help="Look at AWS again first. Without it AWS is not asked at all.")
@click.option("--since", default="21d", show_default=True, help="With --refresh: how far back to look.")
@click.option(
    "--logs-since", default="48h", show_default=True, help="With --refresh: how far back to read logs."
)
@json_option
def render_command(incident_id: str, refresh: bool, since: str, logs_since: str, as_json: bool) -> None:
    """Write the record again, from its evidence alone: months later, offline, with the same result.

    \b
    Examples:
      vmq render INC-20261123-001
      vmq render INC-20261123-001 --refresh
    """
    with start_kernel(offline=True) as kernel, progress_bar(transient=True) as bar:
        task = bar.add_task(f"Rendering {incident_id}", total=None)
        from vmqlib.record.incident import Incident
        from vmqlib.runbook.approvals import remedy
        from vmqlib.runbook.opening import look, write_record
        from vmqlib.settings import Settings

        settings = Settings.load()
        aws = None
        if refresh:
            from vmqlib.aws import Aws

            aws = Aws(settings)
        incident = Incident.load(incident_id, settings=settings, aws=aws)
        if refresh:
            look(
                incident,
                since=since,
                logs_since=logs_since,
                refresh=True,
                progress=lambda name: bar.update(task, description=f"observed {name}"),
            )
            remedy(incident, again=False)  # where none could be planned before
        record = write_record(incident, kernel=kernel)
    _show(record, as_json=as_json, looked=refresh)


def _show(record: Record, *, as_json: bool, looked: bool, opened: bool = False) -> None:
    """Says where the record is and what is not in it. Exit code 3 where AWS was asked and nothing could be seen."""
    incident = record.incident
    seen = incident.observations()
    # A problem beside older evidence: it could not be seen this time, and the record shows what was true then.
    missing = [each for each in seen.values() if each.problem]
    if as_json:
        print_json(_record(record, opened=opened))
    else:
        click.echo(f"{incident.id}  {incident.state.severity}  {printable(incident.identity.title)}")
        if opened and incident.state.severity_reason:
            click.echo(f"  {incident.state.severity}: {printable(incident.state.severity_reason)}")
        click.echo(f"  {record.html}")
        click.echo(f"  {record.run.path}")
        _tell(record.remedy, incident.id)
    for each in missing:
        then = (
            f" The record shows what was seen at {show_time(each.at)}." if each.available and each.at else ""
        )
        notice(printable(f"  not seen: {each.title}: {each.problem} {each.hint}{then}"))
    if looked and all(each.problem for name, each in seen.items() if incident.sources[name].asks_aws):
        notice("Nothing could be seen. The record says so; when AWS can be reached again:")
        notice(f"  vmq render {incident.id} --refresh")
        click.get_current_context().exit(3)


def _record(record: Record, *, opened: bool) -> dict[str, Any]:
    """Where a record is, for programs."""
    incident = record.incident
    return {
        "id": incident.id,
        "dir": incident.dir.resolve(),
        "notebook": record.run.path.resolve(),
        "html": record.html.resolve(),
        "state": incident.state.phase,
        "severity": incident.state.severity,
        "unavailable": [one.name for one in incident.observations().values() if one.problem],
        "seconds": round(record.run.seconds, 2),
        **(
            {"rollback": _remedy(record.remedy), "schedule": record.remedy.schedule, "opened": True}
            if opened
            else {}
        ),
    }


def _remedy(done: Remedy) -> dict[str, Any]:
    """What came of the rollback, for programs."""
    plan, seen, problem = done.plan, done.verification, done.problem
    return {
        "digest": plan.digest if plan else None,
        "plan": plan.path.resolve() if plan else None,
        "counts": dict(plan.head.counts) if plan else {},
        "outcome": done.outcome,
        "verified": seen.ok if seen else None,
        "problem": problem.message if problem else "",
        "hint": problem.hint if problem else "",
    }


def _tell(done: Remedy, incident_id: str) -> None:
    """The same in a few lines, for people."""
    if done.schedule:
        click.echo(f"  {printable(done.schedule)}")
    if done.schedule_problem is not None:
        notice(f"  the schedule: {done.schedule_problem.message} {done.schedule_problem.hint}")
    if done.plan is not None:
        click.echo(f"  rollback {done.plan.digest[:12]}: {done.plan.summary}")
    if done.applied is not None:
        click.echo(f"  {done.applied.sentence}")
    elif done.plan is not None and done.plan.changes:
        click.echo(f"  not applied: vmq rollback apply {incident_id} --digest {done.plan.digest[:12]}")
    if done.verification is not None:
        click.echo(f"  {done.verification.sentence}")
    if done.problem is not None and not done.approved:
        notice(f"  no rollback was planned: {done.problem.message} {done.problem.hint}")


def _others_open(record: Record) -> None:
    """Two people paged by one alarm: whoever opens second is told of the first."""
    mine = record.incident
    for entry in type(mine).list(mine.dir.parent):
        if (
            entry.id != mine.id
            and entry.trigger == mine.identity.trigger
            and not entry.closed_at
            and not entry.problem
        ):
            opened = f", opened {show_time(entry.opened_at)}" if entry.opened_at else ""
            notice(f"  {entry.id} is open for the same trigger{opened}.")
