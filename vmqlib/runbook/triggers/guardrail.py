"""The runbook's third trigger: guardrails that block users' questions.

The share of blocked questions is compared with its own past: the same hours of the day, in the weeks before. Canary
questions, where they were asked, and conversation logs, where they may be read, are witnesses of their own. What the
kit asked itself is counted by CloudWatch, too, and is left out. Where CloudTrail shows that what blocked was taken
back, the questions since then count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import log
from typing import TYPE_CHECKING

from vmqlib.runbook.findings import Finding
from vmqlib.runbook.guardrailchanges import Mended, taken_back
from vmqlib.runbook.ownquestions import Own, Period, counted, own_questions, take
from vmqlib.runbook.triggers.shares import FEW, Leap, compare
from vmqlib.runbook.triggers.verdicts import Confidence, Reason, Verdict, overall
from vmqlib.runbook.triggers.witnesses import Seen, evidence, incomplete, not_seen
from vmqlib.runbook.wording import many
from vmqlib.sources import canaries as questions_asked
from vmqlib.sources.canaries import Answer
from vmqlib.times import duration, show_time

if TYPE_CHECKING:
    import pandas as pd

    from vmqlib.settings import Detection, Settings

__all__ = ["guardrail", "latest_beginning"]

_DAY = 86_400
_RECENT = timedelta(hours=48)
_LONGEST = timedelta(days=7)
_AS_GOOD = 1.92
"""Log-likelihoods this close tell two moments hardly apart (half the 95 % point of chi-squared)."""
_POSSIBLE = 5.41
"""So far below the best one a moment is still possible (half the 99.9 % point of chi-squared): what rules a change out
as the cause must be surer than what only ranks it."""
_ENOUGH = 100
"""So many questions at the same hours are needed to tell more than those of all hours."""
_NAMED = 3
_SKEW = timedelta(seconds=5)
"""So far this machine's clock may be ahead of the log's."""
_OVER = 0.01
"""So unlikely is a stretch without a block, by the share that was, that it is over."""


@dataclass(frozen=True)
class _Since:
    """A moment since when too much is blocked."""

    at: datetime
    leap: Leap
    weight: float
    before: timedelta
    at_same_hours: bool
    own: int = 0
    """So many more were the kit's own."""


def guardrail(
    seen: Seen, settings: Settings, now: datetime, answers: Sequence[Answer] | None = None
) -> tuple[Verdict, list[Finding]]:
    """The verdict, and what the canaries found. Pure.

    Parameters
    ----------
    seen:
        ``metrics``; ``conversations`` where they may be read; ``own-questions``; ``trail`` and ``canaries`` where an
        incident has looked at them.
    settings:
        ``detection``: factor, least count, weeks to compare with.
    now:
        The moment that this is to be true for, UTC.
    answers:
        What the canary questions and prompts were answered (:func:`vmqlib.sources.canaries.ask`).
    """
    measured = _by_metrics(seen, settings.detection, now)
    logged = _by_conversations(seen, settings.detection, now)
    heard = _heard(seen) if answers is None else answers
    measured, mended = _since_mended(measured, seen, heard, settings.detection, now)
    if logged is not None:
        logged, _ = _since_mended(logged, seen, heard, settings.detection, now)
    asked = [_by_canary(one) for one in answers or ()]
    canaries = [one for one in asked if one is not None]
    reasons = sorted(
        [*canaries, measured, *([logged] if logged else [])],
        key=lambda one: {"firing": 0, "unknown": 1, "quiet": 2}[one.says],
    )
    # The metrics see every question. Where they were not seen, the log of all conversations may stand in for them.
    witness = logged if logged and measured.says == "unknown" and logged.says == "quiet" else measured
    verdict = overall(reasons, needed=[witness])
    findings = [one for answer in answers or () if (one := _finding(answer))]
    if verdict != "firing":
        calm: Confidence = "low" if verdict == "unknown" else "high" if canaries else "medium"
        over = mended if verdict == "quiet" else None
        return Verdict("guardrail", verdict, None, calm, tuple(reasons), mended=over), findings
    firing = [one for one in reasons if one.says == "firing"]
    since = min((one.since for one in firing if one.since is not None and one not in canaries), default=None)
    if since is None:
        since = min((one.since for one in firing if one.since is not None), default=None)
    sure: Confidence = "high" if any(one in canaries for one in firing) or len(firing) > 1 else "medium"
    cause = f"guardrail/{settings.app_id}/{since:%Y-%m-%dT%HZ}" if since else f"guardrail/{settings.app_id}"
    return Verdict("guardrail", "firing", since, sure, tuple(reasons), cause=cause), findings


# -- metrics


def _by_metrics(seen: Seen, rule: Detection, now: datetime) -> Reason:
    missing = not_seen(seen, "metrics")
    if missing is not None:
        return missing
    table = _counted(seen)
    if table is None:
        text = "No question at all was counted (ChatMessages) in the time that was looked at."
        return Reason("unknown", text, "metrics", evidence=evidence(seen, "metrics"))
    return _judged(table, rule, now, "metrics", seen)


def _counted(seen: Seen) -> pd.DataFrame | None:
    metrics = seen["metrics"]
    return _table(metrics.frame, counted(own_questions(seen.get("own-questions")), metrics.at))


def _table(metrics: pd.DataFrame, own: Sequence[Own]) -> pd.DataFrame | None:
    """Users' questions ``asked`` and ``blocked`` by the start of their period; ``None`` where none was counted at all.

    ``own``: how many more were the kit's; ``unsure``: how many of the blocked ones may be, too.
    """
    frame = metrics[
        metrics["namespace"].eq("AWS/QBusiness") & metrics["value"].notna() & metrics["at"].notna()
    ]
    chat = frame[frame["metric"].isin(["ChatMessages", "BlockedChatMessages"])]
    if not chat["metric"].eq("ChatMessages").any():
        return None
    table = chat.pivot_table(index="at", columns="metric", values="value", aggfunc="sum")
    table = table.reindex(columns=["ChatMessages", "BlockedChatMessages"]).fillna(0.0).sort_index()
    table.columns = ["asked", "blocked"]
    lengths = chat.groupby("at")["period_s"].max().reindex(table.index).fillna(3600)
    return _users(table, [timedelta(seconds=float(one)) for one in lengths], own)


def _users(table: pd.DataFrame, lengths: Sequence[timedelta], own: Sequence[Own]) -> pd.DataFrame:
    """A table (``asked`` and ``blocked`` by the start of their period) without what the kit asked."""
    starts = [at.to_pydatetime(warn=False) for at in table.index]
    periods = map(Period, starts, lengths, table["asked"], table["blocked"])
    taken = take(own, periods)
    mine = [taken.get(at) for at in starts]
    asked = [one.asked if one else 0 for one in mine]
    blocked = [one.blocked if one else 0 for one in mine]
    return table.assign(
        asked=table["asked"] - asked,
        blocked=table["blocked"] - blocked,
        own=asked,
        unsure=[one.unsure if one else 0 for one in mine],
    )


def latest_beginning(
    metrics: pd.DataFrame, since: datetime, now: datetime, own: Sequence[Own] = ()
) -> datetime:
    """The last moment at which the blocking may have begun that is told to begin at ``since``.

    A "since" is the likeliest moment, and blocks that would have been there anyway may make it too early. Any period
    with a block is possible that parts before and after nearly as well; the end of the last of them is given.

    Parameters
    ----------
    metrics:
        A frame of the source ``metrics``.
    since, now:
        The verdict's "since", and the moment that it is true for.
    own:
        What the kit asked itself.
    """
    table = _table(metrics, own)
    hour = timedelta(hours=1)
    if table is None:
        return since + hour
    asked = metrics.loc[metrics["metric"].eq("ChatMessages"), "period_s"].dropna()
    period = timedelta(seconds=float(asked.max())) if len(asked) else hour
    table = table[table.index <= now]
    hit = table[(table["blocked"] > 0) & (table.index >= since)].index
    moments = [since, *(at.to_pydatetime(warn=False) for at in hit)]
    weights = [_split_weight(table[table.index >= at], table[table.index < at]) for at in moments]
    least = max(weights) - _POSSIBLE
    last: datetime = max(at for at, weight in zip(moments, weights, strict=True) if weight >= least)
    return last + period


# -- conversation logs


def _by_conversations(seen: Seen, rule: Detection, now: datetime) -> Reason | None:
    """``None`` where conversations are not observed: the settings do not allow it."""
    if "conversations" not in seen:
        return None
    missing = not_seen(seen, "conversations")
    if missing is not None:
        return missing
    hourly = _logged(seen)
    if hourly is None:
        return Reason(
            "unknown", "No conversation was logged in the time that was looked at.", "conversations"
        )
    return _judged(hourly, rule, now, "conversations", seen)


def _logged(seen: Seen) -> pd.DataFrame | None:
    """Users' questions by the hour that they were logged in; ``None`` where none was."""
    frame = seen["conversations"].frame
    frame = frame[frame["at"].notna() & frame["is_blocked"].notna()]
    if frame.empty:
        return None
    mine = _is_own(frame, own_questions(seen.get("own-questions")))
    table = frame.assign(
        asked=(~mine).astype(float),
        blocked=(~mine & frame["is_blocked"].astype(bool)).astype(float),
        own=mine.astype(int),
        unsure=0,
    ).set_index("at")
    hourly = table[["asked", "blocked", "own", "unsure"]].resample("1h").sum()
    return hourly[hourly["asked"] + hourly["own"] > 0]


def _is_own(frame: pd.DataFrame, own: Sequence[Own]) -> pd.Series[bool]:
    """Which rows of the conversation log the kit asked: by the conversation, or where no answer is known of, by the
    words and the time."""
    known = {one.conversation_id for one in own if one.conversation_id}
    mine = frame["conversation_id"].isin(known)
    for one in (one for one in own if not one.conversation_id):
        like = frame[~mine & frame["question"].eq(one.text) & frame["at"].between(one.at - _SKEW, one.until)]
        mine.loc[like.index[:1]] = True
    return mine


# -- the comparison


def _judged(table: pd.DataFrame, rule: Detection, now: datetime, source: str, seen: Seen) -> Reason:
    """What a table of users' questions says. Where that hangs on questions of the kit's own of which nobody knows
    whether they were blocked, it is not known."""
    said = _reason(table, rule, now, source, seen)
    asked = seen.get("own-questions")
    if asked is not None and not asked.available:
        return replace(
            said, text=f"{said.text} Which of them this kit asked itself was not seen: {asked.problem}"
        )
    unsure = int(table["unsure"].sum())
    if not unsure:
        return said
    without = _reason(table.assign(blocked=table["blocked"] - table["unsure"]), rule, now, source, seen)
    if without.says == said.says:
        return said
    text = (
        f"{said.text} But {unsure:,} of those that were blocked may have been this kit's own canaries, whose answers "
        f"do not say so: without them it is {without.says}."
    )
    return replace(said, says="unknown", text=text, since=None)


def _reason(table: pd.DataFrame, rule: Detection, now: datetime, source: str, seen: Seen) -> Reason:
    """What a table (``asked`` and ``blocked`` by the start of their period) says."""
    kept, cut = evidence(seen, source), incomplete(seen, source)
    table = table[table.index <= now]
    spans = [_leap(table, at, now, rule) for at in _candidates(table, now)]
    leapt = [one for one in spans if one.leap.leapt]
    if leapt:
        found = _likeliest(leapt)
        if over := _over(table[table.index >= found.at]):
            calm, until = over
            text = f"{_words(found)} That is over: {calm}."
            if cut:
                return Reason("unknown", text, source, evidence=kept)
            return Reason("quiet", text, source, evidence=kept, until=until)
        return Reason("firing", _words(found), source, found.at, kept)
    if cut:
        return Reason("unknown", f"What was asked is incomplete: {cut}.", source, evidence=kept)
    recent = _leap(table, now - timedelta(days=1), now, rule)
    undecided = [one for one in spans if one.leap.leapt is None]
    if undecided:
        found = max(undecided, key=lambda one: one.leap.blocked)
        text = f"{_words(found)} With fewer than {FEW} before there is nothing to compare with."
        return Reason("unknown", text, source, evidence=kept)
    return Reason("quiet", _words(recent), source, evidence=kept)


def _candidates(table: pd.DataFrame, now: datetime) -> list[datetime]:
    """Moments since when it may be: each period of the last two days with a block in it, then whole days."""
    hit = table[table["blocked"] > 0].index
    near = [at.to_pydatetime(warn=False) for at in hit[hit >= now - _RECENT]]
    days = [now - timedelta(days=day) for day in range(3, _LONGEST.days + 1)]
    return [*near, *(day for day in days if len(hit) and day >= hit[0])]


def _leap(table: pd.DataFrame, since: datetime, now: datetime, rule: Detection) -> _Since:
    """The questions since then, against those at the same hours of the days before."""
    after = table[table.index >= since]
    before = table[(table.index < since) & (table.index >= since - timedelta(weeks=rule.baseline_weeks))]
    same, at_same_hours = before, now - since < timedelta(days=1)
    if at_same_hours:
        same = before[_seconds_after(before, since) <= (now - since).total_seconds()]
        if same["asked"].sum() < _ENOUGH:
            same, at_same_hours = before, False
    asked, blocked, n, hits = (
        round(float(part[column].sum())) for part in (after, same) for column in ("asked", "blocked")
    )
    found = compare(
        asked, blocked, n, hits, factor=rule.guardrail_factor, at_least=rule.guardrail_min_blocked
    )
    length = since - before.index[0].to_pydatetime(warn=False) if len(before) else timedelta()
    own = int(after["own"].sum())
    return _Since(since, found, _split_weight(after, before), length, at_same_hours, own)


def _likeliest(leapt: list[_Since]) -> _Since:
    """Since when: of the moments that part before and since about as well as the best one, the latest. A lone block in
    the night before says little of when it began."""
    best = max(one.weight for one in leapt)
    return max((one for one in leapt if one.weight >= best - _AS_GOOD), key=lambda one: one.at)


def _split_weight(after: pd.DataFrame, before: pd.DataFrame) -> float:
    """How much likelier two shares, of before and of since, make the counts than one share for all (log-likelihood
    ratio): highest for the moment at which the share changed."""
    (n1, b1), (n0, b0) = (
        (float(part["asked"].sum()), float(part["blocked"].sum())) for part in (after, before)
    )
    return _log_likelihood(n1, b1) + _log_likelihood(n0, b0) - _log_likelihood(n1 + n0, b1 + b0)


def _log_likelihood(asked: float, blocked: float) -> float:
    blocked = min(blocked, asked)
    return sum(part * log(part / asked) for part in (blocked, asked - blocked) if part > 0)


def _seconds_after(part: pd.DataFrame, since: datetime) -> pd.Series[float]:
    """How long after ``since``'s time of day each period begins."""
    import pandas as pd

    at = pd.DatetimeIndex(part.index)
    return pd.Series((at - pd.Timestamp(since)).total_seconds() % _DAY, index=part.index)


def _over(since: pd.DataFrame) -> tuple[str, datetime] | None:
    """That blocking has stopped, in words, and since when at the latest: the next period in which somebody asked.
    ``None`` while it may go on."""
    hit = since[since["blocked"] > 0].index
    later = since[since.index > hit[-1]]
    asked = round(float(later["asked"].sum()))
    until = since[since.index <= hit[-1]]
    share = min(1.0, float(until["blocked"].sum()) / max(1.0, float(until["asked"].sum())))
    if (1 - share) ** asked > _OVER:
        return None
    words = f"none of the {asked} questions since {show_time(hit[-1].to_pydatetime(warn=False))} was blocked"
    calm: datetime = later[later["asked"] > 0].index[0].to_pydatetime(warn=False)
    return words, calm


def _words(found: _Since) -> str:
    text = _compared(found)
    if not found.own:
        return text
    total = found.own + found.leap.asked
    were, are = ("was", "is") if found.own == 1 else ("were", "are")
    canaries = "canary" if found.own == 1 else "canaries"
    which = f"All {total:,}" if found.own == total > 1 else f"{found.own:,} of the {total:,}"
    return (
        f"{text} {which} questions counted since then {were} this kit's own {canaries}, and {are} left out."
    )


def _compared(found: _Since) -> str:
    leap = found.leap
    if leap.asked == 0:
        return f"Nobody asked anything since {show_time(found.at)}, so nothing was blocked."
    were = "was" if leap.blocked == 1 else "were"
    now = f"{leap.blocked} of {leap.asked:,} questions since {show_time(found.at)} {were} blocked ({leap.share:.0%})."
    if not leap.before_asked:
        return f"{now} Nothing is known of the time before."
    share = leap.before_blocked / leap.before_asked
    hours = "At the same hours of the" if found.at_same_hours else "In the"
    return (
        f"{now} {hours} {duration(found.before)} before, {leap.before_blocked} of {leap.before_asked:,} "
        f"({share:.1%}): by that share it would have been some {leap.expected or 0:.1f}."
    )


# -- after a mend


def _heard(seen: Seen) -> tuple[Answer, ...]:
    """What an incident's canaries were answered last; nothing where the last look failed."""
    asked = seen.get("canaries")
    if asked is None or not asked.available or asked.problem:
        return ()
    return questions_asked.answers(asked.frame)


def _since_mended(
    said: Reason, seen: Seen, answers: Sequence[Answer], rule: Detection, now: datetime
) -> tuple[Reason, Mended | None]:
    """What fires, where what blocked was taken back since: the past hours still count what it blocked. It is quiet
    where nothing of it is left, and the questions since then say so, or before there are enough of them each canary;
    else it says what is known of the mend."""
    found = taken_back(seen.get("trail"), said.since) if said.says == "firing" and said.since else None
    if found is None or said.since is None or found[0].at is None:
        return said, None
    change, left = found
    at: datetime = found[0].at
    told = f"{said.text} {change.who or 'Somebody'} changed the guardrails at {show_time(at)}: {change.words}"
    if left:
        there = ", ".join(left[:_NAMED]) + (f" and {len(left) - _NAMED} more" if left[_NAMED:] else "")
        return replace(said, text=f"{told}; still there of what was set since it began: {there}."), None
    mended = Mended(said.since, at, change)
    table = (_logged if said.source == "conversations" else _counted)(seen)
    if table is not None:
        # The period that the change is in counts what was blocked before it, too.
        rest = table[(table.index <= now) & ((table.index < said.since) | (table.index >= at))]
        later = _leap(rest, at, now, rule).leap
        told_of = f"{later.blocked} of the {later.asked:,} questions in the periods since then were blocked"
        if later.leapt is not False:
            return replace(said, text=f"{told}; {told_of}."), None
        if later.asked >= FEW:
            return replace(said, says="quiet", text=f"{told}. That is over: {told_of}.", since=None), mended
    since = [one for one in answers if one.at > at and one.expect == "answered"]
    well = [one for one in since if one.outcome == "answered"]
    if not since or len(well) < len(since):
        asked = f"{len(well)} of {many(len(since), 'canary question')} since are answered"
        how = asked if since else "no canary was asked since"
        return replace(said, text=f"{told}; whether that ended it is not known: {how}."), None
    text = f"{told}. That is over by the canaries: {len(well)} of {len(well)} asked since then are answered."
    return replace(said, says="quiet", text=text, since=None), mended


# -- canaries


def _by_canary(answer: Answer) -> Reason | None:
    """What a canary says of over-blocking; ``None`` where it says nothing, as one that is to be blocked."""
    if answer.expect != "answered" or answer.outcome not in ("blocked", "answered"):
        return None
    if answer.outcome == "blocked":
        text = f"The canary “{answer.text}” is to be answered, and is blocked: “{answer.said}”"
        return Reason("firing", text, "canaries", answer.at)
    cited = ", ".join(answer.sources[:3])
    return Reason("quiet", f"The canary “{answer.text}” is answered, from {cited}.", "canaries")


def _finding(answer: Answer) -> Finding | None:
    asked = f"“{answer.text}”"
    if answer.problem:
        return Finding(
            "canary-not-asked", "warning", f"{asked} could not be asked: {answer.problem}", answer.hint
        )
    if answer.expect == "blocked" and answer.outcome == "answered":
        text = f"The prompt {asked} is to be blocked, and is answered from {', '.join(answer.sources[:3])}."
        remedy = "Compare the guardrails with the ops repo: a phrase or topic is missing."
        return Finding("guardrail-open", "problem", text, remedy, "canaries")
    if answer.expect == "answered" and answer.outcome == "unclear":
        text = f"The canary {asked} is answered from no document; whether it is blocked cannot be told: “{answer.said}”"
        remedy = "Look whether its document is indexed, and at BlockedChatMessages."
        return Finding("canary-without-answer", "warning", text, remedy, "canaries")
    if answer.wanted and answer.outcome == "answered" and not answer.cites_wanted:
        cited, wanted = ", ".join(answer.sources[:3]), " or ".join(answer.wanted)
        text = f"The canary {asked} is answered from {cited}, not from {wanted}."
        return Finding(
            "canary-other-source",
            "warning",
            text,
            f"Look at whether it is indexed: {answer.wanted[0]}.",
            "canaries",
        )
    return None
