"""The figure of a dashboard: its graphs as small multiples over one time axis."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from vmqlib.errors import BadInput
from vmqlib.times import duration, parse_iso
from vmqlib.view.base import DPI
from vmqlib.view.style import ALARM, INK, LAST_GOOD, SOFT, WIDTH, key, label, number, stamp, time_axis

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from vmqlib.runbook.dashboard import Line, Widget

__all__ = ["MOST_LINES", "Span", "draw", "length", "merged", "per", "shown_value"]

MOST_LINES = 6
"""Lines of one graph; the table has all."""

_COLUMNS = 2
_ROW = 1.8  # inches
_LINES: tuple[tuple[str, Literal["-", "--", "-.", ":"], str], ...] = (
    ("#0072B2", "-", "o"),
    ("#D55E00", "--", "s"),
    ("#009E73", "-.", "^"),
    ("#CC79A7", ":", "D"),
    ("#E69F00", "-", "v"),
    ("#56B4E9", "--", "P"),
)
"""Colour of Okabe and Ito, dash and marker of each line: not the dashboard's own colours, which not everybody can tell
apart."""
_HATCHES = ("", "////", "....", "xxxx", "\\\\\\\\", "++++")
_SINCE = "#EBEBEB"
_UNITS = {
    "AWS/QBusiness": "count",
    "VaultMesh/QBusiness": "count",
    "VaultMesh/S3Prefixes PrefixObjectCount": "objects",
    "VaultMesh/S3Prefixes PrefixSizeBytes": "bytes",
}
"""Units by metric or namespace. GetMetricData does not tell any."""


@dataclass(frozen=True)
class Span:
    """The time axis, and what is marked on it.

    Parameters
    ----------
    start, until:
        Its ends; the last look is at the end.
    opened:
        When the incident was opened: what is right of it came after.
    last_good:
        Start of the last good sync.
    """

    start: datetime
    until: datetime
    opened: datetime | None = None
    last_good: datetime | None = None

    def holds(self, moment: datetime | None) -> bool:
        """Whether the moment is on the axis."""
        return moment is not None and self.start <= moment <= self.until


def draw(graphs: Sequence[tuple[Widget, Mapping[int, pd.Series[Any]]]], span: Span, source: str) -> Figure:
    """One axes for each graph, two in a row.

    Parameters
    ----------
    graphs:
        Widgets, each with the points of its lines by the line's place.
    span:
        The time axis.
    source:
        Where the data came from.
    """
    from matplotlib.figure import Figure

    rows = -(-len(graphs) // _COLUMNS)
    notes = _key(span)
    below = 0.78 + 0.165 * len(notes)
    height = rows * _ROW + below + 0.3
    drawn = Figure(figsize=(WIDTH, height), dpi=DPI, facecolor="white")
    drawn.set_layout_engine("none")
    grid = {
        "left": 0.075, "right": 0.945, "top": 1 - 0.3 / height, "bottom": below / height,
        "hspace": 0.27, "wspace": 0.24,
    }  # fmt: skip
    axes = drawn.subplots(rows, _COLUMNS, squeeze=False, gridspec_kw=grid)
    flat = [ax for row in axes for ax in row]
    for place, (ax, (widget, points)) in enumerate(zip(flat, graphs, strict=False)):
        _graph(ax, widget, points, span)
        if place < len(graphs) - _COLUMNS:
            # The times are below the last of each column: they are the same for all.
            ax.set_xlabel("")
            ax.tick_params(labelbottom=False)
            ax.xaxis.get_offset_text().set_visible(False)
    for ax in flat[len(graphs) :]:
        ax.set_visible(False)
    _marked(flat[: len(graphs)], span)
    key(drawn, notes, source=source)
    return drawn


def _key(span: Span) -> list[str]:
    parts = []
    if span.holds(span.opened) and span.opened is not None:
        parts.append(
            f"dashed line: the incident was opened {stamp(span.opened)} UTC; grey ground: since then"
        )
    if span.last_good is not None:
        earlier = "" if span.holds(span.last_good) else ", left of what is shown"
        parts.append(f"green dotted line: last good sync {stamp(span.last_good)} UTC{earlier}")
    parts.append(f"right edge: last look {stamp(span.until)} UTC")
    lines: list[str] = []
    for part in parts:
        if lines and len(lines[-1]) + len(part) < 125:
            lines[-1] += "   ·   " + part
        else:
            lines.append(part)
    return lines


def _graph(ax: Axes, widget: Widget, points: Mapping[int, pd.Series[Any]], span: Span) -> None:
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(SOFT)
    ax.tick_params(colors=INK, labelsize=7.5)
    ax.set_axisbelow(True)
    ax.grid(axis="y", color="#dddddd", linewidth=0.7)
    # y: or else every draw measures all labels to find a place for the title.
    ax.set_title(label(widget.title, 60), loc="left", fontsize=9, fontweight="bold", color=INK, pad=4, y=1.0)
    time_axis(ax, span.start, span.until)
    ax.xaxis.label.set_fontsize(8)
    ax.xaxis.get_offset_text().set_fontsize(7)
    shown = list(enumerate(widget.lines))[:MOST_LINES]
    if not any(len(points[n]) for n, _ in shown if n in points):
        _empty(ax, widget)
        return
    sides: dict[str, Axes] = {"left": ax}
    if any(line.axis == "right" for _, line in shown):
        right = sides["right"] = ax.twinx()
        right.spines[["top", "left"]].set_visible(False)
        right.tick_params(colors=INK, labelsize=7.5)
    for side, on in sides.items():
        mine = [(n, line) for n, line in shown if (line.axis if line.axis in sides else "left") == side]
        (_stack if widget.stacked else _lines)(on, mine, points)
    # Annotations come after the lines: they must not be cut off, and must not set where an axis without data begins.
    for threshold in widget.thresholds:
        _threshold(sides.get(str(threshold.get("axis")), ax), threshold)
    for side, on in sides.items():
        _scale(
            on,
            widget.axes.get(side, {}),
            [line for _, line in shown if line.axis == side] or [line for _, line in shown],
        )
    _moments(ax, widget, span)
    _legend(sides.get("right", ax), shown, stacked=widget.stacked, left_out=len(widget.lines) - len(shown))


def _empty(ax: Axes, widget: Widget) -> None:
    why = next((line.problem for line in widget.lines if line.problem), "") or "no value in this time"
    said = "\n".join(textwrap.wrap(label(f"No data: {why}", 200), 58, max_lines=5, placeholder=" …"))
    ax.set_yticks([])
    ax.text(
        0.02, 0.5, said, transform=ax.transAxes, fontsize=8, color=INK, va="center", zorder=6,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5},
    )  # fmt: skip


def _lines(ax: Axes, lines: Sequence[tuple[int, Line]], points: Mapping[int, pd.Series[Any]]) -> None:
    """As CloudWatch draws them: a line breaks where a period has no value, and a value by itself is a dot."""
    for place, line in lines:
        colour, dash, marker = _LINES[place % len(_LINES)]
        values = points[place]
        x, y, alone = _broken(values, line.period_s)
        ax.plot(x, y, color=colour, linestyle=dash, linewidth=1.4, zorder=3)
        ax.plot(
            [x for x, _ in alone], [y for _, y in alone],
            color=colour, marker=marker, linestyle="none", markersize=3.6, zorder=4,
        )  # fmt: skip
        shape = marker if alone or len(values) < 2 else ""
        ax.plot(
            [], [], color=colour, linestyle=dash, marker=shape, markersize=3.6, label=label(line.label, 40)
        )


def _broken(
    values: pd.Series[Any], period: int
) -> tuple[list[float], list[float], list[tuple[float, float]]]:
    """Coordinates with a gap where periods are missing, and those that are alone between gaps."""
    places, heights = [number(at) for at in values.index], [float(value) for value in values]
    far = 1.5 * period / 86_400
    x: list[float] = []
    y: list[float] = []
    alone = []
    for n, (place, height) in enumerate(zip(places, heights, strict=True)):
        gap_before = n == 0 or place - places[n - 1] > far
        gap_after = n == len(places) - 1 or places[n + 1] - place > far
        if gap_before and n:
            x.append(place)
            y.append(float("nan"))
        x.append(place)
        y.append(height)
        if gap_before and gap_after:
            alone.append((place, height))
    return x, y, alone


def _stack(ax: Axes, lines: Sequence[tuple[int, Line]], points: Mapping[int, pd.Series[Any]]) -> None:
    """One area on top of the other; a period without a value counts as nothing."""
    import pandas as pd

    table = pd.DataFrame({place: points[place] for place, _ in lines}).sort_index()
    period = timedelta(seconds=min(line.period_s for _, line in lines))
    # An area needs both its edges: without a value right before and after, it would reach across the gap.
    edges = table.index.union(table.index + period)
    table = table.reindex(edges).fillna(0.0)
    low = table.iloc[:, 0] * 0
    for place, _ in lines:
        high = low + table[place]
        colour, hatch = _LINES[place % len(_LINES)][0], _HATCHES[place % len(_HATCHES)]
        ax.fill_between(
            [number(at) for at in table.index], low.to_numpy(), high.to_numpy(), step="post", facecolor=colour,
            hatch=hatch, edgecolor=INK, linewidth=0.3, alpha=0.85, zorder=3,
        )  # fmt: skip
        low = high


def _threshold(ax: Axes, threshold: Mapping[str, Any]) -> None:
    value, until = threshold.get("value"), threshold.get("until")
    if not isinstance(value, int | float):
        return
    edges = [float(value), *([float(until)] if isinstance(until, int | float) else [])]
    for edge in edges:
        ax.axhline(edge, color=ALARM, linewidth=1.0, linestyle=(0, (5, 3)), zorder=2)
    if len(edges) > 1:
        ax.axhspan(
            min(edges),
            max(edges),
            facecolor="none",
            edgecolor=ALARM,
            hatch="//",
            linewidth=0,
            alpha=0.35,
            zorder=1,
        )
    said = label(threshold.get("label") or "", 30)
    ax.annotate(
        f"{said} {max(edges):,.6g}".strip(), (0.0, max(edges)), xycoords=("axes fraction", "data"), xytext=(2, 2),
        textcoords="offset points", fontsize=7, color=INK, ha="left", va="bottom", zorder=5,
    )  # fmt: skip


def _scale(ax: Axes, axis: Mapping[str, Any], lines: Sequence[Line]) -> None:
    low, high = ax.get_ylim()
    if low >= 0 or low > -0.06 * (high - low):
        low = min(0.0, low) if low < 0.5 * high else low
    # Room for the legend, which must not lie on the lines.
    top = high + 0.28 * (high - low)
    given = [axis.get(end) for end in ("low", "high")]
    low = float(given[0]) if isinstance(given[0], int | float) else max(low, 0.0) if low > -0.1 * top else low
    top = float(given[1]) if isinstance(given[1], int | float) else top
    if top > low:
        ax.set_ylim(low, top)
    ax.yaxis.get_major_locator().set_params(nbins=4)  # type: ignore[call-arg]  # MaxNLocator, the default
    ax.set_ylabel(label(axis.get("label") or _measured(lines), 40), fontsize=7.5, color=INK)


def _measured(lines: Sequence[Line]) -> str:
    """What an axis measures, where the dashboard does not say it."""
    said = {per(line) for line in lines}
    units = {_UNITS.get(line.metric) or _UNITS.get(line.metric.partition(" ")[0], "") for line in lines}
    text = next(iter(said)) if len(said) == 1 else "value"
    unit = next(iter(units)) if len(units) == 1 else ""
    return f"{text} ({unit})" if unit else text


def per(line: Line) -> str:
    """What a value is: ``Sum per 5 min``."""
    return f"{line.statistic or 'value'} per {length(line.period_s)}"


def length(seconds: int) -> str:
    """A period in words: ``5 min``, ``hour``, ``day``."""
    return {60: "minute", 3600: "hour", 86_400: "day"}.get(seconds) or duration(timedelta(seconds=seconds))


def _moments(ax: Axes, widget: Widget, span: Span) -> None:
    for one in widget.moments:
        at, until = (_time(one.get(end)) for end in ("at", "until"))
        if at is None or not span.holds(at):
            continue
        ax.axvline(number(at), color=SOFT, linewidth=1.0, linestyle=(0, (1, 1.5)), zorder=2)
        if until is not None:
            ax.axvspan(number(at), number(min(until, span.until)), facecolor=SOFT, alpha=0.15, zorder=0)
        ax.annotate(
            label(one.get("label") or "", 24), (number(at), 0), xycoords=("data", "axes fraction"), xytext=(2, 2),
            textcoords="offset points", fontsize=6.5, color=SOFT, rotation=90, va="bottom",
        )  # fmt: skip


def _time(value: object) -> datetime | None:
    try:
        return parse_iso(value) if isinstance(value, str) else None
    except (ValueError, OverflowError, BadInput):
        return None


def _legend(ax: Axes, shown: Sequence[tuple[int, Line]], *, stacked: bool, left_out: int) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Patch | Line2D] = []
    for place, _ in shown:
        colour, dash, marker = _LINES[place % len(_LINES)]
        if stacked:
            hatch = _HATCHES[place % len(_HATCHES)]
            handles.append(Patch(facecolor=colour, hatch=hatch, edgecolor=INK, linewidth=0.3, alpha=0.85))
        else:
            handles.append(
                Line2D([], [], color=colour, linestyle=dash, linewidth=1.4, marker=marker, markersize=3.6)
            )
    names = [label(line.label, 40) + (" (right axis)" if line.axis == "right" else "") for _, line in shown]
    title = f"and {left_out:,} more, see the table" if left_out > 0 else None
    ax.legend(
        handles, names, loc="upper left", fontsize=7, frameon=True, framealpha=0.85, edgecolor="none", borderpad=0.15,
        borderaxespad=0.2, handlelength=2.2, ncols=2 if len(names) > 1 else 1, columnspacing=1.0, title=title,
        title_fontsize=7,
    ).set_zorder(6)  # fmt: skip


def _marked(axes: Sequence[Axes], span: Span) -> None:
    """Opening and last good sync on every axes."""
    for ax in axes:
        if span.holds(span.opened) and span.opened is not None:
            ax.axvspan(
                number(span.opened), number(span.until), facecolor=_SINCE, edgecolor="none", zorder=0.2
            )
            ax.axvline(number(span.opened), color=INK, linewidth=1.0, linestyle=(0, (4, 2)), zorder=2.5)
        if span.holds(span.last_good) and span.last_good is not None:
            ax.axvline(number(span.last_good), color=LAST_GOOD, linewidth=1.4, linestyle=":", zorder=2.5)


def shown_value(value: float) -> str:
    """A value of a metric for people."""
    return f"{value:,.0f}" if value == int(value) and abs(value) < 1e15 else f"{value:,.4g}"


def merged(before: pd.Series[Any] | None, after: pd.Series[Any] | None, start: datetime) -> pd.Series[Any]:
    """The values of both looks from ``start`` on: what the newer one reaches is taken from it."""
    import pandas as pd

    parts = [one for one in (before, after) if one is not None and len(one)]
    if not parts:
        return pd.Series(dtype="float64")
    if len(parts) == 2:
        parts[0] = parts[0][parts[0].index < parts[1].index[0]]
    whole = pd.concat(parts) if len(parts) == 2 and len(parts[0]) else parts[-1]
    return whole[whole.index >= pd.Timestamp(start)]
