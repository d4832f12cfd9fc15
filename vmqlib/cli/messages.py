"""What commands that send messages share: the preview, the question, the sending, and how it ended."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import click

from vmqlib.cli.output import confirm, notice, printable, progress_bar
from vmqlib.errors import BadInput, Interrupted, WorldChanged
from vmqlib.times import duration, show_time

if TYPE_CHECKING:
    from vmqlib.record.incident import Incident
    from vmqlib.runbook.communicate.channels import Channels
    from vmqlib.runbook.communicate.plan import Delivery, MessagePlan
    from vmqlib.runbook.communicate.receipts import Image
    from vmqlib.runbook.communicate.sending import Sent

__all__ = [
    "NOT_SENT",
    "channels_of",
    "ending",
    "missed",
    "next_due",
    "picture",
    "preview",
    "preview_json",
    "renewed",
    "send_approved",
    "send_ending",
    "sent_json",
    "tell",
]

_WHY = {
    "severity": ", since the severity was changed",
    "reopened": ", since it was reopened and the channel believes that it is over",
}

NOT_SENT = 3
"""The exit code where a message did not go where it should."""


def channels_of(incident: Incident) -> Channels:
    """The ways that settings and environment set up."""
    from vmqlib.aws import Aws
    from vmqlib.runbook.communicate.channels import open_channels
    from vmqlib.runbook.communicate.trying import Waits

    waits = Waits(told=lambda text: notice(printable(text)))
    return open_channels(incident.settings, lambda: incident.aws or Aws(incident.settings), waits=waits)


def picture(incident: Incident, channels: Channels) -> Image | None:
    """The sync history as a picture, where the channel takes one and there is something to see."""
    if channels.slack is None or channels.slack.via != "slack":
        return None
    seen = incident.observed("sync-jobs")
    told = next((one.at for one in reversed(incident.state.updates) if one.via == "slack"), None)
    if seen.at is None or (told is not None and told > seen.at):
        return None  # it was shown with the message before
    from vmqlib import view
    from vmqlib.runbook.communicate.receipts import Image

    made = view.sync_history(
        seen,
        alarms=incident.observed("alarm-history"),
        marks=incident.marks(),
        data_source_id=incident.identity.data_source_id,
        opened=incident.state.opened_at,
    )
    try:
        return Image(made.png, made.alt) if isinstance(made, view.Plot) else None
    except Exception as error:  # noqa: BLE001 - a picture must not cost the message
        notice(f"  The picture could not be drawn: {type(error).__name__}.")
        return None


def preview(made: MessagePlan, *, err: bool) -> None:
    """Shows what would be sent to whom."""
    for one in made.deliveries:
        click.echo(
            click.style(f"To {printable(one.where)}: {printable(one.message.subject)}", bold=True), err=err
        )
        for line in one.message.text.split("\n"):
            click.echo(f"  {printable(line)}".rstrip(), err=err)
        click.echo("", err=err)
    for warning in made.warnings:
        notice(f"Note: {printable(warning)}")


def preview_json(made: MessagePlan) -> dict[str, Any]:
    """The same for programs."""
    messages = [
        {
            "message": one.message.kind,
            "place": one.place,
            "to": list(one.to),
            "subject": one.message.subject,
            "text": one.message.text,
        }
        for one in made.deliveries
    ]
    return {"digest": made.digest, "messages": messages, "warnings": list(made.warnings)}


def send_approved(
    incident: Incident,
    made: MessagePlan,
    channels: Channels,
    *,
    yes: bool,
    pinned: str = "",
    quiet: bool = False,
    words: str = "",
) -> tuple[Sent, ...]:
    """Asks, sends, and tells what became of it.

    Parameters
    ----------
    pinned:
        The digest that was looked at before; empty for none.
    quiet:
        Whether nothing is told on stdout: a program reads it.
    words:
        The command that makes the plan again; by default `vmq update ID`.

    Raises
    ------
    Declined
        When the answer is no.
    WorldChanged
        When what would be sent is not what was looked at.
    """
    from vmqlib.runbook.communicate.sending import send

    if pinned and pinned != made.digest:
        raise WorldChanged(
            f"What would be sent now ({made.digest}) is not what was looked at ({printable(pinned)[:40]}).",
            hint=f"`{printable(words) or f'vmq update {incident.id}'} --dry-run` shows it as it is now.",
        )
    if not yes:
        preview(made, err=True)
        confirm(f"{made.summary[:-1]}. Send it?", yes=False, otherwise="Nothing was sent.")
    renewed(incident, made)
    try:
        with progress_bar(transient=True) as bar:
            bar.add_task(f"Sending {printable(made.summary[6:-1])}", total=None)
            sent = send(incident, made, made.digest, channels, image=picture(incident, channels))
    except KeyboardInterrupt:
        raise Interrupted(
            "Interrupted while it was sent: it may have arrived, or not.",
            hint=f"The next `vmq update {incident.id}` looks whether it did, before it sends anything.",
        ) from None
    tell(sent, quiet=quiet)
    return sent


def renewed(incident: Incident, made: MessagePlan) -> None:
    """Writes the record anew that goes with a mail, where it is not as things stand now. Where that does not work, the
    mail goes out all the same, with the one that is there."""
    from vmqlib.runbook.communicate.attaching import renew

    try:
        with progress_bar(transient=True) as bar:
            bar.add_task("Writing the record that is attached", total=None)
            problem = renew(incident, made)
    except (KeyboardInterrupt, Interrupted):
        raise Interrupted(
            "Interrupted while the record was written: nothing was sent.", hint="Run the same command again."
        ) from None
    if problem:
        notice(
            f"  The record could not be written anew: {printable(problem)} The mail says as of when it is."
        )


def ending(incident: Incident) -> MessagePlan:
    """That a closed incident is resolved, and the invitation to its review with the file for calendars: to whom it did
    not go since the closing.

    Raises
    ------
    BadInput
        When everybody was told.
    """
    made = _ending(incident)
    left = tuple(one for one in made.deliveries if not _told(incident, one))
    if not left:
        raise BadInput(
            f"Everybody was told that {incident.id} is resolved.",
            hint=f"`vmq show {incident.id}` shows when.",
        )
    return replace(made, deliveries=left)


def _told(incident: Incident, one: Delivery) -> bool:
    """Whether that message arrived there since the incident was closed."""
    closed_at = incident.state.closed_at
    return any(
        told.message == one.message.kind
        and not told.fallback
        and closed_at is not None
        and told.at >= closed_at
        and told.by_mail == (one.place == "mail")
        for told in incident.state.updates
    )


def _ending(incident: Incident) -> MessagePlan:
    from vmqlib.runbook.communicate.plan import plan
    from vmqlib.runbook.communicate.receipts import Attachment
    from vmqlib.runbook.retro.invitation import INVITATION, meeting

    path = incident.dir / INVITATION
    if not path.is_file():
        return plan(incident, ["resolved"])
    file = Attachment(path.name, path.read_bytes(), "text/calendar")
    return plan(incident, ["resolved", "retro"], meeting_at=meeting(incident).start, attachments=[file])


def send_ending(incident: Incident, *, yes: bool, pinned: str = "", quiet: bool = False) -> tuple[Sent, ...]:
    """Asks, sends what :func:`ending` prepares, and writes the closed record again: it says who was told."""
    from vmqlib.runbook.communicate.sending import reconcile
    from vmqlib.runbook.opening import write_record

    channels = channels_of(incident)
    for told in reconcile(incident, channels):
        notice(printable(told))
    words = f"vmq update {incident.id} --resolved"
    sent = send_approved(
        incident, ending(incident), channels, yes=yes, pinned=pinned, quiet=quiet, words=words
    )
    with progress_bar(transient=True) as bar:
        bar.add_task("Writing the record again: it says who was told", total=None)
        write_record(incident)
    return sent


def missed(incident: Incident, sent: tuple[Sent, ...]) -> bool:
    """Whether somebody was not told who should have been. A way that nobody configured is none that failed, as long as
    something went out on another; its text is left as a file, and that is said."""
    from vmqlib.runbook.communicate.channels import slack_is_set

    settings = incident.settings
    configured = {"slack": slack_is_set(settings), "mail": bool(settings.email.transport)}
    failed = [one for one in sent if not one.ok and (configured[one.delivery.place] or not one.unset)]
    return bool(failed) or (bool(sent) and not any(one.ok for one in sent))


def tell(sent: tuple[Sent, ...], *, quiet: bool = False) -> None:
    """Says what became of messages: on stdout what was sent, loudly on stderr what was not."""
    for one in sent:
        kind, receipt = one.delivery.message.kind, one.receipt
        if receipt is None:
            word = "MAYBE SENT:" if one.maybe else "NOT SENT:"
            notice(click.style(f"{word} {kind} to {printable(one.delivery.where)}", fg="red", bold=True))
            for line in filter(None, (one.problem, one.hint, *one.fallback)):
                notice(f"  {printable(line)}")
            continue
        if not quiet:
            link = f" {printable(receipt.permalink)}" if receipt.permalink else ""
            click.echo(f"Sent {kind} to {printable(receipt.channel)}.{link}")
        if receipt.remark:
            notice(f"  {printable(receipt.remark)}")


def sent_json(one: Sent) -> dict[str, Any]:
    """What became of one message, for programs."""
    receipt = asdict(one.receipt) if one.receipt else {}
    return {
        "message": one.delivery.message.kind,
        "to": list(one.delivery.to),
        "ok": one.ok,
        "maybe": one.maybe,
        "via": receipt.get("via", ""),
        "reference": receipt.get("reference", ""),
        "permalink": receipt.get("permalink", ""),
        "answer": receipt.get("answer", ""),
        "remark": receipt.get("remark", ""),
        "problem": one.problem,
        "hint": one.hint,
        "fallback": list(one.fallback),
    }


def next_due(incident: Incident) -> str:
    """When people are to be told next, in a sentence; empty once nothing is due."""
    from vmqlib.runbook.communicate.plan import cadence

    at = cadence(incident)
    told = []
    for slot, what in (
        (at.update, f"next update in {incident.settings.slack_channel}"),
        (at.stakeholders, "e-mail to stakeholders"),
    ):
        if slot is not None:
            span = slot.due_at - at.now
            when = f"in {duration(span)}" if span.total_seconds() > 0 else f"{duration(-span)} ago"
            why = _WHY.get(slot.why, "")
            told.append(f"{what} due {when} ({show_time(slot.due_at)}){why}")
    return "; ".join(told)
