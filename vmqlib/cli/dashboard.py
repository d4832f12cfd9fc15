"""``vmq dashboard``: what the CloudWatch dashboard shows, and whether it is current (runbook, steps 4 and 6)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from vmqlib.cli.output import json_option, notice, print_json, printable, progress_bar, say, table
from vmqlib.errors import AwsError
from vmqlib.times import Window, duration, parse_when

if TYPE_CHECKING:
    import pandas as pd

    from vmqlib.record.observation import Observation
    from vmqlib.record.redaction import Redactor
    from vmqlib.runbook.checks import CheckResult
    from vmqlib.runbook.dashboard import Dashboard, Line, Widget
    from vmqlib.settings import Settings

__all__ = ["dashboard_command"]

_SINCE, _SINCE_OPENING = "24h", "5d"


@dataclass(frozen=True)
class _Seen:
    """What was seen of the dashboard.

    Parameters
    ----------
    now, before:
        Observations by source name: the last look, and an incident's first one.
    """

    now: Mapping[str, Observation]
    before: Mapping[str, Observation]


@click.command("dashboard")
@click.option(
    "--since", default="", metavar="WHEN",
    help=f"An age (24h, 3d) or a UTC time.  [default: {_SINCE}; with --incident {_SINCE_OPENING}]",
)  # fmt: skip
@click.option(
    "--incident", "incident_id", metavar="ID", default="",
    help="Keep the look as evidence of this incident, and show the values at its opening beside it.",
)  # fmt: skip
@json_option
def dashboard_command(since: str, incident_id: str, as_json: bool) -> None:
    """Show what each widget of the CloudWatch dashboard shows now: newest values, their age, whether they are current.

    Metrics, statistics, periods and maths are the dashboard's. A widget that shows nothing is named with the reason
    and, where CloudWatch knows the metric under other dimensions, with what to write instead. AWS is looked at, not
    changed. Of a closed incident its evidence is shown, and AWS is not asked.

    Exit codes: 0 nothing is wrong, 1 a widget fails, 3 the dashboard could not be seen.

    \b
    Examples:
      vmq dashboard
      vmq dashboard --since 3d --json | jq -r '.checks[] | select(.outcome == "fail") | .subject'
      vmq dashboard --incident INC-20261123-001   are the errors clearing?
    """
    from vmqlib.runbook.checks import worst
    from vmqlib.runbook.dashboard import read_dashboard
    from vmqlib.runbook.dashboardchecks import dashboard_checks
    from vmqlib.settings import Settings
    from vmqlib.times import SystemClock

    settings = Settings.load()
    settings.require("dashboard")
    clock = SystemClock()
    moment = clock.now()
    default = _SINCE_OPENING if incident_id else _SINCE
    window = Window(parse_when(since or default, moment), moment)
    with progress_bar(transient=True) as bar:
        bar.add_task("Looking at the dashboard", total=None)
        seen = (
            _of_incident(settings, incident_id, window) if incident_id else _Seen(_live(settings, window), {})
        )
    now, before = read_dashboard(seen.now), read_dashboard(seen.before)
    checks = dashboard_checks(seen.now, moment, settings)
    if as_json:
        print_json(_document(settings, now, before, checks, moment))
    elif now is not None:
        _show(now, before, checks, moment)
    lost = next((one for one in seen.now.values() if not one.available or one.problem), None)
    if lost is not None:
        raise AwsError(lost.problem, hint=lost.hint)
    for one in seen.now.values():
        if one.stopped:
            notice(f"  not all of it was seen: {printable(one.stopped)}")
    click.get_current_context().exit(1 if worst(checks) is False else 0)


def _live(settings: Settings, window: Window) -> Mapping[str, Observation]:
    """A look without an incident, masked as its evidence would be: people write anything on a dashboard."""
    from vmqlib.aws import Aws
    from vmqlib.record.redaction import redactor_for
    from vmqlib.runbook.dashboard import SOURCES
    from vmqlib.runbook.triggers.detection import live
    from vmqlib.sources import REGISTRY
    from vmqlib.sources.base import TEXT

    redactor = redactor_for(settings)

    def masked(seen: Observation) -> Observation:
        texts = [name for name, column in REGISTRY[seen.name].columns.items() if column.dtype == TEXT]
        return replace(
            seen, frame=seen.frame.assign(**{name: _masked(seen.frame[name], redactor) for name in texts})
        )

    return {name: masked(seen) for name, seen in live(Aws(settings), settings, window, names=SOURCES).items()}


def _masked(texts: pd.Series[Any], redactor: Redactor) -> pd.Series[Any]:
    return texts.map(redactor.text, na_action="ignore").astype(texts.dtype)


def _of_incident(settings: Settings, incident_id: str, window: Window) -> _Seen:
    from vmqlib.aws import Aws
    from vmqlib.record.incident import Incident
    from vmqlib.runbook.dashboard import SOURCES

    incident = Incident.load(incident_id, settings=settings, aws=Aws(settings))
    first = incident.first_seen(SOURCES)
    if incident.state.closed_at:
        notice(f"{incident.id} is closed: this is its evidence.")
        return _Seen({name: incident.observed(name) for name in SOURCES}, first)
    return _Seen(incident.observe(SOURCES, windows=dict.fromkeys(SOURCES, window), refresh=True), first)


def _show(now: Dashboard, before: Dashboard | None, checks: list[CheckResult], moment: datetime) -> None:
    at = now.at or moment
    rows = []
    for widget in now.widgets:
        data = _data(widget, at) if widget.kind == "metric" else ""
        for place, line in enumerate(widget.lines):
            first = before.line(widget, line) if before else None
            rows.append([
                widget.title if place == 0 else "", line.label, f"{line.statistic or 'value'}/{_span(line.period_s)}",
                *([_value(first)] if before else []), _value(line), line.age_words(at), data if place == 0 else "",
            ])  # fmt: skip
        for one in widget.alarms if widget.kind == "alarm" else ():
            state = str(one.get("state") or one.get("problem") or "unknown")
            rows.append(
                [widget.title, str(one.get("name")), "alarm", *([""] if before else []), state, "", ""]
            )
    columns = ["widget", "line", "per", *(["first seen"] if before else []), "now", "age", "data"]
    left_out = table(columns, rows, numeric=("first seen", "now"), spare=("data", "per"))
    if "data" not in left_out:
        say("data: whether what is shown is current, not whether it is good.")
    if before:
        say("first seen and now: each the newest period of its look, which had perhaps only begun.")
    for check in checks:
        if check.ok is not True:
            say(f"{check.outcome}: {printable(check.subject or check.name)}: {printable(check.finding)}")
            for said in check.mend.splitlines():
                click.echo(f"    {printable(said)}")
    _show_notes(now)


def _show_notes(now: Dashboard) -> None:
    for widget in now.widgets:
        if widget.problem and widget.kind != "metric":
            say(f"not shown: {printable(widget.title)}: {printable(widget.problem)}")
        if widget.note:
            say(f"note: {printable(widget.title)}: {printable(widget.note)}")
    for note in now.notes:
        say(f"note: {printable(note)}")


def _document(
    settings: Settings,
    now: Dashboard | None,
    before: Dashboard | None,
    checks: list[CheckResult],
    moment: datetime,
) -> dict[str, Any]:
    from vmqlib.runbook.checks import outcome, worst

    at = (now.at if now else None) or moment
    return {
        "dashboard": settings.dashboard,
        "region": settings.region,
        "at": at,
        "since": now.since if now else None,
        "verdict": outcome(worst(checks)),
        "checks": [check.as_dict() for check in checks],
        "notes": list(now.notes) if now else [],
        "widgets": [_widget(widget, before, at) for widget in now.widgets] if now else [],
    }


def _widget(widget: Widget, before: Dashboard | None, at: datetime) -> dict[str, Any]:
    return {
        "number": widget.number,
        "kind": widget.kind,
        "title": widget.title,
        "view": widget.view,
        "blank": widget.blank,
        "problem": widget.problem,
        "note": widget.note,
        "alarms": list(widget.alarms),
        "lines": [_line(line, before.line(widget, line) if before else None, at) for line in widget.lines],
    }


def _line(line: Line, first: Line | None, at: datetime) -> dict[str, Any]:
    return {
        "label": line.label,
        "metric": line.metric,
        "dimensions": dict(line.dimensions),
        "expression": line.expression,
        "statistic": line.statistic,
        "period_s": line.period_s,
        "asked_s": line.asked_s,
        "values": line.values,
        "newest": _newest(line),
        "age_s": None if (age := line.age(at)) is None else max(0, round(age.total_seconds())),
        "first_seen": None if first is None else _newest(first),
        "why": line.why,
        "problem": line.problem,
        "elsewhere": [dict(one) for one in line.elsewhere],
    }


def _newest(line: Line) -> dict[str, Any] | None:
    return None if line.newest is None else {"at": line.newest[0], "value": line.newest[1]}


def _value(line: Line | None) -> str:
    return "" if line is None or line.newest is None else f"{line.newest[1]:,.6g}"


def _data(widget: Widget, at: datetime) -> str:
    from vmqlib.runbook.dashboardchecks import widget_check

    ok = widget_check(widget, at).ok
    if ok is None:
        return "cannot tell"
    return "current" if ok else "blank" if widget.blank else "not current"


def _span(seconds: int) -> str:
    return duration(timedelta(seconds=seconds))
