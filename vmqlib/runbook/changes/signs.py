"""The first bad sign of an incident: when, how exactly that is known, and what is in question."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from vmqlib.runbook.affectedconnectors import affected_connectors
from vmqlib.runbook.affecteddocuments import FAILED, document_keys
from vmqlib.runbook.ownquestions import counted, own_questions
from vmqlib.runbook.triggers.detection import detect
from vmqlib.runbook.triggers.guardrail import latest_beginning
from vmqlib.runbook.triggers.indexed import indexed_documents, unwanted_documents
from vmqlib.sources.base import as_time
from vmqlib.sources.crawlscope import crawl_scope

if TYPE_CHECKING:
    import pandas as pd

    from vmqlib.record.observation import Observation
    from vmqlib.runbook.triggers.verdicts import Detection, Verdict
    from vmqlib.settings import Settings

__all__ = ["Sign", "first_sign", "tells_of_refusal"]

_ACCESS: Final = re.compile(
    r"access ?denied|not authorized|unauthorized|forbidden|\b403\b|\bkms:", re.IGNORECASE
)
_WORDS: Final = {
    "sync-failed": "the first bad sync",
    "content": "the sync that first showed it",
    "guardrail": "the blocking",
    "no-sync": "the time without a sync was over its limit",
}
_NOUNS: Final = {"content": "documents that must not be indexed"}


@dataclass(frozen=True)
class Sign:
    """When something was first seen to be wrong.

    Parameters
    ----------
    trigger:
        Which trigger's condition it is.
    at:
        When, UTC: for a sync, its end.
    within:
        It began at ``at`` or within so long after: messages are counted in periods, and few of them tell little.
    began_at:
        When the sync began that showed it; ``None`` where it was no sync.
    good_at:
        When the last sync before it began that SUCCEEDED; ``None`` where none is known.
    data_source_id:
        The connector; empty where it is not one's own.
    words:
        What it is, for a sentence.
    noun:
        What the documents in question are called.
    documents:
        Keys of the documents in question; ``None`` where they are not known, empty where there are none.
    errors:
        What syncs and documents failed with, each text once.
    """

    trigger: str
    at: datetime
    within: timedelta = timedelta()
    began_at: datetime | None = None
    good_at: datetime | None = None
    data_source_id: str = ""
    words: str = "the first bad sign"
    noun: str = "failing documents"
    documents: frozenset[str] | None = field(default=None, repr=False)
    errors: tuple[str, ...] = field(default=(), repr=False)

    @property
    def latest(self) -> datetime:
        """The last moment at which it may have begun: whatever came later is no cause of it."""
        return self.at + self.within

    @property
    def speaks_of_access(self) -> bool | None:
        """Whether the errors are of somebody being refused; ``None`` where there is no error to read."""
        return any(tells_of_refusal(text) for text in self.errors) if self.errors else None


def tells_of_refusal(error: str) -> bool:
    """Whether an error's text is of somebody being refused."""
    return _ACCESS.search(error) is not None


def first_sign(
    detection: Detection,
    seen: Mapping[str, Observation],
    settings: Settings,
    *,
    trigger: str = "",
    opened: datetime | None = None,
) -> Sign | None:
    """The first bad sign of what fires: of ``trigger`` if that does, else of the most severe. Pure.

    Where nothing fires (any more) it is the beginning of the outage around ``opened``; ``None`` where there is none.

    Parameters
    ----------
    detection, seen:
        What the triggers say, and the observations that they were told from.
    settings:
        The connectors, and what is forbidden.
    trigger:
        The incident's own.
    opened:
        When the incident was opened.
    """
    firing = {one.trigger: one for one in detection.firing if one.since is not None}
    verdict = firing.get(trigger) or next(iter(firing.values()), None)  # type: ignore[call-overload]
    failed = firing.get("sync-failed")
    if verdict is not None and failed is not None and verdict.cause and verdict.cause == failed.cause:
        verdict = (
            failed  # none succeeded since they fail: the first that failed tells more than a day without one
        )
    there = {name: one for name, one in seen.items() if one.available}
    if verdict is None and opened is not None:
        verdict = _at_opening(there, settings, trigger, opened)
        if verdict is None:
            return _outage(there, settings, opened)
    return None if verdict is None else _of_verdict(verdict, there, settings, detection.at)


def _at_opening(
    there: Mapping[str, Observation], settings: Settings, trigger: str, opened: datetime
) -> Verdict | None:
    """What the incident's own trigger said when it was opened, from what is seen now; ``None`` where it did not fire.

    What is in the index is known as it is now, and not as it was.
    """
    if trigger not in ("sync-failed", "no-sync", "guardrail"):
        return None
    then = {name: one for name, one in there.items() if name in ("metrics", "conversations", "own-questions")}
    if "sync-jobs" in there:
        jobs = there["sync-jobs"].frame
        jobs = jobs[jobs["started_at"] <= opened]
        running = jobs["ended_at"] > opened
        jobs = jobs.assign(
            status=jobs["status"].mask(running, "SYNCING"), ended_at=jobs["ended_at"].mask(running)
        )
        then["sync-jobs"] = replace(there["sync-jobs"], frame=jobs)
    if "alarm-history" in there:
        history = there["alarm-history"].frame
        then["alarm-history"] = replace(there["alarm-history"], frame=history[history["at"] <= opened])
    verdict = detect(then, settings, opened, triggers=(trigger,)).of(trigger)
    return verdict if verdict.verdict == "firing" and verdict.since is not None else None


def _of_verdict(
    verdict: Verdict, there: Mapping[str, Observation], settings: Settings, now: datetime
) -> Sign:
    trigger, since = verdict.trigger, verdict.since
    assert since is not None
    told = Sign(
        trigger,
        since,
        data_source_id=verdict.data_source_id,
        words=_WORDS[trigger],
        noun=_NOUNS.get(trigger, "failing documents"),
    )
    if trigger == "guardrail":
        return replace(told, within=_within(there, since, now), documents=frozenset())
    began, good = _syncs_around(there, verdict.data_source_id, since)
    if trigger == "no-sync":
        return replace(told, good_at=good, documents=frozenset())
    if trigger == "content":
        return replace(
            told, began_at=began, good_at=good, documents=_unwanted(there, settings, verdict.data_source_id)
        )
    documents = _failing(there, verdict.data_source_id, good)
    return replace(
        told,
        began_at=began,
        good_at=good,
        noun=_noun(there, documents),
        documents=documents,
        errors=_errors(there, verdict.data_source_id, good),
    )


def _outage(there: Mapping[str, Observation], settings: Settings, opened: datetime) -> Sign | None:
    hit = [
        one
        for one in affected_connectors(there, settings, (), opened)
        if one.first_bad_at and one.first_bad_at <= opened
    ]
    if not hit:
        return None
    first = min(hit, key=lambda one: (one.first_bad_at, one.data_source_id))
    assert first.first_bad_at is not None
    documents = _failing(there, first.data_source_id, first.last_good_at)
    ended = _end_of(there, first.data_source_id, first.first_bad_at)
    return Sign(
        "sync-failed",
        ended or first.first_bad_at,
        began_at=first.first_bad_at,
        good_at=first.last_good_at,
        data_source_id=first.data_source_id,
        words=_WORDS["sync-failed"],
        noun=_noun(there, documents),
        documents=documents,
        errors=_errors(there, first.data_source_id, first.last_good_at),
    )


def _within(there: Mapping[str, Observation], since: datetime, now: datetime) -> timedelta:
    """How much later than ``since`` blocking may have begun."""
    metrics = there.get("metrics")
    if metrics is None:
        return timedelta(hours=1)  # conversations are counted by the hour
    return (
        latest_beginning(
            metrics.frame, since, now, counted(own_questions(there.get("own-questions")), metrics.at)
        )
        - since
    )


def _mine(there: Mapping[str, Observation], data_source_id: str) -> pd.DataFrame | None:
    if "sync-jobs" not in there:
        return None
    jobs = there["sync-jobs"].frame
    if data_source_id:
        jobs = jobs[jobs["data_source_id"].eq(data_source_id)]
    return jobs[jobs["started_at"].notna()].sort_values("started_at", kind="stable")


def _syncs_around(
    there: Mapping[str, Observation], data_source_id: str, since: datetime
) -> tuple[datetime | None, datetime | None]:
    """The start of the sync that was running, or ended, at ``since``; and of the last that SUCCEEDED before it."""
    jobs = _mine(there, data_source_id)
    if jobs is None:
        return None, None
    ended = jobs["ended_at"].fillna(jobs["started_at"])
    showing = jobs[(jobs["started_at"] <= since) & (ended >= since)]
    began = as_time(showing["started_at"].iloc[0]) if len(showing) else None
    good = jobs[jobs["status"].eq("SUCCEEDED") & (ended < (began or since))]
    if began is None:
        good = jobs[jobs["status"].eq("SUCCEEDED") & (ended <= since)]
    return began, as_time(good["started_at"].iloc[-1]) if len(good) else None


def _end_of(there: Mapping[str, Observation], data_source_id: str, started: datetime) -> datetime | None:
    jobs = _mine(there, data_source_id)
    if jobs is None:
        return None
    ended = jobs.loc[jobs["started_at"].eq(started), "ended_at"].dropna()
    return as_time(ended.iloc[0]) if len(ended) else None


def _noun(there: Mapping[str, Observation], documents: frozenset[str] | None) -> str:
    """What they are called: failing only where all of them still are."""
    if documents and "documents" in there:
        frame = there["documents"].frame
        now = document_keys(frame.loc[frame["status"].fillna("").isin(FAILED), "document_id"])
        if not documents <= set(now):
            return "documents that have failed since"
    return "failing documents"


def _failing(
    there: Mapping[str, Observation], data_source_id: str, good: datetime | None
) -> frozenset[str] | None:
    """Documents that fail now, or failed in a sync since the last good one."""
    found: set[str] = set()
    known = False
    if "documents" in there:
        frame = there["documents"].frame
        bad = frame[frame["status"].fillna("").isin(FAILED)]
        if data_source_id:
            bad = bad[bad["data_source_id"].eq(data_source_id)]
        found.update(document_keys(bad["document_id"]))
        known = not there["documents"].missing_of(data_source_id)
    if (report := _report(there, data_source_id, good)) is not None:
        found.update(
            document_keys(report["uri"].where(report["uri"].fillna("").ne(""), report["document_id"]))
        )
        known = True
    return frozenset(found) if known or found else None


def _report(
    there: Mapping[str, Observation], data_source_id: str, good: datetime | None
) -> pd.DataFrame | None:
    if "document-report" not in there:
        return None
    frame = there["document-report"].frame
    bad = frame[frame["status"].fillna("").eq("FAILED")]
    if data_source_id and "data_source_id" in bad:
        bad = bad[bad["data_source_id"].eq(data_source_id)]
    return bad[bad["at"] > good] if good is not None else bad


def _errors(there: Mapping[str, Observation], data_source_id: str, good: datetime | None) -> tuple[str, ...]:
    texts: dict[str, None] = {}
    jobs = _mine(there, data_source_id)
    if jobs is not None:
        bad = jobs[~jobs["status"].isin(["SUCCEEDED", "ABORTED"])]
        bad = bad[bad["started_at"] > good] if good is not None else bad
        for code, message in zip(bad["error_code"].fillna(""), bad["error_message"].fillna(""), strict=True):
            texts[f"{code}: {message}".strip(": ")] = None
    if "documents" in there:
        frame = there["documents"].frame
        failed = frame[frame["status"].fillna("").isin(FAILED)]
        said = (failed["error_code"].fillna("") + ": " + failed["error_message"].fillna("")).unique()
        texts.update(dict.fromkeys(text.strip(": ") for text in said))
    if (report := _report(there, data_source_id, good)) is not None:
        said = (report["error_code"].fillna("") + ": " + report["message"].fillna("")).unique()
        texts.update(dict.fromkeys(text.strip(": ") for text in said))
    return tuple(text for text in texts if text)


def _unwanted(
    there: Mapping[str, Observation], settings: Settings, data_source_id: str
) -> frozenset[str] | None:
    if "documents" not in there or there["documents"].missing_of(data_source_id):
        return None
    connector = settings.connector(data_source_id)
    indexed = indexed_documents(there["documents"].frame, data_source_id, settings.bucket_of(connector))
    scope = crawl_scope(there["resources"].frame, data_source_id) if "resources" in there else None
    found = unwanted_documents(indexed, settings, connector, scope=scope, deleted=None, good_syncs=None)
    return frozenset(key for one in found for key in one.keys)
