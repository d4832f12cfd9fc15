"""``vmq schedule``: disable, restore, show (runbook, step 2)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from vmqlib.cli.output import confirm, json_option, notice, print_json, printable, table, yes_option
from vmqlib.cli.syncoptions import connect, loaded, several
from vmqlib.errors import Interrupted
from vmqlib.runbook import resync, stabilize
from vmqlib.times import show_time

if TYPE_CHECKING:
    from vmqlib.aws import Aws
    from vmqlib.record.incident import Incident
    from vmqlib.runbook.stabilize import SchedulePlan
    from vmqlib.settings import Connector, Settings

__all__ = ["schedule_command"]

_id = click.argument("incident_id", metavar="ID")
_digest = click.option(
    "--digest",
    default="",
    metavar="D",
    help="The plan that was looked at: its digest, or 8 characters of it.",
)
_plan_only = click.option("--plan", "plan_only", is_flag=True, help="Show the plan, and change nothing.")


@click.group("schedule")
def schedule_command() -> None:
    """Switch a connector's sync schedule off while its syncs keep failing, and put it back.

    What it was is written into the incident's journal before it is changed. Each change is read back.

    \b
    Examples:
      vmq schedule show INC-20261123-001
      vmq schedule disable INC-20261123-001
      vmq schedule restore INC-20261123-001
    """


@schedule_command.command("disable")
@_id
@several
@_digest
@_plan_only
@yes_option
@json_option
def disable_command(
    incident_id: str,
    data_source_ids: tuple[str, ...],
    connectors: tuple[str, ...],
    every: bool,
    digest: str,
    plan_only: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Switch the schedule off, after showing what it is and asking. A sync that runs goes on: `vmq sync stop`.

    Exit code 2: the data source is of type CUSTOM, which has no schedule. 4: it is not as in the plan any more, and was
    left alone.

    \b
    Examples:
      vmq schedule disable INC-20261123-001
      vmq schedule disable INC-20261123-001 --plan --json | jq -r .digest
      vmq schedule disable INC-20261123-001 --digest 5f14bc3cfa37 --yes
      vmq schedule disable INC-20261123-001 --connector docs --connector wiki
    """
    settings, aws, incident = _opened(incident_id)
    chosen = resync.choose_all(
        settings, data_source_ids, connectors, every=every, default=incident.identity.data_source_id
    )
    _carry_out(
        incident,
        aws,
        settings,
        lambda: stabilize.plan_disable(incident, aws, settings, chosen),
        digest=digest,
        plan_only=plan_only,
        yes=yes,
        as_json=as_json,
    )


@schedule_command.command("restore")
@_id
@several
@click.option(
    "--to",
    default="",
    metavar="CRON",
    help="What to set a schedule to that is empty, or that this incident set: 'cron(0 3 * * ? *)', 'rate(12 hours)'.",
)
@_digest
@_plan_only
@yes_option
@json_option
def restore_command(
    incident_id: str,
    data_source_ids: tuple[str, ...],
    connectors: tuple[str, ...],
    every: bool,
    to: str,
    digest: str,
    plan_only: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Put back exactly what the schedule was before this incident switched it off. Once is enough: again does nothing.

    Exit code 2: --to is no schedule expression. 4: somebody else has changed it meanwhile, and it was left alone.

    \b
    Examples:
      vmq schedule restore INC-20261123-001
      vmq schedule restore INC-20261123-001 --yes --json
      vmq schedule restore INC-20261123-001 --to 'cron(0 3 * * ? *)'
    """
    settings, aws, incident = _opened(incident_id)

    def planned() -> SchedulePlan:
        chosen: tuple[Connector, ...] = ()
        if not (data_source_ids or connectors or every):
            chosen = tuple(
                settings.connector(one.data_source_id) for one in stabilize.schedules_off(incident)
            )
        chosen = chosen or resync.choose_all(
            settings, data_source_ids, connectors, every=every, default=incident.identity.data_source_id
        )
        return stabilize.plan_restore(incident, aws, settings, chosen, to=to.strip())

    _carry_out(incident, aws, settings, planned, digest=digest, plan_only=plan_only, yes=yes, as_json=as_json)


@schedule_command.command("show")
@_id
@several
@json_option
def show_command(
    incident_id: str,
    data_source_ids: tuple[str, ...],
    connectors: tuple[str, ...],
    every: bool,
    as_json: bool,
) -> None:
    """Show the schedules as they are now, and what this incident did to them. Changes nothing.

    \b
    Examples:
      vmq schedule show INC-20261123-001
      vmq schedule show INC-20261123-001 --all --json
    """
    settings, aws, incident = _opened(incident_id)
    off = {one.data_source_id: one for one in stabilize.schedules_off(incident)}
    restored = stabilize.schedules_restored(incident)
    chosen = list(
        resync.choose_all(
            settings, data_source_ids, connectors, every=every, default=incident.identity.data_source_id
        )
    )
    known = {each.data_source_id for each in chosen}
    chosen += [settings.connector(source) for source in off if source not in known]
    rows = []
    for connector in chosen:
        seen = resync.data_source(aws, settings, connector.data_source_id)
        rows.append((connector, seen, off.get(connector.data_source_id)))
    if as_json:
        print_json(
            [
                {
                    "connector": connector.name,
                    **{
                        name: getattr(seen, name) for name in ("data_source_id", "kind", "status", "schedule")
                    },
                    "switched_off": asdict(ours) if ours else None,
                    "restored": asdict(back) if (back := restored.get(seen.data_source_id)) else None,
                }
                for connector, seen, ours in rows
            ]
        )
        return
    table(
        ("connector", "data source", "type", "status", "schedule (UTC)", "this incident"),
        (
            (
                connector.name,
                seen.data_source_id,
                seen.kind,
                seen.status,
                seen.schedule or "none",
                _ours(ours, restored.get(seen.data_source_id)),
            )
            for connector, seen, ours in rows
        ),
    )
    if any(one is not None and not one.certain for _, _, one in rows):
        notice(
            "A change was cut short: the next disable or restore looks what became of it, and writes it down."
        )


def _ours(off: stabilize.Off | None, restored: stabilize.Restored | None) -> str:
    if off is None and restored is not None:
        by = f" by {restored.by}" if restored.by else ""
        return f"set to {restored.after or 'on demand'} {show_time(restored.at)}{by}"
    if off is None:
        return ""
    when = f"{show_time(off.at)}{f' by {off.by}' if off.by else ''}; it was {off.before}"
    return f"{'switched off' if off.certain else 'perhaps switched off'} {when}"


def _opened(incident_id: str) -> tuple[Settings, Aws, Incident]:
    settings, aws = connect()
    incident = loaded(incident_id, settings, aws)
    assert incident is not None
    return settings, aws, incident


def _carry_out(
    incident: Incident,
    aws: Aws,
    settings: Settings,
    planned: Callable[[], SchedulePlan],
    *,
    digest: str,
    plan_only: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Settles what was cut short, plans, shows, asks, applies, and says how it is now."""
    settled = () if plan_only or incident.state.closed_at else stabilize.settle(incident, aws, settings)
    for one in settled:
        notice(printable(f"A change that was cut short had been made: {one.sentence}"))
    plan = planned()
    if digest:
        stabilize.approve(plan, digest)
    if not as_json:
        _show(plan)
    done: tuple[stabilize.Switched, ...] = ()
    if not plan_only:
        if plan.changes:
            confirm(f"{plan.summary}?", yes=yes)
        if plan.changes or plan.notes or plan.refusal is not None:
            try:
                done = stabilize.apply(incident, plan, settings, digest=plan.digest)
            except KeyboardInterrupt as error:
                raise Interrupted(
                    "Interrupted: perhaps the schedule is changed.",
                    hint=f"The same command, or `vmq schedule show {incident.id}`, says how it is.",
                ) from error
    if done or settled:
        incident.observe(
            ["resources"], refresh=True, step="stabilize"
        )  # the record and the next steps are to know it
    if as_json:
        print_json(_document(plan, done, settled))
        return
    for one in done:
        click.echo(printable(one.sentence))
    if not plan_only and plan.verb == "disable" and done:
        notice(
            f"`vmq schedule restore {incident.id}` puts it back. A sync that runs goes on: `vmq sync stop`."
        )


def _show(plan: SchedulePlan) -> None:
    table(
        ("connector", "data source", "type", "status", "now", "wanted", "action", "why"),
        (
            (
                item.name, item.data_source_id, item.kind, item.status, item.now or "none", item.wanted or "none",
                item.action, item.why,
            )
            for item in plan.items
        ),
    )  # fmt: skip
    notice(printable(f"Plan {plan.digest[:12]}: {plan.summary}"))


def _document(
    plan: SchedulePlan, done: tuple[stabilize.Switched, ...], settled: tuple[stabilize.Switched, ...]
) -> dict[str, Any]:
    return {
        "id": plan.incident_id,
        "verb": plan.verb,
        "digest": plan.digest,
        "items": [asdict(item) for item in plan.items],
        "done": [asdict(one) for one in done],
        "settled": [asdict(one) for one in settled],
    }
