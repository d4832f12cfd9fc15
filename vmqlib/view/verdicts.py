"""What the four triggers say, each with its reasons, and the findings beside them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from vmqlib.times import duration, show_time
from vmqlib.view.base import Html, Panel, View, guarded, join, notice, plain, tag
from vmqlib.view.layout import Column, chip, line, panel, table

if TYPE_CHECKING:
    from vmqlib.runbook.findings import Finding
    from vmqlib.runbook.triggers import Detection, Reason, Verdict

__all__ = ["verdicts"]

_COLOURS = {"problem": "#D55E00", "warning": "#E69F00", "note": "#0072B2"}


@guarded
def verdicts(detection: Detection | Callable[[], Detection]) -> View:
    """Each trigger: firing, quiet or unknown, since when, how sure, and every reason with where it was read.

    Parameters
    ----------
    detection:
        What :func:`vmqlib.runbook.triggers.detect` gives, or a function that gives it.
    """
    found = detection() if callable(detection) else detection
    columns = [
        Column("trigger", lambda one: tag("strong", one.trigger)),
        Column("verdict", lambda one: chip(one.verdict)),
        Column("since (UTC)", lambda one: _since(one, found)),
        Column("confidence", lambda one: one.confidence),
        Column("reasons", _reasons),
    ]
    firing, unknown = (
        [one.trigger for one in found.firing],
        [one.trigger for one in found.triggers if one.verdict == "unknown"],
    )
    parts = [
        f"{', '.join(firing)} {'fires' if len(firing) == 1 else 'fire'}" if firing else "No trigger fires"
    ]
    if unknown:
        parts.append(f"{', '.join(unknown)} cannot be told")
    lead = f"{'; '.join(parts)}, as of {show_time(found.at)}."
    notes = [_finding(one) for one in found.findings]
    made = panel(lead, table(columns, [[one] * len(columns) for one in found.triggers]), *notes)
    text = [lead]
    for one in found.triggers:
        text.append(
            line([one.trigger, one.verdict, show_time(one.since) if one.since else "", one.confidence])
        )
        text += [f"  {each.says}: {plain(each.text, 600)} [{plain(each.source, 60)}]" for each in one.reasons]
    text += [
        f"{one.level}: {plain(one.text, 600)} {plain(one.remedy, 400)}".strip() for one in found.findings
    ]
    return Panel(made.html, "\n".join(text))


def _since(one: Verdict, found: Detection) -> Html | str:
    if one.since is None:
        return ""
    shown = show_time(one.since).removesuffix(" UTC")
    return join(
        [shown, tag("div", f"{duration(found.at - one.since)} ago", style="color:#666;font-size:85%")]
    )


def _reasons(one: Verdict) -> Html:
    return join([tag("div", _reason(each), style="margin:0 0 0.3em 0") for each in one.reasons])


def _reason(one: Reason) -> Html:
    return join(
        [
            tag("em", f"{one.says}: "),
            plain(one.text, 600),
            tag("span", f" [{plain(one.source, 60)}]", style="color:#666"),
        ]
    )


def _finding(one: Finding) -> Html:
    body = [tag("strong", f"{one.level}, {plain(one.kind, 60)}: "), plain(one.text, 600)]
    if one.remedy:
        body.append(tag("div", tag("em", plain(one.remedy, 400))))
    return notice(join(body), _COLOURS[one.level])
