"""``vmq update``: tells people how it stands, on the clock (runbook, step 5)."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vmqlib.cli.output import json_option, notice, print_json, printable, waiting, yes_option
from vmqlib.errors import BadInput
from vmqlib.settings import Settings
from vmqlib.times import show_time

if TYPE_CHECKING:
    from vmqlib.record.incident import Incident
    from vmqlib.runbook.communicate.plan import MessagePlan

__all__ = ["update_command"]


@click.command("update")
@click.argument("incident_id", metavar="ID")
@click.option("--say", default="", metavar="TEXT", help="What you add, above what the kit knows.")
@click.option(
    "--text", "texts_from", multiple=True, metavar="FILE",
    help="The whole text from a file; - is stdin. Once for each message, where several are due.",
)  # fmt: skip
@click.option("--edit", is_flag=True, help="Open it in $EDITOR before it is sent.")
@click.option("--email", is_flag=True, help="The e-mail to stakeholders, now.")
@click.option("--security", is_flag=True, help="The notice to the security liaison, by e-mail.")
@click.option(
    "--resolved",
    is_flag=True,
    help="Of a closed incident: that it is over, and the invitation to its review.",
)
@click.option(
    "--dry-run", is_flag=True, help="Show what would be sent to whom, with its digest. Sends nothing."
)
@click.option(
    "--digest", "pinned", default="", metavar="D", help="Send only if it is what that preview showed."
)
@click.option(
    "--posted", is_flag=True, help="You posted it yourself: only write that down. --link says where."
)
@click.option("--link", default="", metavar="URL", help="With --posted: where it is.")
@click.option("--refresh", is_flag=True, help="Look at AWS first.")
@click.option(
    "--watch", is_flag=True, help="Keep the cadence until it is closed: send what is due when it is due."
)
@yes_option
@json_option
def update_command(
    incident_id: str, say: str, texts_from: tuple[str, ...], edit: bool, email: bool, security: bool,
    resolved: bool, dry_run: bool,
    pinned: str, posted: bool, link: str, refresh: bool, watch: bool, yes: bool, as_json: bool,
) -> None:  # fmt: skip
    """Post what is due: the update in the Slack channel, and the e-mail to stakeholders beyond 2 hours.

    Without anything due, the update goes out now. It is built from the journal and the evidence: conditions, actions,
    needs, next update. What was sent is kept, with the receiver's answer. docs/communicate.md: channels and secrets.

    Exit codes: 0 sent, 2 bad input or settings, 3 a message did not go where it should (it is left as a file, and
    said), 4 another one went out meanwhile, or another vmq keeps the cadence.

    \b
    Examples:
      vmq update INC-20261123-001 --dry-run
      vmq update INC-20261123-001 --say "Objects are restored; the sync runs."
      vmq update INC-20261123-001 --email --yes
      vmq update INC-20261123-001 --watch --refresh --yes
      vmq update INC-20261123-001 --resolved --yes
      vmq update INC-20261123-001 --posted --link https://…
    """
    _refuse_mixes(texts_from, edit, watch, posted, say, link)
    if watch or posted:
        _refuse_alone("--watch" if watch else "--posted", dry_run, pinned, email, security, resolved)
    incident = _load(incident_id, online=refresh)
    if resolved:
        _resolved(incident, dry_run=dry_run, pinned=pinned, yes=yes, as_json=as_json)
        return
    if posted:
        _write_down(incident, link, as_json)
        return
    if watch:
        from vmqlib.cli.cadence import watch_cadence

        watch_cadence(incident, refresh=refresh, yes=yes, as_json=as_json)
        return
    if refresh:
        _look(incident)
    from vmqlib.cli.messages import (
        NOT_SENT,
        channels_of,
        next_due,
        preview,
        preview_json,
        send_approved,
        sent_json,
    )
    from vmqlib.runbook.communicate.sending import reconcile

    if dry_run:
        made = _prepared(incident, say, texts_from, edit, email, security)
        # What cannot be typed again, or not be shown on a terminal, is kept as a file.
        if not say.isprintable():
            made = _as_written(incident, made)
        if edit or "-" in texts_from or not say.isprintable():
            words = _words(incident, "", _drafts(incident, made), email, security)
        else:
            words = _words(incident, say, texts_from, email, security)
        sends = f"{words} --digest {made.digest}"
        if as_json:
            print_json({"id": incident.id, "dry_run": True, **preview_json(made), "command": sends})
            return
        preview(made, err=False)
        click.echo(f"Nothing was sent. {sends} sends it.")
        return
    channels = channels_of(incident)
    for told in reconcile(incident, channels):
        notice(printable(told))
    made = _prepared(incident, say, texts_from, edit, email, security)
    words = _words(incident, say, texts_from, email, security)
    sent = send_approved(incident, made, channels, yes=yes, pinned=pinned, quiet=as_json, words=words)
    if as_json:
        due = incident.state.next_update_due
        results = [sent_json(one) for one in sent]
        print_json({"id": incident.id, "digest": made.digest, "sent": results, "next_update_due": due})
    else:
        notice(f"  {next_due(incident)}")
    click.get_current_context().exit(0 if all(one.ok for one in sent) else NOT_SENT)


def _resolved(incident: Incident, *, dry_run: bool, pinned: str, yes: bool, as_json: bool) -> None:
    from vmqlib.cli.messages import NOT_SENT, ending, missed, preview, preview_json, send_ending, sent_json

    if not incident.state.closed_at:
        raise BadInput(f"{incident.id} is not closed.", hint=f"`vmq close {incident.id}` comes first.")
    if dry_run:
        made = ending(incident)
        if as_json:
            print_json({"id": incident.id, "dry_run": True, **preview_json(made)})
            return
        preview(made, err=False)
        click.echo(f"Nothing was sent. vmq update {incident.id} --resolved --digest {made.digest} sends it.")
        return
    sent = send_ending(incident, yes=yes, pinned=pinned, quiet=as_json)
    if as_json:
        print_json({"id": incident.id, "sent": [sent_json(one) for one in sent]})
    click.get_current_context().exit(NOT_SENT if missed(incident, sent) else 0)


def _refuse_mixes(
    texts_from: tuple[str, ...], edit: bool, watch: bool, posted: bool, say: str, link: str
) -> None:
    if watch and (texts_from or edit or posted or say):
        raise BadInput(
            "--watch sends what is due by itself.",
            hint="Leave --say, --text, --edit and --posted to single updates.",
        )
    if texts_from and edit:
        raise BadInput("--text and --edit are two ways to write it.", hint="Choose one.")
    if texts_from and say:
        raise BadInput(
            "--text is the whole message, and --say adds to the kit's. Nothing was sent.",
            hint="Write it into the file, or leave --text away.",
        )
    if link and not posted:
        raise BadInput("--link is for --posted.", hint="The kit finds the link of what it posts itself.")


def _refuse_alone(
    which: str, dry_run: bool, pinned: str, email: bool, security: bool, resolved: bool
) -> None:
    """What sends by itself, or writes down what was sent, has no preview and no other message."""
    given = {
        "--dry-run": dry_run,
        "--digest": bool(pinned),
        "--email": email,
        "--security": security,
        "--resolved": resolved,
    }
    if wrong := [name for name, is_given in given.items() if is_given]:
        raise BadInput(
            f"{which} and {wrong[0]} do not go together. Nothing was sent or written.",
            hint="`vmq update ID --dry-run` shows what would be sent now.",
        )


def _load(incident_id: str, *, online: bool) -> Incident:
    from vmqlib.record.incident import Incident

    settings = Settings.load()
    if not online:
        return Incident.load(incident_id, settings=settings)
    from vmqlib.aws import Aws

    return Incident.load(incident_id, settings=settings, aws=Aws(settings))


def _look(incident: Incident) -> None:
    from vmqlib.runbook.opening import look

    look(incident, refresh=True)


def _prepared(
    incident: Incident, say: str, texts_from: tuple[str, ...], edit: bool, email: bool, security: bool
) -> MessagePlan:
    from vmqlib.runbook.communicate.plan import due_now, edited, plan

    asked = [*(["stakeholders"] if email else []), *(["security"] if security else [])]
    with waiting(f"Reading the evidence of {incident.id}"):
        made = plan(incident, asked or due_now(incident), say=say)
    kinds = list(dict.fromkeys(one.message.kind for one in made.deliveries))
    if texts_from:
        if len(kinds) != len(texts_from):
            raise BadInput(
                f"Due: {', '.join(kinds)}; texts: {len(texts_from)}. Nothing was sent.",
                hint="Give --text once for each, in that order; or --email alone; --edit opens each.",
            )
        texts = dict(zip(kinds, map(_read, texts_from), strict=True))
        return edited(made, lambda one: texts[one.kind], incident.redactor.text)
    if edit:
        from vmqlib.runbook.communicate.documents import source

        return edited(made, lambda one: _by_editor(source(one.document)), incident.redactor.text)
    return made


def _read(path: str) -> str:
    try:
        if path == "-":
            return sys.stdin.read()
        return Path(path).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(
            f"{path} cannot be read: {error}.", hint="Name a file of UTF-8 text, or - for stdin."
        ) from error


def _by_editor(text: str) -> str:
    """What a person made of it. Left without saving it stays as it is; emptied, nothing is to be sent."""
    try:
        written = click.edit(text, editor=None, extension=".txt")
    except click.ClickException as error:
        raise BadInput(
            f"Nothing was sent: {error.message}.",
            hint="Set EDITOR to an editor that runs here; or write the text into a file: --text FILE.",
        ) from error
    if written is None:
        return text
    if not written.strip():
        raise BadInput(
            "Nothing was sent: the message was emptied in the editor.",
            hint="Leave it unsaved to send it as it was.",
        )
    return written


def _as_written(incident: Incident, made: MessagePlan) -> MessagePlan:
    """The same messages as texts: approved by what they say, not by what they were made from."""
    from vmqlib.runbook.communicate.documents import source
    from vmqlib.runbook.communicate.plan import edited

    return edited(made, lambda one: source(one.document), incident.redactor.text)


def _drafts(incident: Incident, made: MessagePlan) -> tuple[str, ...]:
    """What was written for this preview alone, kept in the incident's folder: it can be sent as it was looked at."""
    from vmqlib.runbook.communicate.sending import draft

    messages = {one.message.kind: one.message for one in made.deliveries}
    return tuple(str(draft(incident, one)) for one in messages.values())


def _words(incident: Incident, say: str, texts: tuple[str, ...], email: bool, security: bool) -> str:
    """The command that makes the same message again. A secret in it is masked, as it is in the message."""
    given = [
        *(["--email"] if email else []),
        *(["--security"] if security else []),
        *(["--say", incident.redactor.text(say)] if say else []),
        *(word for path in texts for word in ("--text", path)),
    ]
    return shlex.join(["vmq", "update", incident.id, *given])


def _write_down(incident: Incident, link: str, as_json: bool) -> None:
    from vmqlib.cli.messages import next_due
    from vmqlib.runbook.communicate.plan import due_now
    from vmqlib.runbook.communicate.sending import by_hand

    if closed := incident.state.closed_at:
        raise BadInput(
            f"{incident.id} was closed at {show_time(closed)}.", hint="`vmq note` adds to its record."
        )
    event = by_hand(incident, due_now(incident)[0], link)
    if as_json:
        document: dict[str, Any] = {"id": incident.id, "seq": event.seq, "at": event.at, "posted": True}
        print_json({**document, "next_update_due": incident.state.next_update_due})
        return
    click.echo(f"{incident.id}: {printable(event.summary)}")
    notice(f"  {next_due(incident)}")
