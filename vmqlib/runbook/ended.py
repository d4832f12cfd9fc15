"""When what an incident was opened for was over, as far as the evidence shows it; nothing that was not seen.

Of syncs it is the end of the first one that succeeded again. Of blocked questions, and of documents that must not be
indexed, it is told where the trigger's own rule fired on the evidence of the opening, and does not on that of the last
look: a guardrail's end by the change that took back what was blocked, or by the hour, since that is how questions are
counted; of documents only that they were gone by that look.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Final

from vmqlib.sources.syncjobs import TERMINAL

if TYPE_CHECKING:
    from vmqlib.record.incident import Incident
    from vmqlib.record.observation import Observation
    from vmqlib.runbook.affected import Affected
    from vmqlib.runbook.triggers import Detection, Verdict

__all__ = ["BY_RULE", "Ended", "ended", "no_more", "recovered_at"]

BY_RULE: Final = frozenset({"guardrail", "content"})
"""Triggers whose end is told by their own rule."""


@dataclass(frozen=True)
class Ended:
    """Whether it was over, and what says so.

    Parameters
    ----------
    since:
        The first bad sign; ``None`` where that is not known.
    at:
        When it was over, at the latest; ``None`` where only the last look shows that it was, or nothing does.
    words:
        What was seen, with its source and as of when; empty where the end was not seen.
    """

    since: datetime | None
    at: datetime | None
    words: str


def ended(incident: Incident, now: Detection, found: Affected) -> Ended | None:
    """When it ended; ``None`` where nothing is known of that. A reopening since then says that it was not over.

    Parameters
    ----------
    now, found:
        What the triggers say by the last look, and who is hit.

    Raises
    ------
    CorruptRecord
        The journal cannot be read.
    """
    trigger = incident.identity.trigger
    if trigger not in BY_RULE:
        jobs = incident.observed("sync-jobs") if "sync-jobs" in incident.sources else None
        at = recovered_at(jobs, found)
        told = Ended(found.since, at, "then the first sync had succeeded again") if at else None
        seen_at = at
    elif now.of(trigger).verdict == "firing":
        return None
    else:
        names = [name for name in _SOURCES if name in incident.sources]
        seen = {name: incident.observed(name) for name in names}
        told, seen_at = no_more(_at_the_opening(incident), now.of(trigger), seen)
    if (
        told is not None
        and seen_at is not None
        and any(one.at > seen_at for one in incident.state.reopenings)
    ):
        return replace(told, at=None, words="")
    return told


_SOURCES: Final = ("metrics", "conversations", "documents")


def no_more(
    was: Verdict | None, now: Verdict, seen: Mapping[str, Observation]
) -> tuple[Ended | None, datetime | None]:
    """Whether a trigger's rule fired and does not any more, and as of when that was seen. Pure.

    Parameters
    ----------
    was, now:
        Its verdicts on the evidence of the opening, and of the last look.
    seen:
        The last looks.
    """
    if now.mended is not None:
        words = "then the guardrails were changed back (CloudTrail)"
        return Ended(now.mended.began, now.mended.at, words), now.mended.at
    if was is None or was.verdict != "firing":
        return None, None
    unseen = Ended(was.since, None, "")
    if now.verdict != "quiet":
        return unseen, None
    if now.trigger == "content":
        look = seen.get("documents")
        if look is None or not look.available or look.at is None:
            return unseen, None
        words = f"as of {_minute(look.at)} no unauthorized content is in the index any more (documents)"
        return replace(unseen, words=words), look.at
    over = [(one.until, one.source) for one in now.reasons if one.until is not None and one.source in seen]
    if not over:  # it does not leap any more, and nothing says when that ended
        return unseen, None
    until, source = max(over)
    as_of = seen[source].at
    if as_of is None:
        return unseen, None
    words = f"since then no question was blocked, as of {_minute(as_of)} ({source}, by the hour)"
    return Ended(was.since, until, words), as_of


def _minute(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"


def _at_the_opening(incident: Incident) -> Verdict | None:
    """What the incident's own rule says of the first look at each source."""
    from vmqlib.runbook.retro.witnesses import first_looks
    from vmqlib.runbook.triggers import detect

    first = first_looks(incident, tuple(incident.journal.events()))
    opened = incident.state.opened_at or incident.identity.opened_at
    judged_at = max((one.at for one in first.values() if one.at), default=opened)
    return detect(first, incident.judged_by, judged_at).of(incident.identity.trigger)


def recovered_at(jobs: Observation | None, found: Affected) -> datetime | None:
    """When the first sync ended that succeeded after the last one that did not, of all connectors that were hit;
    ``None`` where that was not seen of each."""
    hit = [one for one in found.connectors if one.hit]
    if jobs is None or not jobs.available or not hit:
        return None
    rows = jobs.frame[jobs.frame["status"].isin(TERMINAL)].sort_values("started_at", kind="stable")
    ends = []
    for one in hit:
        mine = rows[rows["data_source_id"].eq(one.data_source_id)]
        bad = mine[mine["status"].ne("SUCCEEDED")]
        good = mine if bad.empty else mine[mine["started_at"] > bad["started_at"].iloc[-1]]
        good = good[good["ended_at"].notna()]
        if one.first_bad_at is None or good.empty:
            return None
        ends.append(good["ended_at"].iloc[0].to_pydatetime())
    last: datetime = max(ends)
    return last
