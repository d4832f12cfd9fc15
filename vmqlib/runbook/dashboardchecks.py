"""Whether the dashboard shows current data (runbook, step 6: "Ensure … dashboards show current data"). Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from vmqlib.runbook.checks import CheckResult
from vmqlib.runbook.dashboard import SOURCES, Line, Widget, read_dashboard
from vmqlib.runbook.dashboardmends import rewritten
from vmqlib.sources.base import as_time
from vmqlib.times import duration

if TYPE_CHECKING:
    from vmqlib.record.observation import Observation
    from vmqlib.settings import Settings

__all__ = ["CADENCES", "CURRENT", "READABLE", "Count", "dashboard_checks", "line_check", "widget_check"]

READABLE = "dashboard can be read"
CURRENT = "dashboard widget shows current data"

CADENCES: Mapping[str, timedelta] = {
    "AWS/QBusiness DocumentCount": timedelta(minutes=15),
    "VaultMesh/QBusiness NoSync": timedelta(days=1),
    "VaultMesh/S3Prefixes PrefixObjectCount": timedelta(days=1),
    "VaultMesh/S3Prefixes PrefixSizeBytes": timedelta(days=1),
}
"""How often metrics are published that are published at intervals. Of others it is taken from their values."""

_SILENT_WHEN_WELL = frozenset(
    f"AWS/QBusiness {name}" for name in ("BlockedChatMessages", "ChatMessagesWithNoAnswer")
)
_COUNT = "AWS/QBusiness DocumentCount"
_OF_ONE = frozenset({"Maximum", "Minimum", "Average"})
"""Statistics of a single value that are that value."""
_LATE = timedelta(minutes=5)  # a value may take so long to be seen
_ENOUGH = 4  # values, to say from them how often there is one
_SLACK = 2  # a metric has stopped when it is silent for so many times the longest silence before


@dataclass(frozen=True)
class Count:
    """What DocumentCount is to show.

    Parameters
    ----------
    documents:
        How many documents the index has now.
    synced:
        When the newest sync that has ended did, UTC: a value from before it may be of fewer or more. None where that
        was not seen.
    """

    documents: int
    synced: datetime | None = None


_Counts = Mapping[tuple[str, str], Count]


def dashboard_checks(
    seen: Mapping[str, Observation], now: datetime, settings: Settings | None = None
) -> list[CheckResult]:
    """One check for the dashboard as a whole, then one for each metric widget.

    A widget fails when one of its lines can never show anything: CloudWatch refuses it, or its metric is published with
    other dimensions. Else it passes when one of its lines has a value that is no older than can be expected, and fails
    when all are older than the values before lead to expect. A value that is late may be on its way: of that it cannot
    be told. Nor of a count of documents that is not what the index has now, unless it is from before the newest sync
    ended; nor of a metric that is published only when something happens: it may rightly be silent.

    Parameters
    ----------
    seen:
        Observations by source name; those of :data:`~vmqlib.runbook.dashboard.SOURCES` are read.
    now:
        The moment that ages are told for where an observation does not say when it was made, UTC.
    settings:
        The dashboard's name and region, for the commands that mend it.
    """
    # A problem beside older evidence means that it could not be seen now: what was true then says nothing.
    lost = [
        one for one in (seen.get(name) for name in SOURCES) if one is None or not one.available or one.problem
    ]
    if lost:
        why = lost[0].problem if lost[0] is not None else "Nobody has looked at it."
        mend = lost[0].hint if lost[0] is not None else ""
        ok = False if any(one is not None and one.gone for one in lost) else None
        return [CheckResult(READABLE, ok, why, mend=mend, evidence=SOURCES)]
    found = read_dashboard(seen)
    assert found is not None
    at = found.at or now
    stopped = [one.stopped for name in SOURCES if not (one := seen[name]).complete and one.stopped]
    if found.problems:
        mend = "Put a valid body: `aws cloudwatch put-dashboard` tells what is wrong with one."
        whole = CheckResult(
            READABLE, False, _sentence("; ".join(found.problems)), mend=mend, evidence=SOURCES
        )
    elif stopped:
        whole = CheckResult(
            READABLE, None, _sentence("not all of it could be seen: " + "; ".join(stopped)), evidence=SOURCES
        )
    else:
        drawn = sum(one.kind == "metric" for one in found.widgets)
        said = f"It has {len(found.widgets)} widgets, {drawn} of them with metrics."
        whole = CheckResult(READABLE, True, said, evidence=SOURCES)
    counts = _counts(seen.get("resources"), seen.get("sync-jobs"))
    return [
        whole,
        *(
            widget_check(one, at, counts=counts, settings=settings)
            for one in found.widgets
            if one.kind == "metric" or _broken(one)
        ),
    ]


def _counts(resources: Observation | None, jobs: Observation | None) -> _Counts:
    """How many documents each index has now, where that was seen; of a data source only where it is the only one."""
    if resources is None or not resources.available or resources.problem:
        return {}
    rows = resources.frame
    sources = list(rows.loc[rows["kind"].eq("data-source"), "id"])
    rows = rows[rows["kind"].eq("index") & rows["document_count"].notna()]
    ended = jobs.frame["ended_at"].max() if jobs is not None and jobs.available and not jobs.problem else None
    synced = as_time(ended)
    alone = [str(sources[0])] if len(sources) == len(rows) == 1 and resources.complete else []
    return {
        (str(index), source): Count(int(many), synced)
        for index, many in zip(rows["id"], rows["document_count"], strict=True)
        for source in ("", *alone)
    }


def _broken(widget: Widget) -> bool:
    """Whether a widget of another kind cannot be read, which is not the same as not being drawn."""
    return bool(widget.problem) and widget.kind in {"alarm", "text", "without a type"}


def widget_check(
    widget: Widget, at: datetime, *, counts: _Counts | None = None, settings: Settings | None = None
) -> CheckResult:
    """Whether one widget shows current data: see :func:`dashboard_checks`.

    Parameters
    ----------
    widget:
        The widget.
    at:
        When it was read.
    counts:
        What DocumentCount is to show, by the index's id and the data source's.
    settings:
        The dashboard's name and region, for the commands that mend it.
    """
    if widget.problem:
        # Elsewhere, or of an alarm that is gone: nothing that the widget itself says wrongly.
        unseen = widget.problem.startswith(("its metrics are in", "its alarm"))
        mend = "" if unseen else "Mend the widget: `aws cloudwatch get-dashboard`, then `put-dashboard`."
        finding = _sentence(f"{'it was not asked: ' if unseen else ''}{widget.problem}")
        return CheckResult(CURRENT, None if unseen else False, finding, widget.title, mend, SOURCES)
    judged = [
        (line, *line_check(line, at, whole_range=widget.whole_range, counts=counts)) for line in widget.lines
    ]
    never = any(ok is False and not line.values for line, ok, _ in judged)
    outcomes = {ok for _, ok, _ in judged}
    ok = False if never else True if True in outcomes else False if False in outcomes else None
    telling = [one for one in judged if one[1] is ok] + [
        one for one in judged if one[1] is not ok and one[0].why
    ]
    finding = "; ".join(
        dict.fromkeys(f"{line.label}: {said}" if len(widget.lines) > 1 else said for line, _, said in telling)
    )
    mends = [mend for line, bad, _ in judged if bad is not True for mend in _mends(line, bad, settings)]
    said = f"{finding.rstrip('.')}." if len(widget.lines) > 1 else _sentence(finding or "it was not read")
    return CheckResult(CURRENT, ok, said, widget.title, "\n".join(dict.fromkeys(mends)), SOURCES)


def line_check(
    line: Line, at: datetime, *, whole_range: bool = False, counts: _Counts | None = None
) -> tuple[bool | None, str]:
    """Whether a line shows current data, and what it shows, in a few words.

    Parameters
    ----------
    line:
        The line.
    at:
        When it was read.
    whole_range:
        Whether its value stands for the whole window.
    counts:
        What DocumentCount is to show, by the index's id and the data source's.
    """
    if line.newest is None:
        certain = line.why == "invalid" or (line.why == "dimensions" and _other_names(line))
        return (False if certain else None), line.problem or "it shows nothing"
    when, value = line.newest
    ended = when + timedelta(seconds=line.period_s)
    age = max(at - ended, timedelta())
    said = f"newest value {value:,.6g}, " + (
        f"{duration(age)} old" if age else f"of the period that began {duration(max(at - when, age))} ago"
    )
    if whole_range:
        return True, f"{value:,.6g} over the whole window"
    expected = _expected(line)
    period = timedelta(seconds=line.period_s)
    if age > _SLACK * max(expected or timedelta(), period):
        if expected is None:
            return None, f"{said}; how often there should be one cannot be told"
        return False, f"{said}; before there was one every {duration(expected)} at least"
    of = line.dimensions.get("IndexId", ""), line.dimensions.get("DataSourceId", "")
    there = (counts or {}).get(of) if line.metric == _COUNT else None
    if there is not None and line.statistic in _OF_ONE and value != there.documents:
        now = f"the index has {there.documents:,} documents now"
        if there.synced is None or when >= there.synced:
            return None, f"{said}, and {now}: it is not of now"
        said = f"{said}, from before the newest sync ended; {now}"
    if expected is not None and line.metric in CADENCES and age > max(expected, period) + _LATE:
        return None, f"{said}, and there is to be one every {duration(expected)}: the next one is late"
    return True, said


def _expected(line: Line) -> timedelta | None:
    """How often there is a value: by its cadence, else by the longest silence so far; None where that says nothing."""
    known = CADENCES.get(line.metric)
    if known is not None:
        return known
    if line.points is None or len(line.points) < _ENOUGH or line.metric in _SILENT_WHEN_WELL:
        return None
    return timedelta(seconds=float(line.points.index.to_series().diff().max().total_seconds()))


def _other_names(line: Line) -> bool:
    """Whether it is published with other dimensions altogether, and not only with other values of the same."""
    return all(set(one) != set(line.dimensions) for one in line.elsewhere)


def _mends(line: Line, ok: bool | None, settings: Settings | None) -> Iterator[str]:
    """The metric as it has to stand in the widget to show something; or when to look again."""
    if ok is None and line.values and line.metric in CADENCES:
        yield f"Look again once the next value is there, within {duration(CADENCES[line.metric])}: vmq dashboard"
    if line.why == "invalid":
        yield "Mend the widget: `aws cloudwatch get-dashboard`, then `put-dashboard`."
    if line.why != "dimensions" or line.expression:
        return
    yield from rewritten(line, settings)


def _sentence(text: str) -> str:
    text = text.rstrip(".")
    return f"{text[:1].upper()}{text[1:]}."
