"""The plot of everything that changed, on one time axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from vmqlib.runbook.changes.model import KINDS
from vmqlib.times import duration
from vmqlib.view.base import Panel, Plot, View, caption, guarded, notice, plain
from vmqlib.view.changes import Given, numbers, span_of, told_of
from vmqlib.view.findings import looked_until
from vmqlib.view.style import (
    ALARM,
    INK,
    LAST_GOOD,
    SOFT,
    STATUSES,
    figure,
    key,
    label,
    number,
    stamp,
    time_axis,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from vmqlib.record.observation import Observation
    from vmqlib.runbook.changes import Change, Kind, Ranking, Sign, WhatChanged

__all__ = ["change_timeline"]

_LOOKS: Mapping[str, tuple[str, str]] = {
    "promotion": ("D", "#0072B2"),
    "objects": ("s", "#56B4E9"),
    "aws-call": ("v", "#CC79A7"),
    "schedule": ("P", "#CC79A7"),
    "commit": ("o", "#999999"),
}
"""Marker and colour of each kind; syncs have those of their status, alarms a hatched bar."""
_SOURCES: Mapping[Kind, str] = {
    "promotion": "promotions",
    "objects": "versions",
    "aws-call": "trail",
    "schedule": "trail",
    "commit": "commits",
    "sync": "sync-jobs",
    "alarm": "alarm-history",
}
"""The source that each kind is known from."""
_LANE = 0.34
"""Inches."""
_LETTER = 5.6
"""How wide a letter of a moment's label is at most on average, in points."""


@guarded
def change_timeline(
    changed: Given[WhatChanged],
    ranking: Given[Ranking] | None = None,
    *,
    opened: datetime | None = None,
    since: datetime | None = None,
    seen: Mapping[str, Observation] | None = None,
) -> View:
    """Every change in its lane, syncs and alarms below them, with the first bad sign and the opening.

    Numbers are the places of suspects. The axis begins a while before the last good sync, or before the first suspect
    that something speaks for: what is left out to the left is said.

    Parameters
    ----------
    changed:
        What changed, or a function that gives it.
    ranking:
        The suspects, likewise.
    opened:
        When the incident was opened, UTC.
    since:
        Where the axis begins, UTC, in place of that.
    seen:
        Observations by source name: where it was drawn from.
    """
    known = told_of("What changed", changed)
    ranked = told_of("Suspects", ranking) if ranking is not None else None
    if isinstance(known, Panel):
        return known
    places = numbers(ranked) if ranked is not None and not isinstance(ranked, Panel) else {}
    sign = ranked.sign if ranked is not None and not isinstance(ranked, Panel) else None
    start = (
        max(since, known.since) if since else span_of(known, None if isinstance(ranked, Panel) else ranked)
    )
    shown = [one for one in known.changes if one.until >= start]
    if not shown:
        text = f"What changed: nothing was seen to change since {start:%Y-%m-%d %H:%M} UTC."
        return Panel(notice(text, "#0072B2"), text)
    lines = _key_lines(known, len(known.changes) - len(shown), start)
    height = 1.62 + _LANE * len(KINDS) + 0.165 * len(lines)
    drawn, (ax,) = figure(height, (1,), footer=len(lines), below=0.72, left=0.125, top=1 - 0.74 / height)
    _lanes(ax, known, shown, seen or {})
    # A little more than was seen: marks of the last moments are whole.
    time_axis(ax, start, known.until + (known.until - start) / 60)
    for lane, kind in enumerate(KINDS):
        mine = [one for one in shown if one.kind == kind]
        if kind == "alarm":
            _alarms(ax, lane, mine, start)
        elif kind == "sync":
            _syncs(ax, lane, mine)
        else:
            _marks(ax, lane, mine, places, start)
    _moments(drawn, ax, sign, opened, start)
    _legend(drawn, shown)
    key(drawn, lines, source=caption(*_sources(shown, seen)))
    return Plot(drawn, _alt(known, shown, sign, places, opened, start))


def _lanes(ax: Axes, known: WhatChanged, shown: Sequence[Change], seen: Mapping[str, Observation]) -> None:
    names = list(KINDS.values())
    ax.set_ylim(len(names) - 0.45, -0.55)
    ax.set_yticks(range(len(names)), names)
    ax.grid(False)
    ax.tick_params(axis="y", length=0, labelsize=8.5)
    unseen = _unseen_kinds(known)
    there: set[str] = {one.kind for one in shown}
    for lane, kind in enumerate(KINDS):
        ax.axhspan(
            lane - 0.5,
            lane + 0.5,
            facecolor="#f4f4f4" if lane % 2 == 0 else "white",
            edgecolor="none",
            zorder=0,
        )
        if kind in there:
            continue
        _, as_seen = looked_until(seen.get(_SOURCES[kind]), known.until)
        text = "none in this span"
        if kind in unseen:
            text = f"not seen: {label(unseen[kind], 110)}"
        elif as_seen:
            text = f"none in this span; {as_seen}"
        ax.text(
            0.008, lane, text, transform=ax.get_yaxis_transform(), fontsize=8, va="center", color=SOFT,
            style="italic", zorder=2,
        )  # fmt: skip


def _unseen_kinds(known: WhatChanged) -> dict[str, str]:
    """Kinds of which nothing was seen, with the reason."""
    by_source = {
        "S3 changes": ("objects",),
        "promotions": ("promotion",),
        "AWS calls and schedule changes, and who made them": ("aws-call", "schedule"),
        "commits in the ops repo": ("commit",),
        "syncs": ("sync",),
        "alarms": ("alarm",),
    }
    return {kind: one.why for one in known.unseen if one.whole for kind in by_source.get(one.what, ())}


def _marks(
    ax: Axes, lane: int, mine: Sequence[Change], places: Mapping[Change, int], start: datetime
) -> None:
    for one in mine:
        shape, colour = _LOOKS[one.kind]
        left, right = number(max(one.at, start)), number(one.until)
        if right > left:
            ax.plot([left, right], [lane, lane], color=colour, linewidth=3.2, solid_capstyle="butt", zorder=3)
        ax.plot(
            [left], [lane], marker=shape, markersize=7, color="white" if one.refused else colour,
            markeredgecolor=colour if one.refused else INK, markeredgewidth=1.4 if one.refused else 0.6, zorder=4,
        )  # fmt: skip
        if (place := places.get(one)) is not None:
            ax.annotate(
                str(place), (left, lane), xytext=(-8, 0), textcoords="offset points", fontsize=8, fontweight="bold",
                ha="right", va="center", color="white", zorder=6,
                bbox={"boxstyle": "circle,pad=0.18", "facecolor": INK, "edgecolor": "none"},
            )  # fmt: skip


def _syncs(ax: Axes, lane: int, mine: Sequence[Change]) -> None:
    for one in mine:
        shape, colour, filled = STATUSES.get(one.outcome, ("P", "#777777", False))
        ax.plot([number(one.at), number(one.until)], [lane, lane], color=SOFT, linewidth=2, zorder=2)
        ax.plot(
            [number(one.at)], [lane], marker=shape, markersize=7.5, color=colour if filled else "white",
            markeredgecolor=INK if filled else colour, markeredgewidth=0.7 if filled else 1.4, zorder=4,
        )  # fmt: skip


def _alarms(ax: Axes, lane: int, mine: Sequence[Change], start: datetime) -> None:
    names = sorted({one.where for one in mine})
    high = 0.62 / max(1, len(names))
    for one in mine:
        at = lane - 0.31 + high * (names.index(one.where) + 0.5)
        left, right = number(max(one.at, start)), number(one.until)
        ax.barh(
            at,
            right - left,
            high * 0.86,
            left,
            color=ALARM,
            hatch="////",
            edgecolor=INK,
            linewidth=0.5,
            zorder=3,
        )
        ax.plot([left], [at], marker="|", color=INK, markersize=9, zorder=4)


def _moments(drawn: Figure, ax: Axes, sign: Sign | None, opened: datetime | None, start: datetime) -> None:
    found: list[tuple[datetime, str, str, Any]] = []
    if sign is not None and sign.good_at is not None and sign.good_at >= start:
        found.append((sign.good_at, "last good sync", LAST_GOOD, (0, (1, 1.5))))
    if sign is not None and sign.at >= start:
        found.append((sign.at, "first bad sign", ALARM, "solid"))
    if opened is not None and opened >= start:
        found.append((opened, "opened", INK, (0, (4, 2))))
    low, high = ax.get_xlim()
    ends: list[float] = []  # of each level of labels: where its last one ends
    for at, text, colour, dashes in sorted(found, key=lambda one: one[0]):
        x = number(at)
        ax.axvline(x, color=colour, linewidth=1.5, linestyle=dashes, zorder=1)
        words = f"{text} {stamp(at)}"
        wide = len(words) * _LETTER / (ax.get_position().width * drawn.get_figwidth() * 72) * (high - low)
        left, align = _beside(x, wide, low, high)
        level = next((place for place, end in enumerate(ends) if end < left), len(ends))
        ends[level : level + 1] = [left + wide]
        ax.annotate(
            words, (x, 1.0), xycoords=("data", "axes fraction"), xytext=(0, 3 + 11 * level),
            textcoords="offset points", ha=align, va="bottom", fontsize=8, fontweight="bold", color=colour,
            annotation_clip=False,
        )  # fmt: skip


def _beside(x: float, wide: float, low: float, high: float) -> tuple[float, str]:
    """Where a label that wide begins, and how it is aligned: it does not reach over the ends of the axis."""
    if x + wide / 2 > high:
        return x - wide, "right"
    return (x, "left") if x - wide / 2 < low else (x - wide / 2, "center")


def _legend(drawn: Figure, shown: Sequence[Change]) -> None:
    from matplotlib.lines import Line2D

    there = list(dict.fromkeys(one.outcome for one in shown if one.kind == "sync"))
    handles = []
    for status in sorted(there, key=lambda one: list(STATUSES).index(one) if one in STATUSES else 99):
        shape, colour, filled = STATUSES.get(status, ("P", "#777777", False))
        handles.append(
            Line2D(
                [], [], linestyle="", marker=shape, markersize=6.5, color=colour if filled else "white",
                markeredgecolor=INK if filled else colour, label=f"sync {label(status, 20)}",
            )
        )  # fmt: skip
    drawn.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(0.002, 1 - 0.01 / drawn.get_figheight()),
        ncols=5,
        fontsize=8,
        frameon=False,
        borderpad=0.1,
        handletextpad=0.1,
    )


def _key_lines(known: WhatChanged, earlier: int, start: datetime) -> list[str]:
    lines = [
        "numbers: the places of the suspects below; a mark is where a change began, a line how long it went on"
    ]
    if earlier:
        lines.append(
            f"{earlier:,} earlier changes, from {stamp(known.since)} to {stamp(start)}, are not drawn; the table's "
            "evidence files have them all"
        )
    return lines


def _sources(shown: Sequence[Change], seen: Mapping[str, Observation] | None) -> list[Observation]:
    names = dict.fromkeys(one.source for one in shown)
    return [seen[name] for name in names if name in seen] if seen else []


def _alt(
    known: WhatChanged,
    shown: Sequence[Change],
    sign: Sign | None,
    places: Mapping[Change, int],
    opened: datetime | None,
    start: datetime,
) -> str:
    span = f"{start:%Y-%m-%d %H:%M} to {known.until:%Y-%m-%d %H:%M} UTC, {duration(known.until - start)}"
    parts = [f"What changed from {span}"]
    counts = [(title, sum(one.kind == kind for one in shown)) for kind, title in KINDS.items()]
    parts.append(", ".join(f"{title}: {count}" for title, count in counts))
    if sign is not None:
        parts.append(f"first bad sign {sign.at:%Y-%m-%d %H:%M} UTC")
    ranked = sorted((places[one], one) for one in shown if one in places) if places else []
    parts += [
        f"suspect {place}: {plain(one.what, 80)}{f' by {plain(one.who, 60)}' if one.who else ''} "
        f"at {one.at:%Y-%m-%d %H:%M} UTC"
        for place, one in ranked
    ]
    bad = [one for one in shown if one.kind == "sync" and one.outcome != "SUCCEEDED"]
    if bad:
        parts.append(f"{len(bad)} syncs did not succeed")
    parts += [
        f"{plain(one.what, 80)} since {one.at:%Y-%m-%d %H:%M} UTC"
        for one in shown
        if one.kind == "alarm" and "still" in one.what
    ]
    if opened is not None:
        parts.append(f"incident opened {opened:%Y-%m-%d %H:%M} UTC")
    unseen = _unseen_kinds(known)
    if unseen:
        parts.append(f"not seen: {', '.join(KINDS[kind] for kind in KINDS if kind in unseen)}")
    return "; ".join(parts) + "."
