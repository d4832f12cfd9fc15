"""The plot of the index beside the bucket that it should hold."""

from __future__ import annotations

import string
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from vmqlib.sources.crawlscope import crawl_scope
from vmqlib.sources.versions import bucket_summary, state_at
from vmqlib.view.base import Plot, View, caption, guarded, nothing, plain, unavailable
from vmqlib.view.findings import bucket_counts, moment
from vmqlib.view.style import (
    ALARM,
    INK,
    LAST_GOOD,
    faint,
    figure,
    flags,
    key,
    key_lines,
    label,
    number,
    split_marks,
    stamp,
    time_axis,
    zoom,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from vmqlib.record.observation import Observation

__all__ = ["index_against_bucket"]


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
    objects = versions.frame[crawl_scope(resources.frame).documents(versions.frame["key"].fillna(""))]
    if objects.empty:
        return nothing("Index against bucket", "no object is in the connector's scope", versions)
    indexed = _total(index["document_count"])
    text_bytes = _total(index["indexed_bytes"])
    now = bucket_summary(objects)
    then = state_at(objects, last_good) if last_good is not None else None
    until = versions.at or moment(objects["at"].max())
    assert until is not None
    first = moment(objects["at"].min()) or until
    start = zoom(first, until, last_good)
    flagged, earlier = split_marks(marks, last_good, until)
    earlier = [mark for mark in earlier if mark.at >= start]
    lines = key_lines(flagged, earlier)
    height = 4.25 + 0.165 * len(lines)
    drawn, (ax, bars) = figure(
        height,
        (2.6, 1),
        footer=len(lines),
        below=0.85,
        top=1 - 0.62 / height,
        hspace=0.62,
        sharex=False,
        right=0.86,
    )
    _over_time(ax, objects, metrics, indexed, (start, until), last_good)
    faint((ax,), [number(mark.at) for mark in earlier])
    flags(
        ax,
        (ax,),
        [
            (number(m.at), letter)
            for letter, m in zip(string.ascii_uppercase, flagged, strict=False)
            if m.at >= start
        ],
    )
    _sizes(bars, now.size, None if then is None else int(then["size"].sum()), text_bytes)
    headline = _gap(indexed, now.objects, None if then is None else len(then))
    drawn.text(
        0.008, 1 - 0.08 / height, label(headline, 160), fontsize=11, fontweight="bold", color=INK, va="top"
    )
    key(drawn, lines, source=caption(resources, versions, metrics))
    then_told = (
        f"{len(then):,} objects at the last good sync before the incident; " if then is not None else ""
    )
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
        f" ({then - objects:,} fewer than at the last good sync before the incident)"
        if then is not None and then > objects
        else ""
    )
    agree = ": they agree" if indexed == objects else ""
    return f"{held[0].upper()}{held[1:]}, the bucket {objects:,} objects in scope{changed}{agree}"


def _over_time(
    ax: Axes,
    objects: pd.DataFrame,
    metrics: Observation | None,
    indexed: int | None,
    span: tuple[datetime, datetime],
    last_good: datetime | None,
) -> None:
    start, until = span
    counts = bucket_counts(objects)
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
            ax.plot(
                line.index,
                line.to_numpy(),
                color=ALARM,
                linewidth=1.6,
                linestyle=(0, (5, 2)),
                marker="s" if len(line) < 60 else "",
                markersize=4,
                label="documents in the index (DocumentCount)",
                zorder=4,
            )
    if indexed is not None:
        ax.plot(
            [number(until)],
            [indexed],
            marker="D",
            color=ALARM,
            markeredgecolor=INK,
            markersize=7,
            linestyle="none",
            label="documents in the index, now",
            clip_on=False,
            zorder=5,
        )
        ends.append((float(indexed), f"{indexed:,} in index"))
    if last_good is not None and last_good >= start:
        ax.axvline(
            number(last_good),
            color=LAST_GOOD,
            linewidth=1.6,
            linestyle=":",
            label=f"last good sync before {stamp(last_good)}",
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
        rows.append(("bucket, last good sync before", then, "#BFE5D8", ""))
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
