"""What ``vmq versions`` writes: tables, a coloured diff, JSON."""

from __future__ import annotations

import os
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

import click

from vmqlib.cli.output import notice, say, short_time, table
from vmqlib.runbook.contents import visible
from vmqlib.times import duration, show_time

if TYPE_CHECKING:
    from vmqlib.runbook.history import Changes, KeyChange, KeyHistory, Version
    from vmqlib.runbook.versiondiff import VersionDiff

__all__ = ["changes", "changes_json", "diff", "history", "history_json"]


def changes(found: Changes, limit: int) -> None:
    """The keys that changed, as a table."""
    shown = found.keys[:limit] if limit else found.keys
    where = f"s3://{visible(found.bucket)}/{visible(found.prefix)}"
    if not found.seen:
        notice(f"There is no key in {where}, and no delete marker.")
    elif not shown:
        notice(f"{found.seen:,} keys in {where}: none changed {_between(found)}.")
    else:
        table(
            ("changed (UTC)", "what", "key", "changes", "versions", "before", "after", "promotion", "note"),
            (_change_row(one) for one in shown),
            numeric=("changes", "versions", "before", "after"),
            whole=("key",),
        )
        notice(_tally(found, where))
    if len(shown) < len(found.keys):
        notice(f"{len(found.keys) - len(shown):,} more: leave out --limit to see them.")
    _remarks(found.problem, found.incomplete)


def _change_row(one: KeyChange) -> tuple[object, ...]:
    then, now = one.then, one.now
    return (
        short_time(one.at) if one.changes else "",
        "same content" if one.same_content else one.what,
        visible(one.key),
        one.changes,
        f"{one.versions}+{one.markers}" if one.markers else one.versions,
        "" if then is None else "deleted" if then.is_delete_marker else f"{then.size or 0:,}",
        "deleted" if now.is_delete_marker else f"{now.size or 0:,}",
        one.promoted.words if one.promoted else "",
        one.doubt,
    )


def _between(found: Changes) -> str:
    why = f" ({found.since.why})" if found.since.why else ""
    return f"between {show_time(found.since.at)}{why} and {show_time(found.until)}"


def _tally(found: Changes, where: str) -> str:
    changed = [one for one in found.keys if one.changes]
    words = Counter("same content" if one.same_content else one.what for one in changed)
    parts = ", ".join(f"{number:,} {word}" for word, number in words.most_common())
    head = f"{len(changed):,} of {found.seen:,} keys in {where} changed {_between(found)}"
    markers = " Under versions, +n are delete markers." if any(one.markers for one in found.keys) else ""
    return f"{head}: {parts}.{markers}" if parts else f"{head}.{markers}"


def _remarks(problem: str, incomplete: str) -> None:
    if problem:
        notice(f"Who promoted what is not known: {visible(problem)}")
    if incomplete:
        notice(f"The listing is incomplete: {visible(incomplete)}")


def changes_json(found: Changes, limit: int) -> dict[str, Any]:
    """The same for programs."""
    return {
        "bucket": found.bucket,
        "prefix": found.prefix,
        "exclude": list(found.exclude),
        "since": found.since.at,
        "since_why": found.since.why,
        "until": found.until,
        "listed": found.listed,
        "seen": found.seen,
        "changed": sum(bool(one.changes) for one in found.keys),
        "source": found.source,
        "promotions_problem": found.problem,
        "complete": not found.incomplete,
        "stopped": found.incomplete,
        "keys": [_change_json(one) for one in (found.keys[:limit] if limit else found.keys)],
    }


def _change_json(one: KeyChange) -> dict[str, Any]:
    return {
        "key": one.key,
        "what": one.what,
        "at": one.at,
        "changes": one.changes,
        "versions": one.versions,
        "delete_markers": one.markers,
        "same_content": one.same_content,
        "doubt": one.doubt,
        "then": _version_json(one.then) if one.then else None,
        "now": _version_json(one.now),
        "promoted": one.promoted.to_json() if one.promoted else None,
    }


def _version_json(one: Version) -> dict[str, Any]:
    return {
        "version_id": one.version_id,
        "at": one.at,
        "size": one.size,
        "etag": one.etag,
        "storage_class": one.storage_class,
        "delete_marker": one.is_delete_marker,
    }


def history(known: KeyHistory, limit: int, whole: int) -> None:
    """A key's history, as a table."""
    shown = known.versions[:limit] if limit else known.versions
    if shown:
        table(
            ("version", "age", "written (UTC)", "size", "ETag", "class", "what", "promotion"),
            (_version_row(known, one) for one in shown),
            numeric=("age", "size"),
        )
    markers = sum(one.is_delete_marker for one in known.versions)
    where = f"s3://{visible(known.bucket)}/{visible(known.key)}"
    if len(known.versions) < whole:
        notice(
            f"{where}: {len(known.versions):,} of {whole:,} versions and markers were written in that time."
        )
    else:
        notice(f"{where}: {whole - markers:,} versions, {markers:,} delete markers.")
    if len(shown) < len(known.versions):
        notice(f"{len(known.versions) - len(shown):,} older: leave out --limit to see them.")
    _remarks(known.problem, known.incomplete)


def _version_row(known: KeyHistory, one: Version) -> tuple[object, ...]:
    words = ["current"] if one.is_current else []
    if one.is_delete_marker:
        words.append("delete marker")
    if one.same_as:
        words.append(f"as {one.same_as}")
    return (
        one.version_id,
        duration(known.age(one)),
        short_time(one.at),
        "" if one.size is None else f"{one.size:,}",
        one.etag,
        one.storage_class,
        ", ".join(words),
        one.promoted.words if one.promoted else "",
    )


def history_json(known: KeyHistory, limit: int) -> dict[str, Any]:
    """The same for programs."""
    shown = known.versions[:limit] if limit else known.versions
    return {
        "bucket": known.bucket,
        "key": known.key,
        "as_of": known.as_of,
        "source": known.source,
        "promotions_problem": known.problem,
        "complete": not known.incomplete,
        "stopped": known.incomplete,
        "versions": [
            {
                **_version_json(one),
                "age_s": known.age(one).total_seconds(),
                "current": one.is_current,
                "same_as": one.same_as,
                "promoted": one.promoted.to_json() if one.promoted else None,
            }
            for one in shown
        ],
    }


_COLOURS = {"-": "red", "+": "green", "@": "cyan"}


def diff(made: VersionDiff, context: int) -> None:
    """A unified diff on stdout, coloured on a terminal; the finding beside it, or in its place."""
    # Colours go to terminals alone (click takes them out elsewhere), and not where NO_COLOR is set.
    coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    lines = 0
    for line in made.unified(context):
        lines += 1
        styled = click.style(line, fg=_COLOURS.get(line[:1]), bold=lines <= 2) if coloured else line
        click.echo(styled)
    if lines:
        notice(visible(made.finding))
    else:
        say(visible(made.finding))
    for note in made.notes:
        notice(visible(note))
