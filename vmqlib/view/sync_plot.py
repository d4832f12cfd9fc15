"""The plot of sync runs."""

from __future__ import annotations

import string
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from vmqlib.view.base import Plot, View, caption, guarded, nothing, plain, unavailable
from vmqlib.view.findings import AlarmSpan, SyncFacts, alarm_spans, looked_until, moment, runs, sync_facts
from vmqlib.view.style import (
    ALARM,
    COUNTS,
    INK,
    LAST_GOOD,
    SOFT,
    STATUSES,
    Mark,
    faint,
    figure,
    flags,
    key,
    key_lines,
    label,
    split_marks,
    stamp,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from vmqlib.record.observation import Observation

__all__ = ["sync_history"]

MOST_RUNS = 60
"""Runs that one plot shows: more would be thinner than their hatches."""

AFTER = 1.4
"""Room right of the last run, in runs: what happened since."""

MOST_ALARMS = 8


@guarded
def sync_history(
    jobs: Observation,
    *,
    alarms: Observation | None = None,
    marks: Iterable[Any] = (),
    data_source_id: str = "",
    opened: datetime | None = None,
) -> View:
    """Documents added, modified, deleted and failed in each sync run, how long it took, and how it ended.

    One bar per run, in order, so that a nightly run and a retry ten minutes later are equally visible; the bands of
    alarms and the flags of marks lie between the runs that they happened between.

    Parameters
    ----------
    jobs:
        The ``sync-jobs`` observation.
    alarms:
        The ``alarm-history`` observation; its ALARM times are shaded.
    marks:
        Promotions and actions taken: :class:`~vmqlib.view.Mark` objects or mappings.
    data_source_id:
        Shows this data source only; all of them by default.
    opened:
        When the incident was opened, UTC: the outage around it is told also after a recovery.
    """
    if not jobs.available:
        return unavailable(jobs)
    ordered = runs(jobs.frame, data_source_id)
    if ordered.empty:
        return nothing("Sync history", "no sync run was found in the window", jobs)
    facts = sync_facts(jobs.frame, data_source_id, opened)
    shown = ordered.tail(MOST_RUNS).reset_index(drop=True)
    until = jobs.at or moment(shown["started_at"].iloc[-1]) or _first(shown)
    alarmed, as_seen = looked_until(alarms, until)
    spans = alarm_spans(alarms.frame, alarmed) if alarms is not None and alarms.available else []
    flagged, earlier = split_marks(marks, facts.reference, until)
    earlier = [mark for mark in earlier if mark.at >= _first(shown)]
    lines = key_lines(flagged, earlier, len(ordered) - len(shown)) + (
        [f"alarms: {as_seen}"] if as_seen else []
    )

    height = 5.42 + 0.165 * len(lines)
    drawn, (top, bottom) = figure(height, (3, 1.6), footer=len(lines), below=1.02, top=1 - 0.95 / height)
    place = _places(shown, until)
    _counts(drawn, top, shown)
    _durations(bottom, shown)
    faint((top, bottom), [place(mark.at) for mark in earlier])
    _bands(top, bottom, spans, place, _first(shown))
    _last_good(top, bottom, facts, shown, place)
    _run_axis(bottom, shown)
    flags(
        top,
        (top, bottom),
        [(place(m.at), letter) for letter, m in zip(string.ascii_uppercase, flagged, strict=False)],
    )
    drawn.text(
        0.008,
        1 - 0.08 / drawn.get_figheight(),
        _headline(facts),
        fontsize=11,
        fontweight="bold",
        color=INK,
        va="top",
    )
    key(drawn, lines, source=caption(jobs, alarms))
    return Plot(drawn, _sync_alt(facts, spans, flagged, data_source_id))


def _first(shown: pd.DataFrame) -> datetime:
    first = moment(shown["started_at"].iloc[0])
    assert first is not None
    return first


def _places(shown: pd.DataFrame, until: datetime) -> Callable[[datetime], float]:
    """Maps a moment to its place between the runs: run ``i`` starts at ``i``, the last look is at the right edge."""
    import numpy as np

    starts = np.array([value.timestamp() for value in shown["started_at"]])
    gap = float(np.median(np.diff(starts))) if len(starts) > 1 else 86400.0
    gap = gap or 1.0
    index = np.arange(len(starts), dtype=float)
    after = max(until.timestamp() - starts[-1], 1.0)
    xs = np.concatenate([[starts[0] - gap], starts, [starts[-1] + after]])
    ys = np.concatenate([[-0.8], index, [index[-1] + AFTER]])

    def place(when: datetime) -> float:
        return float(np.interp(when.timestamp(), xs, ys))

    return place


def _counts(drawn: Figure, ax: Axes, shown: pd.DataFrame) -> None:
    import numpy as np
    from matplotlib.patches import Patch

    counts = {name: shown[name].fillna(0).astype("int64").to_numpy() for name in COUNTS}
    total = np.sum(list(counts.values()), axis=0)
    at = np.arange(len(shown))
    bottom = np.zeros(len(shown))
    for name, (colour, hatch) in COUNTS.items():
        high = counts[name] > 0  # a bar of no height costs as much time as any other
        bars = ax.bar(
            at[high], counts[name][high], 0.74, bottom[high], color=colour, edgecolor=INK, linewidth=0.5
        )
        for bar in bars:
            bar.set_hatch(hatch)
        bottom = bottom + counts[name]
    ceiling = _ceiling(total)
    ax.set_ylim(0, ceiling * 1.04)
    ax.yaxis.get_major_locator().set_params(integer=True)  # type: ignore[call-arg]  # MaxNLocator, the default
    for i in np.flatnonzero(total > ceiling):
        ax.annotate(
            f"{total[i]:,} ↑",
            (float(i) + (0.0 if i else 0.42), ceiling),
            ha="center" if i else "left",
            va="top",
            fontsize=8,
            fontweight="bold",
            bbox={"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": INK, "linewidth": 0.5},
        )
    ax.set_ylabel("documents")
    drawn.legend(
        handles=[
            Patch(facecolor=c, hatch=h, edgecolor=INK, linewidth=0.5, label=n) for n, (c, h) in COUNTS.items()
        ],
        loc="upper left",
        bbox_to_anchor=(0.002, 1 - 0.32 / drawn.get_figheight()),
        ncols=4,
        fontsize=8.5,
        frameon=False,
        handlelength=2.2,
        handleheight=1.1,
        borderpad=0.1,
        columnspacing=1.4,
    )


def _ceiling(total: Any) -> float:
    """Where the axis ends: one run that loaded everything must not flatten all others, so it is cut off and
    labelled."""
    import numpy as np

    ranked = np.sort(total)[::-1]
    if len(ranked) < 4 or ranked[0] <= 0:
        return float(max(ranked[0], 1))
    rest = ranked[max(1, len(ranked) // 20)]
    return float(rest * 1.35) if rest > 0 and ranked[0] > 2.2 * rest else float(ranked[0] * 1.18)


def _durations(ax: Axes, shown: pd.DataFrame) -> None:
    import numpy as np

    seconds = shown["duration_s"].fillna(0).astype(float).to_numpy()
    size, unit = _unit(float(np.max(seconds, initial=0)))
    values = seconds / size
    ax.vlines(np.arange(len(shown)), 0, values, color=SOFT, linewidth=1.2, zorder=2)
    known = shown["status"].fillna("unknown")
    for status in dict.fromkeys([*STATUSES, *known]):
        at = np.flatnonzero(known == status)
        if len(at):
            shape, colour, filled = STATUSES.get(status, ("P", "#777777", False))
            ax.scatter(
                at,
                values[at],
                marker=shape,
                s=62,
                label=label(status, 20),
                color=colour if filled else "white",
                edgecolors=INK if filled else colour,
                linewidths=0.8 if filled else 1.6,
                zorder=4,
            )
    ax.set_ylim(0, max(float(np.max(values, initial=0)) * 1.5, 1e-9))
    ax.set_ylabel(f"duration ({unit})")
    ax.legend(
        loc="upper left",
        ncols=7,
        fontsize=8,
        frameon=True,
        framealpha=0.9,
        edgecolor="none",
        handletextpad=0.1,
        borderpad=0.15,
    )


def _unit(longest_s: float) -> tuple[float, str]:
    if longest_s > 3 * 3600:
        return 3600.0, "h"
    return (60.0, "min") if longest_s > 120 else (1.0, "s")


def _bands(
    top: Axes, bottom: Axes, spans: Sequence[AlarmSpan], place: Callable[[datetime], float], first: datetime
) -> None:
    for span in spans:
        if span.state == "ALARM" and span.end > first:
            left, right = place(max(span.start, first)), place(span.end)
            for ax in (top, bottom):
                ax.axvspan(
                    left, max(right, left + 0.06), facecolor=ALARM, alpha=0.16, edgecolor="none", zorder=0
                )
            top.axvspan(
                left,
                max(right, left + 0.06),
                ymin=0.975,
                facecolor=ALARM,
                edgecolor=INK,
                linewidth=0.3,
                zorder=5,
            )


def _last_good(
    top: Axes, bottom: Axes, facts: SyncFacts, shown: pd.DataFrame, place: Callable[[datetime], float]
) -> None:
    if facts.reference is None or facts.reference < _first(shown):
        return
    x = round(place(facts.reference))
    for ax in (top, bottom):
        ax.axvspan(
            x - 0.45, x + 0.45, facecolor=LAST_GOOD, alpha=0.13, edgecolor=LAST_GOOD, linewidth=0, zorder=0
        )
    height = top.get_ylim()[1]
    total = float(shown[list(COUNTS)].fillna(0).sum(axis=1).iloc[x])
    left = x > len(shown) * 0.2
    top.annotate(
        f"last good sync{'' if facts.streak else ' before'}\n{stamp(facts.reference)} UTC",
        (x, min(total, height) + height * 0.015),
        xycoords="data",
        xytext=(-14 if left else 14, 46),
        textcoords="offset points",
        fontsize=8.5,
        ha="right" if left else "left",
        va="center",
        color=LAST_GOOD,
        fontweight="bold",
        zorder=6,
        arrowprops={"arrowstyle": "-|>", "color": LAST_GOOD, "linewidth": 1.3},
    )


def _run_axis(ax: Axes, shown: pd.DataFrame) -> None:
    count = len(shown)
    step = max(1, -(-count // 11))
    at = list(range(count - 1, -1, -step))[::-1]
    starts = [moment(shown["started_at"].iloc[i]) for i in at]
    ax.set_xlim(-0.8, count - 1 + AFTER)
    ax.set_xticks(at, [f"{s.day} {s:%b}\n{s:%H:%M}" if s else "" for s in starts])
    ax.set_xlabel(
        "sync runs in order, each with its start (UTC); shaded: an alarm was in ALARM", fontsize=9, color=INK
    )


def _headline(facts: SyncFacts) -> str:
    if facts.streak == 0:
        return _recovered(facts) or "No sync has ended yet"
    if facts.last_good is None:
        return f"None of {facts.total} sync runs succeeded"
    many = "The last sync" if facts.streak == 1 else f"The last {facts.streak} of {facts.total} syncs"
    return f"{many} did not succeed; last good sync {stamp(facts.last_good)} UTC"


def _recovered(facts: SyncFacts) -> str:
    """How the newest finished run went where it succeeded; empty where none has ended."""
    if facts.last_good is None:
        return ""
    before = f"; before it {facts.recovered_from} in a row did not" if facts.recovered_from else ""
    return f"Last sync: SUCCEEDED ({stamp(facts.last_good)} UTC{before})"


def _sync_alt(
    facts: SyncFacts, spans: Sequence[AlarmSpan], flagged: Sequence[Mark], data_source_id: str
) -> str:
    which = f" of data source {plain(data_source_id, 40)}" if data_source_id else ""
    parts = [f"Sync history{which}: {facts.total:,} run{'' if facts.total == 1 else 's'}"]
    if facts.streak:
        parts.append(
            f"the last {facts.streak} did not succeed" if facts.streak > 1 else "the last one did not succeed"
        )
        if facts.first_bad:
            parts.append(f"the first of them started {facts.first_bad:%Y-%m-%d %H:%M} UTC")
    elif facts.last_good:
        parts.append(_recovered(facts))
    parts.append(
        f"last good sync {facts.last_good:%Y-%m-%d %H:%M} UTC" if facts.last_good else "no run succeeded"
    )
    parts.append(f"newest status {plain(facts.newest_status, 30) or 'unknown'}")
    if facts.failed_documents:
        parts.append(f"{facts.failed_documents:,} documents failed in the newest finished run")
    standing = [s for s in spans if s.state == "ALARM" and s.open]
    parts += [
        f"{plain(s.name, 60)} in ALARM since {s.start:%Y-%m-%d %H:%M} UTC, as seen at {s.end:%H:%M}"
        for s in standing[:MOST_ALARMS]
    ]
    parts += [f"{m.kind} “{m.label}” at {m.at:%Y-%m-%d %H:%M} UTC" for m in flagged]
    return "; ".join(parts) + "."
