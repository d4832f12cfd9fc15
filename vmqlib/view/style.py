"""How plots look: colours of Okabe and Ito, and a shape or a hatch beside every colour: grey paper says the same.

Figures are :class:`matplotlib.figure.Figure` objects: no pyplot, no global state.
"""

from __future__ import annotations

import collections
import string
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from vmqlib.view.base import DPI, mapping, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "ALARM",
    "COUNTS",
    "MOST_FLAGS",
    "STATES",
    "STATUSES",
    "Mark",
    "figure",
    "flags",
    "key",
    "key_lines",
    "label",
    "marks_of",
    "number",
    "stamp",
    "time_axis",
    "zoom",
]

INK = "#222222"
SOFT = "#6b6b6b"
MOST_FLAGS = 8
WIDTH = 9.5
"""Inches."""

COUNTS: dict[str, tuple[str, str]] = {
    "added": ("#009E73", ""),
    "modified": ("#8CCBF0", "////"),
    "deleted": ("#F0E442", "...."),
    "failed": ("#D55E00", "xxxx"),
}
"""Colour and hatch of each count of a sync run."""

STATUSES: dict[str, tuple[str, str, bool]] = {
    "SUCCEEDED": ("o", "#009E73", True),
    "INCOMPLETE": ("^", "#E69F00", True),
    "FAILED": ("X", "#D55E00", True),
    "ABORTED": ("s", "#777777", True),
    "SYNCING": (">", "#0072B2", False),
    "SYNCING_INDEXING": ("D", "#0072B2", False),
    "STOPPING": ("v", "#0072B2", False),
}
"""Marker, colour and whether it is filled, for each status of a sync run. Hollow: not ended."""

STATES: dict[str, tuple[str, str]] = {
    "OK": ("#BFE5D8", ""),
    "ALARM": ("#D55E00", "////"),
    "INSUFFICIENT_DATA": ("#E4E4E4", "...."),
}
"""Colour and hatch of each state of an alarm."""

ALARM = "#D55E00"
LAST_GOOD = "#006B4F"


@dataclass(frozen=True)
class Mark:
    """Something that happened at a moment and belongs on a time axis.

    Parameters
    ----------
    at:
        When, UTC.
    label:
        What, in a few words.
    kind:
        ``promotion``, ``action`` or another word; only shown.
    """

    at: datetime
    label: str
    kind: str = "action"


def marks_of(marks: Iterable[Any]) -> list[Mark]:
    """Marks oldest first, from :class:`Mark` objects, mappings or a frame with ``at``, ``label``, ``kind``."""
    found = []
    if hasattr(marks, "to_dict"):
        marks = marks.to_dict("records")
    for given in marks:
        values = mapping(given)
        if values.get("at") is not None:
            found.append(
                Mark(
                    to_datetime(values["at"]),
                    label(values.get("label", ""), 60),
                    label(values.get("kind", "action"), 20),
                )
            )
    return sorted(found, key=lambda mark: mark.at)


def to_datetime(value: Any) -> datetime:
    """A datetime from a datetime or from pandas' Timestamp."""
    return value.to_pydatetime(warn=False) if hasattr(value, "to_pydatetime") else value  # type: ignore[no-any-return]


def label(value: object, limit: int = 60) -> str:
    """``value`` on one line, for a figure: nothing in it is taken for mathematics."""
    return " ".join(plain(value, limit).split()).replace("$", r"\$")


def split_marks(
    marks: Iterable[Any], since: datetime | None, until: datetime
) -> tuple[list[Mark], list[Mark]]:
    """Marks that get a flag, and those that only get a faint line: before the last good sync they did no harm."""
    known = [mark for mark in marks_of(marks) if mark.at <= until]
    new = [mark for mark in known if since is None or mark.at > since]
    return new[-MOST_FLAGS:], [mark for mark in known if mark not in new[-MOST_FLAGS:]]


def faint(axes: Sequence[Axes], places: Iterable[float]) -> None:
    """Faint dotted lines: what happened, but is not to be looked at first."""
    for x in places:
        for ax in axes:
            ax.axvline(x, color=SOFT, linewidth=0.8, linestyle=(0, (1, 3)), zorder=1)


def zoom(first: datetime, until: datetime, last_good: datetime | None) -> datetime:
    """Where an axis begins: what came after the last good sync takes a third of it, and it is two days at least."""
    if last_good is None or last_good >= until:
        return first
    return max(first, min(last_good - (until - last_good) * 2, until - timedelta(days=2)))


def number(when: datetime) -> float:
    """A moment as matplotlib counts time."""
    from matplotlib.dates import date2num

    return float(date2num(when))


def stamp(moment: datetime, *, year: bool = False) -> str:
    """A moment as an axis shows it: ``18 Nov 14:02``."""
    return f"{moment.day} {moment:%b}{f' {moment.year}' if year else ''} {moment:%H:%M}"


def figure(
    height: float, rows: Sequence[float], *, footer: int = 0, **options: Any
) -> tuple[Figure, list[Axes]]:
    """A figure of page width with one axes per row.

    Parameters
    ----------
    height:
        Inches.
    rows:
        Relative heights.
    footer:
        Lines of small text to leave room for at the foot.
    options:
        ``left``, ``right``, ``top`` as fractions, ``hspace``, ``sharex``.
    """
    from matplotlib.figure import Figure

    drawn = Figure(figsize=(WIDTH, height), dpi=DPI, facecolor="white")
    drawn.set_layout_engine("none")
    bottom = (options.get("below", 0.62) + 0.165 * footer) / height
    grid = {
        "left": options.get("left", 0.075),
        "right": options.get("right", 0.985),
        "top": options.get("top", 1 - 0.42 / height),
        "bottom": options.get("bottom", bottom),
        "hspace": options.get("hspace", 0.12),
        "height_ratios": list(rows),
    }
    axes = drawn.subplots(len(rows), 1, sharex=options.get("sharex", True), squeeze=False, gridspec_kw=grid)
    for ax in axes[:, 0]:
        ax.spines[["top", "right"]].set_visible(False)
        ax.spines[["left", "bottom"]].set_color(SOFT)
        ax.tick_params(colors=INK, labelsize=8.5)
        ax.yaxis.label.set_size(9)
        ax.set_axisbelow(True)
        ax.grid(axis="y", color="#dddddd", linewidth=0.7)
    return drawn, list(axes[:, 0])


def key_lines(flagged: Sequence[Mark], earlier: Sequence[Mark] = (), runs_left_out: int = 0) -> list[str]:
    """What each lettered flag stands for, packed into lines."""
    entries = [
        f"{letter} {m.label} ({stamp(m.at)})"
        for letter, m in zip(string.ascii_uppercase, flagged, strict=False)
    ]
    kinds = collections.Counter(mark.kind for mark in earlier)
    if kinds:
        entries.append("dotted: earlier, " + ", ".join(f"{count} × {kind}" for kind, count in kinds.items()))
    lines: list[str] = []
    for entry in entries:
        if lines and len(lines[-1]) + len(entry) < 125:
            lines[-1] += "   ·   " + entry
        else:
            lines.append(entry)
    if runs_left_out > 0:
        lines.append(f"{runs_left_out:,} earlier runs are not shown; the evidence file has them all")
    return lines


def key(drawn: Figure, lines: Sequence[str], *, source: str = "") -> None:
    """Writes the key of flags, and where the data came from, at the foot of the figure."""
    foot = 0.07
    height = drawn.get_figheight()
    if source:
        drawn.text(
            0.008,
            foot / height,
            "\n".join(_wrapped(source)),
            fontsize=6.6,
            color=SOFT,
            va="bottom",
            linespacing=1.25,
        )
        foot += 0.15 + 0.12 * (len(_wrapped(source)) - 1)
    for line in reversed(lines):
        drawn.text(0.008, foot / height, line, fontsize=8, color=INK, va="bottom")
        foot += 0.165


def _wrapped(source: str) -> list[str]:
    return textwrap.wrap(label(source, 900), 190, max_lines=2, placeholder=" …") or [""]


def _touch(left: Sequence[tuple[float, str]], right: Sequence[tuple[float, str]], near: float) -> bool:
    """Whether two flags would overlap; ``near`` is the width of a flag with one letter."""
    gap = (right[0][0] + right[-1][0] - left[0][0] - left[-1][0]) / 2
    return gap < near * (1 + 0.25 * (min(len(left), 3) + min(len(right), 3) - 2))


def flags(ax: Axes, axes: Sequence[Axes], places: Sequence[tuple[float, str]], *, lift: float = 0) -> None:
    """Vertical lines through ``axes`` with a lettered flag above ``ax`` each; those that would overlap share one.

    Parameters
    ----------
    places:
        Position on the x axis and letter.
    lift:
        Points by which the flags stand higher: over a title.
    """
    low, high = ax.get_xlim()
    near = 0.022 * (high - low)
    groups: list[list[tuple[float, str]]] = []
    for x, letter in sorted(places):
        for each in axes:
            each.axvline(x, color=INK, linewidth=1.0, linestyle=(0, (4, 2)), zorder=3)
        groups.append([(x, letter)])
        # A shared flag is wider, so that it may reach the one before it.
        while len(groups) > 1 and _touch(groups[-2], groups[-1], near):
            groups[-2:] = [[*groups[-2], *groups[-1]]]
    for group in groups:
        middle = (group[0][0] + group[-1][0]) / 2
        letters = "".join(letter for _, letter in group)
        ax.annotate(
            letters if len(letters) < 4 else f"{letters[0]}–{letters[-1]}",
            (middle, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(0, 4 + lift),
            textcoords="offset points",
            # At the edge a wide flag leans inwards, so that it stays on the page.
            ha="right" if len(letters) > 1 and middle > high - near else "center",
            va="bottom",
            fontsize=8,
            fontweight="bold",
            color="white",
            bbox={"boxstyle": "round,pad=0.22", "facecolor": INK, "edgecolor": "none"},
            annotation_clip=False,
        )


def time_axis(ax: Axes, start: datetime, end: datetime) -> None:
    """A UTC time axis from ``start`` to ``end`` with labels that name the day where it changes."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    if end <= start:
        end = start + timedelta(minutes=1)
    ax.set_xlim(start, end)  # type: ignore[arg-type]  # matplotlib takes datetimes where its stubs say float
    locator = AutoDateLocator(minticks=4, maxticks=9)
    ax.xaxis.set_major_locator(locator)
    formatter = ConciseDateFormatter(
        locator,
        formats=["%Y", "%b", "%-d %b", "%H:%M", "%H:%M", "%S.%f"],
        zero_formats=["", "%Y", "%b", "%-d %b", "%H:%M", "%H:%M"],
        offset_formats=["", "%Y", "%b %Y", "%-d %b %Y", "%-d %b %Y", "%-d %b %Y %H:%M"],
    )
    ax.xaxis.set_major_formatter(formatter)
    ax.xaxis.get_offset_text().set_fontsize(8.5)
    ax.set_xlabel("time (UTC)", fontsize=9, color=INK)
