"""What was done about the bucket, and whether it holds: the sections *Rollback* and *Rollback verified* of a record."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from vmqlib.runbook.wording import many
from vmqlib.times import duration
from vmqlib.view.base import Html, View, guarded, notice, plain, tag
from vmqlib.view.layout import (
    Column,
    chip,
    code,
    count,
    facts,
    line,
    name,
    panel,
    short,
    small,
    table,
    when,
)

if TYPE_CHECKING:
    from vmqlib.runbook.rollback import Applied, Status, Verification

__all__ = ["rollback_result", "rollback_verification"]

MOST_PROBLEMS = 25

_NEXT = {
    "stale": "To plan again with what is there now:",
    "interrupted": "To go on:",
    "unfinished": "It is under way, or it was killed. To go on:",
    "failed": "When the cause is gone, to go on:",
    "changed": "To plan again with what is there now:",
    "differs": "To plan again with what is there now:",
    "applied": "To look whether it holds:",
}


@guarded
def rollback_result(status: Status | Callable[[], Status]) -> View:
    """What a rollback did: how many objects, who approved it, how long it took, what was left, how to go on or back.

    Parameters
    ----------
    status:
        Where the rollback stands (``rollback.status(incident)``), or a function that gives it: when that fails, the
        section says so.
    """
    now = status() if callable(status) else status
    last = now.applied
    if last is None:
        return _nothing_applied(now)
    pairs: list[tuple[str, object]] = [
        ("plan", code(last.digest[:12])),
        ("approved and carried out by", plain(last.by, 100)),
        ("began" if last.ending == "unfinished" else "ended", when(last.at)),
        ("took", _took(last)),
        ("apply log", code(f"rollback/{last.log}") if last.log else ""),
        (
            "its SHA-256",
            tag("code", last.log_sha256, style="font-size:80%;word-break:break-all")
            if last.log_sha256
            else "",
        ),
    ]
    tally, lines = _tally(last)
    parts: list[Html] = [tally, facts(pairs)]
    lines += [f"plan {last.digest[:12]}, by {plain(last.by, 100)}, {when(last.at)}"]
    if last.problems:
        rows, words = _problems(last)
        parts.append(rows)
        lines += words
    if len(now.applies) > 1:
        parts += [tag("div", "Every apply of this incident:"), _applies(now.applies)]
    ways = _ways(now)
    parts += [_typed(words, command) for words, command in ways]
    lines += [f"{words} {command}" for words, command in ways]
    hidden = last.changed + last.failed - len(last.problems[:MOST_PROBLEMS])
    rest = [small(f"… {hidden:,} more in rollback/{last.log}")] if last.problems and hidden > 0 else []
    return panel(last.sentence, *parts, *rest, text=lines)


def _took(last: Applied) -> str:
    """How long it took; of one that was stopped and resumed, from its first beginning, and its last run."""
    if not last.seconds:
        return ""
    run = timedelta(seconds=last.seconds)
    whole = last.at - last.begun_at if last.at and last.begun_at else run
    if whole - run < timedelta(seconds=2):
        return duration(run)
    return f"{duration(whole)} from its first beginning to its end; the last run {duration(run)}"


def _nothing_applied(status: Status) -> View:
    if status.plan is None:
        lead = "Nothing was planned, and nothing in the bucket was changed."
    elif held := sum(status.plan.head.blocked.values()):
        why = (
            "Planned, and not applied" if status.plan.changes else "The plan has nothing that can be done now"
        )
        lead = f"{why}: nothing in the bucket was changed. {held:,} keys are held back (BLOCKED); the plan says why."
    elif not status.command:
        lead = "Nothing had to be changed."
    elif status.stale:
        lead = (
            "Planned, and not applied. The plan does not fit any more: this incident itself changed "
            f"{status.stale:,} of its objects since."
        )
    else:
        lead = "Planned, and not applied: nothing in the bucket was changed."
    return _only(lead, status.command and "Next:", status.command)


def _tally(last: Applied) -> tuple[Html, list[str]]:
    """How many items came out how, with what each word means."""
    told = [
        ("done", last.done, "as planned now"),
        ("found", last.found, "had been done by a run that was stopped before it could say so"),
        ("changed", last.others, "somebody else changed them after the plan was made; left alone"),
        ("changed", last.own, "this incident itself changed them after the plan was made; left alone"),
        ("failed", last.failed, "AWS refused"),
        ("left", last.left, "not come to"),
        ("unknown", last.unknown, "S3 did not answer: carried out or not, a resume finds out"),
    ]
    rows = [row for row in told if row[1] or row[0] == "done"]
    columns = [Column("result", chip), Column("objects", count, right=True), Column("meaning")]
    return table(columns, rows), [line(row) for row in rows]


def _problems(last: Applied) -> tuple[Html, list[str]]:
    columns = [Column("key", name), Column("result", chip), Column("what happened"), Column("what to do")]
    shown = last.problems[:MOST_PROBLEMS]
    rows = [[one.key, one.result, one.problem or one.code, one.hint] for one in shown]
    return table(columns, rows), [line(row) for row in rows]


def _applies(applies: Sequence[Applied]) -> Html:
    columns = [
        Column("when (UTC)", short),
        Column("plan", code),
        Column("back to"),
        Column("ending", chip),
        Column("objects", count, right=True),
        Column("by"),
    ]
    rows = [
        (
            one.at,
            one.digest[:12],
            one.kind,
            "undone" if one.undone else one.ending,
            one.restored,
            one.by,
        )
        for one in applies
    ]
    return table(columns, rows)


def _ways(status: Status) -> list[tuple[str, str]]:
    """What can be typed from here: to go on, and to go back."""
    ways = [(_NEXT.get(status.state, "Next:"), status.command)] if status.command else []
    if status.restored and status.plan is not None and "undo" not in status.command:
        from vmqlib.runbook.rollback.purposes import command

        head = status.plan.head
        ways.append(("To take it back:", command(head.purpose, "undo", head.incident)))
    return ways


@guarded
def rollback_verification(status: Status | Callable[[], Status]) -> View:
    """Whether the bucket is as it was planned, by a look after the rollback; every difference, or the first of them.

    Parameters
    ----------
    status:
        As for :func:`rollback_result`.
    """
    now = status() if callable(status) else status
    seen = now.verification
    if seen is None:
        if now.applied is None:
            return _only("Nothing was applied, so there is nothing to verify.")
        command = now.command if "rollback verify" in now.command else ""
        return _only("Applied, and nobody has looked since.", command and "To look:", command)
    columns = [
        Column("key", name),
        Column("difference", chip),
        Column("planned", _version),
        Column("found", _version),
        Column("since (UTC)", short),
        Column("detail"),
    ]
    shown = seen.first[:MOST_PROBLEMS]
    rows = [[one.key, one.problem, one.planned, one.found, one.since or None, one.detail] for one in shown]
    lines = [line([row[0], row[1], row[2], row[3], when(row[4]), row[5]]) for row in rows]
    parts = [table(columns, rows)] if rows else []
    total = sum(seen.counts.values())
    file = f" in rollback/{seen.path.name}" if seen.path is not None else ""
    if total > len(shown):
        parts.append(small(f"… {total - len(shown):,} more differences{file}"))
    around, words = _around(seen)
    pairs: list[tuple[str, object]] = [
        ("plan", code(seen.digest[:12])),
        ("looked at", when(seen.at)),
        ("compared", f"{many(seen.checked, 'object')}, {seen.matching:,} as planned"),
        ("kept in", code(f"rollback/{seen.path.name}") if seen.path is not None else ""),
    ]
    return panel(seen.sentence, *parts, *around, facts(pairs), text=[*lines, *words])


def _around(seen: Verification) -> tuple[list[Html], list[str]]:
    """What is no difference from the plan and still to be known: held back, and changed outside of it."""
    told = []
    if seen.held:
        told.append(
            f"Held back by the plan and not restored: {_tallied(seen.held)}. {_some(seen.held_first)}"
        )
    if seen.outside:
        keys = [one.key for one in seen.outside_first]
        told.append(
            f"Not in the plan, and changed since it was made: {many(seen.outside, 'object')}. {_some(keys)}"
        )
    return [notice(words, "#E69F00") for words in told], told


def _some(keys: Sequence[str]) -> str:
    return f"First: {', '.join(plain(key, 120) for key in keys[:3])}." if keys else ""


def _tallied(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{number:,} {plain(word, 40)}" for word, number in counts.items())


def _version(value: Any) -> Html:
    text = plain(value, 1024)
    return tag("code", text if len(text) <= 14 else text[:12] + "…", title=text or None)


def _typed(words: str, command: str) -> Html:
    return tag("div", words, " ", code(command), style="margin:0.35em 0")


def _only(lead: str, words: str = "", command: str = "") -> View:
    """A sentence, and what to type."""
    if not command:
        return panel(lead)
    return panel(lead, _typed(words, command), text=[f"{words} {command}"])
