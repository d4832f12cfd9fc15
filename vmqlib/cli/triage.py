"""``vmq ack`` and ``vmq severity``: who has an incident, and how severe it is (runbook, step 1)."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from vmqlib.cli.output import json_option, notice, print_json, printable, yes_option
from vmqlib.errors import BadInput
from vmqlib.settings import Settings
from vmqlib.times import duration, show_time

if TYPE_CHECKING:
    from vmqlib.record.incident import Incident
    from vmqlib.runbook.communicate.sending import Sent

__all__ = ["ack_command", "severity_command"]

# Written out here, so that `--help` and a mistyped argument need not load the library.
_SEVERITIES = ("SEV1", "SEV2", "SEV3")

_id = click.argument("incident_id", metavar="ID")


@click.command("ack")
@_id
@click.option(
    "--as", "name", default="", metavar="NAME",
    help="Who takes it, where that is not the user of this machine.",
)  # fmt: skip
@click.option("--post", is_flag=True, help="Confirm receipt in the Slack channel, too (once).")
@yes_option
@json_option
def ack_command(incident_id: str, name: str, post: bool, yes: bool, as_json: bool) -> None:
    """Acknowledge an incident: who takes it, and when. The first one counts for time-to-acknowledge.

    Whoever acknowledges later is noted; the same person a second time is told, and nothing is written. Nothing is
    posted without --post; with it the message is shown and asked for first. Exit code 3: it could not be posted.

    \b
    Examples:
      vmq ack INC-20261123-001
      vmq ack INC-20261123-001 --post --yes
      vmq ack INC-20261123-001 --as dana
      vmq ack INC-20261123-001 --json | jq .seconds_to_acknowledge
    """
    from vmqlib.runbook.triage import acknowledge

    if post and not yes and not sys.stdin.isatty():  # before anything is written
        raise BadInput(
            "Not asked: --post confirms receipt in the channel.",
            hint="There is no terminal to ask on. Add --yes to say yes.",
        )
    incident = _open(incident_id)
    done = acknowledge(incident, name)
    if as_json:
        sent = _post(incident, yes=yes, quiet=True) if post else ()
        document = {
            "id": incident.id,
            "acknowledged_at": done.at,
            "acknowledged_by": done.by,
            "seconds_to_acknowledge": done.after.total_seconds(),
            "first": done.first,
            "written": done.event is not None,
        }
        print_json(document | ({"posted": _posted(sent)} if post else {}))
        _end(sent)
        return
    took = f"{printable(done.by)} at {show_time(done.at)}, {duration(done.after)} after the opening"
    if done.first:
        click.echo(f"{incident.id}: acknowledged by {took}.")
    else:
        click.echo(f"{incident.id} was acknowledged already: by {took}.")
        notice(f"  {printable(done.event.summary)}" if done.event else "  Nothing was written.")
    if post:
        _end(_post(incident, yes=yes, quiet=False))
    elif not any(one.message == "acknowledged" for one in incident.state.updates):
        channel = incident.settings.slack_channel
        notice(f"  Not posted: vmq ack {incident.id} --post confirms receipt in {channel}.")


def _post(incident: Incident, *, yes: bool, quiet: bool) -> tuple[Sent, ...]:
    """Runbook, step 1: confirms receipt in the channel, once."""
    from vmqlib.cli.messages import channels_of, send_approved
    from vmqlib.runbook.communicate.plan import plan
    from vmqlib.runbook.communicate.sending import reconcile

    channels = channels_of(incident)
    for told in reconcile(incident, channels):
        notice(printable(told))
    before = next(
        (one for one in incident.state.updates if one.message == "acknowledged" and one.counts), None
    )
    if before is not None:
        notice(f"  Receipt was confirmed in {printable(before.channel)} at {show_time(before.at)} already.")
        return ()
    return send_approved(incident, plan(incident, "acknowledged"), channels, yes=yes, quiet=quiet)


def _posted(sent: tuple[Sent, ...]) -> list[dict[str, Any]]:
    from vmqlib.cli.messages import sent_json

    return [sent_json(one) for one in sent]


def _end(sent: tuple[Sent, ...]) -> None:
    """Exits with the code that tells whether every message went where it should."""
    if not all(one.ok for one in sent):
        from vmqlib.cli.messages import NOT_SENT

        click.get_current_context().exit(NOT_SENT)


@click.command("severity")
@_id
@click.argument("severity", type=click.Choice(_SEVERITIES))
@click.option("--reason", default="", help="Why, in a sentence; needed for a change, and to confirm.")
@json_option
def severity_command(incident_id: str, severity: str, reason: str, as_json: bool) -> None:
    """Set how severe an incident is, or confirm it with a reason. A person's word counts: the rule does not change it
    any more.

    \b
    Examples:
      vmq severity INC-20261123-001 SEV1 --reason "The assistant answers nobody"
      vmq severity INC-20261123-001 SEV3 --reason "Only the staging folder is affected"
    """
    from vmqlib.runbook.triage import set_severity

    incident = _open(incident_id)
    before = incident.state.severity
    event = set_severity(incident, severity, reason)
    if as_json:
        document = {"id": incident.id, "severity": severity, "previous": before, "written": event is not None}
        print_json({**document, **({"seq": event.seq, "at": event.at} if event else {})})
    elif event:
        click.echo(f"{incident.id}: {printable(event.summary)}")
        if severity != before:
            notice(f"  Tell people: vmq update {incident.id}")
    else:
        click.echo(f"{incident.id} is {severity} already.")
        notice("  Nothing was written.")


def _open(incident_id: str) -> Incident:
    """The incident, which must not be closed: what it was is on the record."""
    from vmqlib.record.incident import Incident

    incident = Incident.load(incident_id, settings=Settings.load())
    if closed := incident.state.closed_at:
        raise BadInput(
            f"{incident.id} was closed at {show_time(closed)}.",
            hint=f"A closed record stays as it is; `vmq note {incident.id} …` adds what is to be known, "
            f"`vmq reopen {incident.id} --reason …` lets it go on.",
        )
    return incident
