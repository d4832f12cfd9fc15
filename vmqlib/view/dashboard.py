"""The CloudWatch dashboard in the record: its graphs, values before and after, and what shows nothing (runbook, steps 4
and 6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from vmqlib.errors import BadInput
from vmqlib.runbook.dashboard import SOURCES, Dashboard, Line, Widget, read_dashboard
from vmqlib.runbook.dashboardchecks import widget_check
from vmqlib.runbook.wording import many
from vmqlib.times import parse_iso, show_time
from vmqlib.view.base import Html, Plot, View, caption, guarded, join, nothing, plain, tag, unavailable
from vmqlib.view.dashboard_plot import Span, draw, length, merged, per, shown_value
from vmqlib.view.layout import MOST_ROWS, Column, chip, code, line, panel, table
from vmqlib.view.markdown import markdown, markdown_words
from vmqlib.view.style import zoom

if TYPE_CHECKING:
    from vmqlib.record.observation import Observation
    from vmqlib.runbook.checks import CheckResult

__all__ = ["dashboard"]

MOST_GRAPHS = 12
"""Graphs that are drawn; the table has the values of all."""

_AXIS = "timeSeries"
_CHIPS: Mapping[bool | None, str] = {True: "current", False: "fail", None: "cannot tell"}


@dataclass(frozen=True)
class _Looks:
    """The dashboard before and after.

    Parameters
    ----------
    before:
        As it was seen first; None where there is one look only.
    after:
        As it was seen last.
    """

    before: Dashboard | None
    after: Dashboard

    def first(self, widget: Widget, own: Line) -> Line | None:
        """The line as it was seen first."""
        return None if self.before is None else self.before.line(widget, own)


@guarded
def dashboard(
    before: Mapping[str, Observation] | None,
    after: Mapping[str, Observation],
    *,
    last_good: datetime | None = None,
    opened: datetime | None = None,
) -> View:
    """The dashboard's graphs with the opening of the incident marked, every line's value then and now, the states of
    its alarms, its texts, and which widgets show nothing and why.

    Parameters
    ----------
    before:
        What was seen first (:meth:`vmqlib.record.incident.Incident.first_seen`), by source: ``dashboard-widgets`` and
        ``dashboard-data``. None: only one look is shown.
    after:
        What was seen last, likewise.
    last_good:
        Start of the last good sync.
    opened:
        When the incident was opened.
    """
    seen = [after.get(name) for name in SOURCES]
    now = read_dashboard(after)
    if now is None or seen[0] is None:
        return unavailable(seen[0], "Dashboard")
    if not now.widgets and not now.problems:
        return nothing("Dashboard", "it has no widgets", seen[0])
    looks = _Looks(_earlier(before, after), now)
    at = now.at or opened
    if at is None:
        return unavailable(seen[0], "Dashboard")
    checks = {one.number: widget_check(one, at) for one in now.widgets if one.kind == "metric"}
    span = _span(looks, at, last_good, opened)
    drawn = [
        one
        for one in now.widgets
        if one.kind == "metric" and not one.problem and one.view == _AXIS and one.lines
    ]
    parts: list[Html] = []
    words: list[str] = []
    for one in seen:
        if one is not None and one.available and one.problem:
            said = f"{one.title}: {plain(one.problem, 400)} What is shown was seen {show_time(one.at or at)}."
            parts.append(tag("div", tag("em", said)))
            words.append(said)
    if drawn:
        # Its finding in words is the table's, below.
        parts.append(_figure(looks, drawn[:MOST_GRAPHS], span, caption(*seen)).html)
    if seen[1] is None or not seen[1].available:
        parts.append(unavailable(seen[1], "Dashboard's data").html)
    for title, rows, columns in (_alarms(looks), _values(looks, checks, at)):
        if rows:
            parts += [tag("div", tag("strong", title)), table(columns, rows[:MOST_ROWS])]
            words += [line(_flat(row)) for row in rows[:MOST_ROWS]]
    parts += _remarks(now, checks, drawn, words)
    # The figure says where its data came from; without one the panel does.
    return panel(_lead(now, checks), *parts, seen=() if drawn else seen, text=words)


def _earlier(before: Mapping[str, Observation] | None, after: Mapping[str, Observation]) -> Dashboard | None:
    """The first look, unless it is the last one, too."""
    if before is None:
        return None
    first, last = before.get(SOURCES[1]), after.get(SOURCES[1])
    if first is None or not first.available or last is None or first.at == last.at:
        return None
    return read_dashboard(before)


def _span(looks: _Looks, at: datetime, last_good: datetime | None, opened: datetime | None) -> Span:
    """From a while before the last good sync to the last look, and no further back than was asked about."""
    begun = [one.since for one in (looks.before, looks.after) if one is not None and one.since is not None]
    first = min(begun, default=at - timedelta(days=2))
    return Span(zoom(first, at, last_good), at, opened, last_good)


def _figure(looks: _Looks, widgets: Sequence[Widget], span: Span, source: str) -> Plot:
    graphs = []
    for widget in widgets:
        firsts = [looks.first(widget, own) for own in widget.lines]
        points = {
            place: merged(first.points if first else None, own.points, span.start)
            for place, (own, first) in enumerate(zip(widget.lines, firsts, strict=True))
        }
        graphs.append((widget, points))
    told = "; ".join(f"{plain(widget.title, 60)}: {_in_words(looks, widget)}" for widget in widgets)
    opened = (
        f"; the incident was opened {show_time(span.opened)}"
        if span.holds(span.opened) and span.opened
        else ""
    )
    alt = f"Graphs of the dashboard from {show_time(span.start)} to {show_time(span.until)}{opened}: {told}."
    return Plot(draw(graphs, span, source), alt)


def _in_words(looks: _Looks, widget: Widget) -> str:
    if widget.blank:
        return "no data"
    said = []
    for own in widget.lines[:6]:
        then = looks.first(widget, own)
        value = shown_value(own.newest[1]) if own.newest else "no value"
        before = f"{shown_value(then.newest[1])}, now " if then is not None and then.newest else ""
        said.append(f"{plain(own.label, 40)} {before}{value}")
    return ", ".join(said)


def _lead(now: Dashboard, checks: Mapping[int, CheckResult]) -> str:
    metric = [one for one in now.widgets if one.kind == "metric"]
    blank = [one.title for one in metric if one.blank]
    stale = [one.title for one in metric if not one.blank and checks[one.number].ok is False]
    said = f"Dashboard: {many(len(now.widgets), 'widget')}"
    if metric:
        shown = len(metric) - len(blank)
        said += f"; {shown:,} of {many(len(metric), 'metric widget')} show{'s' if shown == 1 else ''} data"
    if blank:
        said += f"; no data: {_titles(blank)}"
    if stale:
        said += f"; not current, or not all of it: {_titles(stale)}"
    if now.problems:
        said += f"; {'; '.join(now.problems)}"
    return said + "."


def _titles(titles: Sequence[str]) -> str:
    shown = ", ".join(f"“{plain(title, 60)}”" for title in titles[:8])
    return shown + (f" and {len(titles) - 8:,} more" if len(titles) > 8 else "")


def _values(
    looks: _Looks, checks: Mapping[int, CheckResult], at: datetime
) -> tuple[str, list[list[Any]], list[Column]]:
    rows = []
    for widget in looks.after.widgets:
        for place, own in enumerate(widget.lines):
            then = looks.first(widget, own)
            check = checks.get(widget.number)
            state = ("no data" if widget.blank else _CHIPS[check.ok] if check else "") if place == 0 else ""
            rows.append([
                state, widget.title if place == 0 else "", (own.label, _per(widget, own)),
                *([] if looks.before is None else [_value(then)]), _value(own), own.age_words(at),
            ])  # fmt: skip
    now = "newest value" if looks.before is None else "now"
    columns = [Column("", lambda word: chip(word) if word else ""), Column("widget"), Column("line", _line)]
    columns += [] if looks.before is None else [Column("at the opening", right=True)]
    columns += [Column(now, right=True), Column("how old", _unbroken)]
    total = f"Values of {many(len(rows), 'line')}" + (
        f", the first {MOST_ROWS} of them" if len(rows) > MOST_ROWS else ""
    )
    return total, rows, columns


def _line(told: tuple[str, str]) -> Html:
    """A line's label, and below it what a value of it is."""
    return join([plain(told[0], 120), tag("div", plain(told[1], 80), style="color:#666;font-size:88%")])


def _flat(row: Sequence[Any]) -> list[object]:
    return [part for cell in row for part in (cell if isinstance(cell, tuple) else (cell,))]


def _unbroken(text: object) -> Html:
    return tag("span", plain(text), style="white-space:nowrap")


def _per(widget: Widget, own: Line) -> str:
    if widget.whole_range:
        return f"{own.statistic or 'value'} over the whole window"
    other = f", on the dashboard per {length(own.asked_s)}" if own.asked_s != own.period_s else ""
    return per(own) + other


def _value(own: Line | None) -> str:
    return shown_value(own.newest[1]) if own is not None and own.newest else "–"


def _alarms(looks: _Looks) -> tuple[str, list[list[Any]], list[Column]]:
    """States of the alarms of alarm widgets, then and now."""
    earlier = {
        one.get("name"): one
        for widget in (looks.before.widgets if looks.before else ())
        for one in widget.alarms
    }
    rows = []
    for widget in looks.after.widgets:
        for one in widget.alarms if widget.kind == "alarm" else ():
            then = earlier.get(one.get("name"), {})
            state = plain(one.get("state") or one.get("problem") or "unknown", 200)
            before = [] if looks.before is None else [plain(then.get("state") or "unknown", 40)]
            rows.append([widget.title, plain(one.get("name"), 120), *before, state, _since(one.get("since"))])
    columns = [Column("widget"), Column("alarm")]
    columns += [] if looks.before is None else [Column("at the opening", chip)]
    columns += [Column("now", chip), Column("since")]
    return "Alarms", rows, columns


def _since(value: object) -> str:
    try:
        return show_time(parse_iso(value)) if isinstance(value, str) else ""
    except (ValueError, OverflowError, BadInput):
        return ""


def _remarks(
    now: Dashboard, checks: Mapping[int, CheckResult], drawn: Sequence[Widget], words: list[str]
) -> list[Html]:
    """What shows nothing and why, what is not drawn, and the texts. Adds their words to ``words``."""
    parts: list[Html] = []
    items: list[Html] = []
    for widget in now.widgets:
        if widget.kind != "metric" or widget.problem:
            continue
        for own in widget.lines:
            if own.why:
                said = f"{own.label}: {own.problem}" if own.label not in own.problem else own.problem
                items.append(tag("li", tag("strong", plain(widget.title, 120)), ": ", plain(said, 500)))
                words.append(f"no data, or not all: {plain(widget.title, 120)}: {plain(said, 300)}")
        check = checks.get(widget.number)
        if check is not None and check.mend:
            items.append(tag("li", "What to do: ", code(check.mend)))
            words.append(f"what to do: {check.mend}")
    if items:
        parts += [
            tag("div", tag("strong", "Lines that show nothing, or not all")),
            tag("ul", *items[:MOST_ROWS]),
        ]
        if len(items) > MOST_ROWS:
            parts.append(tag("div", f"… {len(items) - MOST_ROWS:,} more; `vmq dashboard` lists all."))
    rest = [(one.title, one.problem) for one in now.widgets if one.problem]
    rest += [
        (one.title, f"only its values are shown (it is a {one.view})")
        for one in now.widgets
        if _only_values(one)
    ]
    rest += [
        (one.title, "not drawn: the figure is full; its values are in the table")
        for one in drawn[MOST_GRAPHS:]
    ]
    rest += [(one.title, one.note) for one in now.widgets if one.note]
    rest += [("the dashboard", note) for note in now.notes]
    if rest:
        words += [f"{plain(title, 120)}: {plain(why, 300)}" for title, why in rest]
        listed = (
            tag("li", tag("strong", plain(title, 120)), ": ", plain(why, 500))
            for title, why in rest[:MOST_ROWS]
        )
        parts += [tag("div", tag("strong", "Not drawn as on the dashboard")), tag("ul", *listed)]
        if len(rest) > MOST_ROWS:
            parts.append(tag("div", f"… {len(rest) - MOST_ROWS:,} more; `vmq dashboard` lists all."))
    texts = [one for one in now.widgets if one.kind == "text" and one.text]
    style = "overflow-wrap:anywhere;border-left:3px solid #ccc;padding:0.2em 0.6em;margin:0.3em 0"
    for one in texts[:MOST_GRAPHS]:
        parts.append(tag("div", markdown(one.text, 1500), style=style))
        words.append(f"text: {markdown_words(one.text, 300)}")
    if len(texts) > MOST_GRAPHS:
        parts.append(tag("div", f"… {len(texts) - MOST_GRAPHS:,} more texts in the evidence."))
    return parts


def _only_values(widget: Widget) -> bool:
    return widget.kind == "metric" and not widget.problem and widget.view != _AXIS
