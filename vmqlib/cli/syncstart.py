"""``vmq sync start`` and ``vmq sync stop``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from vmqlib.cli.output import confirm, json_option, notice, print_json, printable, yes_option
from vmqlib.cli.syncoptions import (
    connect,
    connector_option,
    incident_option,
    loaded,
    several,
    source_option,
)
from vmqlib.cli.syncprogress import watching
from vmqlib.errors import BadInput, Interrupted, VmqError
from vmqlib.runbook import resync
from vmqlib.times import parse_span, show_time

if TYPE_CHECKING:
    from vmqlib.aws import Aws
    from vmqlib.record.incident import Incident
    from vmqlib.settings import Settings

__all__ = ["start_command", "stop_command"]


@click.command("start")
@several
@incident_option
@click.option(
    "--despite-rollback",
    default="",
    metavar="WHY",
    help="Start although a rollback is half done; the reason is written into the journal.",
)
@yes_option
@json_option
def start_command(
    data_source_ids: tuple[str, ...],
    connectors: tuple[str, ...],
    every: bool,
    incident_id: str | None,
    despite_rollback: str,
    yes: bool,
    as_json: bool,
) -> None:
    """Start a sync job, or say which one runs already and whose it is.

    Exit code 1: index or data source are not ACTIVE. 4: a rollback is half done. Of several data sources, the highest
    code counts; one that cannot be started leaves the others alone.

    \b
    Examples:
      vmq sync start
      vmq sync start --connector docs --yes
      vmq sync start --all --yes --json
      vmq sync start --incident INC-20261123-001 --yes
    """
    settings, aws = connect()
    incident = loaded(incident_id, settings, aws)
    if incident is not None and incident.state.closed_at:
        raise BadInput(f"{incident.id} is closed.", hint="Leave --incident out, or open a new one.")
    chosen = resync.choose_all(settings, data_source_ids, connectors, every=every, default=_default(incident))
    plans = resync.plan_starts(aws, settings, chosen, incident)
    _show(plans)
    refused = {
        plan.connector.data_source_id: refusal
        for plan in plans
        if (refusal := plan.refusal(despite_rollback=bool(despite_rollback.strip()))) is not None
    }
    wanted = [plan for plan in plans if plan.connector.data_source_id not in refused]
    if wanted:
        names = ", ".join(plan.connector.name for plan in wanted)
        confirm(f"Start {'sync jobs' if len(wanted) > 1 else 'a sync job'} of {names}?", yes=yes)
    started: dict[str, resync.Started] = {}
    for plan in wanted:
        source = plan.connector.data_source_id
        try:
            started[source] = _start(incident, aws, settings, plan, despite_rollback.strip())
        except VmqError as error:
            refused[source] = error
        except KeyboardInterrupt as error:
            raise Interrupted(
                f"Interrupted while a sync job of {plan.connector.name} was being started: perhaps it runs.",
                hint="The same command joins it if it does.",
            ) from error
    _tell(plans, started, refused, incident_id, as_json=as_json)


@click.command("stop")
@source_option
@connector_option
@incident_option
@click.option(
    "--deadline", default="10m", show_default=True, help="Give up waiting for ABORTED after this long."
)
@yes_option
@json_option
def stop_command(
    data_source_id: str | None,
    connector: str | None,
    incident_id: str | None,
    deadline: str,
    yes: bool,
    as_json: bool,
) -> None:
    """Stop the sync job that runs, and wait until it is ABORTED. What it has indexed stays indexed.

    Exit code 0: it is stopped, or nothing ran. 1: it had ended by itself before. 4: another job runs by now. 5: it is
    still STOPPING at the deadline.

    \b
    Examples:
      vmq sync stop
      vmq sync stop --incident INC-20261123-001 --yes
    """
    limit = parse_span(deadline)
    settings, aws = connect()
    incident = loaded(incident_id, settings, aws)
    own = "" if connector else _default(incident)
    chosen = resync.choose(settings, data_source_id or own, connector or "")
    if incident is not None:
        resync.unsettled_stops(incident, aws, settings)
    job = resync.latest(aws, settings, chosen.data_source_id)
    if job is None or not job.running:
        if as_json:
            print_json({"data_source_id": chosen.data_source_id, "stopped": False, "job": None})
        notice(f"No sync job of {chosen.name} is running.")
        return
    notice(
        f"{chosen.name}: {job.execution_id} is {job.status} ({resync.MEANING[job.status]}), {_counts(job)}."
    )
    confirm(f"Stop this sync job of {chosen.name}? What it has indexed stays indexed.", yes=yes)
    with watching({chosen.data_source_id: chosen.name}, {}) as watch:
        try:
            done = resync.stop(
                aws,
                settings,
                job,
                incident=incident,
                deadline=limit,
                progress=lambda seen: watch.progress(chosen.data_source_id, seen),
                trouble=lambda seen: watch.trouble(chosen.data_source_id, seen),
            )
        except KeyboardInterrupt as error:
            raise Interrupted(
                "Interrupted: perhaps the job is being stopped.",
                hint="`vmq sync history` shows what became of it.",
            ) from error
    if as_json:
        print_json({"data_source_id": chosen.data_source_id, "stopped": done.ok, "job": asdict(done.job)})
    else:
        click.echo(done.sentence)
    click.get_current_context().exit(0 if done.ok else 1)


def _default(incident: Incident | None) -> str:
    return incident.identity.data_source_id if incident is not None else ""


def _counts(job: resync.SyncJob) -> str:
    return f"{job.scanned} scanned, {job.added} added, {job.modified} modified so far"


def _show(plans: Sequence[resync.StartPlan]) -> None:
    """The small plan, on stderr: stdout stays for the ids."""
    for plan in plans:
        source = plan.ready.source if plan.ready else None
        parts = [
            f"schedule {source.schedule or 'none'}" if source else "schedule not seen",
            f"usually {plan.usual.usual.removeprefix('usually ')}"
            if plan.usual
            else "no past runs to compare",
        ]
        if plan.running is not None:
            parts.append(f"running since {show_time(plan.running.started_at)}: a start joins it")
        status = source.status if source else "status not seen"
        where = f"{plan.connector.data_source_id}, {status}"
        notice(printable(f"{plan.connector.name} ({where}): {'; '.join(parts)}."))
        for warning in plan.warnings:
            notice(printable(f"  {warning}"))


def _start(
    incident: Incident | None, aws: Aws, settings: Settings, plan: resync.StartPlan, despite: str
) -> resync.Started:
    # What was looked at before the question may not be so any more after it: it is looked at again.
    source = plan.connector.data_source_id
    if incident is None:
        return resync.start(aws, settings, source)
    half = any(check.ok is False for check in plan.rollbacks)
    about = {"despite_rollback": despite} if despite and half else {}
    return resync.journaled_start(incident, aws, settings, source, about=about)


def _tell(
    plans: Sequence[resync.StartPlan],
    started: dict[str, resync.Started],
    refused: dict[str, VmqError],
    incident_id: str | None,
    *,
    as_json: bool,
) -> None:
    if len(plans) == 1 and refused:
        raise next(iter(refused.values()))
    if as_json:
        documents: list[dict[str, Any]] = [
            asdict(started[source])
            if source in started
            else {"data_source_id": source, "error": refused[source].message, "hint": refused[source].hint,
                  "exit_code": refused[source].exit_code}
            for source in (plan.connector.data_source_id for plan in plans)
        ]  # fmt: skip
        print_json(documents[0] if len(documents) == 1 else documents)
    for plan in plans:
        source, name = plan.connector.data_source_id, plan.connector.name
        if source in refused:
            notice(f"{name}: {printable(refused[source].message)} {printable(refused[source].hint)}")
            continue
        one = started[source]
        notice(
            f"{name}: a sync job was running already; joined it. It is {printable(one.why)}."
            if one.joined
            else f"{name}: started a sync job."
        )
        if not as_json:
            click.echo(one.execution_id)
    if started:
        for_it = f" --incident {incident_id}" if incident_id else ""
        notice(f"`vmq sync wait{for_it}` waits for its end.")
    click.get_current_context().exit(max((error.exit_code for error in refused.values()), default=0))
