"""The plot of alarm states."""

from __future__ import annotations

import string
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from vmqlib.times import duration
from vmqlib.view.base import Plot, View, caption, guarded, nothing, plain, unavailable
from vmqlib.view.findings import AlarmSpan, alarm_spans, moment
from vmqlib.view.style import (
    ALARM,
    INK,
    STATES,
    figure,
    flags,
    key,
    key_lines,
    label,
    marks_of,
    number,
    split_marks,
    stamp,
    time_axis,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from vmqlib.record.observation import Observation

__all__ = ["alarm_timeline"]

MOST_ALARMS = 8


@guarded
def alarm_timeline(
    history: Observation,
    alarms: Observation | None = None,
    *,
    threshold: timedelta = timedelta(minutes=15),
    since: datetime | None = None,
    marks: Iterable[Any] = (),
) -> View:
    """The states of each alarm over time, and whether it stood in ALARM for longer than the runbook allows.

    Parameters
    ----------
    history:
        The ``alarm-history`` observation.
    alarms:
        The ``alarms`` observation: present states, for alarms whose history is empty.
    threshold:
        How long an alarm may stand before it is an incident (runbook, trigger conditions: 15 minutes).
    since:
        Where the axis begins. By default a while before the present ALARM began, so that it is not a sliver.
    marks:
        Promotions and actions taken.
    """
    if not history.available:
        return unavailable(history)
    states = alarms.frame if alarms is not None and alarms.available else None
    looks = [
        one.at for one in (history, alarms if states is not None else None) if one is not None and one.at
    ]
    until = max(looks, default=None) or moment(history.frame["at"].max())
    if until is None:
        return nothing("Alarm timeline", "no alarm changed its state in the window", history)
    spans = alarm_spans(history.frame, until, states)
    if not spans:
        return nothing("Alarm timeline", "no alarm changed its state in the window", history)
    start = since or _zoom(spans, until)
    names = _by_urgency(spans)
    shown = names[:MOST_ALARMS]
    flagged, _ = split_marks([m for m in marks_of(marks) if m.at >= start], None, until)
    lines = key_lines(flagged)
    lines += (
        [f"{len(names) - len(shown)} more alarms are not shown; the evidence file has them all"]
        if len(names) > len(shown)
        else []
    )

    height = 1.85 + 0.62 * len(shown) + 0.165 * len(lines)
    drawn, (ax,) = figure(
        height, (1,), footer=len(lines), below=0.72, left=0.008, right=0.992, top=1 - 0.62 / height
    )
    ax.spines["left"].set_visible(False)
    ax.grid(False)
    ax.set_yticks([])
    ax.set_ylim(len(shown) - 0.38, -0.62)
    time_axis(ax, start, until)
    for row, name in enumerate(shown):
        mine = [s for s in spans if s.name == name and s.end >= start]
        _strip(ax, row, mine, start, until)
        _threshold_tick(ax, row, mine, threshold)
        ax.text(
            0.0,
            row - 0.27,
            f"{label(name, 50)}: {_standing(mine, threshold)}",
            transform=ax.get_yaxis_transform(),
            fontsize=9,
            va="bottom",
            zorder=6,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.2},
            fontweight="bold" if mine and mine[-1].state == "ALARM" else "normal",
            color=INK,
        )
    _state_key(drawn)
    flags(
        ax,
        (ax,),
        [(number(m.at), letter) for letter, m in zip(string.ascii_uppercase, flagged, strict=False)],
    )
    key(drawn, lines, source=caption(history, alarms))
    return Plot(drawn, _alarm_alt(spans, names, threshold, until))


def _by_urgency(spans: Sequence[AlarmSpan]) -> list[str]:
    """Alarm names: those in ALARM first, and the longest standing first."""
    last = {span.name: span for span in spans}
    return sorted(last, key=lambda name: (last[name].state != "ALARM", last[name].start.timestamp(), name))


def _zoom(spans: Sequence[AlarmSpan], until: datetime) -> datetime:
    """A start that gives the present ALARM (or the last one) about two thirds of the width."""
    ringing = [s for s in spans if s.state == "ALARM" and s.open] or [s for s in spans if s.state == "ALARM"][
        -1:
    ]
    if not ringing:
        return until - timedelta(hours=24)
    began = min(s.start for s in ringing)
    return began - max((until - began) / 2, timedelta(minutes=30))


def _strip(ax: Axes, row: int, spans: Sequence[AlarmSpan], start: datetime, until: datetime) -> None:
    for span in spans:
        colour, hatch = STATES.get(span.state, ("#ffffff", "oo"))
        left, right = number(max(span.start, start)), number(min(span.end, until))
        ax.barh(row, right - left, 0.44, left, color=colour, hatch=hatch, edgecolor=INK, linewidth=0.6)
        if span.state == "ALARM" and right - left < 0.004 * (number(until) - number(start)):
            ax.plot(
                [left],
                [row - 0.3],
                marker="v",
                color=ALARM,
                markersize=6,
                markeredgecolor=INK,
                markeredgewidth=0.5,
            )


def _threshold_tick(ax: Axes, row: int, spans: Sequence[AlarmSpan], threshold: timedelta) -> None:
    for span in spans:
        if span.state == "ALARM" and span.length > threshold:
            x = number(span.start + threshold)
            ax.plot([x, x], [row - 0.22, row + 0.33], color=INK, linewidth=2.0, zorder=5)
            ax.text(x, row + 0.34, f" {duration(threshold)}", fontsize=7.5, va="center", ha="left", color=INK)


def _standing(spans: Sequence[AlarmSpan], threshold: timedelta) -> str:
    if not spans:
        return "no change in this window"
    last = spans[-1]
    text = f"{label(last.state, 24)} for {duration(last.length)}, since {stamp(last.start)} UTC"
    if last.state != "ALARM":
        return text
    over = "longer than" if last.length > threshold else "not yet"
    return f"{text} ({over} {duration(threshold)})"


def _state_key(drawn: Figure) -> None:
    from matplotlib.patches import Patch

    handles = [
        Patch(facecolor=c, hatch=h, edgecolor=INK, linewidth=0.6, label=s) for s, (c, h) in STATES.items()
    ]
    drawn.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(0.002, 1 - 0.02 / drawn.get_figheight()),
        ncols=3,
        fontsize=8,
        frameon=False,
        borderpad=0.1,
        handlelength=2.2,
        handleheight=1.0,
    )


def _alarm_alt(
    spans: Sequence[AlarmSpan], names: Sequence[str], threshold: timedelta, until: datetime
) -> str:
    last = {span.name: span for span in spans}
    ringing = [last[name] for name in names if last[name].state == "ALARM"]
    parts = [
        f"Alarm states of {len(names)} alarm{'' if len(names) == 1 else 's'} until {until:%Y-%m-%d %H:%M} UTC"
    ]
    if not ringing:
        parts.append("none is in ALARM")
    for span in ringing[:MOST_ALARMS]:
        over = "longer than" if span.length > threshold else "not longer than"
        parts.append(
            f"{plain(span.name, 60)} is in ALARM since {span.start:%Y-%m-%d %H:%M} UTC, for {duration(span.length)}, "
            f"{over} the {duration(threshold)} of the runbook"
        )
    episodes = sum(s.state == "ALARM" for s in spans)
    parts.append(f"{episodes} ALARM period{'' if episodes == 1 else 's'} in the history")
    return "; ".join(parts) + "."
