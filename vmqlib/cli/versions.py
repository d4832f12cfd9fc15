"""``vmq versions``: what changed in the bucket, a key's history, and two of its versions compared (runbook, step 3)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

import click

from vmqlib.aws import Aws
from vmqlib.cli import versionsoutput as show
from vmqlib.cli.output import json_option, notice, print_json, progress_bar
from vmqlib.errors import BadInput
from vmqlib.record.redaction import redactor_for
from vmqlib.runbook import history
from vmqlib.settings import Connector, Settings
from vmqlib.times import Window, parse_when

if TYPE_CHECKING:
    from vmqlib.record.incident import Incident
    from vmqlib.runbook.versiondiff import VersionDiff

__all__ = ["versions_command"]


@dataclass(frozen=True)
class _Desk:
    """Where the answer comes from: an incident's evidence, or AWS.

    Parameters
    ----------
    settings, connector:
        Whom to ask, and about which bucket.
    incident:
        The incident whose evidence is read; ``None``: AWS is asked.
    """

    settings: Settings
    connector: Connector
    incident: Incident | None

    @property
    def bucket(self) -> str:
        return self.settings.bucket_of(self.connector)

    @property
    def data_source_id(self) -> str:
        return self.connector.data_source_id


@click.command("versions")
@click.argument("words", nargs=-1, metavar="[PREFIX]")
@click.option("--key", default="", metavar="KEY", help="One key: its whole history. Also as s3://BUCKET/KEY.")
@click.option(
    "--diff",
    "compare",
    is_flag=True,
    help="Compare versions A and B of the key.  [default: previous current]",
)
@click.option(
    "--since",
    default="",
    metavar="WHEN",
    help="An age (2d, 12h), a UTC time, or last-good.  [default: the last good sync, else 7d; all with --key]",
)
@click.option("--until", default="", metavar="WHEN", help="An age or a UTC time.  [default: now]")
@click.option("--all", "every", is_flag=True, help="Keys that did not change, too.")
@click.option(
    "--limit", type=click.IntRange(min=0), default=0, metavar="N", help="The newest N.  [default: all]"
)
@click.option(
    "--data-source", "data_source_id", metavar="ID", default="", help="Default: the only connector."
)
@click.option(
    "--incident", "incident_id", metavar="ID", default="", help="Read this incident's evidence, not AWS."
)
@click.option(
    "--context",
    type=click.IntRange(min=0),
    default=3,
    show_default=True,
    metavar="N",
    help="Equal lines around it.",
)
@json_option
def versions_command(
    words: tuple[str, ...],
    key: str,
    compare: bool,
    since: str,
    until: str,
    every: bool,
    limit: int,
    data_source_id: str,
    incident_id: str,
    context: int,
    as_json: bool,
) -> None:
    """Show which keys changed and what happened to them; with --key, the history of one.

    Prefixes that the connector leaves out (_staging/, ci/, audit/) are left out here, unless PREFIX lies within one. A
    version is named by current, previous, last-good, @TIME (what was there then), its id, or the beginning of its id.
    S3 does not keep who wrote a version: "during the promotion of" says that it was written while that one ran.

    \b
    Examples:
      vmq versions                                changes since the last good sync
      vmq versions guides/ --since 2d --json | jq -r '.keys[].key'
      vmq versions --key guides/backup.md         its history
      vmq versions --key guides/backup.md --diff  the previous version, and this
      vmq versions --key guides/backup.md --diff last-good current
      vmq versions --key guides/backup.md --diff @2026-11-20T10:00Z 3Lg7
      vmq versions --incident INC-20261123-001    from its evidence, offline
    """
    _agree(words, key, compare=compare, since=since, until=until, every=every, limit=limit)
    settings = Settings.load()
    incident = _load(incident_id, settings) if incident_id else None
    source = data_source_id or (incident.identity.data_source_id if incident else "")
    desk = _Desk(settings, _connector(settings, source), incident)
    if compare:
        _compare(desk, key, words, context, as_json=as_json)
    elif key:
        _history(desk, key, since, until, limit, as_json=as_json)
    else:
        prefix = history.bare_key(words[0], desk.bucket) if words else ""
        _changes(desk, prefix, since, until, limit, every=every, as_json=as_json)


def _agree(
    words: tuple[str, ...], key: str, *, compare: bool, since: str, until: str, every: bool, limit: int
) -> None:
    """Refuses options that do not go together."""
    if compare and not key:
        raise BadInput("--diff needs --key.", hint="`vmq versions` lists the keys that changed.")
    if compare and (since or until or every or limit):
        raise BadInput(
            "--diff takes two versions, no times.",
            hint="Name them: --diff @2d current, --diff last-good current.",
        )
    if len(words) > (2 if compare else 0 if key else 1):
        if key and not compare:
            raise BadInput(
                f"--key names one key, and {words[0]!r} is too much.", hint="Leave it out, or add --diff."
            )
        raise BadInput(
            f"{words[-1]!r} is too much.",
            hint="--diff takes at most two versions."
            if compare
            else "Give one PREFIX, in quotes if it has spaces.",
        )
    if key and every:
        raise BadInput("--all goes without --key.", hint="A key's history is always whole.")


def _connector(settings: Settings, data_source_id: str) -> Connector:
    """The connector whose bucket is meant. Unlike a sync, this needs no data source id."""
    if data_source_id:
        return settings.connector(data_source_id)
    known = [one for one in settings.data_sources if one.bucket]
    if len({(one.bucket, one.prefix, one.exclude) for one in known}) > 1:
        names = ", ".join(f"{one.name} ({one.data_source_id})" for one in known)
        raise BadInput("Several connectors read a bucket.", hint=f"Name one with --data-source: {names}.")
    return known[0] if known else Connector(name="s3", bucket=settings.bucket_name)


def _load(incident_id: str, settings: Settings) -> Incident:
    from vmqlib.record.incident import Incident

    return Incident.load(incident_id, settings=settings)


# Without --key


def _changes(
    desk: _Desk, prefix: str, since: str, until: str, limit: int, *, every: bool, as_json: bool
) -> None:
    if desk.incident is not None:
        incident = desk.incident
        now = incident.as_of
        moment = _since(since, now, lambda: history.kept_last_good(incident))
        end = parse_when(until, now) if until else incident.state.opened_at or now
        Window(moment.at, end)
        found = history.kept_changes(incident, moment, end, prefix=prefix, every=every)
    else:
        aws = Aws(desk.settings)
        now = aws.clock.now()
        moment = _since(since, now, lambda: history.last_good(aws, desk.settings, desk.data_source_id, now))
        end = parse_when(until, now) if until else now
        Window(moment.at, end)
        with progress_bar("{task.fields[count]}", transient=True) as bar:
            task = bar.add_task(f"Listing {desk.bucket}", total=None, count="")
            found = history.changes(
                aws,
                desk.settings,
                desk.connector,
                moment,
                end,
                prefix=prefix,
                every=every,
                progress=lambda number: bar.update(task, count=f"{number:,} versions and markers"),
            )
    if as_json:
        print_json(show.changes_json(found, limit))
    else:
        show.changes(found, limit)


def _since(text: str, now: datetime, last_good: Callable[[], history.Since]) -> history.Since:
    if text and text != "last-good":
        return history.Since(parse_when(text, now), "")
    found = last_good()
    if text and found.never:
        raise _never_good(found)
    return found


def _never_good(found: history.Since) -> BadInput:
    return BadInput(
        f"There is no last good sync to compare with: {found.never}.",
        hint="Give a time, such as 2d or 2026-11-20T10:00Z.",
    )


# With --key


def _history(desk: _Desk, key: str, since: str, until: str, limit: int, *, as_json: bool) -> None:
    known = _known(desk, key)
    whole = len(known.versions)
    if since or until:
        first = _since(since, known.as_of, lambda: _last_good(desk)).at if since else None
        last = parse_when(until, known.as_of) if until else None
        kept = (
            one
            for one in known.versions
            if (first is None or one.at >= first) and (last is None or one.at <= last)
        )
        known = replace(known, versions=tuple(kept))
    if as_json:
        print_json(show.history_json(known, limit))
    else:
        show.history(known, limit, whole)


def _known(desk: _Desk, key: str) -> history.KeyHistory:
    if desk.incident is not None:
        return history.kept_history(desk.incident, key)
    return history.read_history(
        Aws(desk.settings), desk.settings, desk.bucket, history.bare_key(key, desk.bucket)
    )


def _last_good(desk: _Desk) -> history.Since:
    if desk.incident is not None:
        return history.kept_last_good(desk.incident)
    aws = Aws(desk.settings)
    return history.last_good(aws, desk.settings, desk.data_source_id, aws.clock.now())


def _good_sync(desk: _Desk) -> datetime:
    found = _last_good(desk)
    if found.never:
        raise _never_good(found)
    return found.at


def _compare(desk: _Desk, key: str, words: tuple[str, ...], context: int, *, as_json: bool) -> None:
    from vmqlib.runbook.versiondiff import compare

    before, after = (*words, *("previous", "current")[len(words) :])
    good = _good_sync(desk) if "last-good" in (before, after) else None
    redactor = redactor_for(desk.settings, desk.incident)
    # Evidence holds no contents: these are always read from AWS.
    made: VersionDiff = compare(
        Aws(desk.settings), _known(desk, key), redactor, before, after, last_good=good
    )
    if as_json:
        print_json(made.to_json())
    else:
        show.diff(made, context)
    if not made.readable:
        if as_json:
            notice(made.finding)
        click.get_current_context().exit(3)
