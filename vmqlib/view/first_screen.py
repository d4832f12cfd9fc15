"""The first screen of the record: what is wrong, since when, how bad, what changed, what to do next."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from vmqlib.errors import VmqError
from vmqlib.runbook.answers import Answer, answers
from vmqlib.times import show_time
from vmqlib.view.base import Html, Panel, View, guarded, join, mapping, notice, plain, tag
from vmqlib.view.layout import chip, code, facts
from vmqlib.view.panels import closing, header

if TYPE_CHECKING:
    from vmqlib.runbook.answers import Line
    from vmqlib.runbook.overview import Overview

__all__ = ["first_screen"]

_ROW = "text-align:left;padding:0.12em 1em 0.12em 0;vertical-align:top;white-space:nowrap;font-weight:bold"
_CELL = "text-align:left;padding:0.12em 0;vertical-align:top;width:100%"
_COMMAND = "display:block;margin:0.1em 0 0.15em 0"
_ABOUT = "color:#555;font-size:88%;margin:0.35em 0"


@guarded
def first_screen(
    summary: Any, told: Overview | Callable[[], Overview], observations: Mapping[str, Any] | None = None
) -> View:
    """The answers to the first questions, short enough for one screen.

    Parameters
    ----------
    summary:
        The incident at a glance (``incident.summary()``).
    told:
        The answers (:class:`vmqlib.runbook.overview.Overview`), or a function that gives them. Where the rules cannot
        be evaluated, that is said, and what was seen is told without them.
    observations:
        Observations by source name.
    """
    about = mapping(summary)
    seen = observations or {}
    try:
        found = answers(told() if callable(told) else told)
    except Exception as error:  # noqa: BLE001 - whatever fails, the screen at 3 a.m. says what was seen
        return _without(error, summary, seen)
    title = tag(
        "div",
        chip(about["severity"]),
        " ",
        chip(about["phase"]),
        " ",
        tag("strong", plain(about["title"], 300)),
        style="font-size:125%;margin:0.1em 0 0.4em 0",
    )
    rows = [
        tag("tr", tag("th", one.question, style=_ROW, scope="row"), tag("td", _lines(one), style=_CELL))
        for one in found
    ]
    grid = tag("table", tag("tbody", *rows), style="border-collapse:collapse;margin:0.2em 0;font-size:95%")
    closed = closing(about) if about.get("closed_at") else []
    damage = [notice(plain(problem, 300), "#D55E00") for problem in about.get("problems", ())]
    lost = [one.title for one in seen.values() if not one.available]
    gaps = f"Not everything could be seen: {', '.join(plain(name, 60) for name in lost)}." if lost else ""
    body = [title, *damage, grid, *([facts(closed)] if closed else [])]
    if gaps:
        body.append(notice(gaps, "#E69F00"))
    body.append(tag("div", _about(about), style=_ABOUT))
    text = [f"{plain(about['severity'])} {plain(about['phase'])}: {plain(about['title'], 300)}"]
    for one in found:
        text += [f"{one.question}: {_plain(each)}" for each in one.lines]
    text += [f"{name}: {value}" for name, value in closed]
    return Panel(tag("div", *body), "\n".join([*text, *([gaps] if gaps else []), _about(about)]))


def _lines(one: Answer) -> Html:
    return join([tag("div", *_parts(line), style="margin:0 0 0.1em 0") for line in one.lines])


def _parts(line: Line) -> list[Html | str]:
    parts: list[Html | str] = [tag("strong", f"{plain(line.lead, 120)}: ")] if line.lead else []
    parts.append(plain(line.text, 700))
    if line.command:
        parts.append(tag("div", code(line.command), style=_COMMAND))
    return parts


def _plain(line: Line) -> str:
    lead = f"{plain(line.lead, 120)}: " if line.lead else ""
    return f"{lead}{plain(line.text, 700)}" + (f"\n  $ {plain(line.command, 2000)}" if line.command else "")


def _about(about: Mapping[str, Any]) -> str:
    seen_at = show_time(about.get("seen_at") or about["as_of"])
    parts = [
        plain(about["id"], 80),
        f"trigger {plain(about['trigger'], 80)}",
        f"opened {show_time(about['opened_at'])}",
        f"as of {seen_at}{' (rendered from evidence)' if about.get('offline') else ''}",
        f"connector {plain(about['data_source_id'], 80)}" if about.get("data_source_id") else "",
        f"account {plain(about.get('account', ''), 20) or 'unknown'}, {plain(about.get('region', ''), 30)}",
    ]
    return " · ".join(part for part in parts if part)


def _without(error: Exception, summary: Any, seen: Mapping[str, Any]) -> Panel:
    """What was seen, without the rules' verdicts; and why there are none."""
    said = error.message if isinstance(error, VmqError) else f"{type(error).__name__}: {plain(error, 300)}"
    shown = header(summary, seen)
    text = f"The rules could not be evaluated: {plain(said, 400)} What was seen without them:"
    return Panel(
        join([notice(text, "#D55E00"), shown.html]),
        f"{text}\n{shown.text if isinstance(shown, Panel) else shown.alt}",
        ok=False,
    )
