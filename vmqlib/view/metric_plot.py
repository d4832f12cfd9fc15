"""The plot of metrics: what users noticed."""

from __future__ import annotations

import string
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from vmqlib.view.base import Plot, View, caption, guarded, nothing, unavailable
from vmqlib.view.findings import AlarmSpan, alarm_spans, looked_until, moment
from vmqlib.view.style import (
    ALARM,
    INK,
    faint,
    figure,
    flags,
    key,
    key_lines,
    number,
    split_marks,
    time_axis,
    zoom,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from vmqlib.record.observation import Observation

__all__ = ["metrics"]

SHOWN = {
    "ChatMessagesWithNoAnswer": ("questions without an answer", "messages", "ChatMessages"),
    "BlockedChatMessages": ("blocked messages", "messages", "ChatMessages"),
    "DocumentsFailedToIndex": ("documents that failed to index", "documents", None),
}
"""The metrics of the record: what they are called, their unit, and the metric of which they are a share."""

MOST_POINTS = 700
"""Points of one line: more than pixels are merged, each group by its maximum, so that no peak is lost."""


@guarded
def metrics(
    seen: Observation,
    *,
    alarms: Observation | None = None,
    marks: Iterable[Any] = (),
    last_good: datetime | None = None,
    since: datetime | None = None,
) -> View:
    """Questions without an answer, blocked messages and documents that failed to index, one below the other.

    Parameters
    ----------
    seen:
        The ``metrics`` observation.
    alarms:
        The ``alarm-history`` observation; its ALARM times are shaded.
    marks:
        Promotions and actions taken.
    last_good:
        Start of the last good sync: the axis begins a while before it, and later marks get flags.
    since:
        Where the axis begins; by default so that what came after the last good sync is well seen.
    """
    if not seen.available:
        return unavailable(seen)
    frame = seen.frame[seen.frame["at"].notna() & seen.frame["value"].notna()]
    names = [name for name in SHOWN if (frame["metric"] == name).any()]
    if not names:
        return nothing("Metrics", "no value was published in the window", seen)
    first, until = moment(frame["at"].min()), seen.at or moment(frame["at"].max())
    if first is None or until is None:
        return nothing("Metrics", "no value was published in the window", seen)
    start = since or zoom(first, until, last_good)
    alarmed, as_seen = looked_until(alarms, until)
    spans = alarm_spans(alarms.frame, alarmed) if alarms is not None and alarms.available else []
    flagged, earlier = split_marks(marks, last_good, until)
    earlier = [mark for mark in earlier if mark.at >= start]
    lines = key_lines(flagged, earlier) + ([f"alarms: {as_seen}"] if as_seen else [])
    height = 1.75 + 1.3 * len(names) + 0.165 * len(lines)
    drawn, axes = figure(
        height, [1] * len(names), footer=len(lines), below=0.75, top=1 - 0.82 / height, hspace=0.45
    )
    facts = []
    for ax, name in zip(axes, names, strict=True):
        facts.append(_metric(ax, frame, name, start, until, spans))
        time_axis(ax, start, until)
        if ax is not axes[-1]:
            ax.set_xlabel("")
            ax.tick_params(labelbottom=False)
            ax.xaxis.get_offset_text().set_visible(False)
    flags(
        axes[0],
        axes,
        [
            (number(m.at), letter)
            for letter, m in zip(string.ascii_uppercase, flagged, strict=False)
            if m.at >= start
        ],
        lift=16,
    )
    faint(axes, [number(mark.at) for mark in earlier])
    key(drawn, lines, source=caption(seen, alarms))
    told = "; ".join(facts)
    events = "".join(f"; {m.kind} “{m.label}” at {m.at:%Y-%m-%d %H:%M} UTC" for m in flagged)
    return Plot(drawn, f"Metrics from {start:%Y-%m-%d %H:%M} to {until:%Y-%m-%d %H:%M} UTC: {told}{events}.")


def _metric(
    ax: Axes, frame: pd.DataFrame, name: str, start: datetime, until: datetime, spans: Sequence[AlarmSpan]
) -> str:
    import pandas as pd

    title, unit, whole = SHOWN[name]
    points = _series(frame, name)
    points = _thin(points[points.index >= pd.Timestamp(start)])
    period = frame.loc[frame["metric"] == name, "period_s"].dropna()
    seconds = int(period.iloc[0]) if len(period) else 3600
    for alarm in spans:
        if alarm.state == "ALARM" and alarm.end > start:
            ax.axvspan(
                number(max(alarm.start, start)),
                number(alarm.end),
                facecolor=ALARM,
                alpha=0.14,
                edgecolor="none",
                zorder=0,
            )
    wide = max(seconds / 86400, 0.002 * (number(until) - number(start)))
    if len(points) > 200:
        ax.fill_between(points.index, points.to_numpy(), step="post", color="#0072B2", linewidth=0.9)
    else:
        places = [number(at) for at in points.index]
        ax.bar(places, points.to_numpy(), wide, align="edge", color="#0072B2", edgecolor=INK, linewidth=0.3)
    ax.set_ylim(0, max(float(points.max()) * 1.15, 1.0) if len(points) else 1.0)
    ax.yaxis.get_major_locator().set_params(integer=True, nbins=4)  # type: ignore[call-arg]  # MaxNLocator, the default
    ax.set_ylabel(f"{unit}\nper {_period(seconds)}", fontsize=8.5)
    finding = _finding(frame, name, whole, until)
    # y: or else every draw measures all labels to find a place for the title.
    ax.set_title(f"{title}: {finding}", loc="left", fontsize=9, fontweight="bold", color=INK, pad=5, y=1.0)
    return f"{title}: {finding}"


def _series(frame: pd.DataFrame, name: str) -> pd.Series[Any]:
    """One metric over time, summed over its dimension sets."""
    mine = frame[frame["metric"] == name]
    return mine.groupby("at")["value"].sum().astype(float).sort_index()


def _thin(points: pd.Series[Any]) -> pd.Series[Any]:
    import numpy as np

    step = -(-len(points) // MOST_POINTS)
    return (
        points
        if step <= 1
        else points.groupby(np.arange(len(points)) // step).max().set_axis(points.index[::step])
    )


def _finding(frame: pd.DataFrame, name: str, whole: str | None, until: datetime) -> str:
    """The last day beside the days before it, as a share where there is a whole to take it of."""
    import pandas as pd

    edge = pd.Timestamp(until) - pd.Timedelta(hours=24)
    points = _series(frame, name)
    late, early = float(points[points.index > edge].sum()), points[points.index <= edge]
    text = f"{late:,.0f} in the last 24 h"
    if whole is not None and (frame["metric"] == whole).any():
        all_of = _series(frame, whole)
        late_all, early_all = (
            float(all_of[all_of.index > edge].sum()),
            float(all_of[all_of.index <= edge].sum()),
        )
        if late_all > 0:
            text += f" ({late / late_all:.0%} of {late_all:,.0f})"
        return text + (f", {float(early.sum()) / early_all:.0%} before" if early_all > 0 else "")
    daily = early.groupby(pd.DatetimeIndex(early.index).floor("D")).sum()
    return text + (f", {float(daily.median()):,.0f} on a median day before" if len(daily) else "")


def _period(seconds: int) -> str:
    names = {
        60: "minute",
        300: "5 minutes",
        900: "15 minutes",
        3600: "hour",
        21_600: "6 hours",
        86_400: "day",
    }
    return names.get(seconds, f"{seconds} s")
