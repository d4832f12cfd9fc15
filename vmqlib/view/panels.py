"""Panels of the record: the header that answers the first questions, provenance, and the record for programs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from vmqlib.runbook.wording import many
from vmqlib.times import duration, iso, show_time
from vmqlib.view.base import Html, Panel, View, guarded, join, mapping, notice, plain, tag
from vmqlib.view.errorkinds import error_kinds
from vmqlib.view.findings import alarm_spans, moment, sync_facts
from vmqlib.view.layout import (
    Column,
    ago,
    chip,
    code,
    count,
    facts,
    name,
    panel,
    short,
    size,
    table,
    when,
)

__all__ = ["RECORD_MIME", "Record", "closing", "header", "provenance", "record"]

RECORD_MIME = "application/vnd.vmq.record+json"
"""The record for programs: an output of this type survives papermill and reads back with nbformat."""

_WORDS = (("impact", "impact"), ("root cause", "cause"), ("remediation", "remediation"))
_ABOUT = ("sync-jobs", "alarm-history", "alarms", "documents", "metrics")


@guarded
def header(summary: Any, observations: Mapping[str, Any] | None = None) -> View:
    """What is wrong, since when, how bad, who has it, and what is due: the first screen.

    Parameters
    ----------
    summary:
        The incident at a glance (``incident.summary()``), or a mapping with the same names.
    observations:
        Observations by source name; what is wrong is told from ``sync-jobs``, ``alarm-history``, ``alarms``,
        ``documents`` and ``metrics``, as far as they are there.
    """
    about = mapping(summary)
    seen = observations or {}
    now: datetime = about["as_of"]
    wrong = findings(about, seen)
    title = tag(
        "div",
        chip(about["severity"]),
        " ",
        chip(about["phase"]),
        " ",
        tag("strong", plain(about["title"], 300)),
        style="font-size:135%;margin:0.2em 0",
    )
    points = tag(
        "ul",
        *(tag("li", tag("strong", f"{name}: "), what) for name, what in wrong),
        style="margin:0.4em 0;font-size:110%",
    )
    acknowledged = about.get("acknowledged_at")
    pairs: list[tuple[str, object]] = [
        ("incident", code(about["id"])),
        ("opened", ago(about["opened_at"], now)),
        *closing(about),
        (
            "acknowledged",
            f"{when(acknowledged)} by {plain(about.get('acknowledged_by', ''), 80)}"
            if acknowledged
            else _not_yet(about),
        ),
        ("next update due", _due(about, now)),
        ("e-mail to stakeholders due", _due(about, now, "stakeholders_due")),
        ("trigger", plain(about["trigger"], 80)),
        ("connector", code(about["data_source_id"]) if about.get("data_source_id") else ""),
        (
            "where",
            f"account {plain(about.get('account', ''), 20) or 'unknown'}, {plain(about.get('region', ''), 30)}",
        ),
        ("as of", when(now) + (" (rendered from evidence)" if about.get("offline") else "")),
    ]
    damage = [notice(plain(problem, 300), "#D55E00") for problem in about.get("problems", ())]
    lost = [one.title for one in seen.values() if not one.available]
    gaps = (
        [
            notice(
                join(["Not everything could be seen: ", ", ".join(plain(name, 60) for name in lost), "."]),
                "#E69F00",
            )
        ]
        if lost
        else []
    )
    text = [f"{plain(about['severity'])} {plain(about['phase'])}: {plain(about['title'], 300)}"]
    text += [f"- {name}: {what}" for name, what in wrong]
    text += [f"{name}: {_words(value)}" for name, value in pairs if _words(value)]
    body = tag("div", title, points, *gaps, facts(pairs), *damage)
    return Panel(body, "\n".join(text))


def _words(value: object) -> str:
    import html
    import re

    return html.unescape(re.sub(r"<[^>]*>", "", value.markup)) if isinstance(value, Html) else str(value)


def closing(about: Mapping[str, Any]) -> list[tuple[str, object]]:
    """When it was reopened; how old it is, or when, by whom and after how long it was closed, and the closing words."""
    again = [
        ("reopened", f"{when(one.at)} by {plain(one.by, 80)}: {plain(one.reason, 600)}")
        for one in about.get("reopenings", ())
    ]
    return [*again, *_end(about)]


def _end(about: Mapping[str, Any]) -> list[tuple[str, object]]:
    if not about.get("closed_at"):
        return [("age", duration(about["open_for"]))]
    words = mapping(about["closing"]) if about.get("closing") is not None else {}
    by = plain(words.get("by", ""), 80)
    span = duration(about["open_for"])
    long = f"open for {span} in all" if about.get("reopenings") else f"after {span}"
    end = f"{when(about['closed_at'])}{f' by {by}' if by else ''}, {long}"
    said = [(title, plain(words.get(name, ""), 2000) or "not stated") for title, name in _WORDS]
    said += [("customers affected", plain(who, 2000))] if (who := words.get("customers")) else []
    outcome = plain(words.get("outcome", ""), 2000)
    return [("closed", end), *said, *([("outcome", outcome)] if outcome else [])]


def _not_yet(about: Mapping[str, Any]) -> str:
    return "" if about.get("closed_at") else "nobody has yet"


def _due(about: Mapping[str, Any], now: datetime, name: str = "next_update_due") -> str:
    due = about.get(name)
    if due is None or about.get("closed_at"):
        return ""
    return f"{show_time(due)} ({'overdue by ' + duration(now - due) if now > due else 'in ' + duration(due - now)})"


def findings(about: Mapping[str, Any], seen: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The first screen's sentences: what is wrong, since when, how bad. Only what was seen is said."""
    now: datetime = about.get("seen_at") or about["as_of"]
    there = {name: seen[name] for name in _ABOUT if name in seen and seen[name].available}
    found: list[tuple[str, str]] = []
    if "sync-jobs" in there:
        found += _syncs(
            there["sync-jobs"], str(about.get("data_source_id") or ""), now, about.get("opened_at")
        )
    if "alarm-history" in there or "alarms" in there:
        found += _alarms(there, now)
    if "documents" in there:
        found.append(("documents", _documents(there["documents"].frame)))
    if "metrics" in there:
        found += _answers(there["metrics"])
    return found or [("what is wrong", "unknown: nothing could be seen")]


def _documents(frame: Any) -> str:
    failed = frame[frame["status"].isin(["FAILED", "DOCUMENT_FAILED_TO_INDEX"])]
    told = f"{len(failed):,} of {len(frame):,} are failed in the index"
    errors = failed["error_message"].fillna("").astype(object)
    errors = errors.where(errors != "", failed["error_code"].fillna("").astype(object))
    known = error_kinds(errors, failed["document_id"].fillna("").astype(object))
    most = known[known != ""].value_counts()
    return f"{told}; most often ({int(most.iloc[0]):,}): “{plain(most.index[0], 160)}”" if len(most) else told


def _syncs(
    jobs: Any, data_source_id: str, now: datetime, opened: datetime | None = None
) -> list[tuple[str, str]]:
    known = sync_facts(jobs.frame, data_source_id, opened)
    if not known.total:
        return [("sync", "no run was found")]
    good = ago(known.last_good, now) if known.last_good else "none: no run succeeded"
    if not known.streak:
        if not known.last_good:
            return [("last sync", "none has ended yet")]
        if not known.recovered_from:
            return [("last sync", f"SUCCEEDED (started {good})")]
        before = ago(known.good_before, now) if known.good_before else "none was found"
        return [
            ("last sync", f"SUCCEEDED (started {good}; before it {known.recovered_from} in a row did not)"),
            ("first bad sync", f"the run that started {ago(known.outage_began, now)}"),
            ("last good sync before the incident", before),
        ]
    error = f": “{plain(known.error, 200)}”" if known.error else ""
    many = f"the last {known.streak} of {known.total} runs" if known.streak > 1 else "the last run"
    return [
        ("sync", f"{many} did not succeed{error}"),
        ("first bad sync", f"the run that started {ago(known.first_bad, now)}"),
        ("last good sync", good),
    ]


def _alarms(there: Mapping[str, Any], now: datetime) -> list[tuple[str, str]]:
    if "alarms" in there:
        frame = there["alarms"].frame
        firing = frame[frame["state"] == "ALARM"]
        standing = [
            (plain(name, 80), moment(at)) for name, at in zip(firing["name"], firing["since"], strict=True)
        ]
    else:
        spans = alarm_spans(there["alarm-history"].frame, now)
        standing = [(plain(s.name, 80), s.start) for s in spans if s.open and s.state == "ALARM"]
    if not standing:
        return [("alarms", "none is in ALARM")]
    return [
        ("alarm", f"{name} in ALARM since {ago(at, now) or 'an unknown time'}") for name, at in standing[:6]
    ]


def _answers(seen: Any) -> list[tuple[str, str]]:
    frame = seen.frame[seen.frame["value"].notna()]
    if frame.empty or seen.at is None:
        return []
    import pandas as pd

    last = frame[frame["at"] > pd.Timestamp(seen.at) - pd.Timedelta(hours=24)]
    sums = last.groupby("metric")["value"].sum()
    asked, none = float(sums.get("ChatMessages", 0)), float(sums.get("ChatMessagesWithNoAnswer", 0))
    return (
        [("users", f"{none / asked:.0%} of {asked:,.0f} questions had no answer in the last 24 h")]
        if asked
        else []
    )


@guarded
def provenance(
    observations: Mapping[str, Any],
    summary: Any = None,
    *,
    events: Any = None,
    versions: Mapping[str, str] | None = None,
) -> View:
    """Every evidence file with its hash, who looked, and which versions made this record.

    Parameters
    ----------
    observations:
        Observations by source name.
    summary:
        The incident at a glance.
    events:
        The incident's timeline: who observed is who asked AWS.
    versions:
        Versions by name; by default those of the kit and of the packages that draw and run the record.
    """
    about = mapping(summary) if summary is not None else {}
    rows = [_file(one) for one in observations.values()]
    columns = [
        Column("source"),
        Column("seen (UTC)", short),
        Column("rows", count, right=True),
        Column("complete"),
        Column("evidence file", lambda file: name(file) if file else ""),
        Column("size", size, right=True),
        Column(
            "SHA-256",
            lambda digest: (
                tag("code", plain(digest, 80), style="font-size:80%;word-break:break-all") if digest else ""
            ),
        ),
    ]
    kept = sum(bool(row[4]) for row in rows)
    made = versions if versions is not None else package_versions()
    pairs: list[tuple[str, object]] = [
        ("asked by", plain(", ".join(_observers(events)), 600)),
        (
            "account, region",
            f"{plain(about.get('account', ''))}, {plain(about.get('region', ''))}" if about else "",
        ),
        ("opened with vmqlib", plain(about.get("version", ""))),
        ("made with", ", ".join(f"{plain(name, 40)} {plain(version, 40)}" for name, version in made.items())),
        ("to check", code(f"vmq verify {plain(about['id'], 60)}") if about.get("id") else ""),
    ]
    lead = f"{many(kept, 'evidence file')}; {_coverage(observations)}."
    lines = [
        f"{plain(row[0], 60)}: {plain(row[4], 120) or 'no evidence'} {plain(row[6], 80)}" for row in rows
    ]
    return panel(lead, table(columns, rows), facts(pairs), text=lines)


def _coverage(observations: Mapping[str, Any]) -> str:
    """How many of the sources were seen, and which of them not, or not wholly."""
    lost = [one for one in observations.values() if not one.available or _is_void(one)]
    partly = [one for one in observations.values() if one.available and not one.complete and one not in lost]
    seen = len(observations) - len(lost)
    told = f"{seen} of {many(len(observations), 'source')} {'was' if seen == 1 else 'were'} seen"
    if not lost:
        told = f"all {many(len(observations), 'source')} were seen"
    parts = [f"{what}: {', '.join(plain(one.title, 60) for one in found)}" for what, found in
             (("not seen", lost), ("not wholly", partly)) if found]  # fmt: skip
    return "; ".join([told, *parts])


def _is_void(seen: Any) -> bool:
    """Whether a look found nothing because it did not look."""
    return not seen.complete and not len(seen.frame)


def _observers(events: Any) -> list[str]:
    if events is None or not len(events):
        return []
    return [plain(actor, 200) for actor in events.loc[events["kind"] == "observed", "actor"].unique()]


def _file(seen: Any) -> list[Any]:
    ref = seen.evidence
    if ref is None:
        return [seen.title, seen.at, None, f"not available: {plain(seen.problem, 120)}", "", None, ""]
    state = "yes" if seen.available and seen.complete else f"no: {plain(seen.stopped or seen.problem, 160)}"
    return [seen.title, ref.at, ref.rows, state, ref.file, ref.bytes, ref.sha256]


def package_versions() -> dict[str, str]:
    """Versions of the kit, of Python and of the packages that a record depends on."""
    import platform
    from importlib.metadata import PackageNotFoundError, version

    from vmqlib import __version__

    found = {"vmqlib": __version__, "Python": platform.python_version()}
    for package in ("boto3", "pandas", "matplotlib", "papermill", "nbconvert"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


@dataclass(frozen=True)
class Record:
    """The record for programs.

    Parameters
    ----------
    data:
        JSON types only.
    text:
        The same in a line, for people.
    """

    data: Mapping[str, Any]
    text: str

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        return {RECORD_MIME: dict(self.data), "text/plain": self.text}

    def __repr__(self) -> str:
        return self.text


def record(
    summary: Any,
    observations: Mapping[str, Any] | None = None,
    steps: Iterable[Any] | Callable[[], Iterable[Any]] = (),
) -> Record:
    """State, ids and key findings as JSON: what :func:`vmqlib.record.notebook.read_record` reads back.

    Parameters
    ----------
    summary:
        The incident at a glance.
    observations:
        Observations by source name.
    steps:
        The next steps, as for :func:`vmqlib.view.next_steps`.
    """
    about = mapping(summary)
    seen = observations or {}
    keep = (
        "id",
        "title",
        "trigger",
        "severity",
        "phase",
        "region",
        "account",
        "data_source_id",
        "version",
        "updates",
        "actions",
        "events",
    )
    data: dict[str, Any] = {name: about[name] for name in keep if name in about}
    data |= {
        name: iso(about[name]) if about.get(name) else None
        for name in ("opened_at", "acknowledged_at", "closed_at", "as_of", "seen_at")
    }
    data["closing"] = _closed(about)
    data["resources"] = dict(about.get("resources", {}))
    data["findings"] = [{"about": name, "finding": what} for name, what in findings(about, seen)]
    if "sync-jobs" in seen and seen["sync-jobs"].available:
        connector = str(about.get("data_source_id") or "")
        known = sync_facts(seen["sync-jobs"].frame, connector, about.get("opened_at"))
        data["sync"] = {
            "runs": known.total,
            "not_succeeded_in_a_row": known.streak,
            "newest_status": known.newest_status,
            "last_good": iso(known.last_good) if known.last_good else None,
            "first_bad": iso(known.first_bad) if known.first_bad else None,
            "recovered_from": known.recovered_from,
            "outage_began": iso(known.outage_began) if known.outage_began else None,
            "last_good_before": iso(known.good_before) if known.good_before else None,
        }
    data["evidence"] = {
        name: {"file": one.evidence.file, "sha256": one.evidence.sha256, "complete": bool(one.complete)}
        for name, one in seen.items()
        if one.evidence is not None
    }
    data["unavailable"] = {name: plain(one.problem, 400) for name, one in seen.items() if not one.available}
    data["next_steps"], data["problem"] = _remaining(steps)
    clean: dict[str, Any] = json.loads(json.dumps(data, default=str))
    text = f"{plain(about['id'])}: {plain(about['severity'])}, {plain(about['phase'])}: {plain(about['title'], 200)}"
    return Record(clean, text)


def _closed(about: Mapping[str, Any]) -> dict[str, str] | None:
    """The closing words for programs; None while the incident is open."""
    if about.get("closing") is None:
        return None
    words = mapping(about["closing"])
    names = ("by", "impact", "cause", "remediation", "outcome", "customers")
    return {name: plain(words.get(name, ""), 20_000) for name in names}


def _remaining(steps: Iterable[Any] | Callable[[], Iterable[Any]]) -> tuple[list[dict[str, str]], str]:
    """The next steps for programs, or why they are not known: the record must end with what is."""
    try:
        given = [mapping(step) for step in (steps() if callable(steps) else steps)]
        return [{"step": plain(one["step"]), "command": plain(one["command"], 2000)} for one in given], ""
    except Exception as error:  # noqa: BLE001 - told in the record
        return [], f"The next steps are not known: {type(error).__name__}: {plain(error, 300)}"
