"""``vmq update --watch``: keeps the cadence, and says when the next message is due."""

from __future__ import annotations

import json
import time
from functools import partial
from typing import TYPE_CHECKING

import click

from vmqlib.cli.messages import NOT_SENT, channels_of, picture, renewed, sent_json, tell
from vmqlib.cli.output import as_json as jsonable
from vmqlib.cli.output import confirm, notice, printable
from vmqlib.times import show_time

if TYPE_CHECKING:
    from vmqlib.record.incident import Incident
    from vmqlib.runbook.communicate.keeping import Told

__all__ = ["watch_cadence"]


def watch_cadence(incident: Incident, *, refresh: bool, yes: bool, as_json: bool) -> None:
    """Sends what is due until the incident is closed (exit code 0, or 3 where the last message did not go out) or it is
    interrupted (130).

    Parameters
    ----------
    refresh:
        Whether to look at AWS before each message.
    yes:
        Whether not to ask.
    as_json:
        Whether to write a line of JSON on stdout for each thing that happened.
    """
    from vmqlib.runbook.communicate.keeping import keep
    from vmqlib.runbook.opening import look

    settings = incident.settings
    hours = f"{settings.stakeholder_hours:g} h"
    confirm(
        f"Post in {settings.slack_channel} every {settings.update_minutes} min, and mail stakeholders after {hours}, "
        f"until {incident.id} is closed?",
        yes=yes,
        otherwise="Nothing was sent.",
    )
    last: Told | None = None
    try:
        for told in keep(
            incident,
            lambda: channels_of(incident),
            time.sleep,
            image=lambda channels: picture(incident, channels),
            renew=partial(renewed, incident),
            refresh=partial(look, incident, refresh=True) if refresh else lambda: None,
        ):
            if told.sent:
                last = told
            notice(printable(f"{show_time(told.at)}  {told.text}"))
            tell(tuple(one for one in told.sent if not one.ok), quiet=True)
            if as_json:
                document = {"at": told.at, "text": told.text, "sent": [sent_json(one) for one in told.sent]}
                click.echo(json.dumps(document, default=jsonable, ensure_ascii=False))
    except KeyboardInterrupt:
        notice(
            f"No longer kept: what is due next has to be sent by hand. `vmq update {incident.id} --watch` goes on."
        )
        click.get_current_context().exit(130)
    failed = last is not None and not all(one.ok for one in last.sent)
    click.get_current_context().exit(NOT_SENT if failed else 0)
