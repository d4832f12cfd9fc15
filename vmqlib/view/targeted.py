"""What was done for a targeted resync: the section *Targeted resync* of a record (runbook, step 4)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

from vmqlib.runbook.wording import many
from vmqlib.times import duration
from vmqlib.view.base import Html, View, guarded, join, plain, tag
from vmqlib.view.layout import (
    LONGEST_CELL,
    Column,
    chip,
    code,
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
    from vmqlib.runbook.resyncstory import ResyncStory, ScriptRun, Upload

__all__ = ["targeted_resync"]

_HEADING = "margin:0.9em 0 0.2em 0;font-weight:bold"


@guarded
def targeted_resync(story: ResyncStory | Callable[[], ResyncStory]) -> View:
    """Every script that was run, with the last lines that it wrote, and every upload, with the way back.

    Parameters
    ----------
    story:
        What was done, or a function that reads it: when that fails, the section says so.
    """
    known = story() if callable(story) else story
    if not known.scripts and not known.uploads:
        return panel("No script was run, and no documents were uploaded.")
    parts: list[Html] = []
    words: list[str] = []
    for upload in known.uploads:
        parts += _upload(upload)
        words += [
            line([when(upload.at), upload.where, upload.ending, upload.sentence, upload.verification]),
            *([f"To take it back: {upload.undo}"] if upload.undo else []),
        ]
    for run in known.scripts:
        parts += _script(run)
        words += [line([when(run.at), run.connector, run.ending, run.sentence])]
        words += [line([one.get("stream", ""), one.get("text", "")]) for one in run.tail]
    return panel(_lead(known), *parts, text=words)


def _lead(known: ResyncStory) -> str:
    told = []
    if known.uploads:
        bad = sum(1 for one in known.uploads if one.ending != "applied" or one.verified is not True)
        told.append(
            f"{many(len(known.uploads), 'upload')} of documents{f', {bad:,} not wholly as planned' if bad else ''}"
        )
    if known.scripts:
        bad = sum(1 for one in known.scripts if one.ending != "succeeded")
        told.append(f"{many(len(known.scripts), 'script')} run{f', {bad:,} without success' if bad else ''}")
    return f"{'; '.join(told)}."


def _said(text: object) -> Html:
    return tag("code", plain(text, LONGEST_CELL), style="white-space:pre-wrap;overflow-wrap:anywhere")


def _upload(upload: Upload) -> list[Html]:
    counts = ", ".join(f"{count:,} {plain(action, 20)}" for action, count in upload.planned.items())
    pairs: list[tuple[str, object]] = [
        ("ending", chip(upload.ending)),
        ("plan", join([code(upload.digest[:12]), f" {counts}"])),
        ("approved and carried out by", plain(upload.by, 100)),
        ("began", when(upload.at)),
        ("looked at again", plain(upload.verification, 400)),
        ("to take it back", code(upload.undo) if upload.undo else ""),
    ]
    parts = [
        tag("div", "Documents to ", name(upload.where), style=_HEADING),
        tag("div", plain(upload.sentence, 1000)),
        facts(pairs),
    ]
    if upload.troubles:
        columns = [Column("key", name), Column("action"), Column("result", chip), Column("what happened")]
        names = ("key", "action", "result", "problem")
        parts.append(table(columns, [[one.get(each, "") for each in names] for one in upload.troubles]))
    return parts


def _script(run: ScriptRun) -> list[Html]:
    pairs: list[tuple[str, object]] = [
        ("ending", chip(run.ending)),
        ("exit status", "" if run.status is None else str(run.status)),
        ("plan", code(run.digest[:12])),
        ("approved and run by", plain(run.by, 100)),
        ("began", when(run.at)),
        ("took", duration(timedelta(seconds=run.seconds)) if run.seconds >= 1 else ""),
    ]
    heading = tag("div", "Script of connector ", name(run.connector), ": ", name(run.script), style=_HEADING)
    parts = [heading, tag("div", plain(run.sentence, 1000)), facts(pairs)]
    if run.tail:
        columns = [Column("read (UTC)", short), Column("stream"), Column("line", _said)]
        parts.append(
            table(columns, [[one.get("at"), one.get("stream"), one.get("text")] for one in run.tail])
        )
    if run.evidence is not None:
        hidden = run.lines - len(run.tail)
        earlier = f"{hidden:,} earlier lines are" if hidden > 0 else "All of it is"
        rest = "" if run.complete else f" ({run.evidence.stopped})"
        parts.append(small(f"{earlier} in evidence file {run.evidence.file}{rest}."))
    return parts
