"""Runbook step 1, *Identify affected connector, index, or guardrail*: who and what is hit, as far as it was seen.

Pure over observations: nothing is asked of AWS. What was not seen is ``None``, and said; it is never taken for well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from vmqlib.runbook import lastgood
from vmqlib.runbook.affectedconnectors import AffectedConnector, affected_connectors
from vmqlib.runbook.affecteddocuments import (
    FAILED,
    GONE,
    AffectedDocuments,
    affected_documents,
    document_keys,
)
from vmqlib.runbook.guardrailchanges import Guardrail, guardrail
from vmqlib.runbook.ownquestions import own_questions
from vmqlib.runbook.questions import Questions, questions
from vmqlib.runbook.severity import Advice, WebExperience, advise, web_experiences
from vmqlib.sources.syncjobs import TERMINAL
from vmqlib.times import show_time

if TYPE_CHECKING:
    import pandas as pd

    from vmqlib.record.incident import Incident
    from vmqlib.record.observation import Observation
    from vmqlib.runbook.triggers import Detection, Verdict
    from vmqlib.settings import Settings

__all__ = [
    "Affected",
    "AffectedConnector",
    "AffectedDocuments",
    "AffectedIndex",
    "affected",
    "affected_by",
]

_FOLDERS = 6
_NEEDED = ("resources", "sync-jobs", "documents", "versions", "metrics")


@dataclass(frozen=True)
class AffectedIndex:
    """The index.

    Parameters
    ----------
    id, name, status:
        As Q Business says; empty where it was not seen.
    documents, failing:
        Documents that it lists, and those of them that failed; ``None`` where they were not seen.
    earlier:
        Documents that failed in the newest sync that ended, and are in the index all the same: as it had them before.
        ``None`` where that was not seen.
    """

    id: str = ""
    name: str = ""
    status: str = ""
    documents: int | None = None
    failing: int | None = None
    earlier: int | None = None

    @property
    def kept(self) -> str:
        """How many documents it kept although the newest sync failed to take them over, in words; empty for none."""
        if not self.earlier:
            return ""
        be, them = ("is", "it") if self.earlier == 1 else ("are", "them")
        return f"{self.earlier:,} that failed in the newest sync {be} there as the index had {them} before"

    @property
    def share_failing(self) -> float | None:
        """Which part of the documents failed; ``None`` where that is not known."""
        return self.failing / self.documents if self.documents and self.failing is not None else None


@dataclass(frozen=True, eq=False)
class Affected:
    """Who and what an incident hits.

    Parameters
    ----------
    at:
        The moment that it is true for, UTC.
    since:
        The first bad sign, of a sync its end; ``None`` where there is none.
    connectors:
        Every data source that is known; ``hit`` says which are affected.
    index:
        The index.
    guardrail:
        The chat controls.
    documents:
        Documents in question.
    prefixes:
        A frame: ``prefix`` (the first folder; ``""`` for the top), ``documents``, ``failing``, ``unwanted`` (indexed
        and must not be), ``changed`` (``Int64``, missing where not known); most failing ones first.
    questions:
        What users asked before and since, and how it went.
    web:
        The web experiences; ``None`` where they were not seen.
    severity:
        How severe it is by the rule.
    hold:
        Why CI starts no syncs, in a sentence; empty where it does, or nobody has looked.
    not_seen:
        What could not be told for want of evidence, one sentence each.
    """

    at: datetime
    since: datetime | None
    connectors: tuple[AffectedConnector, ...]
    index: AffectedIndex
    guardrail: Guardrail
    documents: AffectedDocuments
    prefixes: pd.DataFrame
    questions: Questions
    web: tuple[WebExperience, ...] | None
    severity: Advice
    hold: str = ""
    not_seen: tuple[str, ...] = field(default=())

    @property
    def share_of_index(self) -> float | None:
        """Which part of the index failed; ``None`` where that is not known."""
        return self.index.share_failing

    @property
    def unauthorized(self) -> str:
        """How many documents are indexed that must not be, and below which prefixes; empty where none is known."""
        count = self.documents.unwanted_count
        if not count:
            return ""
        rows = self.prefixes[self.prefixes["unwanted"].fillna(0) > 0]
        rows = rows.sort_values("unwanted", ascending=False, kind="stable")
        names = [f"{name or '(top)'} {n:,}" for name, n in zip(rows["prefix"], rows["unwanted"], strict=True)]
        whole = f" of {self.index.documents:,}" if self.index.documents is not None else ""
        be = "is where it" if count == 1 else "are where they"
        noun = "document" if count == 1 and not whole else "documents"
        more = " …" if len(names) > _FOLDERS else ""
        return f"{count:,}{whole} {noun} {be} must not be: {', '.join(names[:_FOLDERS])}{more}"


def affected(
    seen: Mapping[str, Observation],
    settings: Settings,
    now: datetime,
    detection: Detection | None = None,
    *,
    opened: datetime | None = None,
    came_in: datetime | None = None,
    doubt: str = "",
) -> Affected:
    """Who and what is hit. Pure.

    Parameters
    ----------
    seen:
        Observations by source name; sources that are not there count as not seen.
    settings:
        Connectors' names, the severity rule, forbidden keys.
    now:
        The moment that this is to be true for.
    detection:
        What the four triggers say (:class:`vmqlib.runbook.triggers.Detection`); without it connectors are judged by
        their syncs alone, and the guardrail not at all.
    opened:
        When the incident was opened: what was hit is then told from the outage around it, also after recovery.
    came_in:
        When what is unauthorized came in: no sync since then is good.
    doubt:
        Why nobody knows whether the last one that SUCCEEDED was good (:func:`vmqlib.runbook.lastgood.doubt`).
    """
    there = {name: one for name, one in seen.items() if one.available}
    verdicts = detection.triggers if detection is not None else ()
    connectors = affected_connectors(there, settings, verdicts, opened, came_in)
    if doubt:
        connectors = tuple(replace(one, doubt=doubt if one.last_good_at else "") for one in connectors)
    since = _first_sign(verdicts, connectors)
    documents, prefixes = affected_documents(there, settings, connectors, opened, _misplaced(verdicts))
    web = _web(there.get("resources"))
    mended = detection.mended if detection is not None and since is None else None
    since = mended.began if mended else since
    count = partial(
        questions,
        seen.get("metrics"),
        now=now,
        baseline=timedelta(weeks=settings.detection.baseline_weeks),
        own=own_questions(there.get("own-questions")),
    )
    asked = count(since=since)
    # What was blocked before it was taken back tells of the outage, and not of now.
    judged = count(since=mended.at, mended=True) if mended else asked
    return Affected(
        at=now,
        since=since,
        connectors=connectors,
        index=_index(there, settings),
        guardrail=guardrail(seen.get("chat-controls"), seen.get("trail"), _fires(verdicts, "guardrail")),
        documents=documents,
        prefixes=prefixes,
        questions=asked,
        web=web,
        severity=advise(judged, web, settings.severity_rule),
        hold=_hold(there.get("ci-hold")),
        not_seen=tuple(_not_seen(seen)),
    )


def affected_by(incident: Incident, detection: Detection | None = None) -> Affected:
    """Who and what that incident hits, from its evidence, as of its present moment."""
    names = [
        name
        for name in (*_NEEDED, "document-report", "trail", "chat-controls", "own-questions", "ci-hold")
        if name in incident.sources
    ]
    found = lastgood.came_in(incident, detection)
    return affected(
        {name: incident.observed(name) for name in names},
        incident.judged_by,
        incident.seen_at,
        detection,
        opened=incident.state.opened_at,
        came_in=found.at if found else None,
        doubt=lastgood.doubt(incident, detection),
    )


def _hold(seen: Observation | None) -> str:
    """What CI's note says of holding syncs; empty where it is not there, or a newer look failed."""
    if seen is None or seen.problem or seen.frame.empty or not seen.frame["held"].iloc[0]:
        return ""
    note = seen.frame.fillna("").iloc[0]
    since = f" since {show_time(seen.frame['at'].iloc[0])}" if seen.frame["at"].notna().iloc[0] else ""
    by = f" by {note['by']}" if note["by"] else ""
    why = note["reason"] or note["problem"]
    return f"CI is told to start no syncs{since}{by}{f' ({why})' if why else ''}"


def _misplaced(verdicts: Sequence[Verdict]) -> tuple[str, ...] | None:
    """What the trigger ``content`` says must not be indexed; ``None`` where it cannot tell."""
    told = next((one for one in verdicts if one.trigger == "content"), None)
    return None if told is None or told.verdict == "unknown" else told.documents


def _fires(verdicts: Sequence[Verdict], trigger: str, data_source_id: str = "") -> bool | None:
    said = {
        one.verdict
        for one in verdicts
        if one.trigger == trigger and (not data_source_id or one.data_source_id in ("", data_source_id))
    }
    return True if "firing" in said else False if said == {"quiet"} else None


def _first_sign(verdicts: Sequence[Verdict], connectors: tuple[AffectedConnector, ...]) -> datetime | None:
    told = [one.since for one in verdicts if one.verdict == "firing" and one.since is not None]
    told += [one.first_sign_at for one in connectors if one.hit and one.first_sign_at is not None]
    return min(told, default=None)


def _not_seen(seen: Mapping[str, Observation]) -> list[str]:
    told = []
    for name in _NEEDED:
        one = seen.get(name)
        if one is None:
            told.append(f"Nobody has looked at {name}.")
        elif not one.available:
            told.append(f"{one.title}: {one.problem}")
        elif not one.complete:
            told.append(f"{one.title}: incomplete, {one.stopped or 'it stopped early'}.")
    return told


def _index(there: Mapping[str, Observation], settings: Settings) -> AffectedIndex:
    told: dict[str, Any] = {"id": settings.index_id}
    if "resources" in there:
        rows = there["resources"].frame
        rows = rows[rows["kind"].eq("index")]
        if len(rows):
            row = rows.iloc[0]
            told |= {name: _plain(row[name]) for name in ("id", "name", "status")}
            told["documents"] = None if row.isna()["document_count"] else int(row["document_count"])
    if "documents" in there and not there["documents"].missing_of(""):
        status = there["documents"].frame["status"].fillna("")
        told["documents"] = int((~status.isin(GONE)).sum())
        told["failing"] = int(status.isin(FAILED).sum())
        told["earlier"] = _kept_earlier(there)
    return AffectedIndex(**told)


def _kept_earlier(there: Mapping[str, Observation]) -> int | None:
    """Documents that failed in the newest sync of their connector and are in the index; ``None`` where nobody saw."""
    if not {"document-report", "sync-jobs"} <= there.keys():
        return None
    jobs = there["sync-jobs"].frame
    ended = jobs[jobs["status"].isin(TERMINAL)].sort_values("started_at", kind="stable")
    newest = ended.groupby("data_source_id")["execution_id"].last()
    report, listed = there["document-report"].frame, there["documents"].frame
    failed = report[report["execution_id"].isin(newest) & report["status"].eq("FAILED")]
    well = listed[~listed["status"].fillna("").isin((*GONE, *FAILED))]
    return len(set(document_keys(failed["uri"])) & set(document_keys(well["document_id"])))


def _plain(value: Any) -> str:
    import pandas as pd

    return "" if pd.isna(value) else str(value)


def _web(resources: Observation | None) -> tuple[WebExperience, ...] | None:
    if resources is None:
        return None
    names = ["kind", "id", "name", "status"]
    rows = resources.frame[names].fillna("").to_dict("records")
    return web_experiences(
        ({str(key): value for key, value in row.items()} for row in rows), complete=resources.complete
    )
