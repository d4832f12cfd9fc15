"""Tables of the record: failing documents, logs, object versions, actions, the timeline, next steps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from vmqlib.runbook.wording import many
from vmqlib.sources.versions import changed_between
from vmqlib.view.base import Html, Panel, View, guarded, join, mapping, nothing, plain, tag, unavailable
from vmqlib.view.errorkinds import error_kinds
from vmqlib.view.layout import (
    LONGEST_CELL,
    MOST_ROWS,
    Column,
    chip,
    code,
    count,
    line,
    name,
    panel,
    place,
    records,
    short,
    size,
    stacked,
    when,
    who,
)
from vmqlib.view.layout import (
    table as grid,
)

if TYPE_CHECKING:
    import pandas as pd

    from vmqlib.record.observation import Observation

__all__ = [
    "actions",
    "changed_versions",
    "failing_documents",
    "log_summary",
    "next_steps",
    "table",
    "timeline",
]

MOST_KINDS = 20
MOST_VERSIONS = 25
EXAMPLES = 3
_BAD_STATUSES = ("FAILED", "DOCUMENT_FAILED_TO_INDEX")


@guarded
def table(frame: pd.DataFrame, title: str = "") -> View:
    """Any frame as a table that is safe to show: at most 50 rows, everything in it escaped.

    Parameters
    ----------
    frame:
        What to show.
    title:
        Stands above it.
    """
    shown = frame.head(MOST_ROWS)
    names = [str(column) for column in shown.columns]
    rows = records(shown.set_axis(names, axis=1), names)
    columns = [Column(plain(column, 80)) for column in names]
    lead = f"{plain(title, 120)}: {many(len(frame), 'row')}" if title else many(len(frame), "row")
    return panel(
        lead, grid(columns, rows), left_out=len(frame) - len(shown), text=[line(row) for row in rows]
    )


@guarded
def failing_documents(report: Observation, documents: Observation | None = None) -> View:
    """Documents that failed, grouped by error: how many, first and last seen, and examples.

    Parameters
    ----------
    report:
        The ``document-report`` observation: every failure of every sync in the window.
    documents:
        The ``documents`` observation: how many are failed now; used alone where there is no report.
    """
    sources = [seen for seen in (report, documents) if seen is not None and seen.available]
    if not sources:
        return unavailable(report, "Failing documents")
    failures = (
        _failures(report.frame, "at") if report.available else _failures(sources[0].frame, "updated_at")
    )
    if failures.empty and documents is not None and documents.available:
        failures = _failures(documents.frame, "updated_at")
    notice_ = [] if report.available else [unavailable(report).html]
    if failures.empty:
        return nothing("Failing documents", "no document failed in the window", sources[0])
    groups = _grouped(failures)
    shown = groups.head(MOST_KINDS)
    columns = [
        Column("error", _error),
        Column("documents", count, right=True),
        Column("failures", count, right=True),
        Column("first and last seen (UTC)", lambda pair: stacked([short(at) for at in pair])),
        Column("examples", _examples),
    ]
    found = records(shown, ["error", "documents", "failures", "first", "last", "examples"])
    rows = [[*row[:3], row[3:5], row[5]] for row in found]
    total = failures["document"].nunique()
    lead = f"{many(total, 'document')} failed, with {many(len(groups), 'kind')} of error"
    if documents is not None and documents.available:
        now = int(documents.frame["status"].isin(_BAD_STATUSES).sum())
        lead += f"; {now:,} of {len(documents.frame):,} documents are failed in the index now"
    lines = [line([row[1], row[0], *map(when, row[3])]) for row in rows]
    return panel(
        f"{lead}.",
        grid(columns, rows),
        *notice_,
        seen=[report, documents],
        left_out=len(groups) - len(shown),
        text=lines,
    )


def _error(text: object) -> Html:
    """It may name a long path: that gives way to the examples' names, which are not to be broken."""
    return tag("span", plain(text, LONGEST_CELL), style="overflow-wrap:anywhere")


def _failures(frame: pd.DataFrame, time: str) -> pd.DataFrame:
    """Rows that are failures, as ``document``, ``error``, ``at``."""
    import pandas as pd

    bad = frame[frame["status"].fillna("").isin(_BAD_STATUSES)]

    def text(name: str) -> pd.Series[Any]:
        return (
            bad[name].fillna("").astype(object)
            if name in bad
            else pd.Series("", index=bad.index, dtype=object)
        )

    message = text("message").where(text("message") != "", text("error_message"))
    error = message.where(message != "", text("error_code")).where(lambda one: one != "", "no message")
    coded = text("error_code").where(text("error_code") == "", text("error_code") + ": ")
    error = error.where((text("error_code") == "") | (error == text("error_code")), coded + error)
    document = text("uri").where(text("uri") != "", text("document_id"))
    return pd.DataFrame({"document": document, "error": error_kinds(error, document), "at": bad[time]})


def _grouped(failures: pd.DataFrame) -> pd.DataFrame:
    by = failures.groupby("error", sort=False)
    groups = by.agg(
        documents=("document", "nunique"),
        failures=("document", "size"),
        first=("at", "min"),
        last=("at", "max"),
    )
    groups["examples"] = by["document"].agg(lambda names: list(dict.fromkeys(names))[:EXAMPLES])
    return groups.sort_values(["documents", "failures"], ascending=False, kind="stable").reset_index()


def _examples(names: Any) -> Html:
    return join([tag("div", place(one)) for one in names])


@guarded
def log_summary(log: Observation) -> View:
    """What the connector logged: levels, error codes, and the newest errors.

    Parameters
    ----------
    log:
        The ``connector-log`` observation.
    """
    if not log.available:
        return unavailable(log, "Log summary")
    frame = log.frame
    if frame.empty:
        return nothing("Log summary", "the connector logged nothing in the window", log)
    level = frame["level"].fillna("").astype(object).where(lambda one: one != "", "no level")
    error = frame["error_code"].fillna("").astype(object)
    groups = frame.assign(level=level, error_code=error).groupby(
        ["level", "error_code"], as_index=False, sort=False
    )
    kinds = groups.agg(lines=("level", "size"), first=("at", "min"), last=("at", "max"))
    order = {"FATAL": 0, "ERROR": 0, "WARN": 1, "WARNING": 1, "INFO": 2}
    kinds = kinds.assign(rank=kinds["level"].str.upper().map(order).fillna(3)).sort_values(
        ["rank", "lines"], ascending=[True, False]
    )
    shown = kinds.head(MOST_KINDS)
    columns = [
        Column("level"),
        Column("error code"),
        Column("lines", count, right=True),
        Column("first seen (UTC)", short),
        Column("last seen (UTC)", short),
    ]
    rows = records(shown, ["level", "error_code", "lines", "first", "last"])
    errors = frame[level.str.upper().isin(["ERROR", "FATAL"])].sort_values("at", kind="stable").tail(5)[::-1]
    newest = records(errors, ["at", "error_code", "document_id", "message"])
    last = [
        Column("newest errors (UTC)", short),
        Column("error code"),
        Column("document", place),
        Column("message"),
    ]
    bad = int(level.str.upper().isin(["ERROR", "FATAL"]).sum())
    span = f" from {when(frame['at'].min())} to {when(frame['at'].max())}"
    lead = f"{many(len(frame), 'log line')}, {bad:,} of them errors,{span}."
    parts = [grid(columns, rows), *([grid(last, newest)] if newest else [])]
    lines = [line([row[0], row[1], row[2]]) for row in rows] + [
        line([when(row[0]), *row[1:]]) for row in newest
    ]
    return panel(lead, *parts, seen=[log], left_out=len(kinds) - len(shown), text=lines)


@guarded
def changed_versions(
    versions: Observation,
    since: datetime | None,
    until: datetime | None = None,
    copies: Mapping[str, str] | Callable[[], Mapping[str, str]] | None = None,
) -> View:
    """Objects that had changed between the last good sync and the opening of the incident, and whether they are back.

    Parameters
    ----------
    versions:
        The ``versions`` observation.
    since:
        Start of the last good sync, UTC; None where there is none to compare with.
    until:
        When the incident was opened, UTC: what was changed after it, by a restore perhaps, does not hide what had
        broken. Up to now where it is not given.
    copies:
        Versions that a rollback made, with the versions that they are copies of; or a function that gives them.
    """
    if not versions.available:
        return unavailable(versions, "Object versions")
    if since is None:
        return nothing("Object versions", "no sync succeeded, so there is nothing to compare with", versions)
    frame = versions.frame
    known = copies() if callable(copies) else copies
    changed = changed_between(frame, since, until or max(frame["at"].max(), since), known)
    if changed.empty:
        calm = (
            f"nothing had changed between {_between(since)}"
            if until
            else f"nothing changed since the last good sync of {when(since)}"
        )
        return nothing("Object versions", calm, versions)
    rank = {"deleted": 0, "rewritten": 1, "added": 2, "restored": 3}
    what = changed["action"].where(~changed["same_content"], "same content")
    now_rank = changed["now"].eq("back").astype(int)
    ordered = changed.assign(what=what, rank=what.map(rank).fillna(4), now_rank=now_rank).sort_values(
        ["now_rank", "rank"], kind="stable"
    )
    shown = ordered.head(MOST_VERSIONS)
    columns = [
        Column("key", name),
        Column("what happened", chip),
        Column("when (UTC)", short),
        Column("size before", _sized, right=True),
        Column("size after", _sized, right=True),
        Column("changes", count, right=True),
        Column("now", chip),
    ]
    names = [
        "key",
        "what",
        "current_at",
        "then_size",
        "current_size",
        "then_version_id",
        "current_version_id",
        "changes",
        "now",
    ]
    rows = [[*row[:3], (row[3], row[5]), (row[4], row[6]), *row[7:]] for row in records(shown, names)]
    notes = [tag("div", note) for note in _version_notes(changed)]
    lines = [line([row[0], row[1], when(row[2]), size(row[3][0]), size(row[4][0]), row[6]]) for row in rows]
    return panel(
        _version_lead(ordered, since, until),
        *notes,
        grid(columns, rows),
        seen=[versions],
        left_out=len(ordered) - len(shown),
        text=lines,
    )


def _between(since: datetime) -> str:
    return f"the last good sync of {when(since)} and the opening of the incident"


def _version_lead(ordered: pd.DataFrame, since: datetime, until: datetime | None) -> str:
    """How many objects had changed, how, and how many are back."""
    by_rank = ordered.sort_values("rank", kind="stable")["what"].value_counts(sort=False)
    tally = ", ".join(f"{number:,} {plain(word)}" for word, number in by_rank.items())
    if until is None:
        return f"{many(len(ordered), 'object')} changed since the last good sync of {when(since)}: {tally}."
    now = ordered["now"].value_counts()
    told = [("back", "back"), ("still changed", "still changed")]
    told += [(word, words) for word, words in _SINCE.items() if word in now]
    states = ", ".join(
        f"{(number := int(now.get(word, 0))):,} {'is' if number == 1 else 'are'} {words}"
        for word, words in told
    )
    return f"{many(len(ordered), 'object')} had changed between {_between(since)} ({tally}); {states}."


_SINCE = {"same size": "other content of the same size as before", "changed since": "changed again since"}


def _version_notes(changed: pd.DataFrame) -> list[str]:
    unsure = int(changed["ambiguous"].sum())
    notes = []
    if unsure:
        notes.append(
            f"{unsure:,} changed within the very second of the last good sync: S3 does not say whether before or after."
        )
    if changed["now"].eq("same size").any():
        notes.append(
            "Where KMS encrypts, a restored copy has another ETag than its original: compare by size."
        )
    return notes


def _sized(pair: Any) -> Html:
    """A version by its size; its id shows on pointing."""
    number, version_id = pair
    return tag("span", size(number), title=plain(version_id, 1024) or None, style="white-space:nowrap")


_DONE = (
    "approved",
    "applying",
    "applied",
    "failed",
    "verified",
    "not verified",
    "undone",
    "notified",
    "severity",
    "phase",
    "closed",
)


@guarded
def actions(events: pd.DataFrame) -> View:
    """What was done about it: approvals, changes, checks of their outcome, messages, in order.

    Parameters
    ----------
    events:
        The incident's timeline: columns ``at``, ``kind``, ``step``, ``actor``, ``summary``.
    """
    done = events[
        events["kind"].isin(_DONE) & ~((events["kind"] == "failed") & (events["step"] == "observe"))
    ]
    if done.empty:
        return panel("Nothing was changed and nobody was told yet.")
    shown = done.tail(MOST_ROWS)
    rows = records(shown, ["at", "kind", "step", "summary", "actor"])
    columns = [
        Column("when (UTC)", short),
        Column("what", chip),
        Column("step"),
        Column("summary"),
        Column("who", who),
    ]
    lead = f"{many(len(done), 'action')}, the last at {when(done['at'].iloc[-1])}."
    left_out = len(done) - len(shown)
    extra = [tag("div", f"… {left_out:,} earlier in journal.jsonl")] if left_out else []
    return panel(lead, grid(columns, rows), *extra, text=[line([when(row[0]), *row[1:]]) for row in rows])


@guarded
def timeline(events: pd.DataFrame, marks: pd.DataFrame | None = None) -> View:
    """Everything that happened, in order: the journal, and what AWS says happened before it.

    Parameters
    ----------
    events:
        The incident's timeline: columns ``at``, ``kind``, ``step``, ``actor``, ``summary``.
    marks:
        Further moments to show in their place: ``at``, ``label``, ``kind``; only promotions are taken, as all others
        are in the journal.
    """
    import pandas as pd

    parts = [events]
    if marks is not None and len(marks):
        outside = marks[marks["kind"] == "promotion"]
        parts.append(outside.rename(columns={"label": "summary"}).assign(actor="", step=""))
    merged = pd.concat([part for part in parts if len(part)]) if any(len(part) for part in parts) else events
    ordered = merged.sort_values("at", kind="stable")
    if ordered.empty:
        return panel("The journal is empty.")
    shown = pd.concat([ordered.head(2), ordered.tail(MOST_ROWS - 2)]) if len(ordered) > MOST_ROWS else ordered
    rows = records(shown, ["at", "kind", "step", "summary", "actor"])
    columns = [
        Column("when (UTC)", short),
        Column("kind", chip),
        Column("step"),
        Column("what"),
        Column("who", who),
    ]
    left_out = len(ordered) - len(shown)
    extra = [tag("div", f"… {left_out:,} more in journal.jsonl")] if left_out else []
    lead = f"{many(len(ordered), 'event')}, from {when(ordered['at'].iloc[0])} to {when(ordered['at'].iloc[-1])}."
    return panel(lead, grid(columns, rows), *extra, text=[line([when(row[0]), *row[1:]]) for row in rows])


@guarded
def next_steps(steps: Iterable[Any] | Callable[[], Iterable[Any]]) -> View:
    """What to do next, with the exact commands.

    Parameters
    ----------
    steps:
        Objects or mappings with ``step``, ``why``, ``command``, or triples of these; or a function that gives them:
        when that fails, the section says so.
    """
    rows = [[plain(one, 2000) for one in _step(given)] for given in (steps() if callable(steps) else steps)]
    if not rows:
        return panel("Nothing is left to do.")
    items = [
        tag(
            "li",
            tag("strong", step),
            ": ",
            why,
            *([tag("div", code(command), style="margin:0.25em 0 0.5em 0")] if command else []),
        )
        for step, why, command in rows
    ]
    lead = f"{many(len(rows), 'step')} to take{', in this order' if len(rows) > 1 else ''}:"
    text = [
        f"{number}. {step}: {why}" + (f"\n   $ {command}" if command else "")
        for number, (step, why, command) in enumerate(rows, 1)
    ]
    shown = panel(lead, tag("ol", *items, style="margin:0.3em 0"))
    return Panel(shown.html, "\n".join([lead, *text]))


def _step(given: Any) -> tuple[object, object, object]:
    if isinstance(given, tuple | list):
        step, why, command = given
        return step, why, command
    values = mapping(given)
    return values["step"], values["why"], values["command"]
