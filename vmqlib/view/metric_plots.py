"""Plots of metrics, and of the index beside the bucket that it should hold."""

from __future__ import annotations

import string
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from vmqlib.sources.versions import bucket_summary, state_at
from vmqlib.view.base import Plot, View, caption, guarded, nothing, plain, unavailable
from vmqlib.view.findings import AlarmSpan, alarm_spans, bucket_counts, moment
from vmqlib.view.plots import key_lines
from vmqlib.view.style import (
    ALARM,
    INK,
    LAST_GOOD,
    figure,
    flags,
    key,
    label,
    marks_of,
    number,
    stamp,
    time_axis,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from vmqlib.record.observation import Observation

__all__ = ["index_against_bucket", "metrics"]

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
    since:
        Where the axis begins; by default with the first value.
    """
    if not seen.available:
        return unavailable(seen)
    frame = seen.frame[seen.frame["at"].notna() & seen.frame["value"].notna()]
    names = [name for name in SHOWN if (frame["metric"] == name).any()]
    if not names:
        return nothing("Metrics", "no value was published in the window", seen)
    start = since or moment(frame["at"].min())
    until = seen.at or moment(frame["at"].max())
    assert start is not None and until is not None
    frame = frame[frame["at"] >= start]
    spans = alarm_spans(alarms.frame, until) if alarms is not None and alarms.available else []
    flagged = [m for m in marks_of(marks) if start <= m.at <= until][-8:]
    lines = key_lines(flagged, 0, 0)
    height = 1.55 + 1.32 * len(names) + 0.165 * len(lines)
    drawn, axes = figure(
        height, [1] * len(names), footer=len(lines), below=0.72, top=1 - 0.6 / height, hspace=0.45
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
        [(number(m.at), letter) for letter, m in zip(string.ascii_uppercase, flagged, strict=False)],
    )
    key(drawn, lines, source=caption(seen, alarms))
    told = "; ".join(facts)
    events = "".join(f"; {m.kind} “{m.label}” at {m.at:%Y-%m-%d %H:%M} UTC" for m in flagged)
    return Plot(drawn, f"Metrics from {start:%Y-%m-%d %H:%M} to {until:%Y-%m-%d %H:%M} UTC: {told}{events}.")


def _metric(
    ax: Axes, frame: pd.DataFrame, name: str, start: datetime, until: datetime, spans: Sequence[AlarmSpan]
) -> str:
    title, unit, whole = SHOWN[name]
    points = _thin(_series(frame, name))
    period = frame.loc[frame["metric"] == name, "period_s"].dropna()
    span = _period(int(period.iloc[0])) if len(period) else "period"
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
    if len(points) > 60:
        ax.fill_between(points.index, points.to_numpy(), step="mid", color="#0072B2", alpha=0.35, linewidth=0)
        ax.plot(points.index, points.to_numpy(), drawstyle="steps-mid", color="#004c78", linewidth=0.9)
    else:
        ax.vlines(points.index, 0, points.to_numpy(), color="#0072B2", linewidth=1.6)
        ax.plot(
            points.index,
            points.to_numpy(),
            "o",
            color="#0072B2",
            markersize=4.5,
            markeredgecolor=INK,
            markeredgewidth=0.4,
        )
    ax.set_ylim(0, max(float(points.max()) * 1.15, 1.0))
    ax.yaxis.get_major_locator().set_params(integer=True, nbins=4)  # type: ignore[call-arg]  # MaxNLocator, the default
    ax.set_ylabel(f"{unit}\nper {span}", fontsize=8.5)
    finding = _finding(frame, name, whole, until)
    ax.set_title(f"{title}: {finding}", loc="left", fontsize=9, fontweight="bold", color=INK, pad=5)
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


@guarded
def index_against_bucket(
    resources: Observation,
    versions: Observation,
    *,
    metrics: Observation | None = None,
    last_good: datetime | None = None,
    marks: Iterable[Any] = (),
) -> View:
    """Documents in the index beside objects in the bucket, now and over time; and how many bytes each holds.

    Parameters
    ----------
    resources:
        The ``resources`` observation: the index counts its documents there.
    versions:
        The ``versions`` observation: every version in the connector's scope, so what was there at any time.
    metrics:
        The ``metrics`` observation: DocumentCount over time, where it was published.
    last_good:
        Start of the last good sync: what the bucket held then is what the index should hold.
    marks:
        Promotions and actions taken.
    """
    missing = next((seen for seen in (resources, versions) if not seen.available), None)
    if missing is not None:
        return unavailable(missing, "Index against bucket")
    index = resources.frame[resources.frame["kind"] == "index"]
    objects = versions.frame[~versions.frame["key"].fillna("").str.endswith(".metadata.json")]
    if objects.empty:
        return nothing("Index against bucket", "no object is in the connector's scope", versions)
    indexed = _total(index["document_count"])
    text_bytes = _total(index["indexed_bytes"])
    now = bucket_summary(objects)
    then = state_at(objects, last_good) if last_good is not None else None
    until = versions.at or moment(objects["at"].max())
    assert until is not None
    flagged = [m for m in marks_of(marks) if m.at <= until][-8:]
    lines = key_lines(flagged, 0, 0)
    height = 4.25 + 0.165 * len(lines)
    drawn, (ax, bars) = figure(
        height,
        (2.6, 1),
        footer=len(lines),
        below=0.62,
        top=1 - 0.62 / height,
        hspace=0.62,
        sharex=False,
        right=0.86,
    )
    _over_time(ax, objects, metrics, indexed, until, last_good)
    at = [m for m in flagged if number(m.at) >= ax.get_xlim()[0]]
    flags(ax, (ax,), [(number(m.at), string.ascii_uppercase[flagged.index(m)]) for m in at])
    _sizes(bars, now.size, None if then is None else int(then["size"].sum()), text_bytes)
    headline = _gap(indexed, now.objects, None if then is None else len(then))
    drawn.text(
        0.008, 1 - 0.08 / height, label(headline, 160), fontsize=11, fontweight="bold", color=INK, va="top"
    )
    key(drawn, lines, source=caption(resources, versions, metrics))
    then_told = f"{len(then):,} objects at the last good sync; " if then is not None else ""
    sizes = f"bucket {_bytes(now.size)}, text in the index {_bytes(text_bytes)}"
    return Plot(drawn, f"Index against bucket: {headline}; {then_told}{now.objects:,} objects now; {sizes}.")


def _total(column: pd.Series[Any]) -> int | None:
    known = column.dropna()
    return int(known.sum()) if len(known) else None


def _gap(indexed: int | None, objects: int, then: int | None) -> str:
    held = (
        "the index does not say how many documents it holds"
        if indexed is None
        else f"the index holds {indexed:,} documents"
    )
    changed = (
        f" ({then - objects:,} fewer than at the last good sync)"
        if then is not None and then > objects
        else ""
    )
    return f"{held[0].upper()}{held[1:]}, the bucket {objects:,} objects in scope{changed}"


def _over_time(
    ax: Axes,
    objects: pd.DataFrame,
    metrics: Observation | None,
    indexed: int | None,
    until: datetime,
    last_good: datetime | None,
) -> None:
    counts = bucket_counts(objects)
    start = max(
        moment(counts["at"].iloc[0]) or until, (last_good or until) - (until - (last_good or until)) * 2
    )
    ends: list[tuple[float, str]] = []
    at = [*counts["at"], until]
    values = [*counts["objects"], int(counts["objects"].iloc[-1])]
    ax.plot(
        at,
        values,
        drawstyle="steps-post",
        color="#0072B2",
        linewidth=2,
        label="objects in the bucket",
        zorder=3,
    )
    ends.append((float(values[-1]), f"{values[-1]:,} in bucket"))
    if metrics is not None and metrics.available:
        known = metrics.frame[(metrics.frame["metric"] == "DocumentCount") & metrics.frame["value"].notna()]
        line = known.groupby("at")["value"].max().astype(float)
        if len(line):
            ax.plot(line.index, line.to_numpy(), color=ALARM, linewidth=1.6, linestyle=(0, (5, 2)), marker="s" if len(line) < 60 else "",
                    markersize=4, label="documents in the index (DocumentCount)", zorder=4)  # fmt: skip
    if indexed is not None:
        ax.plot([until], [indexed], marker="D", color=ALARM, markeredgecolor=INK, markersize=7, linestyle="none",
                label="documents in the index, now", clip_on=False, zorder=5)  # fmt: skip
        ends.append((float(indexed), f"{indexed:,} in index"))
    if last_good is not None and last_good >= start:
        ax.axvline(
            number(last_good),
            color=LAST_GOOD,
            linewidth=1.6,
            linestyle=":",
            label=f"last good sync {stamp(last_good)}",
        )
    time_axis(ax, start, until)
    top = max([*values, indexed or 0, 1])
    ax.set_ylim(0, top * 1.12)
    ax.set_ylabel("documents")
    _end_labels(ax, ends, top)
    ax.legend(loc="lower left", fontsize=8.5, frameon=True, framealpha=0.9, edgecolor="none")


def _end_labels(ax: Axes, ends: Sequence[tuple[float, str]], top: float) -> None:
    """Writes the last values right of the axes, far enough apart to be read."""
    place = -1.0
    for value, text in sorted(ends):
        place = max(value / (top * 1.12), place + 0.09)
        ax.annotate(
            text,
            (1.012, place),
            xycoords="axes fraction",
            fontsize=9,
            fontweight="bold",
            va="center",
            color=INK,
        )


def _sizes(ax: Axes, now: int, then: int | None, text: int | None) -> None:
    rows = [("text in the index", text, "#D55E00", "xx"), ("bucket now", now, "#8CCBF0", "//")]
    if then is not None:
        rows.append(("bucket, last good sync", then, "#BFE5D8", ""))
    unit, size = _scale(max(value or 0 for _, value, _, _ in rows))
    for row, (name, value, colour, hatch) in enumerate(rows):
        ax.barh(row, (value or 0) / size, 0.66, color=colour, hatch=hatch, edgecolor=INK, linewidth=0.6)
        place = ((value or 0) / size, row)
        ax.annotate(
            f"{name}: {_bytes(value)}",
            place,
            xytext=(5, 0),
            textcoords="offset points",
            fontsize=8.5,
            va="center",
        )
    ax.set_yticks([])
    ax.grid(visible=False)
    ax.set_xlim(0, max(max((value or 0) for _, value, _, _ in rows) / size, 1e-9) * 1.32)
    ax.set_xlabel(f"size ({unit}); the index counts extracted text, not files", fontsize=9, color=INK)


def _scale(value: int) -> tuple[str, float]:
    for unit, size in (("GiB", 2.0**30), ("MiB", 2.0**20), ("KiB", 2.0**10)):
        if value >= size:
            return unit, size
    return "bytes", 1.0


def _bytes(value: int | None) -> str:
    if value is None:
        return "unknown"
    unit, size = _scale(value)
    return plain(f"{value / size:,.1f} {unit}" if size > 1 else f"{value:,} bytes")
