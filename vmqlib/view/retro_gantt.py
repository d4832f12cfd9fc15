"""The plot of an incident as a Gantt: what the response was at, and when."""

from __future__ import annotations

import string
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from vmqlib.times import duration
from vmqlib.view.base import Plot, View, guarded, plain
from vmqlib.view.style import (
    INK,
    MOST_FLAGS,
    SOFT,
    Mark,
    figure,
    flags,
    key,
    key_lines,
    label,
    number,
    stamp,
    time_axis,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    from vmqlib.runbook.communicate.clock import Slot
    from vmqlib.runbook.retro import Review, Span

__all__ = ["KINDS", "UPDATES", "retro_gantt"]

KINDS: dict[str, tuple[str, str, float, str]] = {
    "wait": ("#F2F2F2", "....", 0.62, "until noticed, opened or acknowledged"),
    "phase": ("#BFDDF2", "", 0.62, "a step, from its first action to its last"),
    "work": ("#0072B2", "", 0.26, "its actions, where less than 5 min apart"),
}
"""Colour, hatch, height and meaning of each kind of span."""

UPDATES: dict[str, tuple[str, str, str]] = {
    "in time": ("o", "#009E73", "update in time"),
    "late": ("^", "#E69F00", "update, late"),
    "never sent": ("X", "#D55E00", "update due, never sent"),
}
"""Marker, colour and meaning of each outcome of an update."""

_KEY_COLUMNS = 3
_NAMES = {"open": "alarm to opening", "triage": "triage, acknowledge"}


@guarded
def retro_gantt(review: Review) -> View:
    """What the response was at over time, with the updates and the moments that times are measured between.

    Parameters
    ----------
    review:
        The incident in review.
    """
    lanes = list(dict.fromkeys([*_lanes(), *(one.lane for one in review.spans)]))
    start, end = _window(review)
    marks = [mark for mark in _marks(review) if start <= mark.at <= end][:MOST_FLAGS]
    lines = key_lines(marks)
    handles = _handles(review)
    key_rows = -(-len(handles) // _KEY_COLUMNS)
    height = 1.65 + 0.17 * key_rows + 0.36 * len(lanes) + 0.165 * len(lines)
    drawn, (ax,) = figure(
        height, (1,), footer=len(lines), left=0.155, below=0.72, top=1 - (0.6 + 0.17 * key_rows) / height
    )
    ax.grid(False)
    ax.set_ylim(len(lanes) - 0.45, -0.55)
    ax.set_yticks(range(len(lanes)), [label(_NAMES.get(lane, lane), 24) for lane in lanes])
    ax.set_ylabel("step of the response")
    ax.tick_params(axis="y", length=0)
    for row in range(1, len(lanes)):
        ax.axhline(row - 0.5, color="#e4e4e4", linewidth=0.7, zorder=0)
    time_axis(ax, start, end)
    for span in review.spans:
        _bar(ax, lanes.index(span.lane), span, start, end)
    for one in review.cadence.updates:
        _update(ax, lanes.index("communicate"), one)
    _legend(drawn, handles)
    flags(
        ax,
        (ax,),
        [(number(mark.at), letter) for mark, letter in zip(marks, string.ascii_uppercase, strict=False)],
    )
    key(drawn, lines, source="journal; first bad sign and alarms from the evidence of the opening")
    return Plot(drawn, _alt(review))


def _lanes() -> tuple[str, ...]:
    from vmqlib.runbook.retro import LANES

    return LANES


def _window(review: Review) -> tuple[datetime, datetime]:
    """From the first bad sign to the end; where nobody noticed for longer than the response took, from a while before
    the opening, so that the response does not become a sliver."""
    opened = review.moments.opened.at or review.summary.opened_at
    end = review.until
    length = max(end - opened, timedelta(minutes=1))
    first = min(filter(None, (review.moments.first_bad.at, opened)))
    start = first if opened - first <= length else opened - length / 4
    edge = (end - start) * 0.02
    return start - edge, max(end, opened + timedelta(minutes=1)) + edge


def _marks(review: Review) -> list[Mark]:
    moments = review.moments
    named = [
        (moments.first_bad.at, "first bad sign"),
        (moments.detected.at if moments.alarm else None, f"alarm {moments.alarm}"),
        (moments.opened.at, "opened"),
        (moments.acknowledged.at, "acknowledged"),
        (moments.mitigated.at, "mitigated"),
        *((one.at, "reopened") for one in review.summary.reopenings),
        *((one.at, "closed") for one in review.summary.closings),
    ]
    found = [Mark(at, words) for at, words in named if at is not None]
    changes = [
        Mark(one.at, f"{one.step or 'change'} {one.kind}")
        for one in review.entries
        if one.kind in ("applied", "undone") and one.step != "resync"
    ]
    room = max(0, MOST_FLAGS - len(found))
    return sorted([*found, *changes[:room]], key=lambda mark: mark.at)


def _bar(ax: Axes, row: int, span: Span, start: datetime, end: datetime) -> None:
    colour, hatch, thick, _ = KINDS[span.kind]
    left, right = number(max(span.start, start)), number(min(span.end, end))
    least = 0.004 * (number(end) - number(start))
    ax.barh(
        row, max(right - left, least), thick, left, color=colour, hatch=hatch, linewidth=0.6,
        edgecolor=SOFT if span.kind != "work" else INK, zorder=2 if span.kind != "work" else 4,
    )  # fmt: skip
    if span.start < start:
        gone = f"◂ {stamp(span.start)}, {duration(span.end - span.start)}"
        words = gone if span.end < start else f"◂ since {stamp(span.start)}"
        box = {"facecolor": "white", "edgecolor": "none", "pad": 0.8}
        place: dict[str, Any] = {"xytext": (4, 0), "textcoords": "offset points", "va": "center", "bbox": box}
        ax.annotate(words, (left, row), fontsize=7.5, color=INK, zorder=5, **place)


def _update(ax: Axes, row: int, one: Slot) -> None:
    marker, colour, _ = UPDATES[one.outcome]
    at = number(one.sent or one.due_at)
    if one.outcome == "late":
        ax.plot(
            [number(one.due_at), at], [row, row], color=colour, linewidth=1.4, linestyle=(0, (2, 1)), zorder=5
        )
    ax.plot(
        [at],
        [row],
        marker=marker,
        color=colour,
        markersize=8,
        markeredgecolor=INK,
        markeredgewidth=0.6,
        zorder=6,
    )


def _handles(review: Review) -> list[Patch | Line2D]:
    """What the key explains: what is there, and no more."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    there = {one.kind for one in review.spans}
    handles: list[Patch | Line2D] = [
        Patch(facecolor=colour, hatch=hatch, edgecolor=SOFT, linewidth=0.6, label=words)
        for kind, (colour, hatch, _, words) in KINDS.items()
        if kind in there
    ]
    kept = review.cadence
    outcomes = {one.outcome for one in kept.updates}
    for outcome, (marker, colour, words) in UPDATES.items():
        if outcome in outcomes:
            edge: dict[str, Any] = {"markeredgecolor": INK, "markeredgewidth": 0.6}
            handles.append(Line2D([], [], marker=marker, color=colour, linestyle="", label=words, **edge))
    return handles


def _legend(drawn: Figure, handles: Sequence[Patch | Line2D]) -> None:
    drawn.legend(
        handles=handles, loc="upper left", bbox_to_anchor=(0.002, 1 - 0.02 / drawn.get_figheight()),
        ncols=_KEY_COLUMNS, fontsize=8, frameon=False, borderpad=0.1, handlelength=1.8, columnspacing=1.4,
    )  # fmt: skip


def _alt(review: Review) -> str:
    told = review.summary
    parts = [f"The response to {told.id} as a Gantt from {_when(review.spans, review.until)}"]
    for lane in dict.fromkeys(one.lane for one in review.spans):
        mine = [one for one in review.spans if one.lane == lane]
        first, last = min(one.start for one in mine), max(one.end for one in mine)
        actions = sum(one.entries for one in mine if one.kind == "work")
        count = f", {actions} action{'' if actions == 1 else 's'}" if actions else ""
        parts.append(
            f"{plain(_NAMES.get(lane, lane), 40)}: "
            f"{first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M}, {duration(last - first)}{count}"
        )
    kept = review.cadence
    if kept.updates:
        parts.append(
            f"updates: {kept.count('in time')} in time, {kept.count('late')} late, "
            f"{kept.count('never sent')} never sent"
        )
    return "; ".join(parts) + "."


def _when(spans: Sequence[Span], until: datetime) -> str:
    first = min((one.start for one in spans), default=until)
    return f"{first:%Y-%m-%d %H:%M} to {until:%Y-%m-%d %H:%M} UTC"
